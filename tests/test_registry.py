"""The registries of mmips, seen from mmengine's roots."""
import importlib

import pytest
from mmengine.registry import Registry
from mmengine.registry import root as mmengine_roots

from mmips import registry


def test_all_is_complete():
    declared = {name for name, value in vars(registry).items()
                if isinstance(value, Registry) and value.scope == 'mmips'}
    assert set(registry.__all__) == declared


@pytest.mark.parametrize('name', sorted({*registry.__all__} - {'BATCH_AUGMENTS'}))
def test_parent_is_mmengine_s_root(name):
    ours = getattr(registry, name)
    assert ours.scope == 'mmips'
    assert ours.parent is getattr(mmengine_roots, name)
    assert ours.parent.children['mmips'] is ours


def test_batch_augments_hang_below_mmpretrain_s():
    pretrain = pytest.importorskip('mmpretrain.registry')
    assert registry.BATCH_AUGMENTS.parent is pretrain.BATCH_AUGMENTS


@pytest.mark.parametrize('name', registry.__all__)
def test_locations_import_and_register_something(name):
    ours = getattr(registry, name)
    for location in ours._locations:
        importlib.import_module(location)
    assert ours._locations
    assert len(ours.module_dict) > 0


@pytest.mark.parametrize(('name', 'key'), [
    ('DATA_SAMPLERS', 'PairedClassSampler'), ('MODELS', 'SelfDistillClassifier'),
    ('BATCH_AUGMENTS', 'IntraClassPatchSwap'), ('HOOKS', 'PatchSwapSchedule'),
    ('METRICS', 'SafetyMetrics')])
def test_parts_are_found_from_mmpretrain_by_scope_alone(name, key):
    pretrain = pytest.importorskip('mmpretrain.registry')
    found = getattr(pretrain, name).get(f'mmips.{key}')
    assert found is not None and found.__name__ == key
    assert found.__module__.startswith('mmips.')
