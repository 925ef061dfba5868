"""Whether another library has the network that is published."""
import pytest
import torch
import torchvision
from helpers.checkpoints import build_resnet

from mmips.errors import UserError
from mmips.runs.publish import flatten, prove_equal, select


def test_selected_tensors_share_nothing():
    whole = torch.arange(24.).reshape(2, 3, 2, 2)
    state = {'backbone.view': whole[1].half(), 'backbone.wide': torch.ones(1).expand(4),
             'backbone.last': whole.to(memory_format=torch.channels_last),
             'neck.x': whole, 'head.fc.weight': whole, 'data_preprocessor.mean': whole}
    kept = select(state, keep_head=True)
    assert list(kept) == [*list(select(state)), 'neck.x', 'head.fc.weight'] == list(state)[:-1]
    for key, value in kept.items():
        assert torch.equal(value, state[key]) and value.dtype == state[key].dtype
        assert value.is_contiguous()
        assert value.untyped_storage().nbytes() == value.numel() * value.element_size()
        assert value.untyped_storage().data_ptr() != state[key].untyped_storage().data_ptr()


@pytest.mark.parametrize('state, words', [
    ({'conv1.weight': 0}, r"starts with 'backbone\.'; its first keys are \['conv1.w.*bare"),
    ({'backbone.x': 0, 'decode_head.y': 0}, r"starts with 'head\.'.*--keep-head is for"),
    ({'backbone.x': torch.ones(1), 'head.layers.0.fc.weight': torch.ones(1)},
     'one linear layer.*head.layers.0.fc.weight')])
def test_missing_parts_are_named(state, words):
    with pytest.raises(UserError, match=words):
        flatten(select(state, keep_head=True))


@pytest.mark.parametrize('library', ['torchvision', 'timm'])
@pytest.mark.parametrize('depth', [18, 34, 50, 101, 152])
def test_networks_of_every_depth_are_found(depth, library):
    pytest.importorskip(library, reason='its network is built')
    with torch.device('meta'):
        flat = getattr(torchvision.models, f'resnet{depth}')(num_classes=5).state_dict()
    # Counters that old versions did not have are not asked for.
    flat = {key: value for key, value in flat.items() if 'num_batches' not in key}
    assert prove_equal(flat, {}, 'mmpretrain', library) == f'resnet{depth}'


def test_settings_that_change_nothing_are_let_through():
    model, cfg = build_resnet(depth=50, out_indices=(0, 1), frozen_stages=1, norm_eval=True,
                              with_cp=True, norm_cfg=dict(type='SyncBN'), drop_path_rate=0.2)
    flat = flatten(select(model.half().state_dict(), keep_head=True))
    assert prove_equal(flat, cfg.model.backbone, 'mmpretrain', 'torchvision') == 'resnet50'


@pytest.mark.parametrize('depth, change, words', [
    (50, dict(style='caffe'), "of its resnet50 .*differ by up to .*'style': 'caffe'"),
    (18, dict(strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4)), "differ by.*'dilations': "),
    (18, dict(norm_cfg=dict(type='BN', eps=1e-3)), "differ by up to .*'eps': 0.001"),
    (18, dict(conv_cfg=dict(type='ConvWS')), "differ by up to .*'ConvWS'"),
    (18, dict(dcn=dict(type='DCNv2')), 'config does not build .*\n  TypeError: .*dcn'),
    (18, dict(depth=50), 'config does not build .*\n.*Missing.*layer1.0.conv3.weight'),
])
def test_networks_that_compute_something_else_are_refused(depth, change, words):
    model, cfg = build_resnet(depth=depth)
    flat = flatten(select(model.state_dict()))
    with pytest.raises(UserError, match=f'(?s){words}.*Use --format mmpretrain'):
        prove_equal(flat, {**cfg.model.backbone, **change}, 'mmpretrain', 'torchvision')
