"""BYOT: every loss against loops, and who is trained by what."""
import pytest
import torch
from mmpretrain.registry import MODELS

from mmips.structures.batch_samples import BatchSamples

LABELS = torch.tensor([0, 2, 1, 4])


def build(width=32, depth=18, **options):
    torch.manual_seed(0)
    model = MODELS.build(dict(
        type='mmips.BeYourOwnTeacherClassifier', backbone=dict(
            type='ResNet_CIFAR', depth=depth, stem_channels=4, base_channels=4,
            strides=(2, 2, 2, 2), out_indices=(0, 1, 2, 3)),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=5, in_channels=width), **options))
    model.init_weights()
    return model


def losses_of(model, dtype=torch.float32):
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    return model.loss(images.to(dtype), BatchSamples(LABELS, range(4)))


def softmax(row, t=1.):
    whole = sum((z / t).exp() for z in row)
    return [(z / t).exp() / whole for z in row]


def cross(goals, rows, t=1.):
    """Cross entropy, averaged over the images; goals are probabilities."""
    return -sum(p * q.log() for goal, row in zip(goals, rows)
                for p, q in zip(goal, softmax(row, t))) / len(rows)


@pytest.mark.parametrize('options', [
    {}, dict(alpha=.6, gamma=1.3, temperature=2., scale_by_t2=True, feature_weight=.5,
             feature_exits=2, squared=True)])
def test_is_the_formula_in_value_and_gradient(options):
    chosen = dict(dict(alpha=.3, gamma=1., temperature=3., scale_by_t2=False, feature_weight=.03,
                       feature_exits=3, squared=False), **options)
    model = build(**options).double()
    generator = torch.Generator().manual_seed(2)
    maps, logits = ([torch.randn(4, *shape, generator=generator, dtype=torch.float64,
                                 requires_grad=True) for _ in range(4)]
                    for shape in ((32, 2, 2), (5, )))
    model.exit_outputs = lambda given: (maps[:3], logits[:3])
    model.forward_maps = lambda images: (None, None, None, maps[3])
    model.neck, model.head.forward = None, lambda features: logits[3]
    losses = losses_of(model, torch.float64)

    labels = torch.eye(5)[LABELS]
    alpha, t = chosen['alpha'], chosen['temperature']
    teacher = [softmax(row, t) for row in logits[3].detach()]
    hard = cross(labels, logits[3]) + (1 - alpha) * sum(cross(labels, z) for z in logits[:3])
    soft = sum(cross(teacher, z, t) for z in logits[:3]) * (t * t if chosen['scale_by_t2'] else 1)
    feature = 0
    for level in range(chosen['feature_exits']):
        weight, bias = model.adapters[level].weight, model.adapters[level].bias
        apart = sum((weight @ maps[level][i].flatten(1).mean(1) + bias
                     - maps[3].detach()[i].flatten(1).mean(1)).square().sum() for i in range(4))
        feature = feature + (apart / 4 if chosen['squared'] else apart.sqrt())
    expected = dict(loss_ce=chosen['gamma'] * hard, loss_kd=alpha * soft,
                    loss_feature=chosen['feature_weight'] * feature)
    assert set(losses) == set(expected)
    leaves = [*maps, *logits, *model.adapters.parameters()]
    for name, loss in losses.items():
        assert loss.item() == pytest.approx(expected[name].item(), rel=1e-9), name
        both = [torch.autograd.grad(each, leaves, materialize_grads=True, retain_graph=True,
                                    allow_unused=True) for each in (loss, expected[name])]
        for number, (ours, theirs) in enumerate(zip(*both)):
            assert torch.allclose(ours, theirs, rtol=1e-7, atol=1e-11), (name, number)


@pytest.mark.parametrize('depth, width', [(18, 32), (50, 128)])
def test_exits_are_bottlenecks_and_all_is_trained(depth, width):
    model = build(width, depth)
    assert [len(leave.layers) for leave in model.exits] == [3, 2, 1]
    assert {type(layer[0]).__name__ for leave in model.exits for layer in leave.layers} == {
        'Bottleneck'}
    losses = losses_of(model)
    head = torch.autograd.grad(losses['loss_kd'], model.head.fc.weight, allow_unused=True,
                               retain_graph=True)
    assert head == (None, )
    sum(losses.values()).backward()
    assert all(value.grad is not None for value in model.parameters())
    assert model.last_step.logits.shape == (4, 5)


@pytest.mark.parametrize('option', [
    dict(alpha=1.1), dict(alpha=-1), dict(feature_weight=-1), dict(feature_exits=4),
    dict(temperature=0)])
def test_refuses_wrong_options(option):
    with pytest.raises(ValueError, match=f'{next(iter(option))}.* but got'):
        build(**option)
