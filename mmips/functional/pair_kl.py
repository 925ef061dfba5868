# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Kullback-Leibler divergence between the two predictions of a pair."""
import math

import torch
import torch.nn.functional as F
from torch import Tensor

DETACH = ('none', 'query', 'partner')


def pair_kl(query: Tensor,
            partner: Tensor,
            temperature: float = 4.0,
            scale_by_t2: bool = True,
            detach: str = 'none',
            symmetric: bool = True,
            valid: Tensor | None = None) -> Tensor:
    r"""Temperature-softened KL between the predictions of a pair (IPS, Eq. 2).

    With :math:`p = \mathrm{softmax}(z / T)` the symmetric form is
    :math:`\tfrac12 [KL(p_1 \| p_2) + KL(p_2 \| p_1)]`, summed over classes and averaged
    over pairs. Computed in float32 at least, whatever autocast says.

    Args:
        query (Tensor): Logits of the first members, shape (P, K).
        partner (Tensor): Logits of the second members, shape (P, K).
        temperature (float): T of the softmax. Default: 4.
        scale_by_t2 (bool): Multiply by T^2, which keeps the gradient's size
            independent of T (Hinton et al., 2015). Default: True.
        detach (str): The side that acts as a constant target: 'none' (the paper),
            'query' or 'partner'. Default: 'none'.
        symmetric (bool): If False, only :math:`KL(p_2 \| p_1)`, the partner teaching the
            query; with ``detach='partner'`` this is CS-KD's term. Default: True.
        valid (Tensor, optional): Bool mask of shape (P,). Pairs outside it contribute
            neither value nor gradient, and the mean is over the rest.

    Returns:
        Tensor: Scalar of dtype float32 (float64 for float64 logits).

    Raises:
        ValueError: For shapes that do not fit, T <= 0, an unknown ``detach`` or a ``valid`` that
            is not boolean.
    """
    check_options(temperature, detach)
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
    log_q, log_p = (
        F.log_softmax((z.detach() if detach == side else z).to(dtype) / temperature, dim=1)
        for z, side in ((query, 'query'), (partner, 'partner')))
    if symmetric:
        # KL(p||q) + KL(q||p) = sum (p - q)(log p - log q): one pass instead of two.
        total = 0.5 * ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum()
    else:
        total = (log_p.exp() * (log_p - log_q)).sum()
    if scale_by_t2:
        total = total * temperature**2
    return total / (len(query) if valid is None else valid.sum().clamp(min=1))


def check_options(temperature: float, detach: str) -> None:
    """Raise ``ValueError`` for what can be no temperature or no side."""
    if not 0 < temperature < math.inf:
        raise ValueError(f'temperature must be positive and finite, but got {temperature}.')
    if detach not in DETACH:
        raise ValueError(f'detach must be one of {DETACH}, but got {detach!r}.')
