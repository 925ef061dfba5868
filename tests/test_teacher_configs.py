"""Every config with a teacher is right for its checks, and takes a step with a narrow one."""
from pathlib import Path

import pytest
import torch
from helpers.configs import load, names
from helpers.labels import Labels
from helpers.teachers import use_teacher
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from mmips.config.metric_checks import metric_mistakes
from mmips.config.pair_checks import check_config
from mmips.config.teacher_checks import teacher_mistakes
from mmips.config.type_checks import name_warnings, part_mistakes
from mmips.errors import UserError
from mmips.models.memory import find_memories

CONFIGS = names(*(f'baselines/{folder}' for folder in ('kd', 'at', 'sp', 'rkd', 'crd')))


@pytest.mark.parametrize('name', CONFIGS)
def test_takes_a_step(name, npz):
    init_default_scope('mmpretrain')
    cfg = load(name)
    assert [*part_mistakes(cfg), *metric_mistakes(cfg), *name_warnings(cfg)] == []
    use_teacher(cfg)
    preprocessor = dict(cfg.data_preprocessor)
    model = MODELS.build(dict(cfg.model, data_preprocessor=preprocessor))
    model.init_weights()
    for _, memory in find_memories(model):
        memory.allocate(memory.plan(100, cfg.model.head.num_classes, 4), torch.device('cpu'))
        memory.know(Labels([0, 0, 1, 1] * 25))
    samples = [DataSample().set_gt_label(number // 2) for number in range(4)]
    for number, sample in enumerate(samples):
        sample.set_metainfo(dict(sample_idx=number))
    size = 64 if 'in1k' in name else 32
    data = dict(inputs=torch.randint(256, (4, 3, size, size)), data_samples=samples)
    losses = model.loss(**model.data_preprocessor(data, True))
    assert set(losses) == {'loss_ce', 'loss_kd'}
    sum(losses.values()).backward()
    assert all(torch.isfinite(value) and value > 0 for value in losses.values())
    assert all(torch.isfinite(part.grad).all() for part in model.parameters())


def test_a_teacher_of_the_other_colours_is_refused():
    cfg = load('baselines/kd/resnet50_kd_in1k.py')
    assert teacher_mistakes(cfg) == []
    cfg.data_preprocessor.to_rgb = False
    (key, _, expected, advice), = teacher_mistakes(cfg)
    assert key == 'model.teacher.config' and 'images in BGR, as the student sees them' in expected
    assert advice == 'data_preprocessor = dict(to_rgb=True)'
    with pytest.raises(UserError, match='this one knows RGB'):
        check_config(cfg)


@pytest.mark.parametrize('name', CONFIGS)
def test_the_checkpoint_is_the_last_that_the_teachers_config_leaves(name, npz):
    teacher = load(name).model.teacher
    config = teacher.config.partition('::')[2]
    if not teacher.checkpoint.startswith('https://'):
        assert teacher.checkpoint == (f'work_dirs/{Path(config).stem}/epoch_'
                                      f'{load(config).train_cfg.max_epochs}.pth')
