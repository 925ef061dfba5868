"""Labels through every wrapper; the images do not exist."""
import numpy as np
import pytest
import torch
from helpers.labels import Listed, ListedMixin
from mmengine.dataset import BaseDataset as MMEngineDataset
from mmengine.dataset import ClassBalancedDataset, ConcatDataset, RepeatDataset
from mmengine.registry import DATASETS
from mmpretrain.datasets import MultiLabelDataset
from torch.utils.data import ConcatDataset as TorchConcat
from torch.utils.data import Subset

from mmips.datasets.labels import get_labels

LABELS = [2, 0, 1, 0, 2, 2, 1]


class MMEngineListed(ListedMixin, MMEngineDataset):
    pass


class MultiListed(ListedMixin, MultiLabelDataset):
    pass


class Plain(list):
    """What a dataset of somebody else's may look like; options named like a wrapper's."""

    times, indices = 3, [0]

    def get_gt_labels(self):
        return self[0] if len(self) == 1 else list(self)


def found(dataset):
    labels, ids = get_labels(dataset)
    assert labels.dtype == ids.dtype == np.int64
    return labels.tolist(), ids.tolist()


def agrees(dataset):
    """Labels are the dataset's, and ids are equal exactly where the image is."""
    labels, ids = found(dataset)
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    paths = [info['img_path'] for info in infos]
    assert labels == [info['gt_label'] for info in infos]
    assert len(set(zip(ids, paths))) == len(set(ids)) == len(set(paths))
    return labels, ids


@pytest.mark.parametrize('dataset', [
    Listed(LABELS, lazy_init=True), MMEngineListed(LABELS, lazy_init=True), Plain(LABELS),
    Plain([torch.tensor(LABELS)]), Plain([np.array(LABELS, np.uint8)])])
def test_plain_datasets(dataset):
    assert found(dataset) == (LABELS, list(range(7)))


def test_an_option_of_a_plain_dataset():
    assert agrees(Listed(LABELS, serialize_data=False, indices=[1, 4, 6]))[1] == [0, 1, 2]


@pytest.mark.parametrize('lazy_init', [True, False])
def test_wrappers_of_mmengine(lazy_init):
    whole, few, rare = (Listed(labels, lazy_init=lazy_init)
                        for labels in (LABELS, LABELS[:3], [0] * 12 + [1]))
    assert agrees(RepeatDataset(whole, 3, lazy_init=lazy_init)) == (LABELS * 3, [*range(7)] * 3)
    assert found(ConcatDataset([few, whole], lazy_init=lazy_init)) == (
        LABELS[:3] + LABELS, list(range(10)))
    labels, ids = map(np.array, agrees(ClassBalancedDataset(rare, .9, lazy_init=lazy_init)))
    assert len(labels) > 13 and (ids[labels == 1] == 12).all()


@pytest.mark.parametrize('indices', [[6, 0, 6], range(2, 5), torch.tensor([5, 6]), []])
def test_torch_subset(indices):
    places = [int(i) for i in indices]
    assert found(Subset(Listed(LABELS), indices)) == ([LABELS[i] for i in places], places)


def test_wrappers_nested_in_a_config():
    inner = dict(type='TestListed', labels=[0] * 9 + [1])
    dataset = DATASETS.build(dict(
        type='RepeatDataset', times=2, dataset=dict(
            type='ConcatDataset', datasets=[
                dict(type='ClassBalancedDataset', oversample_thr=.9, dataset=inner),
                dict(type='mmpretrain.KFoldDataset', num_splits=2, dataset=inner)])))
    labels, ids = found(dataset)
    assert labels == [dataset.get_data_info(i)['gt_label'] for i in range(len(dataset))]
    half = len(ids) // 2
    assert ids[:half] == ids[half:]
    # A fold is a copy of its dataset, so what it shares with another cannot be seen.
    balanced = set(ids[:half - 5])
    assert balanced == set(range(10)) and not balanced & set(ids[half - 5:half])


def test_concat_of_subsets_confuses_no_images():
    """Ids of a subset reach beyond its length: counting items made two images one."""
    first, second = Plain(LABELS), Plain([0, 1, 0])
    labels, ids = found(TorchConcat([Subset(first, [5, 6]), second]))
    assert labels == [2, 1, 0, 1, 0] and len(set(ids)) == 5
    subsets = TorchConcat([Subset(first, [0, 1, 2]), Subset(first, [2, 3]), first])
    assert found(subsets)[1] == [0, 1, 2, 2, 3, *range(7)]
    copies = Subset(Subset(RepeatDataset(Listed(LABELS), 2), [3, 8, 1, 10]), [0, 3, 2, 1])
    assert found(copies) == ([LABELS[i] for i in (3, 3, 1, 1)], [3, 3, 1, 1])


@pytest.mark.parametrize('dataset, message', [
    (MultiListed([[0, 1], [1, 2]]), r'MultiListed must .* but has array\(\[0, 1\]\)'),
    (MultiListed([[0, 1], [1]]), 'Cannot read one label per image from MultiListed'),
    *((Listed(labels), 'Listed must have one integer label from 0 per image, but has')
      for labels in (['cat', 'dog'], [0, None], [0.5, 1.0], [True, False], [0, 1, -1],
                     [0, 10**9])),
    (ConcatDataset([Listed(LABELS), MMEngineListed([...])]),
     "Cannot read one label per image from MMEngineListed: 'gt_label'"),
    (Subset([0, 1], [1]), 'Cannot read one label per image from list')])
def test_refused(dataset, message):
    with pytest.raises(ValueError, match=f"{message}.*use partner='self'"):
        get_labels(dataset)
