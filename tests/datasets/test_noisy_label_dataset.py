"""The noisy label reaches whoever asks, and nothing else changes."""
import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config
from mmengine.dataset import ClassBalancedDataset, Compose, ConcatDataset, RepeatDataset
from mmengine.logging import MMLogger
from mmengine.registry import DATASETS, init_default_scope
from mmpretrain.datasets import BaseDataset, CustomDataset, KFoldDataset
from mmpretrain.datasets.transforms import PackInputs
from torch.utils.data import ConcatDataset as TorchConcat
from torch.utils.data import DataLoader, Subset

import mmips
from mmips.config import sources, splits
from mmips.datasets import ArrayDataset, ImageFolder, NoisyLabelDataset
from mmips.datasets.labels import find_images, get_labels
from mmips.datasets.samplers import PairedClassSampler
from mmips.evaluation import data as inspection
from mmips.runs import loaders

LABELS = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 2, 2]
PACK = PackInputs(meta_keys=('sample_idx', 'clean_label'))


@DATASETS.register_module(name='NumberedImages')
class Listed(BaseDataset):
    """Images that are their own number."""

    def __init__(self, labels=LABELS, pipeline=(PACK, ), **kwargs):
        self.labels = labels
        super().__init__(ann_file='', pipeline=pipeline, **kwargs)

    def load_data_list(self):
        return [dict(img=np.full((2, 2, 3), i, np.uint8), gt_label=label)
                for i, label in enumerate(self.labels)]


def collate(samples):
    return samples


def packed(sample):
    """Number of the image, noisy and true label of a packed sample."""
    data = sample['data_samples']
    return int(sample['inputs'][0, 0, 0]), int(data.gt_label), data.clean_label


def told(dataset):
    """The noisy labels, after all ways to ask for them have agreed, and the true ones."""
    size = range(len(dataset))
    infos = [dataset.get_data_info(i) for i in size]
    noisy, clean = [info['gt_label'] for info in infos], [info['clean_label'] for info in infos]
    assert {type(label) for label in noisy + clean} == {int}
    samples = [packed(dataset[i]) for i in size]
    assert samples == [(info['img'][0, 0, 0], *pair)
                       for info, *pair in zip(infos, noisy, clean)]
    assert get_labels(dataset)[0].tolist() == noisy
    if isinstance(dataset, NoisyLabelDataset):
        assert dataset.get_gt_labels().tolist() == noisy
        assert [dataset.get_cat_ids(i) for i in size] == [[label] for label in noisy]
        assert dataset.clean_labels.tolist() == clean
        assert dataset.is_noisy.tolist() == [a != b for a, b in zip(noisy, clean)]
        assert {a.dtype for a in (dataset.get_gt_labels(), dataset.clean_labels)} == {
            np.dtype(np.int64)}
    return noisy, clean


