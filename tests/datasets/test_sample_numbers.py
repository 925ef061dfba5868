"""Whether datasets number their images, wrapped or not."""
import numpy as np
import pytest
import torch
from mmengine.dataset import ClassBalancedDataset, ConcatDataset, RepeatDataset
from torch.utils.data import Subset, TensorDataset

from mmips.datasets import ArrayDataset, ImagesOnDevice
from mmips.datasets.sample_numbers import count_numbers
from mmips.errors import UserError


@pytest.fixture
def dataset(tmp_path):
    np.save(tmp_path / 'x.npy', np.zeros((6, 4, 4, 3), np.uint8))
    np.save(tmp_path / 'y.npy', np.array([0, 0, 0, 0, 0, 1]))
    return ArrayDataset(images='x.npy', labels='y.npy', data_root=str(tmp_path))


def test_wrappers_are_seen_through(dataset):
    wrapped = (dataset, RepeatDataset(dataset, 3), ClassBalancedDataset(dataset, 0.9),
               ConcatDataset([dataset]), Subset(dataset, [5, 1]))
    for whole in wrapped:
        assert count_numbers(whole) == 6
        assert max(whole[index]['sample_idx'] for index in range(len(whole))) == 5


def test_whole_batches_number_all_images(dataset):
    part = dict(type='mmips.ArrayDataset', images='x.npy', labels='y.npy',
                data_root=dataset.data_root)
    assert count_numbers(ImagesOnDevice(dict(type='ConcatDataset', datasets=[part, part]))) == 12


def test_images_of_one_number_are_refused(dataset):
    with pytest.raises(UserError, match='ConcatDataset numbers the images of each of its 2 parts'):
        count_numbers(Subset(ConcatDataset([dataset, dataset]), [0]))
    with pytest.raises(UserError, match='TensorDataset gives its images no sample_idx'):
        count_numbers(TensorDataset(torch.zeros(2)))
