"""The noisy label reaches whoever asks, and nothing else changes."""
import copy
import pickle

import numpy as np
import pytest
from helpers import labels
from mmengine.config import Config
from mmengine.dataset import Compose, RepeatDataset
from mmengine.logging import MMLogger
from mmengine.registry import DATASETS, init_default_scope
from mmpretrain.datasets import KFoldDataset
from mmpretrain.datasets.transforms import PackInputs

import mmips
from mmips.config import splits
from mmips.datasets import NoisyLabelDataset
from mmips.datasets.labels import get_labels
from mmips.runs import loaders

LABELS = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 2, 2]
PACK = PackInputs(meta_keys=('sample_idx', 'clean_label'))


class Listed(labels.Listed):
    """Images that are their own number."""

    def __init__(self, pipeline=(PACK, ), **kwargs):
        super().__init__(LABELS, pipeline, **kwargs)


def packed(sample):
    """Number of the image, noisy and true label of a packed sample."""
    data = sample['data_samples']
    return int(sample['inputs'][0, 0, 0]), int(data.gt_label), data.clean_label


def told(dataset):
    """The noisy labels, after all ways to ask for them have agreed, and the true ones."""
    size = range(len(dataset))
    infos = [dataset.get_data_info(i) for i in size]
    noisy, clean = [info['gt_label'] for info in infos], [info['clean_label'] for info in infos]
    assert [packed(dataset[i]) for i in size] == [
        (info['img'][0, 0, 0], *pair) for info, *pair in zip(infos, noisy, clean)]
    # As a sampler of pairs asks.
    assert get_labels(dataset)[0].tolist() == noisy
    if isinstance(dataset, NoisyLabelDataset):
        assert dataset.get_gt_labels().tolist() == noisy
        assert [dataset.get_cat_ids(i) for i in size] == [[label] for label in noisy]
        assert dataset.clean_labels.tolist() == clean
        assert dataset.is_noisy.tolist() == [a != b for a, b in zip(noisy, clean)]
    return noisy, clean


@pytest.mark.parametrize('options', [
    {}, dict(serialize_data=False), dict(lazy_init=True, indices=[13, 4, 0, 7, 2, 5])])
def test_everybody_is_told_the_same(options):
    dataset = NoisyLabelDataset(Listed(**options), rate=.5)
    noisy, clean = told(dataset)
    for label in set(clean):
        wrong = [a != b for a, b in zip(noisy, clean) if b == label]
        assert sum(wrong) == (len(wrong) + 1) // 2
    assert packed(dataset[-1])[1] == noisy[-1]
    assert 'clean_label' not in dataset.dataset.get_data_info(0), 'the data set was changed'
    assert dataset.dataset.get_gt_labels().tolist() == clean
    for again in (copy.deepcopy(dataset), pickle.loads(pickle.dumps(dataset))):
        assert told(again) == (noisy, clean)


def test_asymmetric():
    inner = Listed(metainfo=dict(classes=['a', 'b', 'c']))
    dataset = NoisyLabelDataset(inner, rate=.5, kind='asymmetric', class_map={'a': 2})
    assert [pair for pair in zip(*told(dataset)) if pair[0] != pair[1]] == [(2, 0)] * 2


def test_its_own_seed_alone_decides(caplog):
    MMLogger.get_instance('noise').addHandler(caplog.handler)
    first = told(NoisyLabelDataset(Listed(), .5, seed=3))
    np.random.seed(1)
    assert told(NoisyLabelDataset(Listed(), .5, seed=3)) == first
    assert told(NoisyLabelDataset(Listed(), .5, seed=1)) != first
    assert '7 of 14 images have a wrong label (symmetric noise, rate 0.5, seed 3)' in caplog.text


def test_the_data_sets_own_getitem_is_used():

    class Own(Listed):

        def __getitem__(self, idx):
            return dict(super().__getitem__(idx), got=True)

    def break_most(results):
        return results if results['img'][0, 0, 0] in (4, 9, 11) else None

    dataset = NoisyLabelDataset(Own(), .5)
    assert dataset[4]['got'] and packed(dataset[4])[1] == dataset.get_gt_labels()[4]
    # A pipeline that a hook switches to; an image that replaces a broken one has its own label.
    dataset.dataset.pipeline = Compose([break_most, PACK])
    fetched = {packed(dataset[0]) for _ in range(30)}
    assert fetched == {(i, dataset.get_gt_labels()[i], LABELS[i]) for i in (4, 9, 11)}


@pytest.mark.parametrize('options', [
    dict(type='RepeatDataset', times=2), dict(type='ConcatDataset'),
    dict(type='ClassBalancedDataset', oversample_thr=.9)], ids=lambda x: x['type'])
def test_wrappers_around(options):
    # From configs: mmengine's wrappers refuse instances of wrappers.
    noisy = dict(type='mmips.NoisyLabelDataset', dataset=Listed(), rate=.5)
    single = DATASETS.build(noisy).get_gt_labels()
    inner = dict(datasets=[noisy, noisy]) if options['type'] == 'ConcatDataset' else dict(
        dataset=noisy)
    dataset = DATASETS.build({**options, **inner})
    found = told(dataset)
    images = [info['sample_idx'] for info in map(dataset.get_data_info, range(len(dataset)))]
    assert found == ([single[i] for i in images], [LABELS[i] for i in images])
    assert set(images) == set(range(14)) and len(images) > 14


