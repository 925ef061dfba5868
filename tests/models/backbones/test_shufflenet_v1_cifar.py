import pytest
import torch

pytest.importorskip('mmpretrain')

from mmpretrain.models import ShuffleNetV1  # noqa: E402

from mmips.models.backbones import ShuffleNetV1_CIFAR  # noqa: E402


def test_parameters_with_100_classes():
    head = 960 * 100 + 100
    count = sum(p.numel() for p in ShuffleNetV1_CIFAR().parameters()) + head
    assert round(count / 1e6, 3) == 0.949


def test_stem_keeps_the_size():
    backbone = ShuffleNetV1_CIFAR(out_indices=(0, 1, 2))
    x = torch.randn(2, 3, 32, 32)
    assert backbone.maxpool(backbone.conv1(x)).shape == (2, 24, 32, 32)
    assert [tuple(out.shape[1:]) for out in backbone(x)] == [
        (240, 16, 16), (480, 8, 8), (960, 4, 4)]


def test_output_is_one_map_before_the_head():
    outs = ShuffleNetV1_CIFAR()(torch.randn(2, 3, 32, 32))
    assert isinstance(outs, tuple) and [tuple(out.shape) for out in outs] == [(2, 960, 4, 4)]


def test_names_in_the_state_dict_are_those_of_mmpretrain():
    assert list(ShuffleNetV1_CIFAR().state_dict()) == list(ShuffleNetV1().state_dict())


def test_gradient_reaches_every_weight_and_frozen_stages_none():
    backbone = ShuffleNetV1_CIFAR(frozen_stages=1, norm_eval=True)
    backbone.train()
    backbone(torch.randn(4, 3, 32, 32))[0].square().mean().backward()
    for name, parameter in backbone.named_parameters():
        frozen = name.startswith(('conv1.', 'layers.0.'))
        assert (parameter.grad is None) == frozen, name
    assert not any(m.training for m in backbone.modules() if isinstance(m, torch.nn.BatchNorm2d))


def test_other_norm_everywhere():
    backbone = ShuffleNetV1_CIFAR(norm_cfg=dict(type='GN', num_groups=2))
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in backbone.modules())


def test_stem_is_initialised_with_the_rest():
    backbone = ShuffleNetV1_CIFAR()
    before = backbone.conv1.conv.weight.clone()
    backbone.init_weights()
    assert not torch.equal(before, backbone.conv1.conv.weight)
    assert backbone.conv1.conv.weight.std() < 0.02


@pytest.mark.parametrize('groups, width', [(1, 30), (2, 44), (3, 54), (4, 60), (8, 88)])
def test_halving_units_are_narrow_and_divisible(groups, width):
    backbone = ShuffleNetV1_CIFAR(groups=groups)
    assert backbone.layers[0][0].bottleneck_channels == width
    assert width % groups == 0
    assert backbone(torch.randn(2, 3, 32, 32))[0].shape[-2:] == (4, 4)


@pytest.mark.parametrize('widen_factor', [0.5, 1.5, 2.0])
def test_width(widen_factor):
    backbone = ShuffleNetV1_CIFAR(widen_factor=widen_factor)
    assert backbone(torch.randn(2, 3, 32, 32))[0].shape[1] == 960 * widen_factor
