import numpy as np
import pytest
from matplotlib.image import imread


def drawn(browse, monkeypatch, *argv):
    """Run the tool and return what it hands to the drawing function."""
    import mmips.visualization
    given = {}

    def record(before, after, mask, labels, prob, path, note=''):
        given.update(before=before, after=after, mask=mask, labels=labels, prob=prob, path=path,
                     note=note)
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
