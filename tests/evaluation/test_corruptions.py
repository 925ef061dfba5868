"""Numbers by hand and of a plain loop, results kept and used again, and what is refused."""
import csv
import json

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import tiny_classifier
from helpers.corrupting import corrupted
from helpers.tiny_classifier import predict, request
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope
from PIL import Image

from mmips.errors import UserError
from mmips.evaluation import corruptions as robustness
from mmips.runs.tables import to_markdown

IMAGES = 20
OPTIONS = dict(corruptions=['fog'], severities=[1, 4], cifar_c=None, where='packed', seed=0,
               reference=None)
# Errors of the reference: 20 clean, (40, 60) and (30, 50); of the other: 10, (20, 30), (40, 60).
REFERENCE, OTHER = (80., 60., 40., 70., 50.), (90., 80., 70., 60., 40.)


def frame(**networks):
    """Scores on clean images, and of fog and snow at the severities 1 and 5."""
    index = [('clean', 0), ('fog', 1), ('fog', 5), ('snow', 1), ('snow', 5)]
    return pd.DataFrame(networks, index=pd.MultiIndex.from_tuples(index))


def test_corruption_errors_by_hand():
    scores = frame(ref=REFERENCE, other=OTHER)
    # 100 (20 + 30) / (40 + 60) and 100 (40 + 60) / (30 + 50); without clean errors
    # (10 + 20) / (20 + 40) and (30 + 50) / (10 + 30).
    for relative, errors in ((False, [50, 125]), (True, [50, 200])):
        assert robustness.corruption_errors(
            scores, 'ref', relative).other.tolist() == pytest.approx(errors)
    means = robustness.summarise(scores, 'ref').loc['other'].to_dict()
    assert means == pytest.approx(dict(clean=90, accuracy=62.5, mce=87.5, relative_mce=125))
    assert robustness.summarise(scores, 'other').mce.ref == pytest.approx((200 + 80) / 2)
    # A reference without errors counts as unknown.
    scores = frame(ref=(100., 100., 100., 70., 50.), other=OTHER)
    assert robustness.summarise(scores, 'ref').mce.other == pytest.approx(125)
    # Corruptions that do no harm, or even good.
    scores = frame(ref=(60., 60., 60., 70., 50.1), other=OTHER)
    means = robustness.summarise(scores, 'ref')
    assert np.isnan(means.relative_mce.other) and not np.isnan(means.mce.other)
    page = to_markdown('', robustness.corruption_tables(scores, 'ref'))
    assert '| relative mCE %, lower is better | \u2013 | \u2013 |' in page


def test_the_tables_are_those_of_table_11():
    scores = frame(**{'ref': REFERENCE, 'a|b': OTHER})
    lines = to_markdown('', robustness.corruption_tables(scores, 'ref')).splitlines()
    for line in ('| error %, lower is better | ref | a\\|b |', '| clean | 20.00 | **10.00** |',
                 '| fog | 50.00 | **25.00** |', '| snow | **40.00** | 50.00 |',
                 '| mean of the corruptions | 45.00 | **37.50** |',
                 '| all 2 corruptions | ref | a\\|b |',
                 '| accuracy %, higher is better | 55.00 | **62.50** |',
                 '| mCE %, lower is better | 100.00 | **87.50** |',
                 '| relative mCE %, lower is better | **100.00** | 125.00 |',
                 '| severity 1 | 65.00 | **70.00** |', '| severity 5 | 45.00 | **55.00** |'):
        assert line in lines
    assert '**' not in to_markdown('', robustness.corruption_tables(frame(ref=REFERENCE), 'ref'))


def test_the_corruption_has_its_place():
    pipeline = [dict(type=f'mmpretrain.{name}') for name in (
        'LoadImageFromFile', 'ResizeEdge', 'CenterCrop', 'PackInputs')]
    for where, place in (('packed', 3), ('loaded', 1)):
        result = robustness.insert_step(pipeline, dict(type='X'), where)
        assert result == [*pipeline[:place], dict(type='X'), *pipeline[place:]]
    assert robustness.insert_step(pipeline[1:], 'X', 'loaded') == ['X', *pipeline[1:]]
    with pytest.raises(UserError, match='no PackInputs.*--where loaded'):
        robustness.insert_step(pipeline[:-1], dict(type='X'), 'packed')


