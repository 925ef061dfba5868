"""Every table and figure of the paper has a command in docs/tables.md; what it names is there."""
import functools
import re
import runpy
from pathlib import Path

import pytest
from helpers.configs import ROOT, load
from mmengine.registry import MODELS, init_default_scope
from test_docs import commands, read, unknown_options

from mmips.runs import sweep_checks
from mmips.runs.sweep_file import read_sweep

LABELS = [*(f'Table {number}' for number in range(1, 16)),
          *(f'Figure {number}' for number in range(2, 11))]
PAGE = read('docs/tables.md')
SECTIONS = dict(re.findall(r'^## ([^\n]*)\n(.*?)(?=^## |\Z)', PAGE, re.DOTALL | re.MULTILINE))


def named(pattern, label=None):
    """What the commands of a section, or of all, name, each once."""
    texts = [SECTIONS[label]] if label else SECTIONS.values()
    return sorted({word for text in texts for line in commands(text)
                   for word in re.findall(pattern, line)})


def sweeps(label=None):
    return named(r'configs/sweeps/[\w-]+\.yml', label)


def configs(label=None):
    return named(r'configs/((?!sweeps)[\w./-]+\.py)', label)


@functools.cache
def sweep(stem):
    return read_sweep(ROOT / f'configs/sweeps/{stem}.yml')


def test_the_page_has_all_of_them_and_no_other():
    assert list(SECTIONS) == LABELS


@pytest.mark.parametrize('label', LABELS)
def test_what_a_command_names_is_there(label):
    lines = commands(SECTIONS[label])
    assert lines and sweeps(label) + configs(label)
    for line in lines:
        assert (ROOT / line.split()[1]).is_file() and not unknown_options(line)
    for name in sweeps(label):
        assert sweep(Path(name).stem).recipes
    assert all(load(name).model for name in configs(label))
    # The rest of the section says what is not stated or lost.
    assert re.search(r'[Nn]ot (?:stated|here)|lost|not\s+said|abbreviation', SECTIONS[label]) or (
        label == 'Table 7')


def test_weights_are_where_the_sweeps_leave_them():
    places = named(r'work_dirs/sweep_(\w+)/([^/ ]+)/seed[^/ ]*/(\w+)\.pth')
    assert len(places) >= 6
    for stem, folder, file in places:
        recipes = {recipe.folder: recipe for recipe in sweep(stem).recipes}
        names = folder.strip('{}').split(',')
        assert set(names) <= set(recipes)
        for name in names:
            path = Path(recipes[name].config).as_posix().rpartition('configs/')[2]
            train_cfg = load(path).train_cfg
            assert file == (f'iter_{train_cfg.max_iters}' if train_cfg.get('max_iters')
                            else f'epoch_{train_cfg.max_epochs}')


@pytest.mark.slow
@pytest.mark.parametrize('name', sweeps())
def test_sweep_lists_its_recipes(name, monkeypatch, capsys):
    monkeypatch.setattr(sweep_checks, '_read_config', lambda path: load(
        Path(path).as_posix().rpartition('configs/')[2]))
    runpy.run_path(str(ROOT / 'tools/analysis_tools/sweep.py'))['main']([
        str(ROOT / name), '--list'])
    # mmengine warns on stdout, too.
    lines = [line for line in capsys.readouterr().out.splitlines() if ' - WARNING - ' not in line]
    assert lines == [
        f'{recipe.name}   ({recipe.folder})' for recipe in sweep(Path(name).stem).recipes]


@pytest.mark.slow
@pytest.mark.parametrize('name', configs())
def test_config_builds(name):
    cfg = load(name)
    init_default_scope(cfg.default_scope)
    # Its checkpoint is not there.
    cfg.model.backbone.init_cfg = None
    assert sum(value.numel() for value in MODELS.build(cfg.model).parameters()) > 1e6