class TestLabels:

    @pytest.mark.parametrize('options', [
        {}, dict(serialize_data=False), dict(lazy_init=True), dict(test_mode=True),
        dict(indices=[13, 4, 0, 7, 2, 5]), dict(indices=9)])
    @pytest.mark.parametrize('lazy', [True, False])
    def test_everybody_is_told_the_same(self, options, lazy):
        dataset = NoisyLabelDataset(Listed(**options), rate=.5, lazy_init=lazy)
        noisy, clean = told(dataset)
        assert clean == [LABELS[info['img'][0, 0, 0]]
                         for info in map(dataset.get_data_info, range(len(dataset)))]
        for label in set(clean):
            wrong = [a != b for a, b in zip(noisy, clean) if b == label]
            assert sum(wrong) == (len(wrong) + 1) // 2

    @settings(max_examples=25)
    @given(st.lists(st.integers(0, 3), min_size=2, max_size=40), st.integers(0, 100),
           st.integers(0, 1000))
    def test_exact_counts(self, labels, percent, seed):
        # mmengine collects garbage whenever it serializes, which takes long in a whole test run.
        inner = Listed(labels, metainfo=dict(classes='abcd'), serialize_data=False)
        dataset = NoisyLabelDataset(inner, percent / 100, seed=seed)
        for label in set(labels):
            mine = np.array(labels) == label
            assert (dataset.is_noisy & mine).sum() == (2 * percent * mine.sum() + 100) // 200
        assert dataset.clean_labels.tolist() == labels

    def test_asymmetric(self):
        inner = Listed(metainfo=dict(classes=['a', 'b', 'c']))
        dataset = NoisyLabelDataset(inner, rate=.5, kind='asymmetric', class_map={'a': 2})
        noisy, clean = told(dataset)
        assert [b for a, b in zip(noisy, clean) if a != b] == [0, 0]
        assert {a for a, b in zip(noisy, clean) if a != b} == {2}
        dataset = NoisyLabelDataset(inner, rate=1, kind='asymmetric', class_map='next')
        assert told(dataset)[0] == [(label + 1) % 3 for label in LABELS]

    def test_the_seed_of_the_training_changes_nothing(self):
        draws = []
        for seed in range(3):
            np.random.seed(seed), torch.manual_seed(seed)
            draws.append(NoisyLabelDataset(Listed(), .5).get_gt_labels().tolist())
        assert draws[0] == draws[1] == draws[2]
        assert draws[0] != NoisyLabelDataset(Listed(), .5, seed=1).get_gt_labels().tolist()

    def test_rate_zero_is_the_dataset_itself(self):
        assert told(NoisyLabelDataset(Listed(), 0)) == (LABELS, LABELS)

    def test_classes_without_an_image_are_targets_too(self):
        inner = Listed([0, 1] * 50, metainfo=dict(classes='abcd'))
        assert set(NoisyLabelDataset(inner, 1.).get_gt_labels()) == {0, 1, 2, 3}

    def test_negative_and_too_large_indices(self):
        dataset = NoisyLabelDataset(Listed(), .5)
        assert packed(dataset[-1]) == packed(dataset[13])
        assert dataset.get_data_info(-2)['sample_idx'] == 12
        with pytest.raises(IndexError):
            dataset[14]

    def test_what_is_returned_is_not_what_is_kept(self):
        dataset = NoisyLabelDataset(Listed(), .5)
        before = told(dataset)
        for array in (dataset.get_gt_labels(), dataset.clean_labels, dataset.is_noisy):
            array[:] = 0
        assert told(dataset) == before

    def test_a_log_line_with_the_number(self, caplog):
        logger = MMLogger.get_instance('noise')
        logger.addHandler(caplog.handler)
        NoisyLabelDataset(Listed(), .5, seed=3)
        expected = '7 of 14 images have a wrong label (symmetric noise, rate 0.5, seed 3)'
        assert expected in caplog.text


class TestTheWrappedDataset:

    def test_is_not_changed(self):
        inner = Listed()
        before = copy.deepcopy(inner.__dict__)
        told(NoisyLabelDataset(inner, .5))
        assert inner.get_gt_labels().tolist() == LABELS
        assert 'clean_label' not in inner.get_data_info(0)
        assert inner.__dict__.keys() == before.keys()
        np.testing.assert_array_equal(inner.data_bytes, before['data_bytes'])

    def test_metainfo_is_its_own_and_a_copy(self):
        dataset = NoisyLabelDataset(Listed(metainfo=dict(classes='abc')), .5)
        dataset.metainfo['classes'] = ()
        assert dataset.metainfo['classes'] == 'abc'

    def test_its_own_getitem_and_prepare_data_are_used(self):

        class Own(Listed):

            def prepare_data(self, idx):
                return dict(super().prepare_data(idx), prepared=True)

            def __getitem__(self, idx):
                return dict(super().__getitem__(idx), got=True)

        dataset = NoisyLabelDataset(Own(), .5)
        assert dataset[3]['prepared'] and dataset[3]['got']
        assert packed(dataset[3])[1] == dataset.get_gt_labels()[3]

    def test_an_image_that_replaces_a_broken_one_has_its_own_noisy_label(self):

        def break_most(results):
            return results if results['img'][0, 0, 0] in (4, 9, 11) else None

        dataset = NoisyLabelDataset(Listed(pipeline=[break_most, PACK]), .5)
        noisy = dataset.get_gt_labels()
        fetched = [packed(dataset[0]) for _ in range(30)]
        assert {number for number, *_ in fetched} == {4, 9, 11}
        assert all(label == noisy[number] and clean == LABELS[number]
                   for number, label, clean in fetched)

    @pytest.mark.parametrize('options, message', [
        (dict(test_mode=True), 'Test time pipline'), (dict(max_refetch=3), 'valid image after 3')])
    def test_its_limits_hold(self, options, message):
        seen = []
        dataset = NoisyLabelDataset(Listed(pipeline=[seen.append], **options), .5)
        with pytest.raises(Exception, match=message):
            dataset[0]
        assert len(seen) == (1 if 'test_mode' in options else 4)

    def test_a_pipeline_that_a_hook_switches_to(self):
        dataset = NoisyLabelDataset(Listed(), .5)
        dataset[0]
        dataset.dataset.pipeline = Compose([lambda results: results['gt_label']])
        assert [dataset[i] for i in range(14)] == dataset.get_gt_labels().tolist()


