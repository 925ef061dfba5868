"""MixSKD: every loss against loops, what is trained by what, and the sizes of its network."""
import copy

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmpretrain.registry import MODELS
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmips.errors import UserError
from mmips.structures.batch_samples import BatchSamples

BACKBONE = dict(type='ResNet_CIFAR', depth=18, stem_channels=4, base_channels=4,
                strides=(2, 2, 2, 2), out_indices=(0, 1, 2, 3), zero_init_residual=False)
LABELS = torch.tensor([0, 2, 1, 4, 0, 3])


def build(width=32, classes=5, backbone=(), **options):
    torch.manual_seed(0)
    model = MODELS.build(dict(
        type='mmips.MixSelfDistillClassifier', backbone=dict(BACKBONE, **dict(backbone)),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=classes, in_channels=width), **options))
    model.init_weights()
    return model


def images(size=32):
    return torch.randn(6, 3, size, size, generator=torch.Generator().manual_seed(1))


def losses_of(model, seed=5, dtype=torch.float32):
    torch.manual_seed(seed)
    return model.loss(images().to(dtype), BatchSamples(LABELS, range(6)))


class Given(nn.Module):
    """A part that gives what it holds, whatever it takes."""

    def __init__(self, *values):
        super().__init__()
        self.values = values

    def forward(self, *args):
        return self.values if len(self.values) > 1 else self.values[0]


@pytest.fixture
def given():
    """A model of which all exits give leaves: final maps, logits, and the model."""
    model = build(alpha=.7, gamma=1.3, feature_weight=.6, discriminator_weight=.4).double()
    generator = torch.Generator().manual_seed(2)
    maps, logits = ([torch.randn(12, *shape, generator=generator, dtype=torch.float64,
                                 requires_grad=True) for _ in range(4)]
                    for shape in ((32, 2, 2), (5, )))
    model.exits = nn.ModuleList([Given(*pair) for pair in zip(maps[:3], logits)])
    model.backbone = Given(maps[3], maps[3], maps[3], maps[3])
    model.neck, model.head.forward = Given(maps[3]), lambda features: logits[3]
    return model, maps, logits


def softmax(row, t=1.):
    whole = sum((z / t).exp() for z in row)
    return [(z / t).exp() / whole for z in row]


def kl(goal, z):
    """Summed over the classes, averaged over the images, T = 3; the goal is a constant."""
    return 9 * sum(p * (p.log() - q.log()) for a, b in zip(goal.detach(), z)
                   for p, q in zip(softmax(a, 3.), softmax(b, 3.))) / len(z)


def cross(z, labels):
    return sum(-softmax(row)[label].log() for row, label in zip(z, labels)) / len(z)


def reference(model, maps, logits, share, order):
    """Every loss by itself, exit by exit and image by image."""
    def mixed(whole):
        return torch.stack([share * whole[i] + (1 - share) * whole[order[i]] for i in range(6)])

    def pooled(whole):
        return whole.flatten(2).mean(2)

    def self_teacher(parts):
        conv, fc = model.self_teacher[0], model.self_teacher[3]
        both = torch.cat([pooled(part) for part in parts], 1)
        # A 1x1 convolution and a mean over locations may change places.
        return both @ conv.weight[:, :, 0, 0].T @ fc.weight.T + fc.bias

    def two(z):
        return share * cross(z, LABELS) + (1 - share) * cross(z, LABELS[order])

    blended_z, blended_f = ([mixed(each[:6]) for each in parts] for parts in (logits, maps))
    mix_z, mix_f = ([each[6:] for each in parts] for parts in (logits, maps))
    blended_h, mix_h = self_teacher(blended_f), self_teacher(mix_f)
    divergence = kl(mix_h, blended_z[3]) + kl(blended_h, mix_z[3])
    feature = told = 0
    for level in range(4):
        if level < 3:
            divergence = divergence + kl(mix_z[level], blended_z[level]) + kl(
                blended_z[level], mix_z[level])
        feature = feature + (blended_f[level] - mix_f[level]).square().mean()
        first, last = model.discriminators[level][2], model.discriminators[level][4]
        for part, right in ((blended_f, [1, 0]), (mix_f, [0, 1])):
            hidden = (pooled(part[level]) @ first.weight.T + first.bias).clamp(min=0)
            chance = (hidden @ last.weight.T + last.bias).sigmoid()
            told = told - sum((p if want else 1 - p).log() for row in chance
                              for p, want in zip(row, right)) / 24
    return dict(
        loss_ce=1.3 * sum(cross(z[:6], LABELS) for z in logits),
        loss_mix_ce=1.3 * (sum(map(two, mix_z)) + two(blended_h) + two(mix_h)),
        loss_kd=.7 * divergence, loss_feature=.6 * feature, loss_discriminator=.4 * told)


def test_is_the_formula_in_value_and_gradient(given):
    model, maps, logits = given
    losses = losses_of(model, dtype=torch.float64)
    torch.manual_seed(5)
    share = torch.distributions.Beta(.4, .4).sample().double().item()
    expected = reference(model, maps, logits, share, torch.randperm(6))
    assert set(losses) == set(expected) and 0 < share < 1
    leaves = [*maps, *logits, *model.self_teacher.parameters(),
              *model.discriminators.parameters()]
    for name, loss in losses.items():
        assert loss.item() == pytest.approx(expected[name].item(), rel=1e-9), name
        both = [torch.autograd.grad(each, leaves, allow_unused=True, materialize_grads=True,
                                    retain_graph=True) for each in (loss, expected[name])]
        for number, (ours, theirs) in enumerate(zip(*both)):
            assert torch.allclose(ours, theirs, rtol=1e-7, atol=1e-11), (name, number)
    assert torch.equal(model.last_step.logits, logits[3][:6])
    assert torch.equal(model.last_step.target, LABELS)


