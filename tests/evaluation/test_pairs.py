"""Pairs before and after the swap, and what networks say of them."""
import csv

import numpy as np
import pytest
from helpers import tiny_classifier

import mmips
from mmips.evaluation import pairs
from mmips.visualization import style


@pytest.fixture
def run(tiny, monkeypatch):
    """Run, and return what is handed to the drawing function; the picture is empty."""
    given = {}

    def draw_pairs(*args, confidences):
        given.update(zip(('before', 'after', 'mask', 'labels', 'notes'), args),
                     confidences=confidences)
        return style.new_figure(1, 1)

    monkeypatch.setattr(pairs, 'draw_pairs', draw_pairs)

    def run(checkpoints=(), out='new/p.png', **change):
        assert pairs.browse_pairs(tiny_classifier.request(**{**dict(
            checkpoints=checkpoints, names=['early', 'late'], out=out, num_pairs=6,
            prob=None, seed=0), **change})) == out
        return dict(given)

    return run


BOTH = ['0.pth', '1.pth']


def test_draws_what_the_swap_did(run, tmp_path):
    given = run(prob=1, num_pairs=5)
    before, after, mask = given['before'], given['after'], given['mask']
    assert before.shape == after.shape == (10, 32, 32, 3) and mask.shape == (5, 4, 4)
    assert mask.any((1, 2)).all() and given['notes'] == [
        'grid 4\u2009\u00d7\u20094,  prob = 1,  6 of 6 pairs of this batch swapped']
    pixels = mask.repeat(8, 1).repeat(8, 2)
    for pair in range(5):
        query, partner = before[2 * pair].astype(int), before[2 * pair + 1].astype(int)
        expected = np.where(pixels[pair][..., None], partner, query)
        assert np.abs(after[2 * pair] - expected).max() <= 1
    assert (tmp_path / 'new/p.png').is_file() and not (tmp_path / 'new/p.csv').exists()


def test_same_seed_same_picture_with_and_without_checkpoints(run):
    first, second, other = run(seed=1), run(seed=1, checkpoints=BOTH), run(seed=2)
    for field in ('before', 'after', 'mask'):
        np.testing.assert_array_equal(first[field], second[field])
    assert first['confidences'] == {} and not np.array_equal(first['after'], other['after'])


def test_a_config_without_a_swap_or_pairs(run):
    given = run(cfg_options={'model.train_cfg': None, 'train_dataloader.sampler': dict(
        _delete_=True, type='DefaultSampler', shuffle=True)})
    assert given['mask'] is None and given['notes'] == ['no patch swap']
    assert any(' / ' in label for label in given['labels'])
    assert np.array_equal(given['before'], given['after'])


@pytest.mark.parametrize('line', [
    "data_preprocessor = dict(type='ClsDataPreprocessor')",
    "data_preprocessor = dict(type='mmpretrain.ClsDataPreprocessor', batch_augments=None)",
    "data_preprocessor = dict(_delete_=True, type='mmengine.ImgDataPreprocessor')\n"
    'model = dict(train_cfg=None)',
    'data_preprocessor = None\nmodel = dict(train_cfg=None)',
])
def test_any_preprocessor_or_none(run, tmp_path, line):
    (tmp_path / 'other.py').write_text(f"_base_ = ['config.py']\n{line}\n")
    given = run(config='other.py', num_pairs=2)
    assert given['before'].shape == given['after'].shape == (4, 32, 32, 3)
    assert (given['mask'] is None) == ('train_cfg=None' in line)


def test_mixing_before_the_swap(run):
    mix = dict(type='mmips.PairwiseBatchAugment', augment=dict(type='CutMix', alpha=1.0))
    swap = dict(type='mmips.IntraClassPatchSwap', grid_size=2, prob=1.0)
    given = run(cfg_options={'model.train_cfg': dict(augments=[
        dict(type='mmips.SequentialBatchAugment', augments=[mix, swap])])})
    assert given['mask'].any((1, 2)).all()