class TestKindsOfDatasets:

    def test_arrays_without_a_copy_of_an_image(self, npz):
        inner = ArrayDataset(str(npz), pipeline=[PACK])
        dataset = NoisyLabelDataset(inner, .5)
        assert [packed(x)[1:] for x in dataset] == list(
            zip(dataset.get_gt_labels().tolist(), inner.get_gt_labels().tolist()))
        assert not dataset.get_data_info(0).keys() & {'row'}
        own = {k: v for k, v in dataset.__dict__.items() if k not in ('dataset', '_parts')}
        assert len(pickle.dumps(own)) < 3000

    def test_a_memory_map_is_opened_once_after_unpickling(self, tmp_path, monkeypatch):
        np.save(tmp_path / 'x.npy', np.zeros((4, 2, 2, 3), np.uint8))
        np.save(tmp_path / 'y.npy', np.array([0, 1, 0, 1]))
        inner = ArrayDataset(images='x.npy', labels='y.npy', data_root=str(tmp_path),
                             pipeline=[PACK])
        dataset = pickle.loads(pickle.dumps(NoisyLabelDataset(inner, .5)))
        calls, load = [], ArrayDataset.load_arrays
        monkeypatch.setattr(ArrayDataset, 'load_arrays', lambda x: calls.append(1) or load(x))
        assert [packed(x)[1] for x in dataset] == dataset.get_gt_labels().tolist()
        assert len(calls) == 1

    @pytest.mark.parametrize('kind', [CustomDataset, ImageFolder])
    def test_folders(self, kind, tmp_path):
        from PIL import Image
        for number in range(12):
            folder = tmp_path / f'class{number % 3}'
            folder.mkdir(exist_ok=True)
            Image.fromarray(np.full((4, 4, 3), number, np.uint8)).save(folder / f'{number}.png')
        scope = 'mmips' if kind is ImageFolder else 'mmpretrain'
        init_default_scope('mmpretrain')
        dataset = NoisyLabelDataset(dict(
            type=f'{scope}.{kind.__name__}', data_root=str(tmp_path),
            pipeline=[dict(type='LoadImageFromFile'), PACK]), rate=1.)
        for index, sample in enumerate(dataset):
            number, label, clean = packed(sample)
            assert clean == number % 3 != label == dataset.get_gt_labels()[index]

    @pytest.mark.parametrize('again', [copy.copy, copy.deepcopy,
                                       lambda x: pickle.loads(pickle.dumps(x))])
    @pytest.mark.parametrize('lazy', [True, False])
    def test_copies(self, again, lazy):
        dataset = NoisyLabelDataset(Listed(), .5, lazy_init=lazy)
        assert told(again(dataset)) == told(dataset)

    def test_worker_processes(self):
        dataset = NoisyLabelDataset(Listed(), .5)
        loader = DataLoader(dataset, batch_size=3, num_workers=2, collate_fn=collate)
        assert [packed(x) for batch in loader for x in batch] == [packed(x) for x in dataset]


