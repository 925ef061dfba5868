import pytest
import torch
import torchvision
from mmengine.config import ConfigDict

from mmips.runs import publish
from mmips.runs.publish import check_network, choose_weights, flatten, select

PLAIN = dict(type='ResNet', depth=18, num_stages=4, out_indices=(3, ), style='pytorch',
             init_cfg=dict(type='Pretrained', checkpoint='x.pth'), frozen_stages=1,
             norm_cfg=dict(type='SyncBN'), strides=(1, 2, 2, 2))


def weights(depth=18, classes=5):
    """A classifier's state dict in the keys of mmpretrain, values that tell tensors apart."""
    net = getattr(torchvision.models, f'resnet{depth}')(num_classes=classes)
    return {('head.' if key.startswith('fc.') else 'backbone.') + key: value
            for key, value in net.state_dict().items()}


@pytest.mark.parametrize('which, value, label', [
    ('auto', 1., 'ema'), ('ema', 1., 'ema'), ('raw', 2., 'raw')])
def test_weights_of_a_checkpoint_with_ema(which, value, label):
    checkpoint = dict(state_dict={'a': torch.ones(1)},
                      ema_state_dict={'steps': torch.tensor(3), 'module.a': 2 * torch.ones(1)})
    state, found = choose_weights(checkpoint, which)
    assert (float(state['a']), list(state), found) == (value, ['a'], label)


def test_weights_of_a_checkpoint_without_ema():
    checkpoint = dict(state_dict={'a': torch.ones(1)})
    assert choose_weights(checkpoint) == (checkpoint['state_dict'], '')
    for which in ('ema', 'raw'):
        with pytest.raises(ValueError, match=f'--weights {which}: .* no ema_state_dict'):
            choose_weights(checkpoint, which)
    with pytest.raises(ValueError, match="'auto', 'ema' or 'raw', got 'best'"):
        choose_weights(checkpoint, 'best')
    half = dict(state_dict={'a': torch.ones(1), 'b': torch.ones(1)},
                ema_state_dict={'module.a': torch.ones(1)})
    with pytest.raises(ValueError, match="lacks 1 of the 2 tensors, the first is 'module.b'"):
        choose_weights(half, 'raw')


def test_selected_tensors_share_nothing():
    whole = torch.arange(24.).reshape(2, 3, 2, 2)
    last = whole.to(memory_format=torch.channels_last)
    state = {'backbone.view': whole[1], 'backbone.last': last,
             'backbone.half': whole.half(), 'backbone.wide': torch.ones(1).expand(4),
             'neck.x': whole, 'head.fc.weight': whole, 'data_preprocessor.mean': whole}
    kept = select(state)
    assert list(kept) == ['backbone.view', 'backbone.last', 'backbone.half', 'backbone.wide']
    for key, value in kept.items():
        assert torch.equal(value, state[key]) and value.dtype == state[key].dtype
        assert value.is_contiguous()
        assert value.untyped_storage().nbytes() == value.numel() * value.element_size()
        assert value.untyped_storage().data_ptr() != state[key].untyped_storage().data_ptr()
    assert set(select(state, keep_head=True)) == set(kept) | {'neck.x', 'head.fc.weight'}


@pytest.mark.parametrize('state, keep_head, words', [
    ({'conv1.weight': 0, 'bn1.bias': 0}, False, r"starts with 'backbone\.'.*'conv1.weight'.*bare"),
    ({'model.x': 0}, False, r"starts with 'backbone\.'; its first keys are \['model.x'\].*OpenMM"),
    ({'backbone.x': 0, 'decode_head.y': 0}, True, r"--keep-head: .* starts with 'head\.'"),
])
def test_missing_parts_are_named(state, keep_head, words):
    with pytest.raises(ValueError, match=words):
        select(state, keep_head)


@pytest.mark.parametrize('depth', publish.DEPTHS)
def test_networks_of_every_depth_are_found_and_fit(depth):
    with torch.device('meta'):
        state = weights(depth)
    flat = flatten(state)
    assert check_network(flat, dict(PLAIN, depth=depth), 'torchvision') == f'resnet{depth}'
    assert check_network(flat, None, 'timm') == f'resnet{depth}'
    bare = {key: value for key, value in flat.items() if not key.startswith('fc.')}
    assert check_network(bare, None, 'timm') == f'resnet{depth}'