@pytest.mark.parametrize('names, swapped, count, expected', [
    (['a', 'b', 'c', 'd'], [1, 1, 1, 0], 3, [0, 1, 3]),
    (['a', 'a', 'b', 'c'], [1, 1, 1, 0], 3, [0, 2, 3]),
    (['a', 'b', 'c'], [1, 1, 1], 2, [0, 1]), (['a', 'b', 'c'], [0, 0, 0], 2, [0, 1]),
    (['a', 'b'], [0, 1], 1, [0]), (['a', 'b', 'c', 'd'], [1, 0, 0, 0], 4, [0, 1, 2, 3])])
def test_choice_of_pairs(names, swapped, count, expected):
    assert pairs.choose_pairs(names, swapped, count) == expected


def test_confidences_are_the_networks_own(run):
    """Of the pictures handed on the networks say just these numbers."""
    given = run(checkpoints=BOTH, prob=1, num_pairs=2)
    assert list(given['confidences']) == ['early', 'late']
    classes = [int(name.split()[-1]) for name in given['labels'] for _ in range(2)]
    for values, model in zip(given['confidences'].values(), tiny_classifier.networks()):
        for field, value in zip(('before', 'after'), values):
            expected = tiny_classifier.predict(model, given[field]).softmax(1)[range(4), classes]
            np.testing.assert_allclose(value, expected, atol=1e-5)
    early, late = given['confidences'].values()
    assert not np.allclose(early[0], late[0]) and not np.allclose(*early)


def test_the_table_has_every_pair_of_the_batch(run):
    given = run(checkpoints=BOTH, prob=0.6, num_pairs=2)
    with open('new/p.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 12 and list(rows[0]) == [
        'pair', 'drawn', 'class', 'checkpoint', 'image', 'before', 'after', 'cells']
    for (name, values), note in zip(given['confidences'].items(), given['notes'][2:]):
        mine = [row for row in rows if row['checkpoint'] == name]
        assert [int(row['pair']) for row in mine] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
        assert [row['image'] for row in mine] == ['query', 'partner'] * 6
        for place in (1, 2):
            pair = [row for row in mine if row['drawn'] == str(place)]
            assert {row['class'] for row in pair} == {given['labels'][place - 1]}
            assert {int(row['cells']) for row in pair} == {given['mask'][place - 1].sum()}
            for field, value in zip(('before', 'after'), values):
                np.testing.assert_allclose([float(row[field]) for row in pair],
                                           value[2 * place - 2:2 * place], atol=1e-6)
        # The gap of the caption is that over the whole batch.
        gaps = [np.mean([abs(float(mine[k][field]) - float(mine[k + 1][field]))
                         for k in range(0, 12, 2)]) for field in ('before', 'after')]
        assert f'{name}: mean gap' in note
        assert f'of 6 pairs {gaps[0]:.3f} before, {gaps[1]:.3f} after' in note
    unchanged = [row for row in rows if row['cells'] == '0']
    assert unchanged and all(row['before'] == row['after'] for row in unchanged)


def test_gaps_leave_pairs_of_two_classes_out():
    """As the monitor does; with none of one class there is no gap."""
    values = np.array([0.1, 0.5, 0.2, 0.9]), np.array([0.1, 0.2, 0.2, 0.2])
    note, = pairs.gap_notes({'x': values}, ['a', 'b / c'])
    assert 'x: mean gap' in note and 'of 1 pairs 0.400 before, 0.100 after' in note
    assert pairs.gap_notes({'x': values}, ['a / b', 'b / c']) == ['x: no pair of one class']


@pytest.mark.parametrize('change, words', [
    (dict(config=mmips.cfg('ips/resnet50_ips_in1k.py')), 'image-net.org'),
    (dict(config='seg.py'), "seg.py is a config of 'mmseg', but one of 'mmpretrain'"),
    (dict(checkpoints=['nowhere.pth']), 'nowhere.pth'),
    (dict(checkpoints=BOTH, cfg_options={'model.head.num_classes': 3}), 'another number of class'),
    (dict(checkpoints=BOTH, labels=4, cfg_options={'data_preprocessor.num_classes': 8}),
     'the label [4-7], but the model only 4 classes')])
def test_what_cannot_be_is_refused(run, tmp_path, change, words):
    (tmp_path / 'seg.py').write_text("default_scope = 'mmseg'")
    arrays = dict(np.load('tiny.npz'))
    arrays['labels_train'] += change.pop('labels', 0)
    np.savez('tiny.npz', **arrays)
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        run(**change)
