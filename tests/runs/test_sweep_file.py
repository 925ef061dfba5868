import json
import textwrap

import pytest

import mmips
from mmips.errors import UserError
from mmips.runs.sweep_file import read_sweep
from mmips.runs.sweep_recipes import choose_recipes, table_place

FULL = """
title: 'All: of it'
config: ips/resnet18_ips_cifar100.py
options: {train_cfg.max_epochs: 12, optim_wrapper.optimizer.lr: 1e-2}
seeds: [3, 1]
evaluate: [test, train]
axes:
  alpha: {key: model.alpha, values: [0.5, 1]}
  grid:
    values:
      2x2: {model.train_cfg.augments.0.grid_size: 2, model.alpha: 9}
      prog: {config: ips/resnet18_ips-prog_cifar100.py, options: {model.gamma: 2}}
      as is:
recipes:
  hard label: {config: own.py, options: {train_cfg.max_epochs: 24}}
  'Cut, Mix!': {axes: {mix: CutMix}}
paper: {hard label: 77.92, 0.5: {prog: 80.5}}
table: {rows: alpha, columns: grid, best: column}
heatmaps: {x: alpha, y: grid}
curves: true
"""


@pytest.fixture
def read(tmp_path):
    (tmp_path / 'own.py').write_text('x = 1')

    def run(text):
        (tmp_path / 'some.yml').write_text(textwrap.dedent(text))
        return read_sweep(tmp_path / 'some.yml')

    return run


def test_reads_everything(read, tmp_path):
    sweep = read(FULL)
    assert sweep.title == 'All: of it' and sweep.seeds == (3, 1) and sweep.curves
    assert sweep.metric == 'accuracy/top1' and not sweep.lower
    assert sweep.evaluate == ('test', 'train') and sweep.table.best == 'column'
    assert sweep.axes == {'alpha': ['0.5', '1'], 'grid': ['2x2', 'prog', 'as is'],
                          'mix': ['CutMix']}
    assert sweep.table.rows == ('alpha', ) and sweep.table.columns == ('grid', )
    assert dict(sweep.heatmaps) == dict(x='alpha', y='grid', panels=())
    names = [recipe.name for recipe in sweep.recipes]
    assert names == ['alpha=0.5, grid=2x2', 'alpha=0.5, grid=prog', 'alpha=0.5, grid=as is',
                     'alpha=1, grid=2x2', 'alpha=1, grid=prog', 'alpha=1, grid=as is',
                     'hard label', 'Cut, Mix!']
    recipes = dict(zip(names, sweep.recipes))
    common = {'train_cfg.max_epochs': 12, 'optim_wrapper.optimizer.lr': 0.01}
    # Later axes come after earlier ones.
    assert recipes['alpha=1, grid=2x2'].options == {
        **common, 'model.alpha': 9, 'model.train_cfg.augments.0.grid_size': 2}
    prog = recipes['alpha=0.5, grid=prog']
    assert prog.options == {**common, 'model.alpha': 0.5, 'model.gamma': 2}
    assert prog.config == mmips.cfg('ips/resnet18_ips-prog_cifar100.py')
    assert prog.axes == {'alpha': '0.5', 'grid': 'prog'}
    assert recipes['alpha=1, grid=as is'].options == {**common, 'model.alpha': 1}
    assert recipes['hard label'].config == str(tmp_path / 'own.py')
    assert recipes['hard label'].options == {**common, 'train_cfg.max_epochs': 24}
    assert recipes['Cut, Mix!'].folder == 'Cut_Mix'
    assert {name: recipe.paper for name, recipe in recipes.items() if recipe.paper} == {
        'hard label': {'accuracy/top1': (77.92, )},
        'alpha=0.5, grid=prog': {'accuracy/top1': (80.5, )}}
    assert table_place(sweep, prog) == (('0.5', ), ('prog', ))
    assert table_place(sweep, recipes['hard label']) == (('hard label', ), ())


def test_what_may_be_left_out(read):
    sweep = read('recipes: {one: {config: own.py}}')
    assert sweep.title == 'some' and sweep.seeds == (0, 1, 2) and sweep.evaluate == ('test', )
    assert sweep.table.best == 'table' and not (sweep.table.rows or sweep.table.columns)
    assert not (sweep.heatmaps or sweep.curves or sweep.table.seeds or sweep.recipes[0].axes)
    # Seeds in the table change no rows.
    assert not read(AXES + 'table: {seeds: true}').table.rows
    assert read(AXES + 'table: {seeds: true, rows: [b, a]}').table.rows == ('b', 'a')


