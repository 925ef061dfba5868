import contextlib
import csv
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.runner import ValLoop

from mmips.config import loading, splits
from mmips.evaluation import predictions
from mmips.runs import files, fingerprints, loaders, sweep

TINY = """
options: {train_cfg.max_epochs: 2, model.backbone.base_channels: 4, model.backbone.stem_channels: 4,
          model.head.in_channels: 16, default_hooks.checkpoint.interval: 1}
config: ips/resnet-s_hard_npz.py
seeds: [0, 1]
evaluate: [test, train]
axes:
  lr: {key: optim_wrapper.optimizer.lr, values: [0.1, 0.2]}
cells:
  IPS: {config: ips/resnet-s_ips_npz.py}
"""


@pytest.fixture
def read(npz, tmp_path):

    def run(more='', **changes):
        (tmp_path / 'tiny.yml').write_text(TINY + more)
        return replace(sweep.read_sweep(tmp_path / 'tiny.yml'), **changes)

    return run


def outcome(seed, value, seconds=1.):
    return dict(seed=seed, epochs=2, images=[24, 48], scores=[value + 1, value], seconds=seconds,
                resumed=seconds > 1, test={'accuracy/top1': value, 'loss': 0.1},
                train={'accuracy/top1': value + 5, 'loss': 0.05})


def test_each_config_is_read_once(read, monkeypatch):
    found, names = read(), []
    load = loading.load_config
    monkeypatch.setattr(loading, 'load_config', lambda name: names.append(name) or load(name))
    marks = sweep.check_cells(found, found.cells)
    assert [Path(name).name for name in names] == ['resnet-s_hard_npz.py', 'resnet-s_ips_npz.py']
    assert len({mark['config'] for mark in marks.values()}) == 3
    # The options are in the copies alone, and what is marked is what is trained.
    for cell in found.cells:
        cfg = sweep.load_cell(cell)
        assert fingerprints.fingerprint(cfg, sweep.data_files(cfg)) == marks[cell.name]
    assert marks['IPS'].keys() == {'config', os.environ['MMIPS_NPZ']}


def test_curves_need_validations(read):
    cell = read().cells[0]
    longer = replace(cell, options={**cell.options, 'train_cfg.max_epochs': 60})
    own = replace(longer, options={**longer.options, 'train_cfg.val_interval': 7})
    assert [sweep.load_cell(one, True).train_cfg.val_interval
            for one in (cell, longer, own)] == [1, 5, 7]
    assert sweep.load_cell(longer).train_cfg.val_interval == 30


@pytest.mark.parametrize('options, words', [
    ({'model.backbone.dept': 5}, 'cell lr=0.1 .*resnet-s_hard_npz.py.: .*did you mean depth'),
    ({'train_cfg': dict(_delete_=True, type='IterBasedTrainLoop', max_iters=3)},
     'cell lr=0.1 .* is not trained in epochs'),
    ({'val_evaluator': None}, 'cell lr=0.1 .* has no val_evaluator'),
    ({'train_dataloader.dataset.ann_file': 'gone.npz'}, r'(?s)gone.npz.*train_dataloader.dataset'),
    ({'test_evaluator.topk': [3]}, "metric: 'accuracy/top1' is not among the results of the "
     'test_evaluator of cell lr=0.1, which are accuracy/top3'),
])
def test_refuses_before_anything_is_trained(read, options, words):
    found = read()
    cells = [replace(cell, options={**cell.options, **options}) for cell in found.cells]
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        sweep.check_cells(found, cells)


def test_refuses_a_metric_that_is_none(read):
    found = read(metric='accuracy/top2')
    with pytest.raises(ValueError, match="metric: 'accuracy/top2' is not among the results of the "
                       'val_evaluator of cell lr=0.1, which are accuracy/top1'):
        sweep.check_cells(found, found.cells)
    # Without the data nothing is said of it.
    sweep.check_cells(found, found.cells, data=False)
    evaluators = [dict(type='Accuracy', topk=[1]), dict(type='mmips.SafetyMetrics')]
    cell = replace(found.cells[0], options={'val_evaluator': evaluators,
                                            'test_evaluator': evaluators})
    sweep.check_cells(replace(found, metric='accuracy/top1'), [cell])


