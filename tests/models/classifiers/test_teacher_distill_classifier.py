"""The teacher: what it sees, what it is no part of, and which ones are refused."""
import copy
import re

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from mmpretrain.models import ImageClassifier
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from mmips.errors import UserError
from mmips.models.classifiers.teacher_distill_classifier import read_config

NET = dict(
    backbone=dict(type='ResNet_CIFAR', depth=18, num_stages=2, strides=(1, 2), dilations=(1, 1),
                  out_indices=(0, 1), stem_channels=4, base_channels=4),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=3, in_channels=8))
NORMALISED = dict(mean=[1., 2., 3.], std=[4., 5., 6.], num_classes=3)


@pytest.fixture
def teacher(tmp_path):
    """Arguments of a teacher that is there: its config, and a checkpoint with a head beside it."""
    Config(dict(model=dict(NET, type='ImageClassifier'), data_preprocessor=NORMALISED)).dump(
        tmp_path / 'teacher.py')
    torch.manual_seed(7)
    net = ImageClassifier(**copy.deepcopy(NET))
    for key, value in net.state_dict().items():
        if 'running' in key:
            value.uniform_(0.5, 1.5)
    state = {**net.state_dict(), 'distill.embedding': torch.zeros(1)}
    torch.save(dict(meta={}, state_dict=state), tmp_path / 'teacher.pth')
    return dict(config=str(tmp_path / 'teacher.py'), checkpoint=str(tmp_path / 'teacher.pth'))


def build(teacher, **changes):
    torch.manual_seed(0)
    return MODELS.build({**copy.deepcopy(NET), 'type': 'mmips.TeacherDistillClassifier',
                         'distill': dict(type='mmips.KDLoss'), 'teacher': teacher,
                         'data_preprocessor': NORMALISED, **changes})


def batch(size=4):
    images = torch.randint(256, (size, 3, 8, 8), generator=torch.Generator().manual_seed(1))
    return dict(inputs=images, data_samples=[DataSample().set_gt_label(i % 3)
                                             for i in range(size)])


class Kept(torch.nn.Module):
    """A loss that keeps its Step."""

    def forward(self, step):
        self.step = step
        return step.logits.sum() * 0


def test_the_step_has_what_the_teacher_makes_of_the_same_images(teacher):
    model = build(teacher)
    model.distill = Kept()
    model.init_weights()
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), 0.1))
    for _ in range(2):
        model.train_step(batch(), wrapper)
    net = ImageClassifier(**copy.deepcopy(NET)).eval()
    state = torch.load(teacher['checkpoint'])['state_dict']
    del state['distill.embedding']
    net.load_state_dict(state)
    images = (batch()['inputs'] - torch.tensor([1, 2, 3]).view(3, 1, 1)) / torch.tensor(
        [4, 5, 6]).view(3, 1, 1)
    maps = net.extract_feat(images, stage='backbone')
    taught = model.distill.step.teacher
    # Of the second step: the first has left no trace, in its statistics either.
    assert len(taught.maps) == 2 and not taught.logits.requires_grad
    for ours, expected in zip((*taught.maps, *taught.features, taught.logits), (
            *maps, *net.neck(maps), net.head(net.neck(maps)))):
        assert torch.equal(ours, expected)
    assert torch.equal(taught.classify(taught.features[-1]), taught.logits)
    assert torch.equal(taught.target, model.distill.step.target)
    assert model.last_step.teacher is None


def test_the_teacher_is_no_part_of_the_model(teacher):
    model = build(teacher)
    state = torch.get_rng_state()
    model.load_teacher()
    assert torch.equal(state, torch.get_rng_state())
    plain = ImageClassifier(**copy.deepcopy(NET))
    assert model.state_dict().keys() == plain.state_dict().keys()
    assert [*dict(model.named_parameters())] == [*dict(plain.named_parameters())]
    assert len([*model.modules()]) == len([*plain.modules(), model.distill])
    model.train()
    net, = model._teacher
    assert not net.training and not any(part.requires_grad for part in net.parameters())


