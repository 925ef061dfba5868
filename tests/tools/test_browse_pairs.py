import csv

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from mmengine.config import Config

import mmips
from mmips.evaluation import predictions


def drawn(browse, monkeypatch, *argv):
    """Run the tool and return what it hands to the drawing function."""
    import mmips.visualization
    given = {}

    def record(before, after, mask, labels, prob, path, note='', confidences=()):
        given.update(before=before, after=after, mask=mask, labels=labels, prob=prob, path=path,
                     note=note, confidences=confidences)
        return path

    monkeypatch.setattr(mmips.visualization, 'draw_pairs', record)
    browse.main([str(part) for part in argv])
    return given


def test_writes_a_picture(browse, digits_config):
    path = browse.main([str(digits_config), '--out', 'some/folder/pairs.png'])
    assert path == 'some/folder/pairs.png' and imread(path).shape[1] > 1000
    assert browse.main([str(digits_config), '--output-dir', 'x', '--num-pairs', '1']) == (
        'x/pairs.png')


def test_draws_what_the_swap_did(browse, digits_config, monkeypatch):
    given = drawn(browse, monkeypatch, digits_config, '--prob', 1, '--num-pairs', 5)
    before, after, mask = given['before'], given['after'], given['mask']
    assert before.shape == after.shape == (10, 16, 16, 3) and mask.shape == (5, 2, 2)
    assert mask.any((1, 2)).all() and given['prob'] == 1
    # 16 pixels in two cells: 8 pixels a cell.
    pixels = mask.repeat(8, 1).repeat(8, 2)
    for pair in range(5):
        query, partner = before[2 * pair].astype(int), before[2 * pair + 1].astype(int)
        expected = np.where(pixels[pair][..., None], partner, query)
        assert np.abs(after[2 * pair] - expected).max() <= 1
    assert all(label.isdigit() for label in given['labels']) and len(set(given['labels'])) > 1


def test_same_seed_same_picture(browse, digits_config, monkeypatch):
    first, second, other = (drawn(browse, monkeypatch, digits_config, '--seed', seed)
                            for seed in (1, 1, 2))
    assert np.array_equal(first['after'], second['after'])
    assert not np.array_equal(first['after'], other['after'])


def test_colours_of_an_imagenet_config(browse, small_in1k, monkeypatch):
    """Class 0 of the tree is reddish, class 1 greenish, class 2 bluish."""
    given = drawn(browse, monkeypatch, 'ips/resnet50_ips_in1k.py', '--num-pairs', 8,
                  '--cfg-options', *small_in1k)
    from mmpretrain.datasets.categories import IMAGENET_CATEGORIES
    for pair, label in enumerate(given['labels']):
        channel = IMAGENET_CATEGORIES.index(label) % 3
        assert given['before'][2 * pair].mean((0, 1)).argmax() == channel


def test_a_config_without_a_swap(browse, monkeypatch, elsewhere):
    given = drawn(browse, monkeypatch, 'ips/resnet-s_hard_digits.py')
    assert given['mask'] is None and given['note'] == 'no patch swap'
    assert any(' / ' in label for label in given['labels'])
    assert np.array_equal(given['before'], given['after'])


@pytest.mark.parametrize('line', [
    "data_preprocessor = dict(type='ClsDataPreprocessor')",
    "data_preprocessor = dict(type='mmpretrain.ClsDataPreprocessor', batch_augments=None)",
    "data_preprocessor = dict(_delete_=True, type='mmengine.ImgDataPreprocessor')\n"
    'model = dict(train_cfg=None)',
    'data_preprocessor = None\nmodel = dict(train_cfg=None)',
])
def test_any_preprocessor_or_none(browse, digits_config, monkeypatch, line):
    digits_config.write_text(f'{digits_config.read_text()}\n{line}\n')
    given = drawn(browse, monkeypatch, digits_config, '--num-pairs', 2)
    assert given['before'].shape == given['after'].shape == (4, 16, 16, 3)
    assert (given['mask'] is None) == ('train_cfg=None' in line)


