"""Teachers of random weights, for configs whose own are yet to be trained."""
import functools
import json
import tempfile
from pathlib import Path

import torch
from mmpretrain.models import ImageClassifier

from mmips.models.classifiers.teacher_distill_classifier import read_config

FOLDER = tempfile.TemporaryDirectory(prefix='teachers')


def use_teacher(cfg, width=4):
    """Give a config that has a teacher a narrow one (a ResNet), whose checkpoint is there."""
    teacher = cfg.model.get('teacher')
    if teacher is None:
        return
    of = read_config(teacher.config).model
    channels = 8 * width * (4 if of.backbone.depth >= 50 else 1)
    teacher.model = dict(
        backbone=dict((teacher.get('model') or {}).get('backbone') or {}, stem_channels=width,
                      base_channels=width),
        head=dict(in_channels=channels))
    if 'teacher_channels' in cfg.model.distill:
        cfg.model.distill.teacher_channels = channels
    teacher.checkpoint = str(write_teacher(teacher.config, json.dumps(
        teacher.model.to_dict(), sort_keys=True), of.head.num_classes))


@functools.cache
def write_teacher(config, changes, classes):
    """Path of a checkpoint of what a config describes with changes (JSON) to its model."""
    cfg = read_config(config)
    cfg.merge_from_dict({'model': json.loads(changes)})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = ImageClassifier(**{part: cfg.model[part] for part in ('backbone', 'neck', 'head')})
        for key, value in model.state_dict().items():
            if 'running' in key:
                value.uniform_(0.5, 1.5)
    # Of this process: two that are forked off would write one file together.
    path = Path(tempfile.mkdtemp(dir=FOLDER.name)) / 'teacher.pth'
    torch.save(dict(meta={}, state_dict=model.state_dict()), path)
    return path