def test_a_recipe_of_a_products_name_changes_that(read):
    recipes = read(AXES + 'recipes: {"a=2, b=1": {options: {y: 5}, metric: loss}, c: }').recipes
    assert [(recipe.name, recipe.options, recipe.metric) for recipe in recipes] == [
        ('a=1, b=1', dict(x=1, y=1), ''), ('a=2, b=1', dict(x=2, y=5), 'loss'), ('c', {}, '')]
    assert recipes[1].axes == {'a': '2', 'b': '1'}


def test_a_recipe_may_be_another_with_changes(read):
    recipes = read("""
        config: own.py
        recipes:
          one: &one {config: own.py, options: {x: 1}}
          two: {<<: *one, metric: loss}
        """).recipes
    assert [(recipe.options, recipe.metric) for recipe in recipes] == [
        (dict(x=1), ''), (dict(x=1), 'loss')]


def test_values_may_be_lists_and_have_names(read):
    sweep = read("""
        config: own.py
        axes:
          wide: {key: model.stages, values: [[1, 2], [3], null, true]}
          deep: {key: model.depth, values: {few: 2, 'many': {a: 1}}}
        paper: {few: {'[3]': 80}}
        table: {rows: deep, columns: wide}
        """)
    assert sweep.axes == {'wide': ['[1, 2]', '[3]', 'none', 'true'], 'deep': ['few', 'many']}
    assert sweep.recipes[1].options == {'model.stages': [1, 2], 'model.depth': {'a': 1}}
    assert sweep.recipes[4].options == {'model.stages': None, 'model.depth': 2}
    assert [recipe.paper for recipe in sweep.recipes] == [
        {}, {}, {'accuracy/top1': (80, )}, *[{}] * 5]


def test_the_paper_may_have_several_values_of_a_recipe(read):
    text = """
        config: own.py
        more: {loss: lower, time: lower}
        recipes: {a: , b: {metric: mIoU}, c: }
        paper:
          a: {accuracy/top1: [78.7, 0.1], loss: 56}
          b: [3, 0.2]
          c: 5
        """
    sweep = read(text)
    assert [recipe.paper for recipe in sweep.recipes] == [
        {'accuracy/top1': (78.7, 0.1), 'loss': (56, )}, {'mIoU': (3, 0.2)},
        {'accuracy/top1': (5, )}]
    assert (sweep.table.rows, sweep.table.columns) == (('recipe', ), ('metric', ))
    assert sweep.by_metric().axes == {
        'recipe': ['a', 'b', 'c'], 'metric': ['accuracy/top1 ↑', 'loss ↓', 'time ↓']}
    sweep = read(text + 'table: {rows: metric, columns: recipe, paired: a}')
    assert (sweep.table.rows, sweep.table.columns) == (('metric', ), ('recipe', ))
    sweep = read(AXES + 'more: {loss: lower}\ntable: {columns: b}\n'
                 'paper: {2: {1: {loss: 4, accuracy/top1: 5}}}')
    assert sweep.recipes[1].paper == {'loss': (4, ), 'accuracy/top1': (5, )}
    assert (sweep.table.rows, sweep.table.columns) == (('a', ), ('b', 'metric'))


def test_two_axes_of_one_key_are_refused(read):
    axis = '{key: optim_wrapper.optimizer.lr, values: [%s]}'
    with pytest.raises(UserError, match='some.yml: the axes set .*: of one key twice'):
        read(f'config: own.py\naxes: {{a: {axis % "1, 2"}, b: {axis % "3, 4"}}}')


def test_folders_are_safe_and_differ(read):
    names = ['A b', 'a B', 'a/b', '../x', '...', '%', 'é', 'a,b=1', '-x', 'a"b\n', 'y' * 300,
             'y' * 299]
    text = json.dumps({'recipes': {name: {'config': 'own.py'} for name in names}})
    recipes = read(text).recipes
    assert [recipe.name for recipe in recipes] == names
    assert [recipe.folder for recipe in recipes] == [
        'A_b', 'a_B-2', 'a_b-3', 'x', 'recipe', 'recipe-2', 'recipe-3', 'a_b=1', 'x-2', 'a_b-4',
        'y' * 100, f'{"y" * 100}-2']


def test_names_that_no_file_can_hold_are_refused(read):
    for name in ('a\0', '\ud800'):
        for text in ({'recipes': {name: {'config': 'own.py'}}}, {
                'title': name, 'recipes': {'a': {'config': 'own.py'}}}):
            with pytest.raises(UserError, match='some.yml: (recipes|title).*cannot be written'):
                read(json.dumps(text))


def test_waves_follow_the_starts(read):
    sweep = read("""
        config: own.py
        recipes:
          c: {start: b, metric: mIoU}
          a:
          b: {start: a}
          d: {start: random weights}
          e: {teacher: b}
        """)
    assert [[recipe.name for recipe in wave] for wave in sweep.waves(sweep.recipes)] == [
        ['a', 'd'], ['b'], ['c', 'e']]
    assert [sweep.metric_of(recipe) for recipe in sweep.recipes[:2]] == ['mIoU', 'accuracy/top1']


