"""predictive_distribution: which images and classes, their numbers and pixels, refusals."""
import csv
import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

import mmips
from mmips.config import loading, splits
from mmips.evaluation import predictions
from mmips.evaluation.distributions import Predictions
from mmips.runs import loaders

CONFIG = 'ips/resnet-s_hard_npz.py'
TOOL = (Path(__file__).resolve().parents[2] / 'tools' / 'visualization'
        / 'predictive_distribution.py')
NAMES = ['baby', 'ray', 'girl', 'trout']


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('tool_predictive_distribution', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def data(npz):
    """The tiny data set with four of CIFAR-100's class names."""
    arrays = {**np.load(npz), 'classes': np.array(NAMES)}
    np.savez(npz, **arrays)
    return arrays


@pytest.fixture
def checkpoints(data, quick_configs, tmp_path):
    cfg = loading.load_config(CONFIG)
    init_default_scope('mmpretrain')
    paths = []
    for seed in range(2):
        torch.manual_seed(seed)
        model = predictions.build_model(cfg, 'cpu')
        model.head.fc.weight.data *= 30
        paths.append(str(tmp_path / f'epoch_{seed}.pth'))
        torch.save(dict(state_dict=model.state_dict()), paths[-1])
    return paths


@pytest.fixture
def run(tool, checkpoints):
    def draw(*extra):
        return tool.main([CONFIG, *checkpoints, '--names', 'a', 'b', '--out', 'out', '--device',
                          'cpu', *map(str, extra)])
    return draw


@pytest.fixture
def drawn(run, monkeypatch):
    """Run the tool without drawing and return the predictions and what was to be drawn, by file."""
    from mmips.visualization import distributions as module

    def draw(*extra):
        kept = {}

        def keep(rows, names, path, *args):
            kept[Path(path).stem] = rows
            return path

        monkeypatch.setattr(module, 'draw_distributions', keep)
        return run(*extra), kept['distribution_images'], kept['distribution_classes']

    return draw


def stored():
    return json.loads(Path('out/distributions.json').read_text())


def rows():
    with open('out/distributions.csv', newline='') as file:
        return list(csv.DictReader(file))


def test_images_with_their_pixels_and_probabilities(drawn, data):
    found, images, classes = drawn('--images', 5, 2, 5)
    assert [row.caption for row in images] == ['5: girl (people)', '2: ray (fish)']
    for row, number in zip(images, (5, 2)):
        assert np.abs(row.image.astype(int) - data['images_test'][number]).max() <= 1
        for bars, probs in zip(row.panels, found.probs.values()):
            order = np.argsort(-probs[number]).tolist()
            assert bars.classes == [NAMES[k] for k in order]
            assert bars.values == pytest.approx(probs[number][order].tolist())
    # Without --class, those of the images.
    assert [row.caption for row in classes] == ['girl (people), 2 images', 'ray (fish), 2 images']
    assert classes[0].image is None
    kinds = dict(zip(images[0].panels[0].classes, images[0].panels[0].kinds))
    assert kinds == dict(girl='true', baby='near', ray='other', trout='other')
    probs = found.probs['a'][5]
    rank = 1 + (probs > probs[2]).sum()
    assert images[0].panels[0].note == (
        f'true {100 * probs[2]:.1f}\u2009%, rank {rank}; '
        f'superclass {100 * (probs[2] + probs[0]):.1f}\u2009%')


@pytest.mark.parametrize('of', ['mean', 'top1'])
def test_classes(drawn, of):
    found, _, classes = drawn('--class', 'trout', 'baby', '--of', of, '--topk', 2)
    assert [row.caption for row in classes] == ['trout (fish), 2 images', 'baby (people), 2 images']
    probs = found.probs['b'][6:8].astype(float)
    expected = probs.mean(0) if of == 'mean' else (
        probs.argmax(1)[:, None] == np.arange(4)).mean(0)
    row = stored()['class_distributions'][0]
    assert row['distributions']['b'] == pytest.approx(expected, abs=1e-6)
    assert (row['class'], row['images'], stored()['of']) == ('trout', 2, of)
    bars = classes[0].panels[1]
    assert bars.values == pytest.approx(sorted(expected, reverse=True)[:2])
    lines = [line for line in rows()
             if line['of'] == '2 images' and line['true class'] == 'trout'
             and line['checkpoint'] == 'b']
    assert [line['class'] for line in lines] == bars.classes
    assert [line['kind'] for line in lines] == bars.kinds
    assert [float(line['percent']) for line in lines] == pytest.approx(
        [100 * value for value in bars.values], abs=1e-3)
    assert f'| trout | 2 | b | {100 * expected[3]:.2f} | {100 * expected[1]:.2f} |' in Path(
        'out/distributions.md').read_text()


def test_numbers_are_those_of_the_split(drawn, data):
    found, images, _ = drawn('--max-images', 4, '--images', 3, '--class', 'ray')
    assert found.numbers == [1, 3, 5, 7]
    assert np.abs(images[0].image.astype(int) - data['images_test'][3]).max() <= 1
    assert images[0].caption == '3: ray (fish)'
    assert images[0].panels[0].values[0] == pytest.approx(float(found.probs['a'][1].max()))
    assert {row['of'] for row in rows()} == {'image 3', '1 images'}


def some_predictions():
    """Two networks over ten images; the first is wrong at 1, 3, 4, 6, 8, the surest at 6."""
    probs = {}
    for name, right in (('a', [1, 0, 1, 0, 0, 1, 0, 1, 0, 1]),
                        ('b', [1, 0, 0, 0, 0, 1, 0, 1, 1, 1])):
        sure = np.array([0.9, 0.6, 0.9, 0.7, 0.6, 0.9, 0.8, 0.9, 0.7, 0.9])
        first = np.where(right, sure, 1 - sure)
        probs[name] = np.stack([first, 1 - first], 1)
    return Predictions(probs, np.zeros(10, int), ['x', 'y'], range(10))


@pytest.mark.parametrize('pick, num, places', [
    ('misclassified', 9, [1, 3, 4, 6, 8]), ('misclassified', 2, [3, 6]), ('misclassified', 1, [4]),
    ('confident-wrong', 3, [6, 3, 8]), ('disagree', 5, [2, 8])])
def test_picks(tool, pick, num, places):
    args = SimpleNamespace(pick=pick, num=num, seed=0)
    assert tool.pick_images(some_predictions(), args) == places


def test_random_picks_repeat_themselves(tool):
    first, again, other = (tool.pick_images(some_predictions(), SimpleNamespace(
        pick='random', num=5, seed=seed)) for seed in (0, 0, 1))
    assert first == again != other and len(set(first)) == 5 and first == sorted(first)


def test_no_image_to_pick_is_said(tool):
    found = some_predictions()
    found.labels[:] = found.probs['a'].argmax(1)
    with pytest.raises(ValueError, match='--pick misclassified: of 10 images there is none'):
        tool.pick_images(found, SimpleNamespace(pick='misclassified', num=4, seed=0))


def test_default_pick_is_what_the_first_gets_wrong(run):
    """And both pictures are drawn."""
    found = run('--num', 2, '--batch-size', 3)
    images = [row['image'] for row in stored()['image_distributions']]
    wrong = np.flatnonzero(found.probs['a'].argmax(1) != found.labels)
    assert len(images) == 2 and set(images) <= set(wrong.tolist())
    files = sorted(path.name for path in Path('out').iterdir())
    assert files == ['distribution_classes.png', 'distribution_images.png', 'distributions.csv',
                     'distributions.json', 'distributions.md']


def test_colours_of_images_read_from_files(tool, imagenet):
    """Class 0 of the tree is reddish, class 1 greenish, class 2 bluish."""
    config = mmips.cfg('ips/resnet50_ips_in1k.py')
    cfg = Config.fromfile(config)
    cfg.merge_from_dict({'test_dataloader.dataset.data_root': str(imagenet),
                         'test_dataloader.num_workers': 0})
    init_default_scope('mmpretrain')
    splits.prepare_split(cfg, 'test', config)
    loader = loaders.build_loader(cfg, 'test')
    for to_rgb in (True, False):
        model = SimpleNamespace(data_preprocessor=MODELS.build(dict(
            type='ClsDataPreprocessor', mean=[120, 110, 100], std=[60, 50, 40], to_rgb=to_rgb)))
        pictures = tool.load_pictures(cfg, model, loader, [0, 2, 4], 'test')
        assert [int(picture.mean((0, 1)).argmax()) for picture in pictures] == [0, 1, 2]


@pytest.mark.parametrize('extra, message', [
    (['--images', '3', '8'], '--images: the test split has 8 images, 0 to 7, but got [8]'),
    (['--images', '-1'], 'but got [-1]'),
    (['--max-images', '4', '--images', '2'], 'image 2 is not among the 4 that --max-images'),
    (['--class', 'babby'], "no class 'babby'. Did you mean baby"),
    (['--class', 'GIRL'], 'Did you mean girl?'),
    (['--class', 'zzz'], 'There are 4, such as baby, ray, girl, trout'),
    (['--max-images', '2', '--class', 'baby'], "none of the 2 images is of the class 'baby'"),
    (['--num', '0'], '--num must be at least 1, got 0'),
    (['--topk', '0'], '--topk must be at least 1, got 0'),
    (['--images', '1', '--pick', 'random'], 'not allowed with'),
])
def test_what_cannot_be_is_refused(run, capsys, extra, message):
    with pytest.raises(SystemExit):
        run(*extra)
    error = capsys.readouterr().err
    assert message in error and 'Traceback' not in error and not Path('out').exists()


def test_one_checkpoint_cannot_disagree(tool, checkpoints, capsys):
    with pytest.raises(SystemExit):
        tool.main([CONFIG, checkpoints[0], '--out', 'out', '--pick', 'disagree'])
    assert 'compares two checkpoints or more, got one' in capsys.readouterr().err
