# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What a segmentation or detection config gets wrong about a pretrained backbone.

Each was seen to train on in silence, or to fail only at the first validation.
"""
from collections.abc import Iterator
from typing import Any

from mmips.config.sources import type_name
from mmips.config.structure import Mistake


def _parts(cfg: Any) -> tuple[Any, Any, Any]:
    """Model, backbone and the ``init_cfg`` that names its checkpoint; empty for a classifier."""
    model = (cfg.get('model') or {}) if cfg.get('default_scope') in ('mmseg', 'mmdet') else {}
    backbone = model.get('backbone') or {}
    init = backbone.get('init_cfg') or []
    return model, backbone, next((part for part in ([init] if hasattr(init, 'get') else init)
                                  if type_name(part) == 'Pretrained'), None)


def transfer_mistakes(cfg: Any) -> Iterator[Mistake]:
    """Yield every mistake of a config of mmseg or mmdet."""
    model, _, pretrained = _parts(cfg)
    if model.get('pretrained') and pretrained:
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
    model, backbone, pretrained = _parts(cfg)
    if not pretrained:
        return
    std = (model.get('data_preprocessor') or {}).get('std')
    is_plain = type_name(backbone) == 'ResNet' and backbone.get('style', 'pytorch') == 'pytorch'
    if is_plain and std is not None and set(std) == {1}:
        yield (f'model.data_preprocessor.std is {list(std)}, as caffe-style networks want it, but '
               'model.backbone is a ResNet of style pytorch. For a backbone of mmpretrain write '
               f'model = dict(data_preprocessor=dict(std=[58.395, 57.12, 57.375])), with '
               'mean=[123.675, 116.28, 103.53] and bgr_to_rgb=True.')
