"""The registries of mmips, seen from mmengine's roots."""
import importlib

import pytest
from mmengine.registry import Registry

from mmips import registry


def test_all_is_complete():
    declared = {name for name, value in vars(registry).items()
                if isinstance(value, Registry) and value.scope == 'mmips'}
    assert set(registry.__all__) == declared


@pytest.mark.parametrize('name', registry.__all__)
def test_every_registry_has_its_parent_and_its_parts(name):
    ours = getattr(registry, name)
    # mmengine has no root for batch augments.
    roots = importlib.import_module(
        'mmpretrain.registry' if name == 'BATCH_AUGMENTS' else 'mmengine.registry.root')
    assert ours.scope == 'mmips' and ours.parent is getattr(roots, name)
    assert ours.parent.children['mmips'] is ours
    for location in ours._locations:
        importlib.import_module(location)
    assert len(ours.module_dict) > 0


@pytest.mark.parametrize('name, key', [
    ('DATA_SAMPLERS', 'PairedClassSampler'), ('MODELS', 'SelfDistillClassifier'),
    ('BATCH_AUGMENTS', 'IntraClassPatchSwap'), ('HOOKS', 'PatchSwapSchedule'),
    ('METRICS', 'SafetyMetrics')])
def test_parts_are_found_from_mmpretrain_by_scope_alone(name, key):
    found = getattr(pytest.importorskip('mmpretrain.registry'), name).get(f'mmips.{key}')
    assert found.__name__ == key and found.__module__.startswith('mmips.')
