import pytest
from mmengine.registry import HOOKS, Registry

from mmips.config.builders import Builder, parameters, registries, runner_keys


class Closed:

    def __init__(self, a, b=1):
        pass


class HandsOn(Closed):

    def __init__(self, *args, c=1, **kwargs):
        pass


class Keeps(Closed):

    def __init__(self, d, **kwargs):
        pass


class HandsOnToNobody:

    def __init__(self, *args, **kwargs):
        pass


class Bare:
    """No arguments at all."""


@pytest.mark.parametrize('function, names, is_open', [
    (Closed, 'ab', False), (HandsOn, 'abc', False), (Keeps, 'abd', True),
    (HandsOnToNobody, '', True), (Bare, '', False), (lambda x, *, y: 0, 'xy', False),
    (max, '', True)])
def test_arguments_of_a_class_and_those_above_it(function, names, is_open):
    assert parameters(function) == (frozenset(names), is_open)


def test_what_is_built_where_no_type_is_named():
    assert Builder({}, 'mmengine', 'train_cfg').label == 'train_cfg'
    assert Builder(dict(by_epoch=False), 'mmengine', 'train_cfg').kinds[0].__name__ == (
        'IterBasedTrainLoop')
    assert {'batch_size', 'dataset', 'sampler'} <= Builder({}, '', 'val_dataloader').names
    assert {'model', 'tta_pipeline'} <= runner_keys() and not {'type', 'cfg'} & runner_keys()
    unknown = Builder({}, 'mmengine', 'my.own')
    assert unknown.is_open and not unknown.kinds and unknown.unknown is None


def test_a_place_has_its_registry():
    """An evaluator's name is none of a hook."""
    assert Builder(dict(type='Accuracy'), 'mmpretrain', 'val_evaluator').unknown is None
    unknown = Builder(dict(type='Accuracy'), 'mmpretrain', 'custom_hooks.0').unknown
    assert 'EMAHook' in unknown and 'Accuracy' not in unknown


def test_registries_of_somebodys_own_package():
    own = Registry('hook', parent=HOOKS, scope='somebodys')
    own.register_module(module=Closed)
    try:
        assert registries('nobodys') == []
        assert Builder(dict(type='somebodys.Closed'), 'mmengine', 'custom_hooks.0').kinds == [
            Closed]
        assert 'somebodys.Closed' in Builder(dict(type='somebodys.Close'), 'mmengine', '').unknown
        assert Builder(dict(type='nobodys.X'), 'mmengine', '').unknown is None
    finally:
        HOOKS.children.pop('somebodys')
        registries.cache_clear()