class TestWrappers:

    def test_repeat_below(self):
        """Copies of an image have one label, and it counts once."""
        dataset = NoisyLabelDataset(RepeatDataset(Listed(), 3), .5)
        noisy, clean = told(dataset)
        assert (noisy, clean) == (noisy[:14] * 3, LABELS * 3)
        assert noisy[:14] == NoisyLabelDataset(Listed(), .5).get_gt_labels().tolist()

    @pytest.mark.parametrize('lazy', [True, False])
    def test_concat_below_counts_over_all_parts(self, lazy):
        parts = [Listed(LABELS[:5], lazy_init=lazy), Listed(LABELS, lazy_init=lazy)]
        dataset = NoisyLabelDataset(ConcatDataset(parts, lazy_init=lazy), .5, lazy_init=lazy)
        noisy, clean = told(dataset)
        assert clean == LABELS[:5] + LABELS
        whole = NoisyLabelDataset(Listed(LABELS[:5] + LABELS), .5)
        assert noisy == whole.get_gt_labels().tolist()

    def test_k_fold_below(self):
        dataset = NoisyLabelDataset(dict(
            type='mmpretrain.KFoldDataset', fold=1, num_splits=2, seed=1,
            dataset=dict(type='NumberedImages')), .5)
        noisy, clean = told(dataset)
        assert len(noisy) == 7 and sum(dataset.is_noisy) >= 3

    def test_class_balanced_below(self):
        inner = ClassBalancedDataset(Listed([0] * 12 + [1, 1]), oversample_thr=.9)
        dataset = NoisyLabelDataset(inner, .5)
        told(dataset)
        assert len(dataset) > 14
        ids = get_labels(dataset)[1]
        assert len(np.unique(ids[dataset.is_noisy])) == 7

    def test_subset_below_draws_among_its_images(self):
        places = [0, 3, 6, 9, 9, 1]
        dataset = NoisyLabelDataset(Subset(Listed(), places), .5)
        noisy, clean = told(dataset)
        assert clean == [LABELS[i] for i in places] and noisy[3] == noisy[4]
        assert sum(dataset.is_noisy[[0, 1, 2, 3]]) == 2 and dataset.is_noisy[5]

    @pytest.mark.parametrize('options', [
        dict(type='RepeatDataset', times=2), dict(type='ConcatDataset'),
        dict(type='ClassBalancedDataset', oversample_thr=.9)], ids=lambda x: x['type'])
    def test_around(self, options):
        # From configs: mmengine's wrappers refuse instances of wrappers.
        noisy = dict(type='mmips.NoisyLabelDataset', dataset=Listed(), rate=.5)
        single = DATASETS.build(noisy).get_gt_labels()
        inner = (dict(datasets=[noisy, noisy]) if options['type'] == 'ConcatDataset' else
                 dict(dataset=noisy))
        dataset = DATASETS.build({**options, **inner})
        found = told(dataset)
        images = [info['sample_idx'] for info in map(dataset.get_data_info, range(len(dataset)))]
        assert found == ([single[i] for i in images], [LABELS[i] for i in images])
        assert set(images) == set(range(14)) and len(images) > 14

    def test_torch_subset_around(self):
        dataset = NoisyLabelDataset(Listed(), .5)
        labels, ids = get_labels(Subset(dataset, [3, 1]))
        assert labels.tolist() == dataset.get_gt_labels()[[3, 1]].tolist()
        assert ids.tolist() == [3, 1]

    def test_noise_on_one_part_only(self):
        inner = Listed()
        noisy = NoisyLabelDataset(inner, 1.)
        labels, ids = get_labels(TorchConcat([inner, noisy]))
        assert labels.tolist() == LABELS + noisy.get_gt_labels().tolist()
        assert ids.tolist() == list(range(14)) * 2

    def test_twice_is_refused(self):
        with pytest.raises(ValueError, match='a wrapper below has changed already.*Use one only'):
            NoisyLabelDataset(NoisyLabelDataset(Listed(), .5), .2)

    def test_find_images(self):
        a, b = Listed(LABELS[:2]), Listed(LABELS)
        parts, labels, places = find_images(TorchConcat([a, RepeatDataset(b, 2), a]))
        assert parts == [a, b] and labels.tolist() == LABELS[:2] + LABELS
        assert places.tolist() == [0, 1, *range(2, 16), *range(2, 16), 0, 1]