def test_mixing_before_the_swap(browse, digits_config, monkeypatch):
    digits_config.write_text(digits_config.read_text() + """
mix = dict(type='mmips.PairwiseBatchAugment', augment=dict(type='CutMix', alpha=1.0))
swap = dict(type='mmips.IntraClassPatchSwap', grid_size=2, prob=1.0)
model = dict(train_cfg=dict(augments=[
    dict(type='mmips.SequentialBatchAugment', augments=[mix, swap])]))
""")
    given = drawn(browse, monkeypatch, digits_config)
    assert given['mask'].any((1, 2)).all()


@pytest.mark.parametrize('names, swapped, count, expected', [
    (['a', 'b', 'c', 'd'], [1, 1, 1, 0], 3, [0, 1, 3]),
    (['a', 'a', 'b', 'c'], [1, 1, 1, 0], 3, [0, 2, 3]),
    (['a', 'b', 'c'], [1, 1, 1], 2, [0, 1]), (['a', 'b', 'c'], [0, 0, 0], 2, [0, 1]),
    (['a', 'b'], [0, 1], 1, [0]), (['a', 'b', 'c', 'd'], [1, 0, 0, 0], 4, [0, 1, 2, 3])])
def test_choice_of_pairs(browse, names, swapped, count, expected):
    assert browse.choose(names, swapped, count) == expected


def test_messages(browse, capsys, tmp_path):
    with pytest.raises(SystemExit) as caught:
        browse.main(['ips/resnet50_ips_in1k.py'])
    assert caught.value.code == 2 and 'image-net.org' in capsys.readouterr().err
    (tmp_path / 'seg.py').write_text("default_scope = 'mmseg'")
    with pytest.raises(SystemExit):
        browse.main(['seg.py'])
    assert "seg.py is a config of 'mmseg'" in capsys.readouterr().err


#: So small that a forward takes no time.
SMALL = {'model.backbone.base_channels': 4, 'model.backbone.stem_channels': 4,
         'model.head.in_channels': 16}


@pytest.fixture
def small_npz(npz, tmp_path, monkeypatch):
    """Command line of a small network with two checkpoints, and the networks themselves."""
    from mmengine.registry import init_default_scope
    cfg = Config.fromfile(mmips.cfg('ips/resnet-s_ips_npz.py'))
    cfg.merge_from_dict(SMALL)
    init_default_scope('mmpretrain')
    models, paths = [], []
    for seed in range(2):
        torch.manual_seed(seed)
        model = predictions.build_model(cfg, 'cpu')
        for key, value in model.state_dict().items():
            # Statistics that no batch of noise has, so that the mode shows, and small enough
            # for the images to matter.
            if key.endswith('running_var'):
                value.uniform_(0.1, 0.3)
        paths.append(str(tmp_path / f'epoch_{seed}.pth'))
        torch.save(dict(state_dict=model.state_dict()), paths[-1])
        models.append(model)
    options = ['--cfg-options', *(f'{key}={value}' for key, value in SMALL.items()),
               'train_dataloader.batch_size=12']
    return ['ips/resnet-s_ips_npz.py', '--device', 'cpu', '--checkpoint', *paths], options, models


def read(path):
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


def test_confidences_are_the_networks_own(browse, small_npz, monkeypatch):
    """Of the pictures handed on, normalised by hand, the networks say just these numbers."""
    command, options, models = small_npz
    given = drawn(browse, monkeypatch, *command, '--prob', 1, '--num-pairs', 2, '--out', 'p.png',
                  '--names', 'early', 'late', *options)
    assert [one.name for one in given['confidences']] == ['early', 'late']
    classes = [int(name.split()[-1]) for name in given['labels'] for _ in range(2)]
    for one, model in zip(given['confidences'], models):
        preprocessor = model.data_preprocessor
        for field in ('before', 'after'):
            images = torch.from_numpy(given[field]).permute(0, 3, 1, 2).float()
            with torch.no_grad():
                logits = model((images - preprocessor.mean) / preprocessor.std)
            expected = logits.softmax(1)[range(4), classes]
            np.testing.assert_allclose(getattr(one, field), expected, atol=1e-5)
    assert not np.allclose(given['confidences'][0].before, given['confidences'][1].before)
    assert not np.allclose(given['confidences'][0].before, given['confidences'][0].after)


