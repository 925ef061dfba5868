"""Data sets that do not go together are refused before anything is built."""
import re

import numpy as np
import pytest
from mmengine.config import Config

from mmips.config import sources
from mmips.config.data_checks import data_mistakes, head_classes
from mmips.errors import UserError

LOADERS = ('train', 'val', 'test')


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """Two classes in ``ab``, ``own`` with a val of its own, and ``other``; three in ``abc``."""
    monkeypatch.chdir(tmp_path)
    for name in ('ab/a', 'ab/b', 'own/train/a', 'own/train/b', 'own/val/a', 'own/val/b',
                 'other/a', 'other/z', 'abc/a', 'abc/b', 'abc/c'):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / '1.jpg').touch()
    for name, number in (('x', 2), ('xyz', 3)):
        np.savez(f'{name}.npz', labels_train=np.arange(6) % number)


def config(kind='ImageFolder', classes=2, train=(), val=(), test=(), **data):
    def loader(split, given):
        return dict(dataset=dict(type='RepeatDataset', times=1, dataset=dict(
            type=f'mmips.{kind}', split=split, **data | dict(given))))

    # What our npz.py leaves of its own text.
    counted = dict(npz_file='x.npz', num_classes=classes) if kind == 'ArrayDataset' else {}
    return Config(dict(model=dict(head=dict(num_classes=classes)), **counted, **{
        f'{name}_dataloader': loader('train' if name == 'train' else 'val', given)
        for name, given in zip(LOADERS, (train, val, test))}))


@pytest.mark.parametrize('kind, name, theirs, ours, data', [
    ('ImageFolder', 'seed', 3, 0, dict(data_root='ab')),
    ('ImageFolder', 'val_fraction', 0.5, 0.2, dict(data_root='ab')),
    ('DigitsDataset', 'seed', 3, 0, {}), ('DigitsDataset', 'per_class', 20, 10, {})])
def test_splits_that_overlap(kind, name, theirs, ours, data):
    classes = None if kind == 'DigitsDataset' else 2
    first, second = data_mistakes(config(kind, classes, train={name: theirs}, **data))
    assert first == (
        f'val_dataloader.dataset.dataset.{name} is {ours} and train_dataloader.dataset.dataset.'
        f'{name} is {theirs}, so that an image may be in both splits: give both the same '
        f'(--cfg-options train_dataloader.dataset.dataset.{name}={theirs} '
        f'val_dataloader.dataset.dataset.{name}={theirs}).')
    assert second.startswith('test_dataloader.')
    # The same everywhere, also where it is said once more.
    assert not data_mistakes(config(kind, classes, **{name: theirs}, **data))
    assert not data_mistakes(config(kind, classes, val={name: ours}, **data))


def test_splits_of_their_own_do_not_overlap():
    assert not data_mistakes(config(train=dict(seed=3), data_root='own'))
    assert not data_mistakes(config(train=dict(seed=3, data_root='own'), data_root='ab'))


@pytest.mark.parametrize('cfg, words', [
    (dict(train=dict(data_root='abc'), data_root='ab'),
     r"train_dataloader.* is 'abc', of 3 classes, but model.head.num_classes is 2: .*MMIPS_DATA"),
    (dict(train=dict(data_root='other'), data_root='ab'),
     r"val_dataloader.* is 'ab', whose classes \['a', 'b'\] are not those .*MMIPS_DATA"),
    (dict(test=dict(data_root='other'), data_root='ab'),
     r"test_dataloader.* is 'other', whose classes \['a', 'z'\] are not"),
    (dict(kind='ArrayDataset', train=dict(ann_file='xyz.npz'), ann_file='x.npz'),
     r"train_dataloader.*ann_file is 'xyz.npz', of 3 classes, but .* is 2: .*MMIPS_NPZ"),
    (dict(kind='ArrayDataset', classes=3, train=dict(max_classes=2), ann_file='xyz.npz'),
     'of 2 classes, but model.head.num_classes is 3')])