class TestRefused:

    @pytest.mark.parametrize('options, message', [
        (dict(rate=1.1), 'rate must be a number from 0 to 1, but got 1.1'),
        (dict(rate='20%'), "rate must be a number from 0 to 1, but got '20%'"),
        (dict(seed=-1), 'seed must be a whole number and not negative, but got -1'),
        (dict(kind='random'), r"kind must be one of \('symmetric', 'asymmetric'\).*got 'random'"),
        (dict(kind='asymmetric'), 'needs a class_map.*class_map=None'),
        (dict(class_map='next'), "kind='symmetric' does not take, but got.*class_map='next'"),
        (dict(kind='asymmetric', class_map={0: 3}), 'the class 3 does not exist'),
        (dict(kind='asymmetric', class_map={'cat': 0}), "the class 'cat' does not exist"),
        (dict(kind='asymmetric', class_map='cifar100'), 'needs the 100 class names of CIFAR-100'),
    ])
    def test_arguments(self, options, message):
        with pytest.raises(ValueError, match=message):
            NoisyLabelDataset(Listed(), **options)

    @pytest.mark.parametrize('options', [dict(rate=2), dict(seed=.5), dict(kind='x'),
                                         dict(class_map={})])
    def test_arguments_before_the_dataset_is_built(self, options):
        with pytest.raises(ValueError, match=next(iter(options))):
            NoisyLabelDataset(dict(type='NoSuchDataset'), **options)

    def test_one_class(self):
        with pytest.raises(ValueError, match='at least two classes, but there is 1'):
            NoisyLabelDataset(Listed([0, 0, 0]), .5)

    def test_labels_beyond_the_named_classes(self):
        with pytest.raises(ValueError, match='Label 2 is not one of the 2 classes'):
            NoisyLabelDataset(Listed(metainfo=dict(classes='ab')), .5)

    def test_no_labels(self, tmp_path):
        (tmp_path / 'list.txt').write_text('a.jpg\nb.jpg\n')
        inner = CustomDataset(data_root=str(tmp_path), ann_file='list.txt', with_label=False)
        with pytest.raises(ValueError, match="images without 'gt_label'.*one label per image"):
            NoisyLabelDataset(inner)

    def test_several_labels(self):
        with pytest.raises(ValueError, match='must have one integer label per image'):
            NoisyLabelDataset(Listed([[0, 1], [1, 2]]))

    def test_a_dataset_that_is_none_of_mmengine_s(self):
        """Its own __getitem__ would go on giving true labels."""

        class Foreign:
            metainfo: dict = {}

            def get_gt_labels(self):
                return np.array([0, 1])

        with pytest.raises(TypeError, match="mmengine's BaseDataset, but got Foreign"):
            NoisyLabelDataset(Foreign())

    def test_a_fold_around(self):
        with pytest.raises(NotImplementedError, match='NoisyLabelDataset has no subsets'):
            KFoldDataset(dict(type='mmips.NoisyLabelDataset', dataset=Listed()))


class TestPairs:

    @pytest.mark.parametrize('below', [False, True])
    def test_share_the_noisy_label_and_are_two_images(self, below):
        inner = Listed([k % 3 for k in range(60)])
        dataset = NoisyLabelDataset(RepeatDataset(inner, 2) if below else inner, .5)
        noisy, (_, ids) = dataset.get_gt_labels(), get_labels(dataset)
        mixed = 0
        for epoch in range(3):
            sampler = PairedClassSampler(dataset, seed=0)
            sampler.set_epoch(epoch)
            query, partner = np.array(list(sampler)).reshape(-1, 2).T
            assert (noisy[query] == noisy[partner]).all()
            assert (ids[query] != ids[partner]).all()
            mixed += (dataset.clean_labels[query] != dataset.clean_labels[partner]).sum()
        assert mixed


