# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from __future__ import annotations

from typing import Any

from mmseg.datasets import BaseSegDataset

from mmips.registry import DATASETS


@DATASETS.register_module()
class CamVidDataset(BaseSegDataset):
    """CamVid road scenes in the eleven classes of SegNet (Badrinarayanan et al., 2017).

    Label images hold the ids 0 to 10 and 11 for void, which becomes ``ignore_index`` and counts
    neither in the loss nor in the score.

    The arguments are those of mmseg's ``BaseSegDataset``; ``img_suffix`` is by default '.jpg', but
    '.png' in the original.

    Source: Brostow, Fauqueur, Cipolla, *Semantic object classes in video*, 2009.
    """

    METAINFO = dict(
        classes=('sky', 'building', 'pole', 'road', 'pavement', 'tree', 'sign symbol', 'fence',
                 'car', 'pedestrian', 'bicyclist'),
        palette=[[128, 128, 128], [128, 0, 0], [192, 192, 128], [128, 64, 128], [60, 40, 222],
                 [128, 128, 0], [192, 128, 128], [64, 64, 128], [64, 0, 128], [64, 64, 0],
                 [0, 128, 192]])
    VOID = 11

    @classmethod
    def get_label_map(cls, new_classes: Any = None) -> dict | None:
        """Void to 255, beside what the user's own choice of classes asks for."""
        chosen = super().get_label_map(new_classes)
        return {**(chosen or {}), cls.VOID: 255}
