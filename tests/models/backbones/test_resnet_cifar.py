"""mmpretrain's ResNet_CIFAR is used as it is: here only that it is the network meant."""
import pytest
import torch

pytest.importorskip('mmpretrain')

from mmpretrain.registry import MODELS  # noqa: E402

CLASSES = 100


def build(kind, channels, **kwargs):
    return MODELS.build(dict(
        type='ImageClassifier', backbone=dict(type=kind, **kwargs),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=CLASSES, in_channels=channels)))


@pytest.mark.parametrize('depth, channels, millions', [
    (18, 512, 11.22), (34, 512, 21.33), (50, 2048, 23.71), (101, 2048, 42.70)])
def test_parameters_with_100_classes(depth, channels, millions):
    model = build('ResNet_CIFAR', channels, depth=depth, zero_init_residual=False)
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 2) == millions


@pytest.mark.parametrize('kind, channels, args', [
    ('ResNet_CIFAR', 512, dict(depth=18, zero_init_residual=False)),
    ('mmips.VGG_CIFAR', 512, dict(depth=13)),
    ('mmips.ShuffleNetV1_CIFAR', 960, {}),
    ('mmips.ShuffleNetV2_CIFAR', 1024, {})])
def test_classifier_by_name(kind, channels, args):
    model = build(kind, channels, **args)
    assert model.extract_feat(torch.randn(2, 3, 32, 32))[0].shape == (2, channels)
    assert {name.split('.')[0] for name in model.state_dict()} == {'backbone', 'head'}
    assert model(torch.randn(2, 3, 32, 32), mode='tensor').shape == (2, CLASSES)
