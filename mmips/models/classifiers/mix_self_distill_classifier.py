# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from mmengine.model import ModuleList, Sequential
from mmpretrain.structures import DataSample
from torch import Tensor, nn
from torch.nn import functional as F

from mmips.functional import pair_kl
from mmips.functional.pair_kl import check_options
from mmips.registry import MODELS

from .base_exit_classifier import BaseExitClassifier, total


@MODELS.register_module()
class MixSelfDistillClassifier(BaseExitClassifier):
    """MixSKD (Yang et al., ECCV 2022): what a mix gives, and the mix of what its images give.

    Three exits copy the backbone's later stages. For each batch x of labels y a lambda of
    Beta(a, a) and a permutation pi make x~ = lambda x + (1 - lambda) x[pi]; one forward of both
    (2N images, batch norm shared) gives logits z_l and final maps F_l of the exits l = 1..4, the
    last of which is the backbone. Where ^ marks the mix of the outputs on x and ~ the output on
    x~, h is the self-teacher (a 1x1 convolution of all four maps, mean, linear), p_T softmax at
    temperature T, sg no gradient and mCE(z) = lambda CE(z, y) + (1 - lambda) CE(z, y[pi]):

    * ``loss_ce``: gamma sum_l CE(z_l, y)
    * ``loss_mix_ce``: gamma [sum_l mCE(z~_l) + mCE(h^) + mCE(h~)]
    * ``loss_kd``: alpha T^2 {sum over l = 1..3 of KL(sg p_T(z~_l) || p_T(z^_l)) + KL(sg p_T(z^_l)
      || p_T(z~_l)), and KL(sg p_T(h~) || p_T(z^_4)) + KL(sg p_T(h^) || p_T(z~_4))}
    * ``loss_feature``: weight x sum_l mean((F^_l - F~_l)^2)
    * ``loss_discriminator``: weight x sum_l binary cross entropy of D_l(F^_l) with [1, 0] and
      D_l(F~_l) with [0, 1], D_l a small MLP of the mean; minimised jointly, not reversed

    The authors' code (winycg/Self-KD-Lib) never trains the discriminators, which stand in a plain
    list (``train_discriminator=False``), and its CIFAR-100 script leaves the whole of
    ``loss_mix_ce`` out (``mix_ce=False``), so that the self-teacher stays as it was drawn. With
    both, no ReLU in the stem, and the best of four exits and of all epochs on the test set it has
    80.32 % (ResNet-18); its ImageNet script adds ``loss_mix_ce``: 78.76 % (ResNet-50).

    Lambda and pi come from torch's CPU generator, which ``mmips.EpochSeedHook`` seeds anew in
    every epoch and on every rank. ``last_step`` has the images alone, without the mixes.

    Args:
        *args: As ``ImageClassifier``.
        mix_alpha (float): a of the Beta distribution. Default: 0.4 (CIFAR-100; ImageNet 0.2).
        temperature (float): T. Default: 3.
        alpha (float): Weight of the KL. Default: 1.
        gamma (float): Weight of the cross entropies. Default: 1.
        feature_weight (float): Default: 1.
        discriminator_weight (float): Default: 1.
        mix_ce (bool): Whether mixes have labels; without, the self-teacher is frozen.
            Default: True.
        train_discriminator (bool): Default: True.
        **kwargs: As ``ImageClassifier``.

    Raises:
        ValueError: For a backbone that is no ResNet of four stages, all of which it gives, for
            ``mix_alpha`` or ``temperature`` that are not positive, and negative weights.
    """

    images_per_input = 2

    def __init__(self, *args: Any, mix_alpha: float = 0.4, temperature: float = 3.0,
                 alpha: float = 1.0, gamma: float = 1.0, feature_weight: float = 1.0,
                 discriminator_weight: float = 1.0, mix_ce: bool = True,
                 train_discriminator: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, alpha=alpha, gamma=gamma, **kwargs)
        check_options(temperature, 'none')
        if not mix_alpha > 0 or feature_weight < 0 or discriminator_weight < 0:
            raise ValueError(
                'mix_alpha must be positive and no weight negative, but got '
                f'mix_alpha={mix_alpha}, feature_weight={feature_weight}, '
                f'discriminator_weight={discriminator_weight}.')
        self.mix_alpha, self.temperature, self.mix_ce = mix_alpha, temperature, mix_ce
        self.feature_weight, self.discriminator_weight = feature_weight, discriminator_weight
        if self.exits is not None:
            width = self.exits[0].fc.in_features
            self.self_teacher = Sequential(
                nn.Conv2d(4 * width, width, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                nn.Linear(width, self.head.num_classes),
                init_cfg=dict(type='Kaiming', layer='Conv2d')).requires_grad_(mix_ce)
            self.discriminators = ModuleList([nn.Sequential(
                nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 128), nn.ReLU(),
                nn.Linear(128, 2)) for _ in range(4)]).requires_grad_(train_discriminator)

    def loss(self, inputs: Tensor, data_samples: Sequence[DataSample]) -> dict[str, Tensor]:
        """Compute the five losses named above, weighted, and the head's accuracies.

        Arguments and errors are those of :meth:`DistillClassifier.loss`.
        """
        self.check_head()
        share, order = self._draw(inputs)

        def mix(whole: Tensor) -> Tensor:
            return share * whole + (1 - share) * whole[order]

        num = len(inputs)
        maps = self.forward_maps(torch.cat((inputs, mix(inputs))))
        both = self.make_step(maps, data_samples)
        step = replace(both, logits=both.logits[:num], maps=tuple(each[:num] for each in maps),
                       features=tuple(each[:num] for each in both.features))
        finals, logits = self.exit_outputs(maps)
        finals, logits = [*finals, maps[-1]], [*logits, both.logits]
        # Mixes of outputs on the images, and outputs on the mixes.
        mixed_z, mixed_f = ([mix(each[:num]) for each in parts] for parts in (logits, finals))
        on_z, on_f = ([each[num:] for each in parts] for parts in (logits, finals))
        taught = [self.self_teacher(torch.cat(parts, 1)) for parts in (mixed_f, on_f)]

        losses = self._head_loss(step.logits, step.target, data_samples)
        losses['loss_ce'] = losses['loss_ce'] + self.gamma * total(
            self.plain_loss(z[:num], step.target) for z in logits[:3])
        if self.mix_ce:
            losses['loss_mix_ce'] = self.gamma * total(
                share * self.plain_loss(z, step.target)
                + (1 - share) * self.plain_loss(z, step.target[order]) for z in [*on_z, *taught])
        losses['loss_kd'] = self.alpha * self._divergence(mixed_z, on_z, *taught)
        losses['loss_feature'] = self.feature_weight * total(map(F.mse_loss, mixed_f, on_f))
        losses['loss_discriminator'] = self.discriminator_weight * total(
            _tell_apart(told, *pair) for told, *pair in zip(self.discriminators, mixed_f, on_f))
        self.leave(step)
        return losses

    def _draw(self, inputs: Tensor) -> tuple[float, Tensor]:
        """Lambda and the permutation, drawn on the host."""
        share = torch.distributions.Beta(self.mix_alpha, self.mix_alpha).sample().item()
        return share, torch.randperm(len(inputs)).to(inputs.device, non_blocking=True)

    def _divergence(self, mixed: list[Tensor], on_mix: list[Tensor], teacher_mixed: Tensor,
                    teacher_on_mix: Tensor) -> Tensor:
        """Both ways at three exits; crosswise from the self-teacher to the last."""
        pairs = [(z, goal) for each in zip(mixed[:3], on_mix) for z, goal in (each, each[::-1])]
        pairs += [(mixed[3], teacher_on_mix), (on_mix[3], teacher_mixed)]
        return total(pair_kl(z, goal, self.temperature, detach='partner', symmetric=False)
                     for z, goal in pairs)


def _tell_apart(discriminator: Callable[[Tensor], Tensor], mixed: Tensor, on_mix: Tensor) -> Tensor:
    """Binary cross entropy, averaged over 2N maps and two outputs."""
    told = discriminator(torch.cat((mixed, on_mix)))
    which = F.one_hot(torch.arange(2, device=told.device).repeat_interleave(len(mixed)), 2)
    return F.binary_cross_entropy_with_logits(told, which.to(told.dtype))