def test_the_teacher_follows_the_images_and_their_precision(teacher):
    model = build(teacher)
    model.distill = Kept()
    model.load_teacher()
    model = model.to('meta')
    assert next(model._teacher[0].parameters()).device.type == 'cpu'
    # An attack wants the gradient of its images, and not by way of the teacher.
    model.loss(torch.zeros(4, 3, 8, 8, device='meta', requires_grad=True), [
        DataSample().set_gt_label(torch.zeros(1, dtype=torch.int64, device='meta'))
        for _ in range(4)])
    taught = model.distill.step.teacher
    assert taught.logits.device.type == 'meta' and not taught.logits.requires_grad
    model = build(teacher)
    model.distill = Kept()
    with torch.autocast('cpu', torch.bfloat16):
        model.loss(**model.data_preprocessor(batch(), True))
    assert model.distill.step.teacher.logits.dtype == torch.bfloat16


def spoil(teacher, **changes):
    """The teacher with some tensors of its checkpoint replaced."""
    content = torch.load(teacher['checkpoint'])
    content['state_dict'].update(changes)
    content['state_dict'] = {key: value for key, value in content['state_dict'].items()
                             if value is not None}
    torch.save(content, teacher['checkpoint'])


@pytest.mark.parametrize('changes, told', [
    ({'head.fc.weight': None}, '1 missing in the file: head.fc.weight'),
    ({'head.fc.weight': torch.zeros(9, 8)}, r'head.fc.weight \(9, 8\) instead of \(3, 8\)'),
    ({'backbone.deeper.weight': torch.zeros(1)}, '1 unknown to the config: backbone.deeper')])
def test_every_weight_has_to_come_from_the_file(teacher, changes, told):
    spoil(teacher, **changes)
    with pytest.raises(UserError, match=re.escape("The teacher's checkpoint ") + f'(.|\n)*{told}'):
        build(teacher).init_weights()


@pytest.mark.parametrize('given, changes, told', [
    (dict(checkpoint='nowhere.pth'), {}, 'nowhere.pth does not exist'),
    (dict(checkpoint=None), {}, 'checkpoint is not set: train the teacher, .*teacher.py'),
    (dict(config='nowhere.py'), {}, 'The teacher nowhere.py cannot be built'),
    (dict(model=dict(backbone=dict(depth=17))), {}, 'The teacher .* cannot be built'),
    (dict(model=dict(backbone=dict(out_indices=(0, )))), {}, 'leave out the last of its 2 stages'),
    ({}, dict(head=dict(NET['head'], num_classes=5)), 'has 3 classes, the student 5'),
    ({}, dict(data_preprocessor=dict(NORMALISED, std=[4, 5, 7])), r'std=\[4.0, 5.0, 6.0\]'),
    ({}, dict(data_preprocessor=None), r'mean=\[1.0, 2.0, 3.0\], the student sees mean=None')])
def test_refuses_a_teacher_that_does_not_fit(teacher, given, changes, told):
    with pytest.raises(UserError, match=told):
        build({**teacher, **given}, **changes).init_weights()


@pytest.mark.parametrize('wrong', [{}, dict(config='x.py'), dict(
    config='x.py', checkpoint='x.pth', chekpoint='y.pth')])
def test_refuses_other_keys(wrong):
    with pytest.raises(ValueError, match='teacher takes dict'):
        build(wrong)


def test_a_config_without_a_classifier_is_none():
    with pytest.raises(UserError, match='no config of a classifier'):
        read_config('mmpretrain::_base_/schedules/cifar10_bs128.py')


def test_a_student_is_tested_without_its_teacher(make_runner):
    runner = make_runner('baselines/kd/resnet18-s_kd_npz.py', **{
        'model.head.in_channels': 32})
    cfg = copy.deepcopy(runner.cfg)
    cfg.model.teacher.checkpoint = 'nowhere.pth'
    cfg.experiment_name = 'again'
    Runner.from_cfg(cfg).test()
    cfg.experiment_name = 'once more'
    with pytest.raises(UserError, match='nowhere.pth does not exist'):
        Runner.from_cfg(cfg).train()


def test_normalisation_that_float32_rounds_is_the_same(teacher):
    """mmpretrain's mean of CIFAR-10; float32 has it just below the half that is rounded up."""
    given = dict(NORMALISED, mean=[125.307, 122.961, 113.8575])
    cfg = Config.fromfile(teacher['config'])
    cfg.data_preprocessor = given
    cfg.dump(teacher['config'])
    build(teacher, data_preprocessor=given).init_weights()
