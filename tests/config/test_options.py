import copy

import pytest
from mmengine.config import Config

import mmips
from mmips.config.options import merge_options
from mmips.errors import UserError


@pytest.fixture(scope='module')
def shipped():
    return Config.fromfile(mmips.cfg('ips/resnet18_ips_cifar100.py'))


@pytest.fixture
def cfg(shipped):
    return copy.deepcopy(shipped)


@pytest.mark.parametrize('key, value', [
    ('model.train_cfg.augments.0.prob', 0.25),
    ('model.alpha', 2),  # an argument of the class alone
    ('model.head.init_cfg', dict(type='Normal', layer='Linear', std=0.1)),  # of a class above
    ('optim_wrapper.optimizer', dict(lr=0.01)),
    ('train_dataloader.sampler.epoch', 'images'),
    ('default_hooks.checkpoint.save_best', 'auto'),
    ('model_wrapper_cfg', dict(static_graph=True)),  # read by the Runner, but no argument of it
    ('optim_wrapper.paramwise_cfg', dict(norm_decay_mult=0.)),  # mmengine takes it out
    ('param_scheduler.convert_to_iter_based', True),
    ('custom_hooks.0.priority', 'LOW'),
    ('default_hooks.early', dict(type='EarlyStoppingHook', monitor='loss')),  # any name
    ('env_cfg.dist_cfg.timeout', 60),  # what has no type may take anything
    ('model.head', dict(_delete_=True, type='LinearClsHead', num_classes=3, in_channels=512)),
])
def test_merges_what_is_read(cfg, key, value):
    before = copy.deepcopy(value)
    merge_options(cfg, {key: value})
    node = cfg
    for part in key.split('.'):
        node = node[int(part) if part.isdigit() else part]
    if isinstance(value, dict):
        assert value == before, 'mmengine took _delete_ out of it'
        assert value.items() - {('_delete_', True)} <= node.to_dict().items()
        assert '_delete_' not in value or 'loss' not in node
    else:
        assert node == value


@pytest.mark.parametrize('key, value, words', [
    ('model.alhpa', 1, r"model.alhpa does not exist: model of type 'mmips.SelfDistillClassifier' "
     r"has no 'alhpa' \(did you mean alpha\?\)"),
    ('model.train_cfg.augments.0.grid', 2, 'did you mean grid_size'),
    ('model', dict(backbone=dict(dept=50)), 'model.backbone.dept does not exist.*mean depth'),
    ('optim_wrapper.optimiser.lr', 1, 'did you mean optimizer'),
    ('optim_wrapper.optimizer', dict(momentun=1), 'did you mean momentum'),
    ('default_hooks.checkpont.interval', 1, r'default_hooks.checkpont does not exist.*checkpoint'),
    ('optim_wrapper.paramwise_cgf', {}, 'did you mean paramwise_cfg'),
    ('trainn_cfg.max_epochs', 1, r"the Runner reads no 'trainn_cfg' \(did you mean train_cfg"),
    ('dataset_type', 'X', "'dataset_type' is a variable of the config, which is used up"),
    ('model.train_cfg.augments.prob', 1, 'augments.prob.: 1} do not fit the config: TypeError'),
    ('custom_hooks.9', 1, 'custom_hooks.9.: 1} do not fit .* exceeds the length of list'),
    ('model.backbone.depth.x', 1, 'depth.x.: 1} do not fit the config: TypeError'),
    # Of what has no type, by its place.
    ('train_dataloader.num_worker', 1, 'did you mean num_workers'),
    ('randomness.sed', 1, 'did you mean seed'),
    ('env_cfg.benchmark', True, 'did you mean cudnn_benchmark'),
    ('env_cfg.mp_cfg.start', 1, 'it takes distributed, mp_start_method, opencv_num_threads'),
    ('auto_scale_lr.enabled', True, 'did you mean enable'),
    ('train_cfg.max_epoch', 1, 'did you mean max_epochs'),
    ('optim_wrapper.clip_grad.max_nrm', 1, 'did you mean max_norm'),
    ('type', 1, "the Runner reads no 'type'"),
    # Of what takes anything only to hand it on, or takes nothing.
    ('model.decode_head.num_classes', 1, "model of type .* has no 'decode_head'"),
    ('param_scheduler.milestone', [1], 'did you mean milestones'),
    ('custom_hooks.0.x', 1, "custom_hooks.0 of type 'mmips.EpochSeedHook' has no 'x'"),
    # In what is new as a whole.
    ('default_hooks.early', dict(type='EarlyStoppingHook', monitr='loss'), 'did you mean monitor'),
    ('custom_hooks', [dict(type='EMAHook'), dict(type='mmips.EpochSeedHook', x=1)],
     'option custom_hooks.1.x does not exist'),
])
def test_refuses_what_nothing_reads(cfg, key, value, words):
    before = copy.deepcopy(cfg.to_dict())
    with pytest.raises(UserError, match=words):
        merge_options(cfg, {key: value})
    assert cfg.to_dict() == before


@pytest.mark.parametrize('key', ['my_own_name', 'model.alhpa', 'train_dataloader.num_worker',
                                 'my_own_name.below.it', 'custom_hooks.0.x'])
def test_a_plus_lets_a_new_key_pass(cfg, key):
    with pytest.raises(UserError):
        merge_options(cfg, {key: 1})
    with pytest.raises(UserError, match=r'of type .* has no .*meant to be new: \+model.alhpa='):
        merge_options(cfg, {'model.alhpa': 1})
    merge_options(cfg, {f'+{key}': 1, 'model.alpha': 2})
    node = cfg
    for part in key.split('.'):
        node = node[int(part) if part.isdigit() else part]
    assert node == 1 and cfg.model.alpha == 2 and not any('+' in name for name in cfg)


def test_order_does_not_matter(cfg):
    """What a part becomes is merged before what is in it."""
    merge_options(cfg, {
        'train_dataloader.sampler.shuffle': True, 'train_dataloader.sampler.type': 'DefaultSampler',
        'train_dataloader.sampler._delete_': True, 'default_hooks.early.monitor': 'loss',
        'default_hooks.early.type': 'EarlyStoppingHook', 'model.backbone': dict(
            _delete_=True, type='TIMMBackbone', model_name='resnet18'),
        'model.backbone.drop_rate': 0.1})  # Through **kwargs; nobody knows what timm takes.
    assert cfg.train_dataloader.sampler == dict(type='DefaultSampler', shuffle=True)
    assert cfg.default_hooks.early == dict(type='EarlyStoppingHook', monitor='loss')
    assert cfg.model.backbone.drop_rate == 0.1
    merge_options(cfg, {'custom_hooks.0.priority': 'LOW', 'custom_hooks': [dict(type='X')]})
    assert cfg.custom_hooks == [dict(type='X', priority='LOW')]
    with pytest.raises(UserError, match='do not fit the config'):
        merge_options(cfg, {'val_cfg.a': 1, 'val_cfg': 1})