def test_data_is_downloaded_once_and_before_the_runs(read, monkeypatch):
    found, built = read(), []
    monkeypatch.setattr(sweep.sources, 'pending_downloads', lambda cfg, fields: [] if built else [
        ('train_dataloader.dataset', cfg.train_dataloader.dataset, ['far.npz'])])
    monkeypatch.setattr('mmengine.registry.DATASETS.build', built.append)
    sweep.check_cells(found, found.cells)
    assert [data.type for data in built] == ['mmips.ArrayDataset']

    def fail(data):
        raise OSError('no network')

    built.clear()
    monkeypatch.setattr('mmengine.registry.DATASETS.build', fail)
    with pytest.raises(FileNotFoundError, match=r'(?s)far.npz.*download failed: no network'):
        sweep.check_cells(found, found.cells)


def test_trains_and_evaluates_the_last_weights(read, tmp_path):
    found = read()
    cell = found.cells[2]
    result = sweep.train_cell(found, cell, tmp_path / 'run', 3)
    assert result['seed'] == 3 and result['epochs'] == 2 and result['images'] == [96]
    assert result['scores'] == [result['test']['accuracy/top1']]
    cfg = Config.fromfile(tmp_path / 'run' / 'resnet-s_ips_npz.py')
    assert cfg.model.head.in_channels == 16 and cfg.randomness.seed == 3
    # Training images in order, without augmentation, each once.
    splits.prepare_split(cfg, 'train', 'x')
    model, loader = predictions.build_model(cfg, 'cpu'), loaders.build_loader(cfg, 'train')
    for _ in predictions.each_checkpoint(model, [str(tmp_path / 'run' / 'epoch_2.pth')], ['x']):
        probs, labels = predictions.predict_probs(model, loader, 'x')
    assert len(labels) == 24
    assert result['train']['accuracy/top1'] == pytest.approx(
        100 * (probs.argmax(1) == labels).mean())


@contextlib.contextmanager
def killed(epoch, after):
    """Break a run off before, or right after, the validation of an epoch."""
    validate = ValLoop.run

    def run(loop):
        metrics = validate(loop) if after or loop.runner.epoch != epoch else None
        if loop.runner.epoch == epoch:
            raise InterruptedError
        return metrics

    with pytest.MonkeyPatch.context() as patch, pytest.raises(InterruptedError):
        patch.setattr(ValLoop, 'run', run)
        yield


@pytest.fixture(scope='module')
def unbroken():
    """Cache of the one run that the killed ones are compared with."""
    return {}


@pytest.mark.parametrize('epoch, after', [(2, False), (3, False), (3, True)])
def test_a_killed_run_loses_no_score(read, tmp_path, unbroken, epoch, after):
    found = read(curves=True)
    cell = replace(found.cells[0], options={**found.cells[0].options, 'train_cfg.max_epochs': 3})
    if not unbroken:
        unbroken.update(sweep.train_cell(found, cell, tmp_path / 'unbroken', 0))
    assert unbroken['images'] == [24, 48, 72] and not unbroken['resumed']
    folder = tmp_path / 'killed'
    with killed(epoch, after):
        sweep.train_cell(found, cell, folder, 0)
    assert (folder / 'last_checkpoint').read_text().endswith(f'epoch_{epoch}.pth')
    assert not (folder / 'result.json').exists()
    kept = json.loads((folder / 'scores.json').read_text())
    assert sorted(kept) == [str(number) for number in range(1, epoch + after)]

    result = sweep.train_cell(found, cell, folder, 0)
    assert result['resumed'] and result['images'] == unbroken['images']
    assert [result[key] for key in ('scores', 'test', 'train')] == [
        unbroken[key] for key in ('scores', 'test', 'train')]


