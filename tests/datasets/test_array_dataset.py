"""Data sets with their images in one array."""
import copy
import pickle

import numpy as np
import pytest

from mmips.datasets import ArrayDataset, BaseArrayDataset
from mmips.registry import DATASETS

LABELS = np.array([2, 0, 1, 0, 2, 1, 0, 2, 1, 0])


def numbered(count, *shape):
    """Images that hold their own number everywhere."""
    return np.broadcast_to(
        np.arange(count, dtype=np.uint8).reshape(-1, *[1] * len(shape)), (count, *shape)).copy()


def numbers(dataset):
    return [int(dataset[i]['img'].flat[0]) for i in range(len(dataset))]


def saved(folder, **arrays):
    np.savez(folder / 'set.npz', **arrays)
    return str(folder / 'set.npz')


@pytest.fixture
def npz(tmp_path):
    return saved(tmp_path, images_train=numbered(10, 4, 4, 3), labels_train=LABELS,
                 images_test=numbered(3, 4, 4, 3) + 100, labels_test=np.arange(3, dtype=np.uint8),
                 images_half=numbered(2, 2, 2), classes=np.array(['ant', 'bee', 'cow']))


@pytest.fixture
def pair(tmp_path):
    """Arguments for a pair of .npy files, and the images."""
    images = np.random.default_rng(0).integers(0, 256, (12, 5, 4, 3), dtype=np.uint8)
    np.save(tmp_path / 'x.npy', images)
    np.save(tmp_path / 'y.npy', np.arange(12) % 3)
    return dict(images='x.npy', labels='y.npy', data_root=str(tmp_path)), images


def test_splits_and_classes(npz, tmp_path):
    train = DATASETS.build(dict(type='mmips.ArrayDataset', ann_file=npz))
    test = ArrayDataset('set.npz', data_root=str(tmp_path), split='test', test_mode=True)
    assert numbers(train) == list(range(10)) and numbers(test) == [100, 101, 102]
    assert train.get_gt_labels().tolist() == LABELS.tolist()
    assert train.metainfo['classes'] == test.metainfo['classes'] == ('ant', 'bee', 'cow')
    assert ArrayDataset(npz, classes=['a', 'b', 'c']).metainfo['classes'] == ('a', 'b', 'c')


def test_keys_without_split_and_explicit_keys(tmp_path):
    npz = saved(tmp_path, images=numbered(4, 2, 2), labels=np.zeros(4, int),
                x=numbered(2, 2, 2, 1) + 50, y=np.ones(2, int))
    plain, named = ArrayDataset(npz), ArrayDataset(npz, images_key='x', labels_key='y')
    assert numbers(plain) == [0, 1, 2, 3] and numbers(named) == [50, 51]
    assert named.get_gt_labels().tolist() == [1, 1] and named.metainfo.get('classes') is None
    for grey in (plain, named):
        assert grey[1]['img'].shape == (2, 2, 3) and np.ptp(grey[1]['img']) == 0


def test_first_images_of_the_first_classes(npz):
    dataset = ArrayDataset(npz, max_classes=2, per_class=2)
    assert numbers(dataset) == [1, 2, 3, 5]
    assert dataset.get_gt_labels().tolist() == [0, 1, 0, 1]
    assert dataset.metainfo['classes'] == ('ant', 'bee')
    assert len(dataset.images) == 10  # no copy of the subset
    # A small class gives all it has.
    assert np.bincount(ArrayDataset(npz, per_class=4).get_gt_labels()).tolist() == [4, 3, 3]
    assert numbers(ArrayDataset(npz, index_range=(3, 7))) == [3, 4, 5, 6]
    # The two parts are the whole.
    rest = ArrayDataset(npz, max_classes=2, per_class=2, rest=True)
    assert not set(numbers(rest)) & set(numbers(dataset))
    assert sorted(numbers(rest) + numbers(dataset)) == numbers(ArrayDataset(npz, max_classes=2))


def test_seeded_subset(tmp_path):
    npz = saved(tmp_path, images=numbered(200, 1, 1), labels=np.arange(200) % 4)
    first, again, other = (ArrayDataset(npz, subset_seed=seed, per_class=10) for seed in (1, 1, 2))
    assert numbers(first) == numbers(again) != numbers(other)
    # Written down: results of others hang on it.
    assert numbers(first)[:4] == [11, 12, 14, 15]
    fewer = ArrayDataset(npz, subset_seed=1, max_classes=2, per_class=10)
    assert set(numbers(fewer)) == {n for n in numbers(first) if n % 4 < 2}


