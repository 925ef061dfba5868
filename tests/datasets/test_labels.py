"""Labels through every wrapper, and never an image."""
import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset as MMEngineDataset
from mmengine.dataset import ClassBalancedDataset, ConcatDataset, RepeatDataset
from mmengine.registry import DATASETS
from mmpretrain.datasets import BaseDataset as PretrainDataset
from mmpretrain.datasets import MultiLabelDataset
from torch.utils.data import ConcatDataset as TorchConcat
from torch.utils.data import Subset

from mmips.datasets.labels import get_labels

LABELS = [2, 0, 1, 0, 2, 2, 1]


def load_image(results):
    raise AssertionError(f'{results} would be loaded')


class ListedMixin:
    """A dataset whose images do not exist."""

    def __init__(self, labels, **kwargs):
        self.labels = labels
        super().__init__(ann_file='', pipeline=[load_image], **kwargs)

    def load_data_list(self):
        return [dict(img_path=f'/nowhere/{i}.png', gt_label=label) if label is not ... else {}
                for i, label in enumerate(self.labels)]


@DATASETS.register_module(name='TestListed')
class Listed(ListedMixin, PretrainDataset):
    pass


class MMEngineListed(ListedMixin, MMEngineDataset):
    pass


class MultiListed(ListedMixin, MultiLabelDataset):
    pass


class Plain:
    """What a dataset of somebody else's may look like."""

    def __init__(self, labels):
        self.labels = labels

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        raise AssertionError('loaded')

    def get_gt_labels(self):
        return self.labels


def found(dataset):
    labels, ids = get_labels(dataset)
    for array in (labels, ids):
        assert isinstance(array, np.ndarray) and array.dtype == np.int64
        assert array.shape == (len(dataset), )
    return labels.tolist(), ids.tolist()


def truth(dataset):
    """Label and path of every index, by mmengine's own slow and certain way."""
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    return [info['gt_label'] for info in infos], [info['img_path'] for info in infos]


def agrees(dataset):
    """Labels are the dataset's, and ids are equal exactly where the image is."""
    labels, ids = found(dataset)
    expected, paths = truth(dataset)
    assert labels == expected
    assert len(set(zip(ids, paths))) == len(set(ids)) == len(set(paths))
    return labels, ids


class TestPlainDatasets:

    @pytest.mark.parametrize('kind', [Listed, MMEngineListed])
    def test_labels_in_order_and_ids_by_position(self, kind):
        assert found(kind(LABELS, lazy_init=True)) == (LABELS, list(range(7)))
        assert agrees(kind(LABELS, serialize_data=False, indices=[1, 4, 6]))[1] == [0, 1, 2]

    @pytest.mark.parametrize('as_array', [list, torch.tensor, lambda x: np.array(x, np.uint8)])
    def test_any_object_with_get_gt_labels(self, as_array):
        assert found(Plain(as_array(LABELS))) == (LABELS, list(range(7)))

    def test_options_named_like_a_wrapper_s(self):
        dataset = Plain(LABELS)
        dataset.times, dataset.indices = 3, [0]
        assert found(dataset) == (LABELS, list(range(7)))


class TestWrappers:

    @pytest.mark.parametrize('lazy_init', [True, False])
    def test_mmengine_s(self, lazy_init):
        whole, few, rare = (Listed(labels, lazy_init=lazy_init)
                            for labels in (LABELS, LABELS[:3], [0] * 12 + [1]))
        dataset = RepeatDataset(whole, times=3, lazy_init=lazy_init)
        assert agrees(dataset) == (LABELS * 3, list(range(7)) * 3)
        dataset = ConcatDataset([few, whole], lazy_init=lazy_init)
        assert found(dataset) == (LABELS[:3] + LABELS, list(range(10)))
        dataset = ClassBalancedDataset(rare, oversample_thr=.9, lazy_init=lazy_init)
        labels, ids = map(np.array, agrees(dataset))
        assert len(labels) > 13 and (ids[labels == 1] == 12).all()

    @pytest.mark.parametrize('indices', [[6, 0, 6], range(2, 5), torch.tensor([5, 6]), []])
    def test_torch_subset(self, indices):
        labels, ids = found(Subset(Listed(LABELS), indices))
        assert ids == [int(i) for i in indices]
        assert labels == [LABELS[i] for i in ids]

    def test_built_from_configs(self):
        """Repeat of ClassBalanced, then Concat of it with a KFold, as configs nest them."""
        inner = dict(type='TestListed', labels=[0] * 9 + [1])
        dataset = DATASETS.build(dict(
            type='RepeatDataset', times=2, dataset=dict(
                type='ConcatDataset', datasets=[
                    dict(type='ClassBalancedDataset', oversample_thr=.9, dataset=inner),
                    dict(type='mmpretrain.KFoldDataset', num_splits=2, dataset=inner)])))
        labels, ids = found(dataset)
        assert labels == truth(dataset)[0]
        half = len(ids) // 2
        assert ids[:half] == ids[half:]
        balanced = ids[:half - 5]
        # A fold is a copy of its dataset, so what it shares with another cannot be seen.
        assert set(balanced) == set(range(10)) and not set(balanced) & set(ids[half - 5:half])

    def test_concat_of_subsets_confuses_no_images(self):
        """Ids of a subset reach beyond its length: counting items made two images one."""
        first, second = Plain(LABELS), Plain([0, 1, 0])
        labels, ids = found(TorchConcat([Subset(first, [5, 6]), second]))
        assert labels == [2, 1, 0, 1, 0]
        assert len(set(ids)) == 5
        subsets = TorchConcat([Subset(first, [0, 1, 2]), Subset(first, [2, 3]), first])
        assert found(subsets)[1] == [0, 1, 2, 2, 3, *range(7)]
        copies = Subset(Subset(RepeatDataset(Listed(LABELS), 2), [3, 8, 1, 10]), [0, 3, 2, 1])
        assert found(copies) == ([LABELS[i] for i in (3, 3, 1, 1)], [3, 3, 1, 1])


ADVICE = "one label per image.*use partner='self'"


class TestRefused:

    @pytest.mark.parametrize('dataset, message', [
        (MultiListed([[0, 1], [1, 2]]), r'MultiListed must .* the first is array\(\[0, 1\]\)'),
        (MultiListed([[0, 1], [1]]), 'MultiListed has images without one label'),
        *((Listed(labels), 'Listed must have one integer label per image, but the first is')
          for labels in (['cat', 'dog'], [0, None], [0.5, 1.0], [True, False])),
        (Listed([0, 1, -1]), 'Listed has the negative label -1'),
        (ConcatDataset([Listed(LABELS), MMEngineListed([...])]),
         "MMEngineListed has images without one label: 'gt_label'")])
    def test_not_one_label(self, dataset, message):
        with pytest.raises(ValueError, match=f'{message}.*{ADVICE}'):
            get_labels(dataset)

    def test_datasets_that_do_not_tell(self):
        with pytest.raises(TypeError, match=f'Cannot read labels from list.*{ADVICE}'):
            get_labels(Subset([0, 1], [1]))