def noisy_train(name='ips/resnet-s_ips_npz.py', **options):
    """Options that put noise over the training set of a shipped config."""
    inner = Config.fromfile(mmips.cfg(name)).train_dataloader.dataset
    inner.pipeline[-1]['meta_keys'] = ('sample_idx', 'clean_label')
    return {'train_dataloader.dataset': dict(
        _delete_=True, type='mmips.NoisyLabelDataset', rate=.5, dataset=inner, **options)}


def final_state(runner):
    checkpoint = torch.load(f'{runner.work_dir}/epoch_3.pth', weights_only=False)
    momentum = checkpoint['optimizer']['state']
    return [*checkpoint['state_dict'].values(),
            *(momentum[key]['momentum_buffer'] for key in sorted(momentum))]


class TestTraining:

    def test_with_pairs_a_worker_and_a_resume_to_the_same_bits(self, make_runner, monkeypatch):
        options = {**noisy_train(), 'train_dataloader.num_workers': 1}
        whole = make_runner(work_dir='whole', **options)
        batches, step = [], type(whole.model).train_step

        def spy(model, data, optim_wrapper):
            batches.append([(x.sample_idx, int(x.gt_label), x.clean_label)
                            for x in data['data_samples']])
            return step(model, data, optim_wrapper)

        monkeypatch.setattr(type(whole.model), 'train_step', spy)
        whole.train()
        dataset = whole.train_dataloader.dataset
        noisy, clean = dataset.get_gt_labels(), dataset.clean_labels
        assert dataset.is_noisy.sum() == 12
        samples = [sample for batch in batches for sample in batch]
        assert all((label, true) == (noisy[i], clean[i]) for i, label, true in samples)
        assert all(a[1] == b[1] and a[0] != b[0]
                   for batch in batches for a, b in zip(batch[::2], batch[1::2]))

        with pytest.raises(InterruptedError):
            make_runner(work_dir='killed', stop_at=4, **options).train()
        torch.manual_seed(99), np.random.seed(99)
        resumed = make_runner(work_dir='killed', resume=True, **options)
        resumed.train()
        assert all(map(torch.equal, final_state(whole), final_state(resumed)))


class TestTools:

    @pytest.fixture
    def config(self, npz, tmp_path):
        base = mmips.cfg('ips/resnet-s_ips_npz.py')
        path = tmp_path / 'noisy.py'
        path.write_text(f"""_base_ = {base!r}

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmips.NoisyLabelDataset',
        rate=0.5,
        dataset=_base_.train_dataloader.dataset))
""")
        child = tmp_path / 'asymmetric.py'
        child.write_text("_base_ = './noisy.py'\ntrain_dataloader = dict(dataset=dict(rate=1, "
                         "kind='asymmetric', class_map={0: 1, 2: 3}))\n")
        init_default_scope('mmpretrain')
        return child

    def test_a_config_that_inherits_and_its_dump(self, config, tmp_path):
        for path in (config, tmp_path / 'dump.py'):
            cfg = Config.fromfile(path)
            dataset = DATASETS.build(cfg.train_dataloader.dataset)
            assert dataset.get_gt_labels().tolist() == [1] * 12 + [3] * 12
            cfg.dump(str(tmp_path / 'dump.py'))

    def test_the_training_set_in_the_test_pipeline(self, config):
        cfg = Config.fromfile(config)
        splits.prepare_split(cfg, 'train', 'config')
        assert cfg.train_dataloader.dataset.dataset.pipeline == cfg.test_dataloader.dataset.pipeline
        loader = loaders.build_loader(cfg, 'train', max_images=6)
        labels = [int(x.gt_label) for batch in loader for x in batch['data_samples']]
        assert labels == [1, 1, 1, 3, 3, 3]

    def test_the_check_of_data_sees_through(self, config):
        cfg = Config.fromfile(config).train_dataloader.dataset
        assert [key for key, _ in sources.iter_datasets(cfg, 'x')] == ['x.dataset']
        report = inspection.inspect_split('train', cfg)
        assert not report.findings and (report.images, report.epoch) == (24, 24)
        cfg.rate = 3
        report = inspection.inspect_split('train', cfg)
        assert 'rate must be a number from 0 to 1, but got 3' in str(report.findings)