def test_other_classes_than_the_head(cfg, words):
    with pytest.raises(UserError, match=words):
        sources.check_paths(config(**cfg), ('train_dataloader', ))


@pytest.mark.parametrize('cfg', [
    dict(data_root='ab'), dict(test=dict(data_root='own'), data_root='ab'),
    dict(data_root='abc', classes=3), dict(data_root='abc', classes=None),
    dict(kind='ArrayDataset', val=dict(ann_file='xyz.npz'), ann_file='x.npz'),
    dict(kind='ArrayDataset', labels_key='other', ann_file='xyz.npz')])
def test_data_sets_that_go_together(cfg):
    assert data_mistakes(config(**cfg)) == []


def test_files_of_some_classes_only():
    cfg = config(kind='ArrayDataset', classes=100, ann_file='xyz.npz')
    assert data_mistakes(cfg)
    cfg.pop('num_classes')  # that is, where they are not counted
    assert data_mistakes(cfg) == []


@pytest.mark.parametrize('model, number', [
    (dict(head=dict(num_classes=7)), 7), (dict(decode_head=dict(num_classes=7)), 7),
    (dict(decode_head=[dict(num_classes=3), dict(num_classes=7)]), 7),
    (dict(bbox_head=dict(num_classes=7)), 7), (dict(decode_head=dict(num_classes=1)), None),
    (dict(head=dict()), None), (dict(), None), (dict(head=None), None)])
def test_classes_of_a_head(model, number):
    assert head_classes(Config(dict(model=model))) == number
    assert head_classes(Config(dict())) is None


@pytest.mark.parametrize('field', ['train_dataloader', 'val_dataloader'])
@pytest.mark.parametrize('value', [['a', 'b'], 2024, ('a', )])
def test_a_path_that_is_none(value, field):
    with pytest.raises(UserError, match=re.escape(
            f'val_dataloader.dataset.dataset.data_root is {value!r}, but must be a path. An option '
            'with commas')):
        sources.check_paths(config(val=dict(data_root=value), data_root='ab'), (field, ))


def test_missing_data_is_said_first():
    with pytest.raises(UserError, match=re.compile('^(?!.*seed).*is missing', re.DOTALL)):
        sources.check_paths(config(train=dict(seed=3, data_root='gone'), data_root='ab'),
                            ('train_dataloader', ))


def test_whole_batches_want_what_takes_them():
    def mistakes(kind, preprocessor, **loader):
        return list(data_mistakes(Config(dict(data_preprocessor=preprocessor, val_dataloader=dict(
            dataset=dict(type=f'mmips.{kind}', dataset=dict(type='CustomDataset')), **loader)))))

    whole, decode = (dict(type=f'mmips.{name}') for name in (
        'whole_batch', 'DecodeDataPreprocessor'))
    assert not mistakes('EncodedImages', decode, collate_fn=whole)
    assert not mistakes('ImagesOnDevice', {}, collate_fn=whole)
    assert mistakes('ImagesOnDevice', {})[0].startswith('val_dataloader.collate_fn is None')
    for collate in (None, dict(type='default_collate')):
        said, = mistakes('EncodedImages', decode, collate_fn=collate)
        assert said == (
            f'val_dataloader.collate_fn is {collate!r}, but mmips.EncodedImages hands out whole '
            "batches: write val_dataloader = dict(collate_fn=dict(type='mmips.whole_batch')).")
    for wrong in ({}, dict(type='ClsDataPreprocessor')):
        said, = mistakes('EncodedImages', wrong, collate_fn=whole)
        assert said == (
            f'data_preprocessor.type is {wrong.get("type")!r}, which does not take the batches of '
            'mmips.EncodedImages in val_dataloader: write data_preprocessor = dict('
            "type='mmips.DecodeDataPreprocessor').")
