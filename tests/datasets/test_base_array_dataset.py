"""What every dataset with its images in one array must do, shown on the array dataset."""
import copy
import pickle

import numpy as np
import pytest

from mmips.datasets import ArrayDataset, BaseArrayDataset


@pytest.fixture
def npy_pair(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, 5, 4, 3), dtype=np.uint8)
    np.save(tmp_path / 'x.npy', images)
    np.save(tmp_path / 'y.npy', np.arange(12) % 3)
    return tmp_path, images


def build(npy_pair, **kwargs):
    return ArrayDataset(images='x.npy', labels='y.npy', data_root=str(npy_pair[0]), **kwargs)


def test_a_sample_is_a_private_copy(npy_pair):
    dataset = build(npy_pair)
    sample = dataset[7]
    assert sample['gt_label'] == 7 % 3 and sample['sample_idx'] == 7
    assert sample['img_shape'] == sample['ori_shape'] == (5, 4)
    np.testing.assert_array_equal(sample['img'], npy_pair[1][7])
    sample['img'][:] = 0
    np.testing.assert_array_equal(dataset[7]['img'], npy_pair[1][7])


def test_images_are_not_serialised_and_subsets_share_them(npy_pair):
    dataset = build(npy_pair, lazy_init=True)
    assert dataset._images is None and 'x.npy' in repr(dataset)
    subset = dataset.get_subset([3, 8])
    assert len(dataset.data_bytes) < 12 * 60 < npy_pair[1].nbytes + 1
    assert subset.images is dataset.images and subset.get_gt_labels().tolist() == [0, 2]
    np.testing.assert_array_equal(subset[1]['img'], npy_pair[1][8])


def test_memory_map_is_reopened_after_pickling(npy_pair):
    dataset = build(npy_pair)
    assert isinstance(dataset.images, np.memmap)
    data = pickle.dumps(dataset)
    assert pickle.loads(data)._images is None
    for other in (pickle.loads(data), copy.deepcopy(dataset)):
        np.testing.assert_array_equal(other[9]['img'], npy_pair[1][9])
        assert isinstance(other.images, np.memmap)


def test_labels_and_categories_need_no_image(npy_pair, monkeypatch):
    dataset = build(npy_pair)
    monkeypatch.setattr(BaseArrayDataset, 'images', property(lambda self: 1 / 0))
    labels = dataset.get_gt_labels()
    assert labels.dtype == np.int64 and labels.tolist() == [0, 1, 2] * 4
    assert dataset.get_cat_ids(5) == [2]
    with pytest.raises(ZeroDivisionError):
        dataset[0]


@pytest.mark.parametrize('name, array, match', [
    ('x', np.zeros((3, 4, 4, 3)), 'must be uint8 .* got float64'),
    ('x', np.zeros((3, 3, 4, 5), np.uint8), r'\(3, 3, 4, 5\).*transpose'),
    ('x', np.zeros((3, 4), np.uint8), r'shape .* got \(3, 4\)'),
    ('x', np.zeros((0, 4, 4, 3), np.uint8), 'no length of 0'),
    ('y', np.zeros(12), 'must be integers, got float64'),
    ('y', np.eye(12, dtype=int), r'shape \(12,\).* got \(12, 12\)'),
    ('y', np.arange(12) - 1, 'class number from 0 .* lowest -1')])
def test_bad_arrays(npy_pair, name, array, match):
    np.save(npy_pair[0] / f'{name}.npy', array)
    with pytest.raises((TypeError, ValueError), match='x.npy: .*' + match):
        build(npy_pair)