def test_a_sample_is_a_private_copy(pair):
    options, images = pair
    dataset = ArrayDataset(**options)
    sample = dataset[7]
    assert sample['gt_label'] == 7 % 3 and sample['sample_idx'] == 7
    assert sample['img_shape'] == sample['ori_shape'] == (5, 4)
    sample['img'][:] = 0
    np.testing.assert_array_equal(dataset[7]['img'], images[7])


def test_images_are_not_serialised_and_subsets_share_them(pair):
    options, images = pair
    dataset = ArrayDataset(**options, lazy_init=True)
    assert dataset._images is None
    subset = dataset.get_subset([3, 8])
    assert len(dataset.data_bytes) < images.nbytes
    assert subset.images is dataset.images and subset.get_gt_labels().tolist() == [0, 2]
    np.testing.assert_array_equal(subset[1]['img'], images[8])


def test_memory_map_is_reopened_after_pickling(pair):
    options, images = pair
    dataset = ArrayDataset(**options)
    data = pickle.dumps(dataset)
    assert pickle.loads(data)._images is None
    for other in (dataset, pickle.loads(data), copy.deepcopy(dataset)):
        np.testing.assert_array_equal(other[9]['img'], images[9])
        assert isinstance(other.images, np.memmap)


def test_labels_and_categories_need_no_image(pair, monkeypatch):
    dataset = ArrayDataset(**pair[0])
    monkeypatch.setattr(BaseArrayDataset, 'images', property(lambda self: 1 / 0))
    assert dataset.get_gt_labels().tolist() == [0, 1, 2] * 4 and dataset.get_cat_ids(5) == [2]
    with pytest.raises(ZeroDivisionError):
        dataset[0]


@pytest.mark.parametrize('args, error, match', [
    (dict(images='x.npy'), ValueError, "images='x.npy', labels=''"),
    (dict(ann_file='a.npz', images='x.npy', labels='y.npy'), ValueError, 'Give either'),
    (dict(ann_file='a.npy'), ValueError, "Give either ann_file='x.npz' .* got ann_file='a.npy'"),
    (dict(ann_file='no.npz'), FileNotFoundError, r'no.npz does not exist.*np.savez'),
    (dict(images='x.npy', labels='y.npy'), FileNotFoundError, 'x.npy does not exist'),
    (dict(ann_file='set.npz', classes=['a', 'b']), ValueError,
     'found label 2, but there are only 2 classes'),
    (dict(ann_file='set.npz', labels_key='y'), ValueError,
     r"no array 'y' for split='train', only .*'images_test'.*labels_key"),
    (dict(ann_file='set.npz', split='val'), ValueError, r"no array 'images' for split='val'"),
    # Half a split is not filled up.
    (dict(ann_file='set.npz', split='half'), ValueError, "no array 'labels_half'"),
    (dict(ann_file='set.npz', index_range=(3, 99)), ValueError, r'<= 10, .* got \(3, 99\)'),
    (dict(ann_file='set.npz', per_class=0), ValueError, 'per_class must be .* got 0'),
    (dict(ann_file='set.npz', index_range=(0, 1), max_classes=2), ValueError,
     'no image is left of the 10 images')])
def test_bad_arguments(args, error, match, npz, tmp_path):
    with pytest.raises(error, match=match):
        ArrayDataset(data_root=str(tmp_path), **args)


@pytest.mark.parametrize('name, array, match', [
    ('x', np.zeros((3, 4, 4, 3)), 'must be uint8 .* got float64'),
    ('x', np.zeros((3, 3, 4, 5), np.uint8), r'\(3, 3, 4, 5\).*transpose'),
    ('x', np.zeros((3, 4), np.uint8), r'shape .* got uint8 \(3, 4\)'),
    ('x', np.zeros((0, 4, 4, 3), np.uint8), 'no length 0'),
    ('y', np.zeros(12), 'must be integers .*got float64'),
    ('y', np.eye(12, dtype=int), r'shape \(12,\).* got int64 \(12, 12\)'),
    ('y', np.arange(12) - 1, 'number from 0 .* lowest -1')])
def test_bad_arrays(pair, tmp_path, name, array, match):
    np.save(tmp_path / f'{name}.npy', array)
    with pytest.raises(ValueError, match='x.npy: .*' + match):
        ArrayDataset(**pair[0])
