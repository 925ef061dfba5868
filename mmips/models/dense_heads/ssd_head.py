# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from mmdet.models import SSDHead as MMDetSSDHead

from mmips.registry import MODELS


@MODELS.register_module()
class SSDHead(MMDetSSDHead):
    """mmdet's ``SSDHead``, which can also predict.

    ``BaseDenseHead._predict_by_feat_single`` of mmdet 3.3.0 and 3.5.1 asks ``self.loss_cls``
    whether it has its own activation, but ``SSDHead`` computes its loss by functions and has
    no such attribute, so that every SSD config ends in an AttributeError at its first
    validation (mmdet issues 11063, 11305, 11780). ``None`` answers no: the softmax over the
    classes and the background, as before.

    Arguments and checkpoints are those of the parent.
    """

    loss_cls = None