def test_all_that_the_data_set_has():
    inner = Listed(metainfo=dict(classes=['a', 'b', 'c']))
    dataset = NoisyLabelDataset(inner, rate=.5)
    assert isinstance(dataset, type(inner)) and type(dataset).__name__ == 'NoisyLabelDataset'
    assert {*dir(inner)} <= {*dir(dataset)} and all(hasattr(dataset, name) for name in dir(inner))
    assert dataset.metainfo == inner.metainfo and dataset.CLASSES == ['a', 'b', 'c']
    assert dataset.prepare_data(3)['data_samples'].gt_label == dataset.get_gt_labels()[3]
    assert dataset.filter_data() == inner.filter_data() and repr(dataset).startswith(
        'Dataset NoisyLabelDataset\n    Number of samples: \t14')
    # Browsing tools replace the pipeline of what they are given.
    dataset.pipeline = Compose([lambda results: results['gt_label']])
    assert [*map(dataset.__getitem__, range(14))] == dataset.get_gt_labels().tolist()


@pytest.mark.parametrize('serialize_data', [True, False])
@pytest.mark.parametrize('indices, places', [
    (3, [0, 1, 2]), (-2, [12, 13]), ([5, 1], [5, 1]), (0, [])])
def test_subsets(serialize_data, indices, places):
    whole = NoisyLabelDataset(Listed(serialize_data=serialize_data), rate=.5)
    noisy, clean = told(whole)
    part = whole.get_subset(indices)
    assert [packed(sample)[0] for sample in map(part.__getitem__, range(len(part)))] == places
    assert told(part) == ([noisy[i] for i in places], [clean[i] for i in places])
    assert told(whole) == (noisy, clean), 'the whole was cut'
    whole.get_subset_(indices)
    assert told(whole) == told(part)


def test_lazily(caplog):
    MMLogger.get_instance('noise').addHandler(caplog.handler)
    lazy = dict(type='mmips.NoisyLabelDataset', rate=.5, lazy_init=True, dataset=dict(
        type='TestListed', labels=LABELS, pipeline=[PACK], lazy_init=True))
    dataset = DATASETS.build(lazy)
    assert not dataset._fully_initialized and 'have a wrong label' not in caplog.text
    dataset.full_init()
    assert told(dataset) == told(NoisyLabelDataset(Listed(), .5))
    # Whoever asks first reads the labels.
    for ask in (len, NoisyLabelDataset.get_gt_labels, lambda x: x[0], lambda x: x.get_subset(2),
                lambda x: x.get_data_info(0), lambda x: x.get_cat_ids(0), lambda x: x.is_noisy):
        asked = DATASETS.build(lazy)
        ask(asked)
        assert asked._fully_initialized and told(asked) == told(dataset)


def test_a_seed_of_the_data_sets_own():

    class Seeded(Listed):
        def __init__(self):
            super().__init__()
            self.seed, self.kind = 7, 'own'

        def __getitem__(self, idx):
            return dict(super().__getitem__(idx), seed=self.seed, kind=self.kind)

    sample = NoisyLabelDataset(Seeded(), .5, seed=3)[0]
    assert (sample['seed'], sample['kind']) == (7, 'own')


def test_folds_around():
    first, second = (KFoldDataset(fold=fold, num_splits=2, dataset=dict(
        type='mmips.NoisyLabelDataset', dataset=Listed(), rate=.5)) for fold in (0, 1))
    assert told(second)[0] + told(first)[0] == told(NoisyLabelDataset(Listed(), .5))[0]


@pytest.mark.parametrize('options, message', [
    (dict(rate=1.1), 'rate must be a number from 0 to 1, but got 1.1'),
    (dict(kind='random'), "kind must be 'symmetric' or 'asymmetric', got 'random'"),
    (dict(kind='asymmetric'), 'needs a class_map.*class_map=None'),
    (dict(class_map='next'), "kind='symmetric' does not take, but got.*class_map='next'"),
    (dict(kind='asymmetric', class_map={}), 'at least one class to another, but got {}'),
    (dict(kind='asymmetric', class_map={0: 3}), 'the class 3 does not exist'),
    (dict(dataset=Listed(metainfo=dict(classes='ab'))), 'Label 2 is not one of the 2 classes'),
    # Its own __getitem__ would go on giving true labels.
    (dict(dataset=RepeatDataset(Listed(), 2)), 'got RepeatDataset. Put wrappers around it'),
    (dict(dataset=NoisyLabelDataset(Listed())), 'got NoisyLabelDataset. Put wrappers'),
    (dict(dataset=labels.Labels([0, 1])), "mmengine's BaseDataset, but got Labels")])
def test_refused(options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        NoisyLabelDataset(**{'dataset': Listed(), **options})


def test_a_config_that_inherits_its_dump_and_its_loader(npz, tmp_path):
    (tmp_path / 'noisy.py').write_text(f"""_base_ = {mmips.cfg('ips/resnet-s_ips_npz.py')!r}
train_dataloader = dict(dataset=dict(_delete_=True, type='mmips.NoisyLabelDataset', rate=0.5,
                                     dataset=_base_.train_dataloader.dataset))
""")
    (tmp_path / 'asymmetric.py').write_text(
        "_base_ = './noisy.py'\ntrain_dataloader = dict(dataset=dict(rate=1, kind='asymmetric', "
        'class_map={0: 1, 2: 3}))\n')
    init_default_scope('mmpretrain')
    for name in ('asymmetric.py', 'dump.py'):
        cfg = Config.fromfile(tmp_path / name)
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
        assert dataset.get_gt_labels().tolist() == [1] * 12 + [3] * 12
        cfg.dump(str(tmp_path / 'dump.py'))
    splits.prepare_split(cfg, 'train', 'config')
    assert cfg.train_dataloader.dataset.dataset.pipeline == cfg.test_dataloader.dataset.pipeline
    loader = loaders.build_loader(cfg, 'train', max_images=6)
    assert [int(x.gt_label) for batch in loader for x in batch['data_samples']] == [1] * 3 + [3] * 3
