import sys

import numpy as np
import pytest

pytest.importorskip('mmpretrain')
sklearn_datasets = pytest.importorskip('sklearn.datasets')

from mmips.datasets import DigitsDataset  # noqa: E402
from mmips.registry import DATASETS  # noqa: E402


def rows(dataset):
    infos = [super(DigitsDataset.__mro__[1], dataset).get_data_info(i) for i in range(len(dataset))]
    return [info['row'] for info in infos]


def test_train_and_test_are_a_stratified_partition():
    train = DATASETS.build(dict(type='mmips.DigitsDataset', split='train'))
    test = DigitsDataset('test')
    assert sorted(rows(train) + rows(test)) == list(range(1797))
    assert np.bincount(train.get_gt_labels()).tolist() == [10] * 10
    assert len(train) == 100 and len(test) == 1697
    assert train.metainfo['classes'] == tuple('0123456789')


def test_labels_belong_to_the_images():
    target = sklearn_datasets.load_digits().target
    test = DigitsDataset('test', per_class=30)
    np.testing.assert_array_equal(test.get_gt_labels(), target[rows(test)])


def test_seed_decides_the_split():
    one, again, two = (rows(DigitsDataset(seed=seed)) for seed in (1, 1, 2))
    assert one == again != two


def test_images_are_the_digits_enlarged():
    dataset, small = DigitsDataset(size=16), DigitsDataset(size=8)
    img = dataset[0]['img']
    assert img.shape == (16, 16, 3) and img.dtype == np.uint8
    assert (img[..., 0] == img[..., 1]).all() and (img[..., 0] == img[..., 2]).all()
    original = sklearn_datasets.load_digits().images[rows(small)[0]]
    np.testing.assert_array_equal(small[0]['img'][..., 0], np.round(original * 255 / 16))
    # Enlarging twofold keeps the mean of the picture up to its border.
    assert abs(img.mean() - small[0]['img'].mean()) < 8
    assert dataset.images.max() > 230


@pytest.mark.parametrize('args, match', [
    (dict(split='val'), "'train' or 'test', got 'val'"),
    (dict(per_class=174), 'per_class must be between 1 and 173.* got 174'),
    (dict(per_class=0), 'per_class must be between 1 and 173.* got 0'),
    (dict(size=0), 'size must be a positive number of pixels, got 0'),
])
def test_bad_arguments(args, match):
    with pytest.raises(ValueError, match=match):
        DigitsDataset(**args)


def test_missing_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, 'sklearn.datasets', None)
    with pytest.raises(ImportError, match='pip install scikit-learn'):
        DigitsDataset()
