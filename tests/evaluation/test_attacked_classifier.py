"""Whole classifiers under attack, against foolbox with the preprocessing given to it."""
import copy

import eagerpy
import foolbox
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmpretrain.models import ImageClassifier
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import nn

from mmips.evaluation.attack_settings import ATTACKS, AttackSettings
from mmips.evaluation.attacked_classifier import AttackedClassifier

# Far from each other, so that channels in the wrong order show.
MEAN, STD = [125., 100., 60.], [70., 35., 50.]
STEPS = dict(steps=5, rel_step_size=0.3)
CLASSES = 6


class Tiny(nn.Module):
    """A backbone with statistics that matter."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x):
        return (nn.functional.adaptive_avg_pool2d(
            self.norm(self.conv(x)).relu(), 4).flatten(1), )


def build(**preprocessor):
    init_default_scope('mmpretrain')
    MODELS.register_module(Tiny.__name__, force=True, module=Tiny)
    torch.manual_seed(1)
    model = ImageClassifier(
        dict(type='Tiny'), head=dict(type='LinearClsHead', num_classes=CLASSES, in_channels=128),
        data_preprocessor=dict(mean=MEAN, std=STD, to_rgb=True) | preprocessor)
    model.backbone.norm.running_mean.uniform_(-.3, .3)
    model.backbone.norm.running_var.uniform_(.1, .5)
    nn.init.normal_(model.head.fc.weight)
    return model.eval()


def batch_of(number=12, size=9, dtype=np.uint8):
    images = np.random.default_rng(0).integers(0, 256, (number, 3, size, size)).astype(dtype)
    images[0], images[1] = 0, 255
    return dict(inputs=torch.from_numpy(images), data_samples=[
        DataSample().set_gt_label(k % CLASSES) for k in range(number)])


def label(model, batch, wrong=0):
    """The batch with labels that the model predicts, but for every such image."""
    for k, sample in enumerate(model.test_step(copy.deepcopy(batch))):
        change = int(bool(wrong) and k % wrong == 0)
        batch['data_samples'][k].set_gt_label((sample.pred_label + change) % CLASSES)
    return batch


@pytest.fixture
def double(monkeypatch):
    """The preprocessor's conversion to float32 becomes one to float64."""
    monkeypatch.setattr(torch.Tensor, 'float', torch.Tensor.double)


class Logits(nn.Module):
    """A classifier as foolbox takes it, its images padded."""

    def __init__(self, model, pad=0):
        super().__init__()
        self.model, self.pad = model, (0, pad, 0, pad)

    def forward(self, x):
        return self.model(nn.functional.pad(x, self.pad, value=3.), mode='tensor')


def oracle(name, eps, monkeypatch, shape, flip=False):
    """Foolbox's attack of that name, with PGD's start as ours draws it."""
    sizes = dict(abs_stepsize=STEPS['rel_step_size'] * eps, steps=STEPS['steps'])
    noise = torch.rand(shape, generator=torch.Generator().manual_seed(0)).double()
    noise = noise.flip(1) if flip else noise
    monkeypatch.setattr(eagerpy, 'uniform', lambda x, shape, low, high: eagerpy.astensor(
        low + (high - low) * noise))
    return {'fgsm': lambda: foolbox.attacks.LinfFastGradientAttack(),
            'i-fgsm': lambda: foolbox.attacks.LinfBasicIterativeAttack(**sizes),
            'pgd': lambda: foolbox.attacks.LinfPGD(**sizes, random_start=True)}[name]()


def attack(model, batch, name, eps, reverses=True, **settings):
    classifier = AttackedClassifier(model, AttackSettings(**{**STEPS, **settings}), reverses)
    images, labels, bounds = classifier.read(batch)
    return images, labels, classifier.attack(images, labels, bounds, name, eps,
                                             torch.Generator().manual_seed(0))


def foolbox_model(model, pad=0, **preprocessing):
    return foolbox.PyTorchModel(
        Logits(model, pad).eval(), bounds=(0, 255), device='cpu',
        preprocessing=dict(mean=MEAN, std=STD, axis=-3, **preprocessing))