@pytest.mark.parametrize('wrapper', ['RepeatDataset', 'ConcatDataset'])
def test_files_in_wrappers_are_corrupted_as_arrays_are(tmp_path, wrapper):
    """Images loaded from files, blue first, give the same as those of an array, red first."""
    init_default_scope('mmpretrain')
    images = tiny_classifier.blocks(1)
    (tmp_path / 'cat').mkdir()
    Image.fromarray(images[0]).save(tmp_path / 'cat' / '0.png')
    inner = dict(type='mmpretrain.CustomDataset', data_root=str(tmp_path),
                 pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')])
    data = (dict(type=wrapper, dataset=inner, times=2) if wrapper == 'RepeatDataset' else
            dict(type=wrapper, datasets=[inner, dict(inner)]))
    cfg = Config(dict(model=dict(), data_preprocessor=dict(to_rgb=True),
                      test_dataloader=dict(dataset=data)))
    changed = robustness.corrupt_split(cfg, request(**{**OPTIONS, 'seed': 2}), ('frost', 3))
    dataset = DATASETS.build(changed.test_dataloader.dataset)
    expected = corrupted(images, 'frost', 3, 2)[0]
    for number in range(2):
        np.testing.assert_array_equal(dataset[number]['inputs'].permute(1, 2, 0)[..., [2, 1, 0]],
                                      expected)
    # The config itself is left alone.
    assert 'CorruptImage' not in str(cfg)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """The first of the two networks is right about every clean image."""
    folder, images = tmp_path_factory.mktemp('trained'), tiny_classifier.blocks(IMAGES)
    models = tiny_classifier.make(folder, images)
    labels = predict(models[0], images).argmax(1).numpy()
    assert len(set(labels.tolist())) == 4
    tiny_classifier.save_arrays(folder, images, labels)
    return folder, models, images, labels


@pytest.fixture
def run(trained, tmp_path, monkeypatch):
    tiny_classifier.enter(tmp_path, trained[0], monkeypatch)
    return lambda **change: robustness.eval_corruptions(request(**{**OPTIONS, **change}))


@pytest.fixture
def passes(monkeypatch):
    """Titles of the passes over corrupted images, with the networks that took part."""
    found = []
    original = robustness._count_correct
    monkeypatch.setattr(robustness, '_count_correct', lambda models, loader, title: (
        found.append((title, ''.join(models))), original(models, loader, title))[1])
    return found


def accuracy(model, images, labels):
    return 100 * float((predict(model, images).argmax(1).numpy() == labels).mean())


def test_numbers_are_those_of_a_plain_loop(run, trained, monkeypatch):
    """With workers, too; the examples are red first, from the middle of the split."""
    drawn = []
    monkeypatch.setattr('mmips.visualization.corruptions.draw_examples', lambda *args: (
        drawn.append(args), Image.new('L', (2, 2)))[1])
    _, models, images, labels = trained
    names = ('fog', 'impulse_noise', 'contrast')
    scores = run(corruptions=names, severities=[4, 1], seed=3, batch_size=7,
                 cfg_options={'test_dataloader.num_workers': 2})
    for name, model in zip('ab', models):
        expected = [accuracy(model, corrupted(images, corruption, severity, 3), labels)
                    for corruption in names for severity in (1, 4)]
        np.testing.assert_allclose(scores[name], [accuracy(model, images, labels), *expected])
    assert scores.a['clean', 0] == 100
    # The networks and the corruptions are told apart by these numbers.
    assert len(set(scores.to_numpy().ravel())) > 4
    original, examples, note = drawn[0]
    np.testing.assert_array_equal(original, images[10])
    np.testing.assert_array_equal(examples['fog'][4], corrupted(images[:11], 'fog', 4, 3)[10])
    assert '32 x 32 pixels' in note


def test_the_files_say_what_was_measured(run, tmp_path):
    scores = run(reference='b')
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
    assert [float(row['accuracy']) for row in rows] == pytest.approx([*scores.a, *scores.b])
    page = (folder / 'corruptions.md').read_text()
    for words in ('| clean | **0.00** |', "Severities: ImageNet-C's, imagecorruptions 1.1.5",
                  'do not compare', 'relative to those of b', f'{IMAGES} images', 'seed 0'):
        assert words in page
    content = json.loads((folder / 'corruptions.json').read_text())
    assert content['reference'] == 'b' and content['summary']['b']['mce'] == pytest.approx(100)
    assert content['scores'][1]['accuracy'] == pytest.approx(scores.a['fog', 1])
    mean = scores.b['fog'].mean()
    assert content['metrics']['b'] == pytest.approx({
        'corruptions/accuracy': mean, 'corruptions/error_fog': 100 - mean,
        'corruptions/error_clean': 100 - scores.b['clean', 0]})


def test_what_is_done_is_not_done_again(run, passes, tmp_path):
    first = run()
    assert passes == [('fog 1', 'ab'), ('fog 4', 'ab')]
    passes.clear()
    pd.testing.assert_frame_equal(run(batch_size=3, reference='b'), first)
    assert passes == []
    # New severities, corruptions, names and checkpoints cost themselves alone.
    run(corruptions=['fog', 'snow'], severities=[4])
    (tmp_path / '2.pth').write_bytes((tmp_path / '1.pth').read_bytes())
    run(checkpoints=['0.pth', '2.pth'], names=['x', 'y'])
    assert passes == [('snow 4', 'ab'), ('fog 1', 'y'), ('fog 4', 'y')]
    # What has changed is done again.
    for change in (dict(seed=1), dict(max_images=10)):
        passes.clear()
        run(severities=[1], **change)
        assert passes == [('fog 1', 'ab')]
    passes.clear()
    np.savez('tiny.npz', **dict(np.load('tiny.npz')), more=np.zeros(3))
    run(severities=[1])
    state = torch.load('1.pth')
    torch.save(dict(state, more=1), '1.pth')
    run(severities=[1])
    assert passes == [('fog 1', 'ab'), ('fog 1', 'b')]


def test_an_interruption_keeps_what_is_finished(run, passes, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr('mmips.evaluation.predictions.iter_batches', lambda loader, title: (
            loader if title != 'fog 4' else pytest.fail('interrupted')))
        with pytest.raises(pytest.fail.Exception, match='interrupted'):
            run()
    passes.clear()
    run()
    assert passes == [('fog 4', 'ab')]


def test_cifar_c_is_read(run, trained, passes, tmp_path):
    """Fog is clean, snow turned round, darker at each level."""
    _, models, images, labels = trained
    cifar_c = tmp_path / 'TINY-C'
    cifar_c.mkdir()
    for corruption, changed in (('fog', images), ('snow', images[:, ::-1, :, ::-1])):
        np.save(cifar_c / f'{corruption}.npy', np.concatenate(
            [changed // severity for severity in range(1, 6)]))
    np.save(cifar_c / 'labels.npy', np.tile(labels, 5))
    change = dict(corruptions=['snow', 'fog'], cifar_c=str(cifar_c), severities=[1, 3])
    scores = run(**change)
    for name, model in zip('ab', models):
        for corruption in ('snow', 'fog'):
            images = np.load(cifar_c / f'{corruption}.npy').reshape(5, IMAGES, 32, 32, 3)
            for severity in (1, 3):
                assert scores[name][corruption, severity] == pytest.approx(
                    accuracy(model, images[severity - 1], labels))
    assert scores.a['fog', 1] == 100
    page = (tmp_path / 'out/corruptions.md').read_text()
    assert 'those of the files in TINY-C' in page and 'ImageNet' not in page
    passes.clear()
    np.save(cifar_c / 'snow.npy', np.load(cifar_c / 'snow.npy') // 2)
    run(**change)
    assert [title for title, _ in passes] == ['snow 1', 'snow 3']
    # The first fifth of fog are the clean images, about which a is right: no error to compare.
    run(**{**change, 'corruptions': ['fog'], 'severities': [1]})
    content = json.loads((tmp_path / 'out/corruptions.json').read_text(),
                         parse_constant=lambda name: pytest.fail(name))
    assert content['summary']['b']['mce'] is None and content['summary']['b']['accuracy'] < 100
    # What is broken is refused before any work.
    passes.clear()
    (cifar_c / 'snow.npy').unlink()
    with pytest.raises(UserError, match='snow.npy does not exist.*zenodo.org'):
        run(**change)
    assert passes == []


@pytest.mark.parametrize('change, message', [
    (dict(severities=[0]), r'from 1 \(mild\) to 5 \(strong\), got 0'),
    (dict(corruptions=['fogg']), 'did you mean fog'),
    (dict(reference='c'), r"--reference must be one of \['a', 'b'\], got 'c'"),
    (dict(seed=-1), 'seed must be an integer of at least 0, got -1'),
    (dict(cifar_c='x', split='train'), 'leave out --split train'),
    (dict(cifar_c='x', where='loaded'), 'and --where'),
    (dict(cifar_c='nowhere'), 'nowhere/labels.npy does not exist'),
    ('small images', r'at least 32 pixels .*\(16, 32, 3\)')])
def test_what_cannot_be_is_refused(run, passes, tmp_path, change, message):
    arrays = dict(np.load('tiny.npz'))
    if change == 'small images':
        change = {}
        np.savez('tiny.npz', **{**arrays, 'images_test': arrays['images_test'][:, :16]})
    with pytest.raises(UserError, match=message):
        run(**change)
    assert passes == [] and not (tmp_path / 'out').exists()
