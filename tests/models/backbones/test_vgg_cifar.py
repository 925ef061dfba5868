import pytest
import torch

pytest.importorskip('mmpretrain')

from mmpretrain.models import VGG  # noqa: E402

from mmips.models.backbones import VGG_CIFAR  # noqa: E402


@pytest.mark.parametrize('depth, millions', [(13, 9.46), (16, 14.77)])
def test_parameters_with_100_classes(depth, millions):
    head = 512 * 100 + 100
    count = sum(p.numel() for p in VGG_CIFAR(depth).parameters()) + head
    assert round(count / 1e6, 2) == millions


def test_pools_after_the_first_three_stages_only():
    outs = VGG_CIFAR(13, out_indices=(0, 1, 2, 3, 4))(torch.randn(2, 3, 32, 32))
    assert [tuple(out.shape[1:]) for out in outs] == [
        (64, 16, 16), (128, 8, 8), (256, 4, 4), (512, 4, 4), (512, 4, 4)]


def test_output_is_one_map_before_the_head():
    outs = VGG_CIFAR(16)(torch.randn(2, 3, 32, 32))
    assert isinstance(outs, tuple) and [tuple(out.shape) for out in outs] == [(2, 512, 4, 4)]


def test_without_last_pool_or_all_stages():
    x = torch.randn(2, 3, 32, 32)
    assert VGG_CIFAR(13, with_last_pool=False)(x)[0].shape == (2, 512, 4, 4)
    four = VGG_CIFAR(13, num_stages=4, dilations=(1,) * 4, out_indices=(3,))
    assert four(x)[0].shape == (2, 512, 4, 4)


def test_state_dict_is_that_of_mmpretrain():
    state = VGG(13, norm_cfg=dict(type='BN')).state_dict()
    assert VGG_CIFAR(13).load_state_dict(state, strict=True)


def test_gradient_reaches_every_weight_and_frozen_stages_none():
    backbone = VGG_CIFAR(13, frozen_stages=2, norm_eval=True)
    backbone.train()
    backbone(torch.randn(4, 3, 32, 32))[0].square().mean().backward()
    layers_of_two_stages = 6  # two convolutions and a pool in each
    for name, parameter in backbone.named_parameters():
        frozen = int(name.split('.')[1]) < layers_of_two_stages
        assert (parameter.grad is None) == frozen, name
    assert not any(m.training for m in backbone.modules() if isinstance(m, torch.nn.BatchNorm2d))


def test_other_norm():
    backbone = VGG_CIFAR(13, norm_cfg=dict(type='GN', num_groups=8))
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in backbone.modules())


def test_bad_arguments():
    with pytest.raises(ValueError, match=r'depth must be one of \[11, 13, 16, 19\], got 18'):
        VGG_CIFAR(18)
    with pytest.raises(ValueError, match='got num_classes=100. Set num_classes in the head'):
        VGG_CIFAR(13, num_classes=100)