def test_the_table_has_every_pair_of_the_batch(browse, small_npz, monkeypatch):
    command, options, _ = small_npz
    given = drawn(browse, monkeypatch, *command, '--num-pairs', 2, '--out', 'new/p.png',
                  '--names', 'early', 'late', '--prob', '0.6', *options)
    rows = read('new/p.csv')
    assert len(rows) == 2 * 12 and list(rows[0]) == [
        'pair', 'drawn', 'class', 'checkpoint', 'image', 'before', 'after', 'cells']
    for name, one in zip(('early', 'late'), given['confidences']):
        mine = [row for row in rows if row['checkpoint'] == name]
        assert [int(row['pair']) for row in mine] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
        assert [row['image'] for row in mine] == ['query', 'partner'] * 6
        for place in (1, 2):
            pair = [row for row in mine if row['drawn'] == str(place)]
            assert {row['class'] for row in pair} == {given['labels'][place - 1]}
            assert {int(row['cells']) for row in pair} == {given['mask'][place - 1].sum()}
            for field in ('before', 'after'):
                np.testing.assert_allclose([float(row[field]) for row in pair],
                                           getattr(one, field)[2 * place - 2:2 * place], atol=1e-6)
        # The gap of the caption is that over the whole batch.
        gaps = [np.mean([abs(float(mine[k][field]) - float(mine[k + 1][field]))
                         for k in range(0, 12, 2)]) for field in ('before', 'after')]
        assert f'of 6 pairs {gaps[0]:.3f} before, {gaps[1]:.3f} after' in one.note
    unchanged = [row for row in rows if row['cells'] == '0']
    assert unchanged and all(row['before'] == row['after'] for row in unchanged)


def test_checkpoints_do_not_change_the_pairs(browse, small_npz, monkeypatch):
    command, options, _ = small_npz
    plain = drawn(browse, monkeypatch, command[0], *options)
    given = drawn(browse, monkeypatch, *command, *options)
    assert plain['confidences'] == []
    for field in ('before', 'after', 'mask'):
        np.testing.assert_array_equal(plain[field], given[field])


def test_gaps_leave_pairs_of_two_classes_out(browse):
    """As the monitor does; with none of one class there is no gap."""
    values = np.array([0.1, 0.5, 0.2, 0.9]), np.array([0.1, 0.2, 0.2, 0.2])
    note = browse.summarize({'x': values}, ['a', 'b / c'], [0, 1])[0].note
    assert 'of 1 pairs 0.400 before, 0.100 after' in note
    assert browse.summarize({'x': values}, ['a / b', 'b / c'], [0, 1])[0].note == (
        'no pair of one class')


def test_writes_a_picture_with_confidences(browse, small_npz):
    command, options, _ = small_npz
    plain = imread(browse.main([command[0], '--out', 'a.png', *options])).shape
    path = browse.main([*command, '--out', 'b.png', *options])
    assert imread(path).shape[0] > plain[0] and len(read('b.csv')) == 24


@pytest.mark.parametrize('extra, words', [
    (['--checkpoint', 'nowhere.pth'], 'nowhere.pth'),
    (['--names', 'a'], 'a name for each of the 2 checkpoints'),
    (['--cfg-options', 'model.head.num_classes=3'], 'another number of classes')])
def test_messages_about_checkpoints(browse, small_npz, capsys, extra, words):
    command, options, _ = small_npz
    with pytest.raises(SystemExit):
        browse.main([*command, *options, *extra[1:]] if extra[0] == '--cfg-options' else
                    [*command, *extra, *options])
    assert words in capsys.readouterr().err


def test_labels_that_the_network_does_not_know(browse, small_npz, capsys, npz):
    command, options, _ = small_npz
    arrays = dict(np.load(npz))
    np.savez(npz, **{**arrays, 'labels_train': arrays['labels_train'] + 4})
    with pytest.raises(SystemExit):
        browse.main([*command, *options, 'model.head.num_classes=4'])
    assert 'the label 7, but the model only 4 classes' in capsys.readouterr().err
