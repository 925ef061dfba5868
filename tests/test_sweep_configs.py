"""Every recipe of every sweep in configs/sweeps builds and trains, and is what it says.

Recipes that differ by numbers alone are one structure. Each structure takes two steps, unless it
is a config as it is, which tests/test_configs.py trains.
"""
import ast
import functools
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.configs import ROOT, load
from helpers.two_steps import check_two_steps, use_arrays, write_npz

from mmips.registry import DATA_SAMPLERS, MODELS
from mmips.runs import sweep_checks
from mmips.runs.fingerprints import fingerprint
from mmips.runs.sweep_file import read_sweep
from mmips.runs.sweep_recipes import Recipe, Sweep

SWEEPS = sorted(path.stem for path in (ROOT / 'configs/sweeps').glob('*.yml'))
PAPER = [name for name in SWEEPS if name.endswith('_cifar100')]
# Without curves, for which a sweep is validated more often.
PLAIN = Sweep(recipes=[Recipe(name='any')])


@functools.cache
def sweep(name):
    return read_sweep(ROOT / 'configs/sweeps' / f'{name}.yml')


def config_of(each):
    """The config of a recipe; the one below is read once."""
    return sweep_checks.load_recipe(PLAIN, each, load(short(each.config)))


def on_arrays(path):
    """A config whose data is there."""
    cfg = load(short(path))
    use_arrays(cfg)
    return cfg


def short(path):
    return Path(path).as_posix().rpartition('configs/')[2]


def is_number(key, value):
    """Whether an option changes a number alone; the network's make another structure."""
    numbers = value if isinstance(value, list) else [value]
    return (not key.startswith(('model.backbone', 'model.head'))
            and all(isinstance(number, (int, float)) for number in numbers))


def structures():
    """One recipe of each structure that no config has by itself, by a name for the test."""
    found = {}
    for name in SWEEPS:
        for each in sweep(name).recipes:
            # Both evaluators are built and used in the test of each sweep's metrics.
            parts = {key: value for key, value in each.options.items()
                     if not is_number(key, value) and 'evaluator' not in key}
            if parts:
                key = (short(each.config), json.dumps(parts, sort_keys=True))
                found.setdefault(key, pytest.param(each, id=f'{name}-{each.folder}'))
    return list(found.values())


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('sweeps')
    (root / 'data').mkdir()
    write_npz(root / 'data/cifar100.npz')
    return root


@pytest.fixture(autouse=True)
def in_data_root(data_root, monkeypatch):
    monkeypatch.chdir(data_root)
    for name in ('MMIPS_NPZ', 'MMIPS_MAX_CLASSES', 'MMIPS_PER_CLASS'):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize('each', structures())
def test_structure_takes_two_steps_and_validates(each, tmp_path):
    if 'BFloat16' in str(each.options) and not torch.cpu._is_avx512_bf16_supported():
        pytest.skip('this CPU has no bfloat16 arithmetic')
    check_two_steps(each.folder, config_of(each), tmp_path)


@pytest.mark.parametrize('name', SWEEPS)
def test_sweep_passes_the_checks_before_a_training(name, monkeypatch):
    # They build the evaluators too, and ask them for the sweep's metric.
    monkeypatch.setattr(sweep_checks, '_read_config', on_arrays)
    found = sweep(name)
    configs = sweep_checks.check_recipes(found, found.recipes)
    marks = {json.dumps(fingerprint(sweep_checks.load_recipe(found, each, configs[each.config])))
             for each in found.recipes}
    assert len(marks) == len(found.recipes), 'twice the same'


@pytest.mark.parametrize('name', ['table10_cifar100', 'table10_npz'])
def test_table_10_has_the_safety_metrics(name, tmp_path):
    for each in sweep(name).recipes:
        cfg = config_of(each)
        assert cfg.val_evaluator == cfg.test_evaluator
        kinds = [kind['type'] for kind in cfg.test_evaluator]
        assert kinds == ['Accuracy', 'mmips.SafetyMetrics'], each.name
    if name == 'table10_npz':
        scores = check_two_steps(name, cfg, tmp_path)
        assert {'safety/aurc', 'safety/fpr95', 'safety/ece', 'safety/brier'} <= set(scores)


@pytest.mark.parametrize('name', ['fig10_cifar100', 'fig10_npz'])
def test_figure_10_trains_once_without_a_swap(name):
    """At p_r = 0 no grid makes a difference."""
    models = [config_of(each).model for each in sweep(name).recipes]
    weights = [(model.alpha, model.gamma) for model in models
               if model.train_cfg.augments[0].prob == 0]
    assert len(weights) == len({*weights}) == 9


