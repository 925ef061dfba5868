# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""White-box attacks within an L-infinity ball: FGSM, I-FGSM and PGD, for tensors alone.

All maximise the cross entropy with the true label and know nothing of a target class. They take

- ``predict``: a function from images to logits (N, K), of which all is attacked;
- ``images``: (N, C, H, W), floating point, within ``bounds``, to which results are clipped;
- ``labels``: true classes, int64 (N, );
- ``eps`` and ``step_size``: radius of the ball and size of a step, absolute, in units of the
  images. A tensor (C, 1, 1) gives each channel its own;

and return adversarial images. Nothing but the images gets a gradient. Images outside the bounds, a
gradient that is not finite and less than one step raise a ``ValueError``.
"""
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from mmips.errors import UserError

Predict = Callable[[Tensor], Tensor]
Bounds = tuple[float, float]


def loss_gradient(predict: Predict, images: Tensor, labels: Tensor) -> Tensor:
    """Gradient of the cross entropy, summed over the images, with respect to the images."""
    with torch.enable_grad():
        inputs = images.detach().requires_grad_()
        # The sum: a mean over many images would make small gradients vanish.
        loss = F.cross_entropy(predict(inputs), labels, reduction='sum')
        # Not backward(), which would add to the gradients of the parameters too.
        gradient, = torch.autograd.grad(loss, inputs)
    if not torch.isfinite(gradient).all():
        raise UserError('The gradient of the loss with respect to the images is NaN or infinite: '
                        'the network cannot be attacked. Have its weights diverged?')
    return gradient


def fgsm(predict: Predict, images: Tensor, labels: Tensor, eps: float | Tensor,
         bounds: Bounds = (0., 1.), gradient: Tensor | None = None) -> Tensor:
    """Fast gradient sign method: one step of size ``eps`` (Goodfellow et al. 2015, Eq. 2).

    ``gradient`` is what :func:`loss_gradient` has returned for these images, the same for every
    ``eps``; without it, it is computed here.
    """
    _check(images, bounds)
    if gradient is None:
        gradient = loss_gradient(predict, images, labels)
    return (images + eps * gradient.sign()).clamp(*bounds)


def i_fgsm(predict: Predict, images: Tensor, labels: Tensor, eps: float | Tensor,
           step_size: float | Tensor, steps: int = 10, bounds: Bounds = (0., 1.),
           start: Tensor | None = None) -> Tensor:
    """Iterated FGSM, or basic iterative method (Kurakin et al. 2017, Section 2.2).

    Every step is projected to the ball of radius ``eps`` around the image and clipped to the
    bounds. Images that are fooled already are attacked further. The steps begin at ``start``, or
    else at the images.
    """
    if steps < 1:
        raise ValueError(f'steps must be at least 1, got {steps}.')
    _check(images, bounds)
    current = images if start is None else start
    for _ in range(steps):
        current = current + step_size * loss_gradient(predict, current, labels).sign()
        current = _project(current, images, eps, bounds)
    return current


def pgd(predict: Predict, images: Tensor, labels: Tensor, eps: float | Tensor,
        step_size: float | Tensor, steps: int = 10, bounds: Bounds = (0., 1.),
        generator: torch.Generator | None = None) -> Tensor:
    """Projected gradient descent: I-FGSM from a random point of the ball (Madry et al. 2018).

    The start is uniform in the ball. ``generator``, of the CPU, draws it, the same on every device
    and for every batch size; without it, torch's own does.
    """
    noise = torch.rand(images.shape, generator=generator).to(images)
    start = _project(images + eps * (2 * noise - 1), images, eps, bounds)
    return i_fgsm(predict, images, labels, eps, step_size, steps, bounds, start)


def _project(current: Tensor, images: Tensor, eps: float | Tensor, bounds: Bounds) -> Tensor:
    radius = torch.as_tensor(eps, dtype=images.dtype, device=images.device)
    return (images + (current - images).clamp(-radius, radius)).clamp(*bounds)


def _check(images: Tensor, bounds: Bounds) -> None:
    # Clipping would move such pixels by more than eps.
    least, greatest = images.min().item(), images.max().item()
    if not bounds[0] <= least <= greatest <= bounds[1]:
        raise UserError(f'The images must be within {bounds[0]:g} to {bounds[1]:g}, but their '
                         f'values go from {least:g} to {greatest:g}: correct --image-range.')