def gradients(loss, part):
    return torch.autograd.grad(loss, list(part.parameters()), allow_unused=True, retain_graph=True)


def test_who_is_trained_by_what():
    model = build()
    losses = losses_of(model)
    assert all(each is None for each in gradients(losses['loss_kd'], model.self_teacher))
    assert all(each.any() for each in gradients(losses['loss_mix_ce'], model.self_teacher))
    assert all(each.any() for each in gradients(losses['loss_discriminator'],
                                                model.discriminators))
    sum(losses.values()).backward()
    assert all(value.grad is not None for value in model.parameters())


@pytest.mark.parametrize('option, part', [
    ('mix_ce', 'self_teacher'), ('train_discriminator', 'discriminators')])
def test_what_is_switched_off_stays_bit_identical(option, part):
    model = build(**{option: False})
    before = copy.deepcopy(model.state_dict())
    # Or several processes would wait for its gradients.
    assert all(value.requires_grad != key.startswith(part)
               for key, value in model.named_parameters())
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), .1, .9, weight_decay=5e-4))
    for seed in range(10):
        losses = losses_of(model, seed)
        wrapper.update_params(sum(losses.values()))
    assert ('loss_mix_ce' in losses) == (option != 'mix_ce')
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]) == key.startswith(part), key


def test_a_mix_of_one_image_says_what_the_image_says(monkeypatch):
    monkeypatch.setattr(torch.distributions.Beta, 'sample', lambda self: torch.tensor(1.))
    model, taken = build(), []
    divergence = model._divergence
    model._divergence = lambda *args: taken.append(args) or divergence(*args)
    # In training, too: the images stand twice in the batch, and share its statistics.
    for model.training in (True, False):
        assert losses_of(model)['loss_feature'] < 1e-10
        mixed, on_mix, *taught = taken.pop()
        assert max((a - b).abs().max() for a, b in zip([*mixed, taught[0]],
                                                       [*on_mix, taught[1]])) < 1e-5
        # Between the exits nothing is left to learn, but for what the self-teacher says.
        assert divergence(mixed, on_mix, on_mix[3], mixed[3]).item() < 1e-6


def test_sizes_are_those_of_the_authors_network():
    model = build(width=512, classes=100, backbone=dict(
        stem_channels=64, base_channels=64, strides=(1, 2, 2, 2))).eval()
    count = {name: sum(value.numel() for value in part.parameters()) / 1e6
             for name, part in model.named_children()}
    # The authors' discriminators have no parameters that an optimiser would know.
    assert sum(count.values()) - count['discriminators'] == pytest.approx(42.38, abs=.01)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        maps = model.forward_maps(torch.zeros(1, 3, 32, 32))
        model.exit_outputs(maps), model.head(model.neck(maps))
    # torch counts a multiply-add as two; the self-teacher's 16.8 M come on top.
    assert counter.get_total_flops() / 2e6 == pytest.approx(1360.9, abs=.1)


@pytest.mark.parametrize('backbone', [
    dict(type='ResNet', strides=(1, 2, 2, 2)), dict(depth=50), dict(depth=34, base_channels=6),
    dict(type='SEResNet', depth=50)])
def test_any_resnet_of_four_stages_will_do(backbone):
    wide = backbone.get('base_channels', 4) * 8 * (4 if backbone.get('depth') == 50 else 1)
    model = build(width=wide, backbone=backbone)
    sum(losses_of(model).values()).backward()
    # The branches are no copies of the weights.
    one, other = model.exits[0].layers[-1][0].conv1, model.backbone.layer4[0].conv1
    assert one.weight.shape == other.weight.shape and not torch.equal(one.weight, other.weight)


@pytest.mark.parametrize('backbone, said', [
    (dict(num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(0, 1, 2)),
     r'ResNet_CIFAR with out_indices=\(0, 1, 2\)'),
    (dict(out_indices=(3, )), r'ResNet_CIFAR with out_indices=\(3,\).*num_stages=4')])
def test_refuses_networks_without_four_stages(backbone, said):
    with pytest.raises(ValueError, match=said):
        build(backbone=backbone)
    with pytest.raises(ValueError, match='VGG with'):
        MODELS.build(dict(type='mmips.MixSelfDistillClassifier',
                          backbone=dict(type='VGG', depth=11), head=dict(
                              type='LinearClsHead', num_classes=5, in_channels=512)))


@pytest.mark.parametrize('option, said', [
    (dict(mix_alpha=0.), 'mix_alpha must be positive'), (dict(temperature=0), 'temperature'),
    (dict(feature_weight=-1), 'feature_weight=-1'), (dict(alpha=-1), 'alpha=-1'),
    (dict(distill=dict(type='mmips.PairKLLoss')), 'leave out distill')])
def test_refuses_wrong_options(option, said):
    with pytest.raises(ValueError, match=said):
        build(**option)


def test_features_alone_need_no_exits():
    model = MODELS.build(dict(type='mmips.MixSelfDistillClassifier', backbone=BACKBONE, head=None))
    assert [name for name, _ in model.named_children()][1:] == ['backbone']
    with pytest.raises(UserError, match='head is None'):
        losses_of(model)
