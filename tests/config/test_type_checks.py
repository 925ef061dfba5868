import copy
import importlib.util
import re
from pathlib import Path

import pytest
import torch
from helpers.configs import load
from mmengine.config import Config, ConfigDict

from mmips.config.metric_checks import metric_mistakes
from mmips.config.pair_checks import check_config
from mmips.config.type_checks import name_warnings, part_mistakes


class Unable(torch.optim.SGD):
    """An optimizer that needs what there is not."""

    __module__ = 'torch.optim.unable'

    def __init__(self, *args, **kwargs):
        raise RuntimeError('fused kernels need a GPU')


@pytest.fixture(scope='module')
def shipped():
    cfg = load('ips/resnet18_ips_cifar100.py')
    cfg.merge_from_dict({'model.distill': dict(type='mmips.PairKLLoss'),
                         'optim_wrapper.clip_grad': dict(type='value', clip_value=1.)})
    assert part_mistakes(cfg) == []
    return cfg


def changed(cfg, key, value):
    """A copy in which one value is another, or new."""
    cfg = copy.deepcopy(cfg)
    *path, last = key.split('.')
    node = cfg
    for part in path:
        node = node[int(part) if part.isdigit() else part]
    node[last] = ConfigDict(value) if isinstance(value, dict) else value
    return cfg


SWAP = 'model.train_cfg.augments.0'
SGD = 'optim_wrapper.optimizer'


@pytest.mark.parametrize('key, value, words', [
    # Types of the annotations, ours and those of mmengine and torch.
    ('model.alpha', 'a', 'float'),
    ('model.joint_forward', 'no', 'bool'),
    (f'{SWAP}.grid_size', 2.5, r'int \| tuple\[int, int\]'),
    (f'{SWAP}.grid_size', (2, 2, 2), r'int \| tuple\[int, int\]'),
    ('model.distill.temperature', 'hot', 'float'),
    ('train_dataloader.drop_last', 'maybe', 'bool'),
    ('default_hooks.checkpoint.interval', None, 'int'),
    ('resume', 'True', 'bool'),
    (f'{SGD}.lr', 'big', 'float'),
    # Numbers that are none, or too small.
    ('model.alpha', float('nan'), 'a finite number'),
    ('model.gamma', float('inf'), 'a finite number'),
    ('model.distill.temperature', float('inf'), 'a finite number'),
    (f'{SGD}.lr', float('nan'), 'a finite number'),
    (f'{SGD}.weight_decay', float('inf'), 'a finite number'),
    ('param_scheduler.gamma', float('nan'), 'a finite number'),
    ('train_dataloader.batch_size', '32', 'a whole number from 1 to'),
    ('train_dataloader.num_workers', -1, 'a whole number from 0 to'),
    ('train_cfg.max_epochs', 1.5, 'a whole number from 1 to'),
    ('train_cfg.val_interval', 0, 'a whole number from 1 to'),
    ('train_cfg', {'_delete_': True}, 'by_epoch=True and max_epochs, or max_iters'),
    ('randomness.seed', 'abc', 'a whole number from 0 to'),
    # Names.
    ('custom_hooks.0.type', 'mmips.EpochSeedHok', r'registered.*\(did you mean .*SeedHook'),
    (f'{SGD}.type', 'SDG', r'registered.*\(did you mean SGD'),
    ('param_scheduler.type', 'MultiStepLr', r'registered.*MultiStepLR'),
    ('model.distill.type', 'mmips.PairKLLos', 'registered.*mmips.PairKLLoss'),
    ('val_cfg.type', 'ValLop', 'registered.*ValLoop'),
    ('default_scope', 'mmpretrainn', 'an installed toolbox'),
    (f'{SGD}.momentun', 0.9, r'an argument of SGD \(did you mean momentum\?\)'),
    ('default_hooks.checkpoint.intervall', 2, r'an argument of CheckpointHook .*interval\?'),
    ('custom_hooks.0.x', 2, 'an argument of mmips.EpochSeedHook'),
    ('default_hooks.loggre', dict(type='LoggerHook'), r'default_hooks \(did you mean logger'),
    ('default_hooks.visualization.enabel', True, r'argument of Vis.* \(did you mean enable'),
    ('default_scope', ['x'], 'an installed'),
    # What mmpretrain takes for true.
    ('data_preprocessor.to_rgb', 'False', 'True or False'),
    ('train_cfg.by_epoch', 'False', 'True or False'),
    ('model.head.cal_acc', 'False', 'bool'),
    ('auto_scale_lr.base_batch_size', -1, 'a whole number from 1 to'),
    ('train_dataloader.batch_size', None, 'a whole number from 1 to'),
    ('env_cfg.cudnn_bench', True, r'an argument of env_cfg \(did you mean cudnn_benchmark'),
])
def test_a_wrong_value_is_named_with_its_key(shipped, key, value, words):
    (where, got, expected, _), = part_mistakes(changed(shipped, key, value))
    assert where == key and (got == value or got != got)
    assert re.search(words, expected)


def test_what_names_no_type_is_known_before_training(shipped):
    for key, value, where in (
            ('optim_wrapper', dict(type='OptimWrapper'), 'optim_wrapper.optimizer.type'),
            ('param_scheduler', dict(milestones=[1]), 'param_scheduler.type')):
        assert part_mistakes(changed(shipped, key, value)) == [
            (where, None, 'a registered name', '')]


