# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Kullback-Leibler divergence between the two predictions of a pair."""
import math

import torch
import torch.nn.functional as F
from torch import Tensor

DETACH = ('none', 'query', 'partner')
ACTIVATIONS = ('softmax', 'sigmoid')


def pair_kl(query: Tensor,
            partner: Tensor,
            temperature: float = 4.0,
            scale_by_t2: bool = True,
            detach: str = 'none',
            symmetric: bool = True,
            valid: Tensor | None = None,
            activation: str = 'softmax') -> Tensor:
    r"""Temperature-softened KL between the predictions of a pair (IPS, Eq. 2).

    With :math:`p = \mathrm{softmax}(z / T)` the symmetric form is
    :math:`\tfrac12 [KL(p_1 \| p_2) + KL(p_2 \| p_1)]`, summed over classes and averaged
    over pairs. Computed in float32 at least, whatever autocast says.

    With ``activation='sigmoid'``, for networks trained by binary cross entropy, a prediction is
    one Bernoulli distribution a class and the KL is that of their product, the sum over classes.
    Given that exactly one class is true, that product is the softmax of the same logits.

    Args:
        query (Tensor): Logits of the first members, shape (P, K).
        partner (Tensor): Logits of the second members, shape (P, K).
        temperature (float): T that divides the logits. Default: 4.
        scale_by_t2 (bool): Multiply by T^2, which keeps the gradient's size
            independent of T (Hinton et al., 2015). Default: True.
        detach (str): The side that acts as a constant target: 'none' (the paper),
            'query' or 'partner'. Default: 'none'.
        symmetric (bool): If False, only :math:`KL(p_2 \| p_1)`, the partner teaching the
            query; with ``detach='partner'`` this is CS-KD's term. Default: True.
        valid (Tensor, optional): Bool mask of shape (P,). Pairs outside it contribute
            neither value nor gradient, and the mean is over the rest.
        activation (str): What makes probabilities of logits: 'softmax' (the paper) or
            'sigmoid'. Default: 'softmax'.

    Returns:
        Tensor: Scalar of dtype float32 (float64 for float64 logits).

    Raises:
        ValueError: For shapes that do not fit, T <= 0, an unknown ``detach`` or ``activation``
            or a ``valid`` that is not boolean.
    """
    check_options(temperature, detach, activation)
    if query.shape != partner.shape or query.ndim != 2:
        raise ValueError('pair_kl expects two tensors of one shape (P, K), but got '
                         f'{tuple(query.shape)} and {tuple(partner.shape)}.')
    if valid is not None:
        # Other shapes would broadcast, silently, against the classes.
        if valid.dtype != torch.bool or valid.shape != query.shape[:1]:
            raise ValueError(f'valid must be a bool tensor of shape ({len(query)},), one value a '
                             f'pair, but got {valid.dtype} {tuple(valid.shape)}.')
        # Blank the logits rather than the divergence: backward would turn an infinite
        # logit of an excluded pair into 0 * inf = NaN.
        blank = query.new_zeros(())
        query, partner = (z.where(valid[:, None], blank) for z in (query, partner))
    dtype = torch.promote_types(query.dtype, torch.float32)
    z_q, z_p = ((z.detach() if detach == side else z).to(dtype) / temperature
                for z, side in ((query, 'query'), (partner, 'partner')))
    if activation == 'softmax':
        z_q, z_p = z_q.log_softmax(1), z_p.log_softmax(1)
        mean_q, mean_p = z_q.exp(), z_p.exp()
    else:
        mean_q, mean_p = z_q.sigmoid(), z_p.sigmoid()
    if symmetric:
        # KL(p||q) + KL(q||p) = sum (p - q)(z_p - z_q): one pass instead of two. The normalisers
        # of both directions cancel, of a softmax as of a sigmoid.
        total = 0.5 * ((mean_p - mean_q) * (z_p - z_q)).sum()
    else:
        total = (mean_p * (z_p - z_q)).sum()
        if activation == 'sigmoid':
            total = total - (F.softplus(z_p) - F.softplus(z_q)).sum()
    if scale_by_t2:
        total = total * temperature**2
    return total / (len(query) if valid is None else valid.sum().clamp(min=1))


def check_options(temperature: float, detach: str, activation: str = 'softmax') -> None:
    """Raise ``ValueError`` for what can be no temperature, no side or no activation."""
    if not 0 < temperature < math.inf:
        raise ValueError(f'temperature must be positive and finite, but got {temperature}.')
    for name, value, allowed in (('detach', detach, DETACH),
                                 ('activation', activation, ACTIVATIONS)):
        if value not in allowed:
            raise ValueError(f'{name} must be one of {allowed}, but got {value!r}.')
