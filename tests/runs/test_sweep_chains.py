"""Recipes that start from others of the sweep, or are taught by them."""
import functools
import json

import pytest
from helpers.tiny_sweep import read_tiny, with_options

from mmips.errors import UserError
from mmips.runs import sweep, sweep_checks
from mmips.runs.sweep_recipes import RANDOM


@pytest.fixture
def read(npz, tmp_path):
    return functools.partial(read_tiny, tmp_path)


def test_a_recipe_starts_from_the_same_seed_of_another(read, tmp_path):
    """Trained by an engine that does one task after the other, here."""
    hard = with_options(read().recipes[0], **{'train_cfg.max_epochs': 1}).but(name='hard')
    other = with_options(hard, **{
        'model.backbone.init_cfg': dict(type='Pretrained', checkpoint='x', prefix='backbone.'),
        'custom_hooks': [dict(type='mmips.CheckPretrained')]})
    recipes = (other.but(name='from it', folder='it', start='hard'), hard,
               other.but(name='random', folder='random', start=RANDOM))
    found, told = read(recipes=recipes, evaluate=('test', )), []

    def engine(tasks):
        told.append([str(task.folder.relative_to(tmp_path)) for task in tasks])
        return ((task, task()) for task in tasks)

    sweep.train_recipes(found, recipes, tmp_path, engine)
    assert told == [[f'{name}/seed{seed}' for seed in (0, 1) for name in (hard.folder, 'random')],
                    ['it/seed0', 'it/seed1']]
    for seed in (0, 1):
        log = (tmp_path / 'it' / f'seed{seed}' / 'train.log').read_text()
        checkpoint = sweep.start_of(found, recipes[0], seed, tmp_path)
        assert checkpoint == tmp_path / hard.folder / f'seed{seed}' / 'epoch_1.pth'
        assert f'{checkpoint}' in log and 'come from its checkpoint' in log
    assert 'come from its checkpoint' not in (tmp_path / 'random/seed0/train.log').read_text()
    # Without what it started from nothing says that its numbers are of this sweep.
    for part in ('epoch_1.pth', 'result.json'):
        path = tmp_path / hard.folder / 'seed1' / part
        path.rename(tmp_path / 'aside')
        results = sweep.collect(found, tmp_path)
        assert 'failed' not in results['from it', 0] and results['from it', 1]['left_out']
        assert f'{hard.name}, which has not ended' in results['from it', 1]['failed']
        (tmp_path / 'aside').rename(path)
    assert not any('failed' in result for result in sweep.collect(found, tmp_path).values())
    # What it started from is part of the setup.
    (tmp_path / hard.folder / 'seed1/epoch_1.pth').touch()
    with pytest.raises(UserError, match=r'it/seed1 .*another setup \(differing: .*epoch_1.pth\)'):
        sweep.train_recipes(found, recipes, tmp_path, engine)


def test_a_recipe_is_taught_by_the_same_seed_of_another(read, tmp_path):
    hard = with_options(read().recipes[0], **{'train_cfg.max_epochs': 1}).but(name='hard')
    taught = with_options(hard, **{
        'model.type': 'mmips.TeacherDistillClassifier', 'model.distill': dict(type='mmips.KDLoss'),
        'model.teacher': dict(config=hard.config, checkpoint='yet to be trained', model=dict(
            backbone=dict(base_channels=4, stem_channels=4), head=dict(in_channels=16)))})
    recipes = taught.but(name='KD', folder='kd', teacher='hard'), hard
    found = read(recipes=recipes, evaluate=('test', ))

    def engine(tasks):
        return ((task, task()) for task in tasks)

    results = sweep.train_recipes(found, recipes, tmp_path, engine)
    assert [results[name, seed].get('failed') for name in ('hard', 'KD') for seed in (0, 1)] == [
        None] * 4
    checkpoint = tmp_path / hard.folder / 'seed1/epoch_1.pth'
    mark = json.loads((tmp_path / 'kd/seed1/fingerprint.json').read_text())
    assert str(checkpoint) in mark
    # The teacher is part of the setup.
    checkpoint.touch()
    with pytest.raises(UserError, match=r'kd/seed1 .*another setup \(differing: .*epoch_1.pth\)'):
        sweep.train_recipes(found, recipes, tmp_path, engine)
    # One of a fixed file, too.
    cfg = sweep_checks.load_recipe(found, with_options(
        taught, **{'model.teacher.checkpoint': str(checkpoint)}))
    assert str(checkpoint) in sweep_checks.data_files(cfg)
    cfg.model.teacher.checkpoint = 'https://x.y/z.pth'
    assert not any('z.pth' in path for path in sweep_checks.data_files(cfg))
    # And whatever else a config starts from.
    cfg.load_from = 'a.pth'
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint='b.pth')
    assert {'a.pth', 'b.pth'} <= set(sweep_checks.data_files(cfg))
