"""A damaged file, or one of another setup, costs its own run alone."""
import json
import math
import os
import shutil

import pytest
from helpers.tools import run_here

from mmips.errors import UserError
from mmips.runs import files, sweep
from mmips.version import __version__

TINY = """
options: {train_cfg.max_epochs: 2, model.backbone.base_channels: 4, model.backbone.stem_channels: 4,
          model.head.in_channels: 16, default_hooks.checkpoint.interval: 1,
          test_evaluator: [{type: Accuracy, topk: [1]}, {type: mmips.SafetyMetrics}]}
config: ips/resnet-s_hard_npz.py
seeds: [0]
axes:
  lr: {key: optim_wrapper.optimizer.lr, values: [0.1, 0.2]}
"""


def engine(tasks):
    return run_here(tasks, 1)


@pytest.fixture(scope='module')
def trained(tmp_path_factory, tiny_npz):
    """The folder of a sweep that has been trained."""
    folder = tmp_path_factory.mktemp('trained')
    (folder / 'tiny.yml').write_text(TINY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('MMIPS_NPZ', str(tiny_npz))
        found = sweep.read_sweep(folder / 'tiny.yml')
        sweep.train_recipes(found, found.recipes, folder, engine)
    return folder


@pytest.fixture
def there(trained, tmp_path, npz):
    """A copy of it, as the current sweep."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return sweep.read_sweep(tmp_path / 'tiny.yml'), tmp_path, tmp_path / 'lr=0.1/seed0'


HARMS = {'empty': b'', 'cut': b'{"epochs": 2, "scor', 'another type': b'[1, 2]', 'number': b'5',
         'encoding': b'\xff\xfe{}', 'deep': b'[' * 100_000, 'folder': None}


@pytest.mark.parametrize('name', ['result.json', 'failure.json', 'scores.json', 'fingerprint.json'])
@pytest.mark.parametrize('harm', HARMS)
def test_a_damaged_file_costs_its_run_alone(there, name, harm, capsys):
    found, work_dir, folder = there
    if name in ('failure.json', 'scores.json'):
        (folder / 'result.json').unlink()
    (folder / name).unlink(missing_ok=True)
    if HARMS[harm] is None:
        (folder / name).mkdir()
    else:
        (folder / name).write_bytes(HARMS[harm])
    if (harm, name) == ('cut', 'result.json'):
        shutil.rmtree(work_dir / 'lr=0.2')  # Is trained.
    for act in (sweep.collect, lambda found, work_dir: sweep.train_recipes(
            found, found.recipes, work_dir, engine)):
        results = act(found, work_dir)
        problem = results['lr=0.1', 0]['failed']
        remove = folder / name if name in ('result.json', 'failure.json') else folder
        assert problem.startswith(f'{folder / name} is damaged (')
        assert problem.endswith(f'). Remove {remove} and start again.')
    assert results['lr=0.2', 0]['test']['accuracy/top1'] >= 0
    sweep.report(found, results, work_dir)
    assert '| lr=0.1 | – |' in capsys.readouterr().out
    with pytest.raises(UserError, match='lr=0.1, seed 0, is left out: .*is damaged'):
        sweep.check_failures(found, found.recipes, results, work_dir)
    sweep.check_failures(found, found.recipes[1:], results, work_dir)


@pytest.mark.parametrize('change, words', [
    (dict(test='abc'), 'test: Input should be'), (dict(test={'top1': 'high'}), 'test: top1: '),
    (dict(scores=[]), 'scores: '), (dict(images=[1, 2, 3]), 'images and scores are not of one'),
    (dict(seconds=None), 'seconds: '), (dict(test={'loss': 1.}), 'has no accuracy/top1 on test')])
def test_a_result_of_another_shape_is_damaged(there, change, words):
    found, work_dir, folder = there
    path = folder / 'result.json'
    files.write_json(path, {**json.loads(path.read_text()), **change})
    assert words in sweep.collect(found, work_dir)['lr=0.1', 0]['failed']


def test_a_run_whose_result_was_removed_goes_on_from_its_last_weights(there):
    found, work_dir, folder = there
    old = json.loads((folder / 'result.json').read_text())
    (folder / 'result.json').unlink()
    result = sweep.train_recipes(found, found.recipes, work_dir, engine)['lr=0.1', 0]
    assert result['resumed'] and result['test'] == old['test'] and result['scores'] == old['scores']


@pytest.mark.parametrize('change', ['options', 'data', 'no fingerprint'])
def test_numbers_of_another_setup_are_left_out(there, change, npz):
    found, work_dir, folder = there
    whole = sweep.collect(found, work_dir)
    assert list(whole) == [('lr=0.1', 0), ('lr=0.2', 0)]
    recipe, path = found.recipes[0], folder / 'fingerprint.json'
    words = r'another setup \(differing: '
    if change == 'options':
        recipe = recipe.but(options={**recipe.options, 'model.head.topk': [1, 2]})
        words += 'config'
    elif change == 'data':
        files.write_json(path, {**json.loads(path.read_text()), str(npz): [1, 2]})
        words += str(npz)
    else:
        path.unlink()
        words = 'an unknown setup'
    found = found.but(recipes=(recipe, found.recipes[1]))
    results = sweep.collect(found, work_dir)
    assert results['lr=0.2', 0] == whole['lr=0.2', 0]
    with pytest.raises(UserError, match=f'lr=0.1, seed 0, is left out: .*{words}.*--fresh'):
        sweep.check_failures(found, found.recipes, results, work_dir)


def test_the_files_of_every_data_set_are_part_of_the_setup(there, tmp_path, npz):
    found, *_ = there
    (tmp_path / 'images').mkdir()
    recipe = found.recipes[0].but(options={
        **found.recipes[0].options, 'val_dataloader.dataset': dict(
            _delete_=True, type='mmips.ImageFolder', data_root=str(tmp_path / 'images'))})
    cfg = sweep.load_recipe(found, recipe)
    assert set(sweep.data_files(cfg)) == {str(npz), str(tmp_path / 'images')}


def test_another_metric_is_tabulated_but_has_no_validations(there):
    found, work_dir, folder = there
    other = found.but(metric='safety/nll')
    result = sweep.collect(other, work_dir)['lr=0.1', 0]
    assert result['test']['safety/nll'] > 0 and all(map(math.isnan, result['scores']))
    # Those of a run that is not finished would be of both metrics.
    (folder / 'result.json').unlink()
    with pytest.raises(UserError, match=r'another setup \(differing: metric\)'):
        sweep.train_recipes(other, other.recipes, work_dir, engine)


def test_what_tools_find_of_the_last_weights_is_tabulated(there, capsys):
    found, work_dir, folder = there
    found = found.but(more={'fgsm/0.01': 'higher', 'fog': 'lower'})
    sweep.report(found, sweep.collect(found, work_dir), work_dir)
    assert 'No run has fgsm/0.01, fog yet' in capsys.readouterr().out
    last = folder / 'epoch_2.pth'
    content = dict(split='test', checkpoints={'a': str(last)}, metrics={'a': {
        'fgsm/0.01': 45.9, 'accuracy/top1': -1.}})
    (work_dir / 'attacks').mkdir()
    (work_dir / 'attacks/others.json').write_text('[1]')
    files.write_json(work_dir / 'attacks/attacks.json', content)
    result = sweep.collect(found, work_dir)['lr=0.1', 0]
    # What the run has found itself stays.
    assert result['test']['fgsm/0.01'] == 45.9 and result['test']['accuracy/top1'] >= 0
    sweep.report(found, sweep.collect(found, work_dir), work_dir)
    told = capsys.readouterr()
    assert 'No run has fog yet' in told.out and told.err == ''
    assert 'test_fgsm/0.01' in (work_dir / 'results.csv').read_text()
    later = {'of another split': dict(split='val'),
             'of other weights': dict(checkpoints={'a': str(folder / 'epoch_1.pth')})}
    for what, change in later.items():
        files.write_json(work_dir / 'attacks/attacks.json', {**content, **change})
        assert 'fgsm/0.01' not in sweep.collect(found, work_dir)['lr=0.1', 0]['test'], what
    assert 'attacks.json is not of the last weights in ' in capsys.readouterr().err
    files.write_json(work_dir / 'attacks/attacks.json', content)
    os.utime(last, (2 ** 32, 2 ** 32))
    assert 'fgsm/0.01' not in sweep.collect(found, work_dir)['lr=0.1', 0]['test']
    assert 'attacks.json is not of the last weights in ' in capsys.readouterr().err


def test_versions_are_kept_and_told(there, capsys):
    found, work_dir, folder = there
    results = sweep.collect(found, work_dir)
    sweep.report(found, results, work_dir)
    stored = json.loads((work_dir / 'results.json').read_text())['results']
    assert [run['mmips_version'] for run in stored] == [__version__] * 2
    sweep.check_failures(found, found.recipes, results, work_dir)
    assert 'another version' not in capsys.readouterr().out
    path = folder / 'result.json'
    for version, said in (('0.0.1', '0.0.1'), ('', 'an unknown one')):
        files.write_json(path, {**json.loads(path.read_text()), 'mmips_version': version})
        sweep.check_failures(found, found.recipes, sweep.collect(found, work_dir), work_dir)
        assert capsys.readouterr().out == (
            f'Trained with another version of mmips ({said}, this is {__version__}): '
            'lr=0.1, seed 0. To train anew: --fresh.\n')


def test_fresh_says_what_it_cannot_remove(there, tmp_path):
    found, work_dir, folder = there
    folder.rename(tmp_path / 'elsewhere')
    folder.symlink_to(tmp_path / 'elsewhere')
    with pytest.raises(OSError, match='symbolic link'):
        sweep.train_recipes(found, found.recipes, work_dir, engine, fresh=True)
    assert (tmp_path / 'elsewhere/result.json').exists()