@pytest.mark.parametrize('only, number', [
    ([], 8), (['alpha=0.5'], 3), (['alpha=0.5', 'alpha=1'], 6), (['alpha=0.5', 'grid=2x2'], 1),
    (['hard label'], 1), (['Cut_Mix', 'grid=prog'], 3), (['alpha=1, grid=prog'], 1)])
def test_chooses(read, only, number):
    assert len(choose_recipes(read(FULL), only)) == number


@pytest.mark.parametrize('only', [['alpha=3'], ['soft label'], ['mix=CutMix', 'alpha=1'],
                                  ['beta=0.5']])
def test_only_refuses(read, only):
    with pytest.raises(ValueError, match='--only: no recipe .*(soft label|alpha|beta)'):
        choose_recipes(read(FULL), only)


AXES = 'config: own.py\naxes: {a: {key: x, values: [1, 2]}, b: {key: y, values: [1]}}\n'


@pytest.mark.parametrize('text, words', [
    ('[1, 2]', r'the file: .*valid dictionary.*, got \[1, 2\]'),
    ('a: [', 'while parsing'),
    ('axis: {}', 'axis: there is no such key.*README.md tells'),
    ('config: own.py', 'recipes: .*at least 1 item'),
    ('config: nowhere.py\nrecipes: {one: {}}', "There is no config file 'nowhere.py'"),
    ('recipes: {one: {}}', 'recipe one has no config'),
    ('recipes: {one: {config: own.py}, one: {config: own.py}}', 'line 1: one twice'),
    ('recipes: {off: {config: own.py}}', 'recipes, .*valid string, got False'),
    ('config: own.py\naxes: {a: {key: x, values: [1, 1]}}', 'axes, a: a value stands there twice'),
    ('config: own.py\naxes: {a: {key: x, values: {p: 1, q: 1}}}', 'axes, a: a value .*twice'),
    ('config: own.py\naxes: {a: {values: [1]}}', 'axes, a, values: .*valid dictionary, got'),
    ('axes: {a: {values: {p: {config: own.py}}}, b: {values: {q: {config: own.py}}}}',
     'the axes a and b both give a config'),
    (AXES + 'recipes: {c: {start: d}}', "recipe c: start must name another recipe.*, got 'd'"),
    (AXES + 'recipes: {c: {start: d}, d: {start: c}}', "start must name another .*got '[cd]'"),
    (AXES + 'recipes: {c: {teacher: d}, d: {start: c}}', "and teacher another recipe, got '[cd]'"),
    (AXES + 'recipes: {c: {teacher: d, start: d}, d: {}}', 'start and teacher cannot both'),
    (AXES + 'seeds: [1, 1]', 'seeds: a value stands there twice'),
    (AXES + 'evaluate: [tset]', "evaluate, 0: .*'test', 'val' or 'train', got 'tset'"),
    (AXES + 'paper: {"a=3, b=1": 3}', 'paper: no recipe is called a=3, b=1'),
    (AXES + 'paper: {"a=1, b=1": high}',
     r"paper: a=1, b=1 must be a number, or \[number, spread\], got 'high'"),
    (AXES + 'paper: {"a=1, b=1": [1, 2, 3]}', r'must be a number, or .*, got \[1, 2, 3\]'),
    (AXES + 'paper: {"a=1, b=1": {loss: 3}}',
     'no recipe is called a=1, b=1 / loss: .*one of the metrics accuracy/top1.'),
    (AXES + 'more: {loss: better}', "more, loss: .*'higher' or 'lower', got 'better'"),
    (AXES + 'table: {paired: c}', 'table: paired names a recipe or a value of an axis, not c'),
    ('config: own.py\naxes: {metric: {key: x, values: [1, 2]}}', 'axes: metric is one that'),
    (AXES + 'table: {rows: c}', 'table takes each of the axes recipe, a, b once, got c'),
    (AXES + 'table: {rows: a, columns: a}', 'table takes each .* once, got a, a'),
    (AXES + 'table: {seeds: true, rows: a, columns: b}', 'table: seeds have a column where'),
    (AXES + 'table: {rows: b}', "table: the recipes 'a=1, b=1' and 'a=2, b=1' have the same place"),
    (AXES + 'heatmaps: {x: c, y: a}', 'heatmaps takes each .* once, got c, a'),
    (AXES + 'heatmaps: {x: b, y: d}\nrecipes: {r: {axes: {d: 3, b: 1}}, s: {axes: {d: 3, b: 1}}}',
     r"heatmaps: the recipes 'r' and 's' have the same place \(1, 3\)"),
])
def test_refuses(read, text, words):
    with pytest.raises(UserError, match=rf'(?s)some.yml: .*{words}'):
        read(text)
