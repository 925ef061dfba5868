"""The CIFAR networks: maps, mmpretrain's names, frozen stages; sizes are in test_configs.py."""
import pytest
import torch
from mmpretrain.models import VGG, ShuffleNetV1, ShuffleNetV2

from mmips.models.backbones import VGG_CIFAR, ShuffleNetV1_CIFAR, ShuffleNetV2_CIFAR

IMAGES = torch.zeros(2, 3, 32, 32)
#: Class, arguments, all stages, their maps on 32 x 32 pixels, what its state dict is named after.
OURS = [
    (VGG_CIFAR, dict(depth=13), (0, 1, 2, 3, 4),
     [(64, 16, 16), (128, 8, 8), (256, 4, 4), (512, 4, 4), (512, 4, 4)],
     lambda: VGG(13, norm_cfg=dict(type='BN'))),
    (ShuffleNetV1_CIFAR, {}, (0, 1, 2), [(240, 16, 16), (480, 8, 8), (960, 4, 4)], ShuffleNetV1),
    (ShuffleNetV2_CIFAR, {}, (0, 1, 2, 3),
     [(116, 16, 16), (232, 8, 8), (464, 4, 4), (1024, 4, 4)], ShuffleNetV2)]
each = pytest.mark.parametrize('kind, args, stages, maps, twin', OURS)


@each
def test_maps_and_names(kind, args, stages, maps, twin):
    backbone = kind(out_indices=stages, **args)
    assert [tuple(out.shape[1:]) for out in backbone(IMAGES)] == maps
    last = kind(**args)
    assert [tuple(out.shape[1:]) for out in last(IMAGES)] == maps[-1:]
    assert list(last.state_dict()) == list(twin().state_dict())
    norm = kind(norm_cfg=dict(type='GN', num_groups=2), **args)
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in norm.modules())


@each
def test_gradient_reaches_every_weight_and_frozen_stages_none(kind, args, stages, maps, twin):
    backbone = kind(frozen_stages=1, norm_eval=True, **args)
    backbone.train()
    backbone(torch.randn(4, 3, 32, 32))[0].square().mean().backward()
    # Of VGG's first stage two convolutions and a pool.
    frozen = ('features.0.', 'features.1.', 'features.2.') if kind is VGG_CIFAR else (
        'conv1.', 'layers.0.')
    for name, parameter in backbone.named_parameters():
        assert (parameter.grad is None) == name.startswith(frozen), name
    assert not any(part.training for part in backbone.modules()
                   if isinstance(part, torch.nn.BatchNorm2d))


@pytest.mark.parametrize('kind', [ShuffleNetV1_CIFAR, ShuffleNetV2_CIFAR])
def test_stem_is_initialised_with_the_rest(kind):
    backbone = kind()
    before = backbone.conv1.conv.weight.clone()
    backbone.init_weights()
    assert not torch.equal(before, backbone.conv1.conv.weight)
    assert backbone.conv1.conv.weight.std() < 0.02


@pytest.mark.parametrize('groups, width', [(1, 30), (2, 44), (3, 54), (4, 60), (8, 88)])
def test_halving_units_of_shufflenet_v1_are_narrow_and_divisible(groups, width):
    backbone = ShuffleNetV1_CIFAR(groups=groups)
    assert backbone.layers[0][0].bottleneck_channels == width and width % groups == 0
    assert backbone(IMAGES)[0].shape[-2:] == (4, 4)


def test_vgg_in_other_shapes():
    assert VGG_CIFAR(13, with_last_pool=False)(IMAGES)[0].shape == (2, 512, 4, 4)
    four = VGG_CIFAR(13, num_stages=4, dilations=(1, ) * 4, out_indices=(3, ))
    assert four(IMAGES)[0].shape == (2, 512, 4, 4)
    with pytest.raises(KeyError, match='18'):
        VGG_CIFAR(18)
    with pytest.raises(ValueError, match='got num_classes=100. Set num_classes in the head'):
        VGG_CIFAR(13, num_classes=100)
