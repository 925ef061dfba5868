"""Labels through every wrapper, and never an image."""
import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset as MMEngineDataset
from mmengine.dataset import ClassBalancedDataset, ConcatDataset, RepeatDataset
from mmengine.registry import DATASETS
from mmpretrain.datasets import BaseDataset as PretrainDataset
from mmpretrain.datasets import CustomDataset, KFoldDataset, MultiLabelDataset
from torch.utils.data import ConcatDataset as TorchConcat
from torch.utils.data import Subset

from mmips.datasets import labels as labels_module
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
        return [dict(img_path=f'/nowhere/{i}.png', gt_label=label)
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

    @pytest.mark.parametrize('serialize_data', [True, False])
    @pytest.mark.parametrize('lazy_init', [True, False])
    @pytest.mark.parametrize('test_mode', [True, False])
    @pytest.mark.parametrize('kind', [Listed, MMEngineListed])
    def test_labels_in_order_and_ids_by_position(self, kind, serialize_data, lazy_init, test_mode):
        dataset = kind(LABELS, serialize_data=serialize_data, lazy_init=lazy_init,
                       test_mode=test_mode)
        assert found(dataset) == (LABELS, list(range(7)))

    @pytest.mark.parametrize('serialize_data', [True, False])
    def test_short_way_gives_what_get_gt_labels_gives(self, serialize_data):
        labels = np.random.default_rng(0).integers(0, 1000, 500).tolist()
        dataset = Listed(labels, serialize_data=serialize_data)
        assert labels_module._is_stock(dataset)
        np.testing.assert_array_equal(get_labels(dataset)[0], dataset.get_gt_labels())

    @pytest.mark.parametrize('serialize_data', [True, False])
    @pytest.mark.parametrize('indices', [3, [1, 4, 6], -2])
    def test_indices_argument_of_a_dataset(self, serialize_data, indices):
        agrees(Listed(LABELS, serialize_data=serialize_data, indices=indices))

    def test_annotation_file_of_images_that_are_absent(self, tmp_path):
        (tmp_path / 'list.txt').write_text('a.jpg 1\nb.jpg 0\nc.jpg 1\n')
        dataset = CustomDataset(data_root=str(tmp_path), ann_file='list.txt',
                                metainfo=dict(classes=['x', 'y']), pipeline=[load_image])
        assert agrees(dataset) == ([1, 0, 1], [0, 1, 2])

    def test_cifar_from_its_metadata(self, tmp_path):
        """A dataset of mmpretrain's own that holds its images in memory."""
        from mmpretrain.datasets import CIFAR10

        class Tiny(CIFAR10):

            def load_data_list(self):
                return [dict(img=np.zeros((32, 32, 3), np.uint8), gt_label=i % 3)
                        for i in range(5)]

        assert found(Tiny(data_root=str(tmp_path), pipeline=[load_image]))[0] == [0, 1, 2, 0, 1]

    @pytest.mark.parametrize('as_array', [np.asarray, list, tuple, torch.tensor,
                                          lambda x: np.asarray(x, np.uint8)])
    def test_any_object_with_get_gt_labels(self, as_array):
        assert found(Plain(as_array(LABELS))) == (LABELS, list(range(7)))

    def test_numpy_labels_in_the_records(self):
        assert found(Listed([np.int64(1), np.int32(0), 1]))[0] == [1, 0, 1]

    def test_options_named_like_a_wrapper_s(self):
        dataset = Plain(LABELS)
        dataset.times, dataset.indices = 3, [0]
        assert found(dataset) == (LABELS, list(range(7)))


class TestOverrides:

    def test_get_data_info_is_respected(self):

        class Relabelled(Listed):

            def get_data_info(self, idx):
                info = super().get_data_info(idx)
                return dict(info, gt_label=info['gt_label'] + 10)

        assert agrees(Relabelled(LABELS))[0] == [label + 10 for label in LABELS]

    def test_get_gt_labels_is_respected(self):

        class Relabelled(Listed):

            def get_gt_labels(self):
                return np.arange(len(self))

        assert found(Relabelled(LABELS))[0] == list(range(7))

    def test_override_in_a_grandparent_is_respected(self):

        class Parent(Listed):

            def get_gt_labels(self):
                return np.zeros(len(self), int)

        class Child(Parent):
            pass

        assert found(Child(LABELS))[0] == [0] * 7

    def test_mmengine_dataset_with_its_own_get_data_info_only(self):
        class Odd(MMEngineListed):

            def get_data_info(self, idx):
                return super().get_data_info(idx)

        with pytest.raises(TypeError, match='Cannot read labels from Odd.*one label per image'):
            get_labels(Odd(LABELS))


class TestWrappers:

    @pytest.mark.parametrize('serialize_data', [True, False])
    @pytest.mark.parametrize('lazy_init', [True, False])
    def test_repeat(self, serialize_data, lazy_init):
        inner = Listed(LABELS, serialize_data=serialize_data, lazy_init=lazy_init)
        dataset = RepeatDataset(inner, times=3, lazy_init=lazy_init)
        labels, ids = get_labels(dataset)
        assert labels.tolist() == LABELS * 3 and ids.tolist() == list(range(7)) * 3
        agrees(dataset)

    @pytest.mark.parametrize('lazy_init', [True, False])
    def test_class_balanced(self, lazy_init):
        inner = Listed([0] * 12 + [1], lazy_init=lazy_init)
        dataset = ClassBalancedDataset(inner, oversample_thr=.9, lazy_init=lazy_init)
        labels, ids = get_labels(dataset)
        assert len(labels) > 13 and (ids[labels == 1] == 12).all()
        agrees(dataset)

    @pytest.mark.parametrize('lazy_init', [True, False])
    def test_concat(self, lazy_init):
        class Elsewhere(Listed):

            def load_data_list(self):
                return [dict(r, img_path='/else' + r['img_path']) for r in super().load_data_list()]

        parts = [kind(LABELS[:n], lazy_init=lazy_init) for kind, n in ((Listed, 3), (Elsewhere, 7))]
        dataset = ConcatDataset(parts, lazy_init=lazy_init)
        labels, ids = get_labels(dataset)
        assert labels.tolist() == LABELS[:3] + LABELS and ids.tolist() == list(range(10))
        agrees(dataset)

    @pytest.mark.parametrize('test_mode', [True, False])
    @pytest.mark.parametrize('seed', [None, 3])
    @pytest.mark.parametrize('serialize_data', [True, False])
    def test_k_fold(self, test_mode, seed, serialize_data):
        inner = dict(type='TestListed', labels=LABELS, serialize_data=serialize_data)
        dataset = KFoldDataset(inner, fold=1, num_splits=3, test_mode=test_mode, seed=seed)
        assert agrees(dataset)[0] == dataset.get_gt_labels().tolist()

    @pytest.mark.parametrize('indices', [[6, 0, 3], range(2, 5), [1, 1, 4], np.array([2, 1]),
                                         torch.tensor([5, 6])])
    def test_torch_subset(self, indices):
        labels, ids = found(Subset(Listed(LABELS), indices))
        assert ids == [int(i) for i in indices]
        assert labels == [LABELS[i] for i in ids]

    def test_empty_subset(self):
        assert found(Subset(Listed(LABELS), [])) == ([], [])

    def test_random_split(self):
        parts = torch.utils.data.random_split(Listed(LABELS), [4, 3])
        both = [found(part) for part in parts]
        assert sorted(both[0][1] + both[1][1]) == list(range(7))
        for labels, ids in both:
            assert labels == [LABELS[i] for i in ids]

    def test_wrappers_around_any_object(self):
        dataset = TorchConcat([Plain(LABELS), Plain(np.array([1, 1]))])
        assert found(dataset) == (LABELS + [1, 1], list(range(9)))


class TestNested:

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

    def test_repeat_of_concat_shares_ids_between_rounds_only(self):
        parts = [dict(type='TestListed', labels=labels) for labels in ([0, 1], [1, 0, 1])]
        dataset = DATASETS.build(dict(
            type='RepeatDataset', times=3, dataset=dict(type='ConcatDataset', datasets=parts)))
        assert found(dataset) == ([0, 1, 1, 0, 1] * 3, list(range(5)) * 3)

    def test_concat_of_subsets_confuses_no_images(self):
        """Ids of a subset reach beyond its length: counting items made two images one."""
        first, second = Plain(LABELS), Plain([0, 1, 0])
        labels, ids = found(TorchConcat([Subset(first, [5, 6]), second]))
        assert labels == [2, 1, 0, 1, 0]
        assert len(set(ids)) == 5

    def test_concat_of_overlapping_subsets_shares_the_ids_of_what_they_share(self):
        dataset = Plain(LABELS)
        _, ids = found(TorchConcat([Subset(dataset, [0, 1, 2]), Subset(dataset, [2, 3]), dataset]))
        assert ids == [0, 1, 2, 2, 3, *range(7)]

    def test_subset_of_subset_of_repeat(self):
        dataset = Subset(Subset(RepeatDataset(Listed(LABELS), 2), [3, 8, 1, 10]), [0, 3, 2, 1])
        assert found(dataset) == ([LABELS[i] for i in (3, 3, 1, 1)], [3, 3, 1, 1])


class TestNoImageIsLoaded:

    def test_the_pipeline_would_raise(self):
        with pytest.raises(AssertionError, match='would be loaded'):
            Listed(LABELS)[0]

    def test_not_through_any_wrapper_either(self, monkeypatch):
        for kind in (PretrainDataset, MMEngineDataset, RepeatDataset, ConcatDataset,
                     ClassBalancedDataset, Subset, TorchConcat):
            monkeypatch.setattr(kind, '__getitem__', load_image)
        inner = Listed(LABELS)
        get_labels(TorchConcat([
            RepeatDataset(inner, 2), ClassBalancedDataset(inner, .9), Subset(inner, [0]),
            ConcatDataset([inner, inner])]))


ADVICE = "one label per image.*use partner='self'"


class TestRefused:

    def test_multi_label(self):
        with pytest.raises(ValueError, match=rf'MultiListed.*the first is \[0, 1\].*{ADVICE}'):
            get_labels(MultiListed([[0, 1], [1, 2]]))

    @pytest.mark.parametrize('serialize_data', [True, False])
    def test_multi_label_of_different_lengths(self, serialize_data):
        with pytest.raises(ValueError, match=rf'the first is \[0, 1\].*{ADVICE}'):
            get_labels(MultiListed([[0, 1], [1]], serialize_data=serialize_data))

    def test_one_hot(self):
        with pytest.raises(ValueError, match=f'one integer label.*{ADVICE}'):
            get_labels(Plain(np.eye(3, dtype=int)))

    @pytest.mark.parametrize('labels', [['cat', 'dog'], [None, None], [0.5, 1.0], [0, None],
                                        [True, False]])
    def test_labels_that_are_no_whole_numbers(self, labels):
        with pytest.raises(ValueError, match=f'one integer label per image, but.*{ADVICE}'):
            get_labels(Listed(labels))

    def test_negative(self):
        with pytest.raises(ValueError, match=f'Listed has the negative label -1.*{ADVICE}'):
            get_labels(Listed([0, 1, -1]))

    def test_unlabeled_mmpretrain_dataset(self, tmp_path):
        (tmp_path / 'list.txt').write_text('a.jpg\nb.jpg\n')
        dataset = CustomDataset(data_root=str(tmp_path), ann_file='list.txt', with_label=False)
        with pytest.raises(ValueError, match=f"CustomDataset .*without 'gt_label'.*{ADVICE}"):
            get_labels(dataset)

    def test_unlabeled_part_of_a_concatenation(self):

        class Unlabeled(Listed):

            def load_data_list(self):
                return [dict(img_path='a.png')]

        with pytest.raises(ValueError, match=f"Unlabeled has images without 'gt_label'.*{ADVICE}"):
            get_labels(ConcatDataset([Listed(LABELS), Unlabeled([])]))

    def test_a_single_unlabeled_image(self):

        class Patchy(Listed):

            def load_data_list(self):
                records = super().load_data_list()
                del records[4]['gt_label']
                return records

        with pytest.raises(ValueError, match=f"Patchy has images without 'gt_label'.*{ADVICE}"):
            get_labels(Patchy(LABELS))

    @pytest.mark.parametrize('dataset', [[0, 1], torch.utils.data.TensorDataset(torch.zeros(3))])
    def test_datasets_that_do_not_tell(self, dataset):
        with pytest.raises(TypeError, match=f'Cannot read labels from {type(dataset).__name__}.'
                                            f'*{ADVICE}'):
            get_labels(dataset)

    def test_inside_a_wrapper_the_culprit_is_named(self):
        with pytest.raises(TypeError, match='Cannot read labels from list'):
            get_labels(Subset([0, 1], [1]))
