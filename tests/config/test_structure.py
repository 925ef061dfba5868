"""Where a dict, one with a type, or a list has to be."""
import copy
import functools

import pytest
from mmengine.config import Config

from mmips.config.structure import check_structure
from mmips.errors import UserError

SOUND = dict(
    default_scope='mmpretrain', data_root='x', custom_hooks=[dict(type='A')],
    default_hooks=dict(timer=dict(type='A'), logger=None), train_cfg=dict(max_epochs=1),
    model=dict(type='A', backbone=dict(type=dict), neck=[dict(type='A')], train_cfg=None),
    train_dataloader=dict(dataset=dict(type='A', pipeline=[dict(type='B', _scope_='mmdet')])),
    val_evaluator=[dict(type='A')], visualizer=object(), env_cfg=dict(mp_cfg=dict()))


@pytest.mark.parametrize('changes', [
    {}, dict(val_evaluator=dict(metrics=[dict(type='A')], type='B')), dict(model=None),
    # An argument of a transform, which is not one.
    dict(train_dataloader=dict(dataset=dict(type='A', pipeline=[
        dict(type='B', pipeline='x'), dict(type='B', pipeline=[dict(name='flip')])]))),
    dict(train_pipeline=[dict(type='B', pipeline=[dict(name='flip')])])])
def test_sound_configs_pass(changes):
    check_structure(Config({**SOUND, **changes}), typed=True)


@pytest.mark.parametrize('key, value, expected', [
    ('model.backbone', 'ResNet', 'a dict with a type'), ('model.neck.0', 1, 'a dict with a type'),
    ('model.backbone.type', None, 'a dict with a type'), ('model.train_cfg', [1], 'a dict'),
    ('train_dataloader.sampler', 5, 'a dict with a type'), ('train_dataloader', 'x', 'a dict'),
    ('train_dataloader.dataset.pipeline', 'x', 'a list of dicts'), ('custom_hooks', 1, 'a list'),
    ('train_dataloader.dataset.pipeline.0', dict(a=1), 'a dict with a type'),
    ('train_dataloader.dataset.pipeline.0._scope_', '', 'the name of a toolbox'),
    ('default_scope', [1], 'the name of a toolbox'), ('env_cfg.mp_cfg', None, 'a dict'),
    ('default_hooks.timer', [], 'a dict with a type'), ('val_evaluator.0', 1, 'a dict with a type'),
    ('val_evaluator', 'Accuracy', 'a dict with a type')])
def test_what_is_no_part_is_named(key, value, expected):
    cfg = copy.deepcopy(SOUND)
    *path, last = [int(part) if part.isdigit() else part for part in key.split('.')]
    functools.reduce(lambda node, part: node[part], path, cfg)[last] = value
    place = key.removesuffix('.type')
    with pytest.raises(UserError, match=f'\n{place} = .*\n  expected: {expected}'):
        check_structure(Config(cfg), typed=True)


def test_data_alone_need_not_say_what_it_is_for():
    check_structure(Config(dict(model=dict(head=dict(num_classes=3)))))
