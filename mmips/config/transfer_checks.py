# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What a segmentation or detection config gets wrong about a pretrained backbone.

Each was seen to train on in silence, or to fail only at the first validation.
"""
import re
from collections.abc import Iterator
from typing import Any

from mmips.config.sources import type_name

__all__ = ['Mistake', 'transfer_mistakes', 'transfer_warnings']

#: A key, its value, what was expected, what to write.
Mistake = tuple[str, Any, str, str]
_TOOLBOXES = ('mmseg', 'mmdet')


def _pretrained(backbone: Any) -> Any:
    """The backbone's ``init_cfg`` that names a checkpoint, or None."""
    init = backbone.get('init_cfg') or []
    parts = [init] if hasattr(init, 'get') else init
    return next((part for part in parts if type_name(part) == 'Pretrained'), None)


def transfer_mistakes(cfg: Any) -> Iterator[Mistake]:
    """Yield every mistake of a config of mmseg or mmdet."""
    model = cfg.get('model') or {}
    backbone = model.get('backbone') or {}
    if cfg.get('default_scope') not in _TOOLBOXES:
        return
    if model.get('pretrained') and _pretrained(backbone):
        yield ('model.pretrained', model['pretrained'],
               'None beside model.backbone.init_cfg: the toolbox refuses two checkpoints',
               'model = dict(pretrained=None)')
    head = model.get('bbox_head') or {}
    if head.get('type') in ('SSDHead', 'mmdet.SSDHead') and cfg.get('val_cfg') is not None:
        yield ('model.bbox_head.type', head['type'],
               "a head that can predict: mmdet's own fails at the first validation (no attribute "
               "'loss_cls')", "model = dict(bbox_head=dict(type='mmips.SSDHead'))")


def transfer_warnings(cfg: Any) -> Iterator[str]:
    """Yield what is possible, but perhaps not meant, in a config of mmseg or mmdet."""
    backbone = (cfg.get('model') or {}).get('backbone') or {}
    if cfg.get('default_scope') not in _TOOLBOXES or not _pretrained(backbone):
        return
    std = (cfg.model.get('data_preprocessor') or {}).get('std')
    is_plain = type_name(backbone) == 'ResNet' and backbone.get('style', 'pytorch') == 'pytorch'
    if is_plain and std is not None and set(std) == {1}:
        yield (f'model.data_preprocessor.std is {list(std)}, as caffe-style networks want it, but '
               'model.backbone is a ResNet of style pytorch. For a backbone of mmpretrain write '
               f'model = dict(data_preprocessor=dict(std=[58.395, 57.12, 57.375])), with '
               'mean=[123.675, 116.28, 103.53] and bgr_to_rgb=True.')
    hooks = [type_name(hook) for hook in cfg.get('custom_hooks') or []]
    # Those that the toolbox itself names, torchvision://resnet50 and the like, do fit.
    own = re.match(r'^(?!https?:)[\w-]+://', str(_pretrained(backbone).get('checkpoint')))
    if 'CheckPretrained' not in hooks and not own:
        yield ('model.backbone.init_cfg names a checkpoint, but nothing checks that it fills the '
               "backbone. Add dict(type='mmips.CheckPretrained') to custom_hooks.")