def test_what_was_not_evaluated_everywhere_is_evaluated_and_not_trained(read, tmp_path):
    found = read(seeds=(0, ))
    cell = found.cells[0]
    folder = sweep.folder_of(tmp_path, cell, 0)
    once = sweep.train_cell(replace(found, evaluate=('test', )), cell, folder, 0)
    files.write_json(folder / 'result.json', once)
    weights = (folder / 'epoch_2.pth').read_bytes()
    assert sweep.collect(replace(found, evaluate=('test', )), tmp_path) == {(cell.name, 0): once}
    assert sweep.collect(found, tmp_path) == {}
    again = sweep.train_cell(found, cell, folder, 0)
    assert again['resumed'] and again['scores'] == once['scores']
    assert again['test'] == once['test'] and 0 <= again['train']['accuracy/top1'] <= 100
    assert (folder / 'epoch_2.pth').read_bytes() == weights
    files.write_json(folder / 'failure.json', dict(failed='so'))
    assert sweep.collect(found, tmp_path)[cell.name, 0] == dict(failed='so')


def test_results_are_sorted_and_without_times(read, tmp_path):
    found = read('paper: {IPS: 50}\n')
    results = {('IPS', 1): outcome(1, 60., 9), ('lr=0.2', 0): dict(failed='so'),
               ('lr=0.1', 1): outcome(1, 50.70000076293945), ('lr=0.1', 0): outcome(0, 40.)}
    text = sweep.write_results(found, results, tmp_path / 'out')
    assert (tmp_path / 'out' / 'results.csv').read_bytes() == b'\n'.join((
        b'cell,lr,seed,test_accuracy/top1,test_loss,train_accuracy/top1,train_loss,images_seen,'
        b'epochs,best_validation', b'lr=0.1,0.1,0,40,0.1,45,0.05,48,2,41',
        b'lr=0.1,0.1,1,50.7,0.1,55.7,0.05,48,2,51.7', b'IPS,,1,60,0.1,65,0.05,48,2,61', b''))
    with open(tmp_path / 'out' / 'times.csv', newline='') as file:
        assert list(csv.reader(file))[3] == ['IPS', '1', '9', 'True']
    stored = json.loads((tmp_path / 'out' / 'results.json').read_text())
    assert stored['sweep']['metric'] == 'accuracy/top1'
    assert [(one['cell'], one['seed']) for one in stored['results']] == [
        ('lr=0.1', 0), ('lr=0.1', 1), ('lr=0.2', 0), ('IPS', 1)]
    assert text == (tmp_path / 'out' / 'results.md').read_text()
    assert '| IPS | **60.00 (n=1)** | 65.00 (n=1) | 5.00 (n=1) | 50.0 |' in text
    assert r'\toprule' in (tmp_path / 'out' / 'results.tex').read_text()
    assert not list((tmp_path / 'out').glob('*.part'))
    low = sweep.write_results(replace(found, lower=True), results, tmp_path / 'out')
    assert '**45.35 ± 7.57 (n=2)**' in low
    assert ',48,2,40\n' in (tmp_path / 'out' / 'results.csv').read_text()


def test_folders_are_prepared(read, tmp_path):
    found = read(seeds=(0, ))
    done, failed, new = found.cells
    marks = sweep.check_cells(found, found.cells)
    folders = [sweep.folder_of(tmp_path, cell, 0) for cell in found.cells]
    assert folders[0] == tmp_path / 'lr=0.1' / 'seed0'
    for folder, cell in zip(folders[:2], (done, failed)):
        folder.mkdir(parents=True)
        files.write_json(folder / 'fingerprint.json', marks[cell.name])
    files.write_json(folders[0] / 'result.json', outcome(0, 1.))
    files.write_json(folders[1] / 'failure.json', dict(failed='so'))

    def prepare(new_marks=marks, **options):
        sweep.prepare_folders(found, found.cells, new_marks, tmp_path, **options)
        return {name: 'failed' in result
                for (name, _), result in sweep.collect(found, tmp_path).items()}

    assert prepare() == {'lr=0.1': False, 'lr=0.2': True}
    # Another setup has not failed yet.
    assert prepare({**marks, 'lr=0.2': marks['IPS']}) == {'lr=0.1': False}
    files.write_json(folders[1] / 'failure.json', dict(failed='so'))
    assert prepare(retry=True) == {'lr=0.1': False}
    with pytest.raises(ValueError, match='lr=0.1/seed0 holds a run of another setup'):
        prepare({**marks, 'lr=0.1': marks['IPS']})
    assert folders[0].is_dir()
    assert prepare({**marks, 'lr=0.1': marks['IPS']}, fresh=True) == {}
    assert not folders[0].exists()