class Labels:
    """A data set of 20 classes, as large as the small sweeps are meant for."""

    def __len__(self):
        return 2_000

    def get_gt_labels(self):
        return np.arange(len(self)) % 20


def images_seen(cfg):
    """Images of a training in units of the data set's size."""
    sampler = DATA_SAMPLERS.build(dict(cfg.train_dataloader.sampler), default_args=dict(
        dataset=Labels(), seed=0))
    times = cfg.train_dataloader.dataset.get('times', 1)
    # What samplers leave out, less than a batch an epoch, is no matter.
    return round(cfg.train_cfg.max_epochs * times * images_per_input(cfg) * len(sampler)
                 / len(sampler.dataset))


def images_per_input(cfg):
    return getattr(MODELS.get(cfg.model.type), 'images_per_input', 1)


@pytest.mark.parametrize('name', [name for name in SWEEPS if name not in PAPER])
def test_small_recipes_see_as_many_images_in_as_many_steps(name):
    seen = set()
    for each in sweep(name).recipes:
        cfg = config_of(each)
        seen.add((images_seen(cfg), cfg.train_dataloader.batch_size * images_per_input(cfg)))
        epochs, cuts = cfg.train_cfg.max_epochs, cfg.param_scheduler.get('milestones', [])
        # Half an epoch is as near as whole ones come.
        assert [cut / epochs for cut in cuts] == pytest.approx(
            [0.625, 0.75, 0.875][:len(cuts)], abs=0.5 / epochs + 1e-9), each.name
    assert len(seen) == 1


@pytest.mark.parametrize('name', PAPER)
def test_recipes_at_the_papers_scale_keep_its_schedule(name):
    for each in sweep(name).recipes:
        cfg, plain = config_of(each), load(short(each.config))
        for key in ('train_cfg', 'param_scheduler', 'optim_wrapper', 'default_hooks'):
            assert cfg[key] == plain[key]
        assert cfg.train_cfg.max_epochs == 240
        assert cfg.optim_wrapper.optimizer.lr == (0.01 if 'shuffle' in each.config else 0.05)


def note(config):
    """A config's docstring in one line."""
    text = ast.get_docstring(ast.parse((ROOT / 'configs' / short(config)).read_text()))
    return re.sub(r'\s+', ' ', text)


def row_of(config):
    """All the values that a docstring says of a table's row or column."""
    listed = re.search(r'The whole (?:row|column), for [^:]*: ((?:[\d.]+, )+[\d.]+)\.',
                       note(config)).group(1)
    return [float(value) for value in listed.split(', ')]


def own_value(config):
    return float(re.search(r'Paper: Table \d+, ([\d.]+) % top-1', note(config)).group(1))


#: Hard-label and IPS runs of Table 10 are not those of Tables 3 and 15.
OTHERS = {('table10_cifar100', 'hard label'): 78.7, ('table10_cifar100', 'IPS'): 81.9}


@pytest.mark.parametrize('name', PAPER)
def test_values_of_the_paper_are_those_of_the_configs(name):
    """A config's docstring has its own value, and those of the row or column that it starts."""
    by_config = {}
    for each in sweep(name).recipes:
        if each.paper:
            by_config.setdefault(each.config, []).append(each)
    for config, recipes in by_config.items():
        expected = row_of(config) if len(recipes) > 1 else [
            OTHERS.get((name, recipes[0].name), own_value(config))]
        # Table 10 has one digit.
        assert [each.paper['accuracy/top1'][0] for each in recipes] == pytest.approx(
            expected, abs=0.0501 if name == 'table10_cifar100' else 0), config
        assert len(recipes) == 1 or own_value(config) in expected
    numbers = dict(table10=6, table13=21, table14=12, table15=24, grid=1, temperature=1)
    assert sum(map(len, by_config.values())) == numbers.get(name.partition('_')[0], 0)


def readme_rows():
    text = (ROOT / 'configs/sweeps/README.md').read_text()
    return {row.split(']')[0].removeprefix('| ['): [column.strip() for column in row.split('|')]
            for row in re.findall(r'^\| \[.*$', text, re.MULTILINE)}


def test_readme_has_a_row_for_every_sweep():
    assert sorted(readme_rows()) == SWEEPS


@pytest.mark.parametrize('name', SWEEPS)
def test_readme_tells_the_cost(name):
    found = sweep(name)
    row = readme_rows()[name]
    number, seeds = len(found.recipes), len(found.seeds)
    assert f'{number * seeds} ({number} x {seeds})' in row
    seen = [images_seen(config_of(each)) for each in found.recipes]
    if name in PAPER:
        assert row[-2] == str(round(sum(seen) * len(found.seeds) * 50_000 / 1e6))
    else:
        assert f'{seen[0]} N' in row
