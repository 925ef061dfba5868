# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What a config gets wrong about its teacher."""
from typing import Any

from mmips.config.colours import network_order, reverses
from mmips.config.loading import load_config
from mmips.config.structure import Mistake


def teacher_mistakes(cfg: Any) -> list[Mistake]:
    """A teacher that was trained on the other order of colours than the student sees."""
    teacher = (cfg.get('model') or {}).get('teacher') or {}
    try:
        theirs = network_order(load_config(teacher['config']), 'train')
    except Exception:  # None, or one that cannot be read, which is told where it is built.
        return []
    ours = network_order(cfg, 'train')
    return [] if ours == theirs else [(
        'model.teacher.config', teacher['config'], f'a teacher of images in {ours.upper()}, as the '
        f'student sees them; this one knows {theirs.upper()}',
        f'data_preprocessor = dict(to_rgb={ours == "bgr"})'
        if ours == 'bgr' or reverses(cfg) else '')]