@pytest.mark.parametrize('library', ['torchvision', 'timm'])
@pytest.mark.parametrize('depth, change, words', [
    (50, dict(style='caffe'), "style='caffe', expected 'pytorch'"),
    (50, dict(strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4)), 'strides=.*\n.*dilations='),
    (50, dict(dilations=(1, 1, 1, 2)), r'dilations=.*expected \[1, 1, 1, 1\]'),
    (50, dict(type='mmpretrain.ResNetV1c'), 'its type is ResNetV1c'),
    (50, dict(norm_cfg=dict(type='BN', eps=1e-3)), 'norm_cfg.eps=0.001'),
    (50, dict(conv_cfg=dict(type='ConvWS')), 'conv_cfg='),
    (50, dict(dcn=dict(type='DCNv2')), 'dcn='),
    (18, dict(depth=50), 'missing: .*layer1.0.conv3.weight.*\n.*another shape: '),
])
def test_networks_that_compute_something_else_are_refused(library, depth, change, words):
    with torch.device('meta'):
        flat = flatten(weights(depth))
    with pytest.raises(ValueError, match=words) as caught:
        check_network(flat, {**PLAIN, 'depth': depth, **change}, library)
    assert f'{library} has no network' in str(caught.value)
    assert '--format mmpretrain' in str(caught.value)


def test_settings_that_change_nothing_are_let_through():
    with torch.device('meta'):
        flat = flatten(weights(18))
    free = ConfigDict(PLAIN, style='caffe', conv_cfg=dict(type='Conv2d'), avg_down=False, dcn=None,
                      with_cp=True, norm_eval=True, zero_init_residual=False)
    assert check_network(flat, free, 'torchvision', 'RGB') == 'resnet18'
    with pytest.raises(ValueError, match='BGR order'):
        check_network(flat, free, 'torchvision', 'BGR')


def test_tensors_that_do_not_fit_are_named():
    flat = flatten(weights(18))
    wide = {**flat, 'conv1.weight': torch.zeros(64, 3, 3, 3)}
    with pytest.raises(ValueError, match=r'1 tensors are of another shape: conv1.weight '
                       r'\(64, 3, 3, 3\) instead of \(64, 3, 7, 7\)'):
        check_network(wide, None, 'torchvision')
    with pytest.raises(ValueError, match='1 tensors are not in its network: gate.weight'):
        check_network({**flat, 'gate.weight': torch.zeros(1)}, PLAIN, 'torchvision')
    lacking = {key: value for key, value in flat.items() if 'layer4.1' not in key}
    with pytest.raises(ValueError, match='are missing: layer4.1.conv1.weight, .*, ...'):
        check_network(lacking, PLAIN, 'torchvision')
    # Counters that old versions did not have are not asked for.
    old = {key: value for key, value in flat.items() if 'num_batches' not in key}
    assert check_network(old, PLAIN, 'torchvision') == 'resnet18'


@pytest.mark.parametrize('extra', [
    {'head.layers.0.fc.weight': 0}, {'neck.fc.weight': 0}, {'head.fc.weight': 0}])
def test_classifiers_of_other_forms_are_refused(extra):
    with pytest.raises(ValueError, match='one linear layer.*' + next(iter(extra))):
        flatten({'backbone.x': torch.ones(1), **extra})


@pytest.mark.parametrize('depth, features', [(18, 512), (50, 2048)])
def test_timm_config_agrees_with_timm(depth, features):
    timm = pytest.importorskip('timm', reason='the config is compared with timm itself')
    with torch.device('meta'):
        state = flatten(weights(depth))
        net = timm.create_model(f'resnet{depth}', num_classes=5)
    config = publish.timm_config(f'resnet{depth}', state, dict(
        mean=[127.5, 0., 255.], input_size=[64, 32], classes=list('abcde')))
    assert config['num_features'] == net.num_features == features
    assert config['num_classes'] == 5 and config['label_names'] == list('abcde')
    settings = config['pretrained_cfg']
    assert settings['mean'] == [0.5, 0., 1.] and settings['input_size'] == [3, 64, 32]
    assert 'std' not in settings and 'crop_pct' not in settings
    for key in ('first_conv', 'classifier'):
        assert settings[key] == net.pretrained_cfg[key]


def test_safetensors_bytes_do_not_depend_on_the_order_of_facts():
    load = pytest.importorskip('safetensors.torch', reason='the format is its own').load
    facts = {name: number for number, name in enumerate('abcdefgh')}
    tensors = {'x': torch.arange(3.), 'y': torch.ones(2, 2).half()}
    data = publish.to_safetensors(tensors, facts)
    assert data == publish.to_safetensors(tensors, dict(reversed(facts.items())))
    back = load(data)
    assert all(torch.equal(back[key], value) for key, value in tensors.items())
    assert back['y'].dtype == torch.float16


def test_read_checkpoint_names_what_it_got(tmp_path):
    (tmp_path / 'text.pth').write_text('no checkpoint')
    torch.save({'conv1.weight': torch.ones(1)}, tmp_path / 'flat.pth')
    torch.save([1, 2], tmp_path / 'list.pth')
    for name, error, words in [
            ('absent.pth', FileNotFoundError, 'does not exist'),
            ('', FileNotFoundError, 'is a folder'),
            ('text.pth', ValueError, 'not a checkpoint that torch can read'),
            ('flat.pth', ValueError, r"no state_dict, but \['conv1.weight'\]"),
            ('list.pth', ValueError, 'no state_dict, but list')]:
        with pytest.raises(error, match=words):
            publish.read_checkpoint(str(tmp_path / name))
