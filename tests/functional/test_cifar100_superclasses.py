"""What is said of a part of CIFAR-100's classes, and of others."""
from mmips.functional.cifar100_superclasses import superclass_of


def test_superclass_of_a_part():
    assert superclass_of(['girl', 'ray', 'baby']) == {
        'girl': 'people', 'ray': 'fish', 'baby': 'people'}


def test_other_data_has_none():
    for classes in ([], ['girl', 'abbey'], ['0', '1']):
        assert superclass_of(classes) is None