@pytest.mark.parametrize('space', ['pixel', 'normalized'])
@pytest.mark.parametrize('to_rgb', [False, True])
@pytest.mark.parametrize('name', ATTACKS)
def test_both_spaces_are_foolboxs(name, to_rgb, space, double, monkeypatch):
    model = build(to_rgb=to_rgb).double()
    for eps in (0.001, 0.05):
        batch = batch_of()
        if space == 'normalized':
            # Away from the ends: foolbox has one range for all channels.
            batch['inputs'] = batch['inputs'] // 2 + 50
        images, labels, moved = attack(model, batch, name, eps, to_rgb, space=space)
        if space == 'pixel':
            target = foolbox_model(model, **(dict(flip_axis=-3) if to_rgb else {}))
            inputs, found, radius, flip = images, moved, 255 * eps, False
            assert (moved - images).abs().max() > 0.9 * radius
        else:
            inputs, found = (model.data_preprocessor(dict(inputs=x))['inputs']
                             for x in (images, moved))
            target = foolbox.PyTorchModel(Logits(model).eval(), bounds=(-9, 9), device='cpu')
            radius, flip = eps, to_rgb
        expected = oracle(name, radius, monkeypatch, images.shape, flip).run(
            target, inputs, labels, epsilon=radius)
        torch.testing.assert_close(found, expected, atol=1e-7, rtol=0)


def test_padding_is_not_attacked(double, monkeypatch):
    model = build(pad_size_divisor=16, pad_value=3).double()
    images, labels, moved = attack(model, batch_of(size=9), 'i-fgsm', 0.02)
    assert moved.shape == images.shape
    expected = oracle('i-fgsm', 255 * 0.02, monkeypatch, images.shape).run(
        foolbox_model(model, pad=7, flip_axis=-3), images, labels, epsilon=255 * 0.02)
    torch.testing.assert_close(moved, expected, atol=1e-7, rtol=0)


def test_units_of_other_preprocessors():
    unit = AttackedClassifier(build(), AttackSettings('normalized')).unit
    with pytest.raises(ValueError, match='1 channels, but .* std of 3'):
        unit(1, (0, 255))
    model = build(mean=None, std=None)
    assert AttackedClassifier(model, AttackSettings('normalized')).unit(3, (0, 255)) == 1


@pytest.mark.parametrize('name', ATTACKS)
def test_batches_do_not_influence_each_other(name):
    model = build()
    batch = label(model, batch_of(30), wrong=4)
    classifier = AttackedClassifier(model, AttackSettings(**STEPS), True)
    parts = [dict(inputs=batch['inputs'][part], data_samples=batch['data_samples'][part])
             for part in (slice(0, 7), slice(7, 30))]
    strong = classifier.score(parts, name, 0.02)
    assert strong == classifier.score([batch], name, 0.02)
    # Without attack it is the accuracy.
    clean = classifier.score(parts, name, 0.)
    assert clean['images'] == 30 and clean['correct'] == 22 > strong['correct']


def test_images_without_gradient_are_counted():
    model, batch = build(), batch_of()
    classifier = AttackedClassifier(model, AttackSettings())
    assert classifier.score([label(model, batch)], 'fgsm', 0.01)['unmoved'] == 0
    # So sure that the loss of every image is zero.
    model.head.fc.weight.data *= 1e5
    assert classifier.score([batch], 'fgsm', 0.01) == dict(eps=0.01, images=12, correct=12,
                                                           unmoved=12)


def test_quantized_images_are_whole_levels():
    images, _, moved = attack(build(), batch_of(), 'i-fgsm', 0.011, quantize=True)
    assert torch.equal(moved, moved.round())
    # 0.011 x 255 is 2.8 levels, rounded to three.
    assert (moved - images).abs().max() == 3


def test_what_cannot_be_attacked_is_refused():

    def run(batch, model=None):
        AttackedClassifier(model or build(), AttackSettings()).score([batch], 'fgsm', 0.01)

    batch = batch_of()
    with pytest.raises(ValueError, match=r'several sizes: \[\(3, 8, 9\), \(3, 9, 9\)\]'):
        run(dict(batch, inputs=[batch['inputs'][0], batch['inputs'][1][:, 1:]]))
    with pytest.raises(ValueError, match='float32, whose range is not known: give --image-range'):
        run(batch_of(dtype=np.float32))
    with pytest.raises(ValueError, match='label 6, but the model only 6 classes'):
        run(dict(batch, data_samples=[DataSample().set_gt_label(k % 7) for k in range(12)]))
    model = build()
    model.head.fc.bias.data[2] = float('nan')
    with pytest.raises(ValueError, match='the network cannot be attacked'):
        run(batch, model)
    model.head.forward = lambda feats: (feats[-1], feats[-1])
    with pytest.raises(ValueError, match='LinearClsHead returns tuple'):
        run(batch, model)
