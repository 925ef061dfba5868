import pytest
import torch

pytest.importorskip('mmpretrain')

from mmpretrain.models import ShuffleNetV2  # noqa: E402

from mmips.models.backbones import ShuffleNetV2_CIFAR  # noqa: E402


def test_parameters_with_100_classes():
    head = 1024 * 100 + 100
    count = sum(p.numel() for p in ShuffleNetV2_CIFAR().parameters()) + head
    assert round(count / 1e6, 3) == 1.356


def test_stem_keeps_the_size():
    backbone = ShuffleNetV2_CIFAR(out_indices=(0, 1, 2, 3))
    x = torch.randn(2, 3, 32, 32)
    assert backbone.maxpool(backbone.conv1(x)).shape == (2, 24, 32, 32)
    assert [tuple(out.shape[1:]) for out in backbone(x)] == [
        (116, 16, 16), (232, 8, 8), (464, 4, 4), (1024, 4, 4)]


def test_output_is_one_map_before_the_head():
    outs = ShuffleNetV2_CIFAR()(torch.randn(2, 3, 32, 32))
    assert isinstance(outs, tuple) and [tuple(out.shape) for out in outs] == [(2, 1024, 4, 4)]


def test_names_in_the_state_dict_are_those_of_mmpretrain():
    assert list(ShuffleNetV2_CIFAR().state_dict()) == list(ShuffleNetV2().state_dict())


def test_gradient_reaches_every_weight_and_frozen_stages_none():
    backbone = ShuffleNetV2_CIFAR(frozen_stages=1, norm_eval=True)
    backbone.train()
    backbone(torch.randn(4, 3, 32, 32))[0].square().mean().backward()
    for name, parameter in backbone.named_parameters():
        frozen = name.startswith(('conv1.', 'layers.0.'))
        assert (parameter.grad is None) == frozen, name
    assert not any(m.training for m in backbone.modules() if isinstance(m, torch.nn.BatchNorm2d))


def test_other_norm_everywhere():
    backbone = ShuffleNetV2_CIFAR(norm_cfg=dict(type='GN', num_groups=2))
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in backbone.modules())


def test_stem_is_initialised_with_the_rest():
    backbone = ShuffleNetV2_CIFAR()
    before = backbone.conv1.conv.weight.clone()
    backbone.init_weights()
    assert not torch.equal(before, backbone.conv1.conv.weight)
    assert backbone.conv1.conv.weight.std() < 0.02
