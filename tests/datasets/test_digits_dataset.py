import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from mmips.datasets import DigitsDataset
from mmips.registry import DATASETS


def rows(dataset):
    return [info['row'] for info in map(
        super(DigitsDataset.__mro__[1], dataset).get_data_info, range(len(dataset)))]


def test_train_and_test_are_a_stratified_partition():
    train = DATASETS.build(dict(type='mmips.DigitsDataset', split='train'))
    test = DigitsDataset('test')
    # Written down: the demo's accuracies hang on it.
    assert rows(train)[:8] == [19, 48, 61, 108, 118, 142, 143, 155] != rows(DigitsDataset(seed=2))
    assert sorted(rows(train) + rows(test)) == list(range(1797))
    assert np.bincount(train.get_gt_labels()).tolist() == [10] * 10
    assert train.metainfo['classes'] == tuple('0123456789')
    np.testing.assert_array_equal(test.get_gt_labels(), load_digits().target[rows(test)])


def test_images_are_the_digits_enlarged():
    dataset, small = DigitsDataset(size=16), DigitsDataset(size=8)
    img = dataset[0]['img']
    assert img.shape == (16, 16, 3) and img.dtype == np.uint8
    assert (img[..., 0] == img[..., 1]).all() and (img[..., 0] == img[..., 2]).all()
    original = load_digits().images[rows(small)[0]]
    np.testing.assert_array_equal(small[0]['img'][..., 0], np.round(original * 255 / 16))
    # Enlarging twofold keeps the mean of the picture up to its border.
    assert abs(img.mean() - small[0]['img'].mean()) < 8


@pytest.mark.parametrize('args, match', [
    (dict(split='val'), "'train' or 'test', got 'val'"),
    *((dict(per_class=number), f'per_class must be between 1 and 173.* got {number}')
      for number in (0, 174)),
    (dict(size=0), 'size must be a positive number of pixels, got 0'),
])
def test_bad_arguments(args, match):
    with pytest.raises(ValueError, match=match):
        DigitsDataset(**args)


def test_missing_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, 'sklearn.datasets', None)
    with pytest.raises(ImportError, match='pip install scikit-learn'):
        DigitsDataset()