@pytest.mark.parametrize('key, value, place, words', [
    (f'{SWAP}.prob', 2, SWAP, r'IntraClassPatchSwap takes: prob must be a number in \[0, 1\]'),
    ('model.distill.temperature', -1, 'model.distill', 'temperature must be positive'),
    ('model.target', dict(type='mmips.ProgressiveTarget', alpha=2), 'model.target',
     r'ProgressiveTarget takes: alpha must be in \[0, 1\]'),
    (f'{SGD}.lr', -1, SGD, 'SGD takes: Invalid learning rate: -1'),
    ('param_scheduler', [dict(type='MultiStepLR', milestones=[1]), dict(type='StepLR')],
     'param_scheduler.1', "StepLR takes: .*missing .*'step_size'"),
    # A type may be a class, as in configs that import.
    (SGD, dict(type=torch.optim.SGD, lr=0.1, momentun=1), f'{SGD}.momentun', 'argument of SGD'),
    ('param_scheduler.end', 0, 'param_scheduler', 'end should be larger than begin'),
])
def test_what_a_part_refuses_is_known_before_training(shipped, key, value, place, words):
    (where, _, expected, _), = part_mistakes(changed(shipped, key, value))
    assert where == place and re.search(words, expected)


@pytest.mark.parametrize('epochs, told', [(5, 'above 5, or an earlier param_scheduler.1.begin'),
                                          (6, None)])
def test_a_run_shorter_than_its_warm_up_is_told_what_to_shorten(shipped, epochs, told):
    cfg = changed(shipped, 'param_scheduler', [
        dict(type='LinearLR', end=5), dict(type='CosineAnnealingLR', begin=5)])
    cfg.train_cfg.max_epochs = epochs
    advice = [mistake[3] for mistake in part_mistakes(cfg)]
    assert told in advice[0] if told else not advice


@pytest.mark.parametrize('key, value', [
    (f'{SWAP}.grid_size', [2, 4]), ('model.alpha', 2), ('train_cfg.max_epochs', 100.0),
    ('train_dataloader.num_workers', 0), ('load_from', None), ('randomness', dict(seed=None)),
    ('optim_wrapper', dict(type='AmpOptimWrapper', loss_scale=512., optimizer=dict(
        type='SGD', lr=0.1))),
    ('model.backbone.norm_cfg', dict(type='BN', eps=1e-3)),
    ('model.backbone.norm_cfg', dict(type='BN', requires_grad=True)),
    ('default_hooks.own', dict(type='somebodys_package.Hook', x=1)),
    ('param_scheduler', [dict(type='CosineAnnealingLR', convert_to_iter_based=True)]),
    ('optim_wrapper.paramwise_cfg', dict(layer_decay_rate=0.7)),
    ('my_own_variable', dict(type='Anything', lr='x')),
    # What is no part: its type is its own business.
    ('train_dataloader.dataset.metainfo', dict(points={0: dict(type='upper')})),
    ('train_dataloader.dataset.backend_args', dict(type='s3')),
    ('model.backbone.some_cfg', {'': 1}),
    # What only this machine, or an ordinary tensor, is not able to.
    (SGD, dict(type=Unable, lr=0.1)), ('custom_hooks', [dict(type=max, x=1),
                                                         dict(type=torch.relu)]),
])
def test_what_may_be_passes(shipped, key, value):
    assert part_mistakes(changed(shipped, key, value)) == []


def test_optimizers_of_several_networks_are_left_to_their_constructor(shipped):
    """As for GANs; nothing is known of them by their place."""
    cfg = changed(shipped, 'optim_wrapper', dict(constructor='Own', a=dict(optimizer=dict(
        type='SGD', lr=1.))))
    cfg.param_scheduler = dict(a=[dict(type='StepLR', step_size=1)])
    assert [where for where, *_ in part_mistakes(cfg)] == ['optim_wrapper.a']


@pytest.mark.parametrize('name, near', [
    ('train_dataloder', 'train_dataloader'), ('load_form', 'load_from'), ('modle', 'model'),
    ('randomnes', 'randomness'), ('custom_hook', 'custom_hooks'), ('train_pipeline', ''),
    ('test_pipeline', ''), ('val_evaluator_dice', ''), ('crop_size', ''), ('data_root', ''),
    ('load_from', '')])
def test_names_that_nothing_reads(name, near):
    said = list(name_warnings(Config({name: 1})))
    assert bool(said) == bool(near)
    assert not near or said[0].startswith(f'{name}: ') and f'(did you mean {near}' in said[0]


# They need transformers, or name what their toolbox does not have.
BEYOND = re.compile('blip|flamingo|otter|llava|minigpt|ofa|clip|dinov2|glip|tracktor|sort')


@pytest.mark.parametrize('package', ['mmpretrain', 'mmseg', 'mmdet'])
def test_nothing_is_found_wrong_with_the_toolboxes_own_configs(package):
    root = Path(importlib.util.find_spec(package).origin).parent / '.mim/configs'
    paths = [path for path in sorted(root.glob('*/*.py')) if path.parent.name != '_base_'
             and not BEYOND.search(path.as_posix()[len(str(root)):])
             and '_base_ =' in path.read_text()]
    for path in paths[::40]:
        cfg = Config.fromfile(path)
        assert [*part_mistakes(cfg), *metric_mistakes(cfg), *name_warnings(cfg)] == [], path
        assert check_config(cfg) == [], path
