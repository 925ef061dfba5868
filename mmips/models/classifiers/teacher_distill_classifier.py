# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from mmengine.config import Config
from mmpretrain.models import ImageClassifier
from mmpretrain.structures import DataSample
from torch import Tensor

from mmips.errors import UserError, explained
from mmips.registry import MODELS
from mmips.structures import Step
from mmips.structures.state_dicts import choose_weights, load_checked, read_checkpoint

from .distill_classifier import DistillClassifier, check_last_stage, pooled_features


@MODELS.register_module()
class TeacherDistillClassifier(DistillClassifier):
    """An image classifier that learns from another one, trained before and frozen.

    The teacher sees the same normalised images, in eval mode and without gradient; what it makes of
    them is the Step's ``teacher``. It is no part of the model: not of its ``state_dict``, its
    optimiser or what distributes it, and a student is tested without it. It is read when training
    begins, and follows the images to their device.

    Args:
        *args: As :class:`DistillClassifier`.
        teacher (dict): ``config``, a file or ``'mmpretrain::resnet/...py'``, of which backbone,
            neck and head are taken; ``checkpoint``, a file or an address, whose every tensor has
            to fit; optionally ``model``, what differs from the config's, such as
            ``dict(backbone=dict(out_indices=(0, 1, 2, 3)))``.
        **kwargs: As :class:`DistillClassifier`.

    Raises:
        ValueError: For a ``teacher`` without config, or with keys that mean nothing.
        UserError: Before the first step, for a teacher that is not there, does not fit its
            checkpoint, or has other classes or another normalisation than the student.
    """

    def __init__(self, *args: Any, teacher: dict, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = {'config', 'checkpoint', 'model'}
        if not {'config', 'checkpoint'} <= set(teacher) <= names:
            raise ValueError("teacher takes dict(config='...py', checkpoint='...pth'), and model="
                             f'dict(...) for what differs in it, but got {dict(teacher)}.')
        self._teacher_cfg = teacher
        # In a list it is no submodule.
        self._teacher: list[ImageClassifier] = []

    def init_weights(self) -> None:
        """The student's weights; reads the teacher, whose mistakes shall end a run at once."""
        super().init_weights()
        self.load_teacher()

    @torch.compiler.disable
    def load_teacher(self) -> None:
        """Build the teacher and check all that it has to have in common with the student."""
        if self._teacher:
            return
        config, path = self._teacher_cfg['config'], self._teacher_cfg['checkpoint']
        if not path:
            raise UserError('model.teacher.checkpoint is not set: train the teacher, '
                            f'{config}, and give the .pth file that its run has saved.')
        # Building draws weights, from which the student's shall not depend; all are replaced.
        with explained(f'The teacher {config} cannot be built'), torch.random.fork_rng(devices=[]):
            cfg = read_config(config)
            cfg.merge_from_dict({'model': self._teacher_cfg.get('model') or {}})
            parts = {key: cfg.model.get(key) for key in ('backbone', 'neck', 'head')}
            teacher = ImageClassifier(**parts)
            check_last_stage(teacher.backbone)
        self._compare(cfg, teacher)
        state, _ = choose_weights(read_checkpoint(path))
        load_checked(teacher, state, f"The teacher's checkpoint {path}")
        self._teacher.append(teacher.requires_grad_(False).eval())

    def _compare(self, cfg: Config, teacher: ImageClassifier) -> None:
        """Refuse other classes, and images that are not normalised as the teacher knows them."""
        ours, theirs = (getattr(head, 'num_classes', None) for head in (self.head, teacher.head))
        if ours != theirs:
            raise UserError(f'The teacher {self._teacher_cfg["config"]} has {theirs} classes, the '
                            f'student {ours}: give one that was trained on the same classes.')
        given = cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}
        for name in ('mean', 'std'):
            # Both in float32, as the preprocessor holds its own: 113.8575 is 113.8574 there.
            own, wanted = (
                None if values is None else [
                    round(value, 3)
                    for value in torch.as_tensor(values, dtype=torch.float32).flatten().tolist()]
                for values in (getattr(self.data_preprocessor, name, None), given.get(name)))
            if own != wanted:
                raise UserError(f'The teacher {self._teacher_cfg["config"]} was trained on images '
                                f'normalised by {name}={wanted}, the student sees {name}={own}: '
                                'give both the same data_preprocessor.')

    def see(self, inputs: Tensor, data_samples: Sequence[DataSample]) -> Step:
        """The Step of a batch, with the teacher's of the same images beside it."""
        step = super().see(inputs, data_samples)
        self.load_teacher()
        teacher, = self._teacher
        if next(teacher.parameters()).device != inputs.device:
            teacher.to(inputs.device)
        with torch.no_grad():
            maps = teacher.extract_feat(inputs, stage='backbone')
            features = pooled_features(teacher, maps)
            logits = teacher.head(features)
        return replace(step, teacher=replace(
            step, logits=logits, features=features, maps=maps,
            classify=lambda pooled: teacher.head((pooled, ))))


def read_config(name: str) -> Config:
    """A config by its path, or by ``package::path`` as in ``_base_``."""
    if '::' in name:
        name, _ = Config._get_cfg_path(name, '')
    cfg = Config.fromfile(name)
    if not isinstance(cfg.get('model'), Mapping) or not cfg.model.get('head'):
        raise UserError(f'{name} is no config of a classifier: it has no model.head.')
    return cfg
