"""CIFAR-100's superclasses: each class once, spelled as mmpretrain spells it."""
import pytest

from mmips.functional.cifar100_superclasses import SUPERCLASSES, superclass_of


def test_every_class_has_one_superclass():
    categories = pytest.importorskip('mmpretrain.datasets.categories').CIFAR100_CATEGORIES
    members = [name for names in SUPERCLASSES.values() for name in names]
    assert sorted(members) == sorted(categories)
    assert len(SUPERCLASSES) == 20 and {len(names) for names in SUPERCLASSES.values()} == {5}


def test_superclass_of_a_part():
    assert superclass_of(['girl', 'ray', 'baby']) == {
        'girl': 'people', 'ray': 'fish', 'baby': 'people'}


@pytest.mark.parametrize('classes', [[], ['girl', 'abbey'], ['0', '1']])
def test_other_data_has_none(classes):
    assert superclass_of(classes) is None
