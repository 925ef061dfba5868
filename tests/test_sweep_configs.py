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
PAPER = [name for name in SWEEPS if not re.search('npz|digits', name)]
#: Training images, by the last word of a config's name; RUGD is trained by steps.
IMAGES = dict(cifar100=50_000, in1k=1_281_167, cub=5_994, dogs=12_000, voc12aug=10_582,
              cityscapes=2_975, voc0712=16_551)
# Without curves, for which a sweep is validated more often.
PLAIN = Sweep(recipes=[Recipe(name='any')])


@functools.cache
def sweep(name):
    return read_sweep(ROOT / 'configs/sweeps' / f'{name}.yml')


def config_of(each):
    """The config of a recipe; the one below is read once."""
    return sweep_checks.load_recipe(PLAIN, each, load(short(each.config)))


def on_arrays(path):
    """A config whose data is there, if it is that of the tests."""
    cfg = load(short(path))
    if 'cifar100' in path:
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
    """One recipe of each structure that no config has by itself, by a name for the test.

    Every method of Table 3 on one network that is no ResNet; what has a teacher or comes from a
    checkpoint is trained in its own tests.
    """
    found = {}
    for name in (name for name in SWEEPS if name != 'table4_cifar100'):
        for each in sweep(name).recipes:
            if name == 'table3_cifar100' and each.axes['network'] != 'ShuffleNetV1':
                continue
            # Both evaluators are built and used in the test of each sweep's metrics; bfloat16 is
            # trained in the candidates' tests.
            parts = {key: value for key, value in each.options.items() if not is_number(key, value)
                     and 'evaluator' not in key and key != 'optim_wrapper.type'}
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
    here = not re.search('in1k|dogs|seg|rugd|voc', name)
    configs = sweep_checks.check_recipes(found, found.recipes, data=here)
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
    return round(cfg.train_cfg.max_epochs * times * images_per_input(cfg) * len(sampler)
                 / len(Labels()))


def images_per_input(cfg):
    return getattr(MODELS.get(cfg.model.type), 'images_per_input', 1)


@pytest.mark.parametrize('name', [name for name in SWEEPS if name not in PAPER])
def test_small_recipes_see_as_many_images_in_as_many_steps(name):
    seen = set()
    for each in sweep(name).recipes:
        cfg = config_of(each)
        seen.add((images_seen(cfg), cfg.train_dataloader.batch_size * images_per_input(cfg)))
        # The last one: a warm-up may stand before it.
        scheduler = (cfg.param_scheduler if isinstance(cfg.param_scheduler, list)
                     else [cfg.param_scheduler])[-1]
        epochs, cuts = cfg.train_cfg.max_epochs, scheduler.get('milestones', [])
        # Half an epoch is as near as whole ones come.
        assert [cut / epochs for cut in cuts] == pytest.approx(
            [0.625, 0.75, 0.875][:len(cuts)], abs=0.5 / epochs + 1e-9), each.name
    images, steps = zip(*seen)
    # DLB leaves out what fills no batch.
    assert max(images) / min(images) < 1.01 and len(set(steps)) == 1


@pytest.mark.parametrize('name', PAPER)
def test_recipes_at_the_papers_scale_keep_its_schedule(name):
    for each in sweep(name).recipes:
        cfg, plain = config_of(each), load(short(each.config))
        if name == 'table3_cifar100':
            network = NETWORKS[each.axes['network']]
            hard = load(f'ips/{network}_hard_cifar100.py')
            plain.optim_wrapper.optimizer.lr = hard.optim_wrapper.optimizer.lr
            # Of options whose defaults a config of the network names, there are none here.
            assert {key: cfg.model.backbone.get(key) for key in ('type', 'depth', 'groups')} == {
                key: hard.model.backbone.get(key) for key in ('type', 'depth', 'groups')}
            assert cfg.model.head.in_channels == hard.model.head.in_channels
        for key in ('train_cfg', 'param_scheduler', 'optim_wrapper', 'default_hooks'):
            assert cfg.get(key) == plain.get(key)
        if name.endswith('_cifar100'):
            assert cfg.train_cfg.max_epochs == 240
            assert cfg.optim_wrapper.optimizer.lr == (
                0.01 if 'shuffle' in (each.config + each.name).lower() else 0.05)


#: The networks of Table 3, as configs are called.
NETWORKS = {'ResNet-18': 'resnet18', 'ResNet-34': 'resnet34', 'ResNet-50': 'resnet50',
            'ResNet-101': 'resnet101', 'VGG13': 'vgg13bn', 'VGG16': 'vgg16bn',
            'ShuffleNetV1': 'shufflenet-v1', 'ShuffleNetV2': 'shufflenet-v2'}


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
    found = re.search(r'Paper: [^.]*?Table \d+, ([\d.]+) % (?:top-1|mIoU|mAP)', note(config))
    return float(found.group(1))


#: Hard-label and IPS runs of Table 10 are not those of Tables 3 and 15.
OTHERS = {('table10_cifar100', 'hard label'): 78.7, ('table10_cifar100', 'IPS'): 81.9}
#: How many recipes have a value of the paper.
NUMBERS = dict(table2=15, table3=78, table4=23, table5=20, table6=2, table8=15, table9=2, table10=6,
               table13=21, table14=12, table15=24, grid=1, temperature=1)


@pytest.mark.parametrize('name', PAPER)
def test_values_of_the_paper_are_those_of_the_configs(name):
    """A config's docstring has its own value, and those of the row or column that it starts."""
    by_config, metric = {}, sweep(name).metric
    for each in sweep(name).recipes:
        if each.paper:
            by_config.setdefault(each.config, []).append(each)
    for config, recipes in by_config.items():
        found = [each.paper[metric][0] for each in recipes]
        if 'The whole' in note(config) and len(recipes) > 1:
            assert found == row_of(config) and own_value(config) in found, config
            continue
        # Of another network its own config says the value, if there is one.
        assert not any('model.backbone' in key for key in recipes[0].options)
        assert found[0] == pytest.approx(
            # Table 10 has one digit.
            OTHERS.get((name, recipes[0].name), own_value(config)),
            abs=0.0501 if name == 'table10_cifar100' else 0), config
    assert sum(map(len, by_config.values())) == NUMBERS.get(name.partition('_')[0], 0)


def test_table_3_has_the_values_of_table_15():
    """Their hard-label and progressive rows are the same."""
    third, last = ({(each.axes['network'], each.axes.get('method', each.axes.get('training'))):
                    each.paper for each in sweep(name).recipes}
                   for name in ('table3_cifar100', 'table15_cifar100'))
    for network in NETWORKS:
        assert third[network, 'hard label'] == last[network, 'hard label']
        assert third[network, 'IPS 4x4, progressive'] == last[network, 'progressive']


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
    if name in PAPER:
        millions = sum(map(total_images, found.recipes)) * len(found.seeds) / 1e6
        assert row[-2] == (f'{millions:.0f}' if millions > 100 else f'{millions:.1f}')
    else:
        assert f'{images_seen(config_of(found.recipes[0]))} N' in row


def total_images(each):
    """Images that a recipe at the paper's scale sees."""
    cfg = config_of(each)
    if cfg.train_cfg.get('max_iters'):
        return cfg.train_cfg.max_iters * cfg.train_dataloader.batch_size
    return images_seen(cfg) * next(
        number for word, number in IMAGES.items() if f'_{word}' in short(each.config))
