"""The tool: numbers of a plain loop, results kept and used again, and what is refused."""
import csv
import importlib.util
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from corrupting import corrupted
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmips.evaluation import predictions

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'analysis_tools' / 'eval_corruptions.py'
IMAGES = 40
#: A plain config: reading those of the package takes a second each time.
CONFIG = """
default_scope = 'mmpretrain'
model = dict(type='ImageClassifier',
             backbone=dict(type='ResNet_CIFAR', depth=18, num_stages=3, strides=(1, 2, 2),
                           dilations=(1, 1, 1), out_indices=(2, ), stem_channels=4,
                           base_channels=4),
             neck=dict(type='GlobalAveragePooling'),
             head=dict(type='LinearClsHead', num_classes=4, in_channels=16))
data_preprocessor = dict(num_classes=4, mean=[120, 125, 130], std=[60, 65, 70], to_rgb=False)
test_dataloader = dict(batch_size=16, num_workers=0, dataset=dict(
    type='mmips.ArrayDataset', ann_file='tiny.npz', split='test',
    pipeline=[dict(type='PackInputs')]))
val_dataloader = train_dataloader = test_dataloader
"""


@pytest.fixture(scope='session')
def tool():
    spec = importlib.util.spec_from_file_location('eval_corruptions', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Two networks whose predictions vary; the first is right about every clean image."""
    folder = tmp_path_factory.mktemp('trained')
    rng = np.random.default_rng(1)
    images = np.kron(rng.integers(0, 256, (IMAGES, 4, 4, 3)), np.ones((1, 8, 8, 1)))
    images = images.astype(np.uint8)
    init_default_scope('mmpretrain')
    models = []
    for seed in range(2):
        torch.manual_seed(seed)
        model = predictions.build_model(Config.fromstring(CONFIG, '.py'), 'cpu')
        with torch.no_grad():
            model.head.fc.bias -= predict(model, images).mean(0)
        torch.save(dict(state_dict=model.state_dict()), folder / f'{seed}.pth')
        models.append(model)
    labels = predict(models[0], images).argmax(1).numpy()
    assert len(set(labels.tolist())) == 4
    np.savez(folder / 'tiny.npz', images_test=images, labels_test=labels)
    (folder / 'config.py').write_text(CONFIG)
    return folder, models, dict(images_test=images, labels_test=labels)


def predict(model, images):
    """Logits of a network for uint8 RGB images, without any of the package's loaders."""
    inputs = torch.from_numpy(np.ascontiguousarray(images)).float()
    inputs = (inputs - torch.tensor([120, 125, 130])) / torch.tensor([60, 65, 70])
    with torch.no_grad():
        return model.head(model.neck(model.backbone(inputs.permute(0, 3, 1, 2))))


@pytest.fixture
def setup(trained, elsewhere):
    """The networks and arrays; their files are in the current folder."""
    for file in trained[0].iterdir():
        shutil.copy(file, elsewhere)
    return trained[1:]


@pytest.fixture
def run(setup, tool, elsewhere, monkeypatch):
    # mmengine collects garbage for each data set: a third of a second, with all that is imported.
    monkeypatch.setattr('mmengine.dataset.base_dataset.gc.collect', int)

    def run(*extra, checkpoints=('0.pth', '1.pth'), names=('a', 'b'),
            what=('--corruptions', 'fog', '--severities', '1', '4')):
        return tool.main(['config.py', *checkpoints, '--names', *names, '--out', 'out',
                          '--device', 'cpu', *what, *extra])

    return run


@pytest.fixture
def passes(tool, monkeypatch):
    """Titles of the passes over data, with the networks that took part."""
    found = []
    original = tool.count_correct

    def count(models, loader, title):
        found.append((title.split(' ', 1)[1].strip(), tuple(models)))
        return original(models, loader, title)

    monkeypatch.setattr(tool, 'count_correct', count)
    return found


def refused(capsys, function, *args, **kwargs):
    with pytest.raises(SystemExit) as error:
        function(*args, **kwargs)
    assert error.value.code == 2
    text = capsys.readouterr().err
    assert 'Traceback' not in text
    return text


def test_numbers_are_those_of_a_plain_loop(run, setup, tmp_path):
    models, arrays = setup
    images, labels = arrays['images_test'], arrays['labels_test']
    names = ('fog', 'impulse_noise', 'contrast')
    scores = run('--seed', '3', '--batch-size', '7',
                 what=('--corruptions', *names, '--severities', '4', '1'))

    def accuracy(model, inputs):
        return 100 * float((predict(model, inputs).argmax(1).numpy() == labels).mean())

    for name, model in zip(('a', 'b'), models):
        expected = [[accuracy(model, corrupted(images, corruption, severity, 3))
                     for severity in (1, 4)] for corruption in names]
        assert scores[name].clean == pytest.approx(accuracy(model, images))
        np.testing.assert_allclose(scores[name].accuracy, expected)
    assert scores['a'].clean == 100
    # The networks and the corruptions are told apart by these numbers.
    assert len({value for one in scores.values() for value in one.accuracy.ravel()}) > 4


def test_the_files_say_what_was_measured(run, tmp_path, capsys):
    scores = run('--reference', 'b')
    folder = tmp_path / 'out'
    assert sorted(path.name for path in folder.iterdir()) == [
        'corruption_examples.png', 'corruptions.csv', 'corruptions.json', 'corruptions.md',
        'corruptions.png', 'corruptions_done.json']
    with open(folder / 'corruptions.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert [(row['checkpoint'], row['corruption'], row['severity']) for row in rows] == [
        (name, *condition) for name in 'ab'
        for condition in (('clean', '0'), ('fog', '1'), ('fog', '4'))]
    assert {row['images'] for row in rows} == {str(IMAGES)}
    assert {row['source'] for row in rows} == {"imagecorruptions 1.1.5, ImageNet-C's severities"}
    assert [float(row['accuracy']) for row in rows] == pytest.approx(
        [value for one in scores.values() for value in (one.clean, *one.accuracy[0])])
    page = (folder / 'corruptions.md').read_text()
    for words in ('| clean | **0.00** |', "Severities: ImageNet-C's, imagecorruptions 1.1.5",
                  'do not compare', 'relative to those of b', f'{IMAGES} images', 'seed 0'):
        assert words in page
    content = json.loads((folder / 'corruptions.json').read_text())
    assert content['reference'] == 'b' and content['summary']['b']['mce'] == pytest.approx(100)
    assert content['scores'][1]['accuracy'] == pytest.approx(scores['a'].accuracy[0, 0])
    assert page.splitlines()[0] in capsys.readouterr().out


def test_a_reference_without_errors_leaves_valid_json(run, cifar_c, tmp_path):
    # The first fifth of this file are the clean images, about which a is right.
    run(what=('--corruptions', 'fog', '--severities', '1', '--cifar-c', str(cifar_c)))
    content = json.loads((tmp_path / 'out/corruptions.json').read_text(),
                         parse_constant=lambda name: pytest.fail(name))
    assert content['summary']['b']['mce'] is None
    assert content['summary']['b']['accuracy'] < 100


def test_what_is_done_is_not_done_again(run, passes, tmp_path):
    first = run()
    every = [('clean', ('a', 'b')), ('fog 1', ('a', 'b')), ('fog 4', ('a', 'b'))]
    assert passes == every
    passes.clear()
    again = run('--batch-size', '3', '--reference', 'b')
    assert passes == []
    np.testing.assert_array_equal(again['b'].accuracy, first['b'].accuracy)
    # New severities, corruptions, names and checkpoints cost themselves alone.
    run(what=('--corruptions', 'fog', 'snow', '--severities', '4'))
    assert passes == [('snow 4', ('a', 'b'))]
    passes.clear()
    (tmp_path / '2.pth').write_bytes((tmp_path / '1.pth').read_bytes())
    run(checkpoints=('0.pth', '2.pth'), names=('x', 'y'))
    assert passes == [(title, ('y', )) for title, _ in every]


@pytest.mark.parametrize('change, number', [
    (dict(seed=1), 2), (dict(max_images=20), 3), (dict(checkpoint=1), 3), (dict(data=1), 3)])
def test_what_has_changed_is_done_again(run, passes, tmp_path, change, number):
    run()
    passes.clear()
    extra = [str(part) for key in ('seed', 'max_images') if key in change
             for part in (f'--{key.replace("_", "-")}', change[key])]
    if 'checkpoint' in change:
        state = torch.load(tmp_path / '1.pth')
        torch.save(dict(state, more=1), tmp_path / '1.pth')
    if 'data' in change:
        arrays = dict(np.load('tiny.npz'))
        np.savez('tiny.npz', **{**arrays, 'more': np.zeros(3)})
    run(*extra)
    assert len(passes) == number
    assert all(models == (('b', ) if 'checkpoint' in change else ('a', 'b'))
               for _, models in passes)


@pytest.mark.parametrize('stop', [KeyboardInterrupt, ValueError])
def test_an_interruption_keeps_what_is_finished(run, tool, passes, monkeypatch, capsys, stop):
    counted = tool.count_correct

    def fail(models, loader, title):
        if 'fog 4' in title:
            raise stop('broken off')
        return counted(models, loader, title)

    with monkeypatch.context() as patch:
        patch.setattr(tool, 'count_correct', fail)
        with pytest.raises(SystemExit) as error:
            run()
    assert error.value.code == (130 if stop is KeyboardInterrupt else 2)
    text = capsys.readouterr().err
    assert 'Traceback' not in text
    if stop is KeyboardInterrupt:
        assert 'Interrupted. What is finished is kept' in text
    passes.clear()
    run()
    assert passes == [('fog 4', ('a', 'b'))]


def test_broken_earlier_results_are_named(run, tmp_path, capsys):
    run()
    (tmp_path / 'out/corruptions_done.json').write_text('{"a": [1')
    assert 'corruptions_done.json is not readable' in refused(capsys, run)


@pytest.fixture
def cifar_c(setup, tmp_path):
    """The test images in CIFAR-C's format: fog is clean, snow turned round, darker each level."""
    images, labels = setup[1]['images_test'], setup[1]['labels_test']
    folder = tmp_path / 'TINY-C'
    folder.mkdir()
    for corruption, changed in (('fog', images), ('snow', images[:, ::-1, :, ::-1])):
        np.save(folder / f'{corruption}.npy', np.concatenate(
            [changed // severity for severity in range(1, 6)]))
    np.save(folder / 'labels.npy', np.tile(labels, 5))
    return folder


def test_cifar_c_is_read(run, setup, cifar_c, passes, tmp_path):
    models, arrays = setup
    what = ('--corruptions', 'snow', 'fog', '--cifar-c', str(cifar_c), '--severities', '1', '3')
    scores = run(what=what)
    for name, model in zip('ab', models):
        for row, corruption in enumerate(('snow', 'fog')):
            images = np.load(cifar_c / f'{corruption}.npy').reshape(5, IMAGES, 32, 32, 3)[[0, 2]]
            expected = [100 * float((predict(model, part).argmax(1).numpy()
                                     == arrays['labels_test']).mean()) for part in images]
            np.testing.assert_allclose(scores[name].accuracy[row], expected)
    assert scores['a'].accuracy[1, 0] == 100
    page = (tmp_path / 'out/corruptions.md').read_text()
    assert 'those of the files in TINY-C' in page and 'ImageNet' not in page
    passes.clear()
    np.save(cifar_c / 'snow.npy', np.load(cifar_c / 'snow.npy') // 2)
    run(what=what)
    assert [title for title, _ in passes] == ['snow 1', 'snow 3']


@pytest.mark.parametrize('damage, message', [
    (lambda folder: (folder / 'snow.npy').unlink(), 'snow.npy does not exist.*zenodo.org'),
    (lambda folder: (folder / 'labels.npy').unlink(), 'labels.npy does not exist'),
    (lambda folder: (folder / 'snow.npy').write_bytes((folder / 'snow.npy').read_bytes()[:-1]),
     'snow.npy cannot be read'),
])
def test_broken_cifar_c_is_refused_before_any_work(run, cifar_c, passes, capsys, damage, message):
    damage(cifar_c)
    what = ('--corruptions', 'fog', 'snow', '--cifar-c', str(cifar_c))
    assert re.search(message, refused(capsys, run, what=what))
    assert passes == []


def test_labels_beyond_the_classes_are_refused(run, cifar_c, passes, capsys):
    np.save(cifar_c / 'labels.npy', np.load(cifar_c / 'labels.npy') + 1)
    what = ('--corruptions', 'fog', '--severities', '1', '--cifar-c', str(cifar_c))
    assert 'label 4, but the model only 4 classes' in refused(capsys, run, what=what)
    # The clean images' results stay.
    passes.clear()
    np.save(cifar_c / 'labels.npy', np.load(cifar_c / 'labels.npy') - 1)
    run(what=what)
    assert 'clean' not in dict(passes)


@pytest.mark.parametrize('extra, message', [
    (('--severities', '0'), 'from 1 (mild) to 5 (strong), got 0'),
    (('--severities', '6'), 'got 6'),
    (('--corruptions', 'fogg'), "Did you mean 'fog'"),
    (('--reference', 'c'), "--reference must be one of ['a', 'b'], got 'c'"),
    (('--seed', '-1'), '--seed must be at least 0, got -1'),
    (('--cifar-c', 'x', '--split', 'train'), 'leave out --split train'),
    (('--cifar-c', 'x', '--where', 'loaded'), 'leave out --where'),
    (('--cifar-c', 'nowhere'), 'nowhere/labels.npy does not exist'),
])
def test_options_that_cannot_be_are_refused(run, passes, capsys, extra, message):
    assert message in refused(capsys, run, *extra)
    assert passes == []


def test_another_checkpoint_is_refused_and_results_stay(run, tmp_path, passes, capsys):
    run()
    before = (tmp_path / 'out/corruptions.md').read_text()
    state = torch.load(tmp_path / '1.pth')['state_dict']
    torch.save(dict(state_dict={key: value[:3] if 'head.fc' in key else value
                                for key, value in state.items()}), tmp_path / '1.pth')
    assert 'another number of classes' in refused(capsys, run)
    assert (tmp_path / 'out/corruptions.md').read_text() == before


def test_small_images_are_refused_before_any_pass(run, passes, capsys):
    arrays = dict(np.load('tiny.npz'))
    np.savez('tiny.npz', **{**arrays, 'images_test': arrays['images_test'][:, :16]})
    assert 'has 32 x 16 pixels' in refused(capsys, run)
    assert passes == []


def test_workers_learn_of_every_condition(run, setup):
    arrays = setup[1]
    # The config's own number: with it they are persistent, by default.
    scores = run('--batch-size', '20', '--cfg-options', 'test_dataloader.num_workers=2',
                 what=('--corruptions', 'contrast', '--severities', '1', '5'))
    expected = [100 * float((predict(setup[0][0], corrupted(arrays['images_test'], 'contrast',
                                                            severity)).argmax(1).numpy()
                             == arrays['labels_test']).mean()) for severity in (1, 5)]
    assert expected[0] != expected[1]
    np.testing.assert_allclose(scores['a'].accuracy[0], expected)
