import textwrap

import pytest

import mmips
from mmips.runs.sweep_file import choose_cells, read_sweep, table_place

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
cells:
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
    assert sweep.evaluate == ('test', 'train') and sweep.best == 'column'
    assert sweep.axes == {'alpha': ['0.5', '1'], 'grid': ['2x2', 'prog', 'as is'],
                          'mix': ['CutMix']}
    assert sweep.rows == ('alpha', ) and sweep.columns == ('grid', )
    assert sweep.heatmaps == dict(x='alpha', y='grid', panels=())
    names = [cell.name for cell in sweep.cells]
    assert names == ['alpha=0.5, grid=2x2', 'alpha=0.5, grid=prog', 'alpha=0.5, grid=as is',
                     'alpha=1, grid=2x2', 'alpha=1, grid=prog', 'alpha=1, grid=as is',
                     'hard label', 'Cut, Mix!']
    cells = dict(zip(names, sweep.cells))
    common = {'train_cfg.max_epochs': 12, 'optim_wrapper.optimizer.lr': 0.01}
    # Later axes come after earlier ones.
    assert cells['alpha=1, grid=2x2'].options == {
        **common, 'model.alpha': 9, 'model.train_cfg.augments.0.grid_size': 2}
    prog = cells['alpha=0.5, grid=prog']
    assert prog.options == {**common, 'model.alpha': 0.5, 'model.gamma': 2}
    assert prog.config == mmips.cfg('ips/resnet18_ips-prog_cifar100.py')
    assert prog.axes == {'alpha': '0.5', 'grid': 'prog'}
    assert cells['alpha=1, grid=as is'].options == {**common, 'model.alpha': 1}
    assert cells['hard label'].config == str(tmp_path / 'own.py')
    assert cells['hard label'].options == {**common, 'train_cfg.max_epochs': 24}
    assert cells['Cut, Mix!'].folder == 'Cut_Mix'
    assert {name: cell.paper for name, cell in cells.items() if cell.paper} == {
        'hard label': 77.92, 'alpha=0.5, grid=prog': 80.5}
    assert table_place(sweep, prog) == (('0.5', ), ('prog', ))
    assert table_place(sweep, cells['hard label']) == (('hard label', ), ())


def test_defaults(read):
    sweep = read('cells: {one: {config: own.py}}')
    assert sweep.title == 'some' and sweep.seeds == (0, 1, 2) and sweep.evaluate == ('test', )
    assert sweep.best == 'table' and not (sweep.rows or sweep.columns or sweep.heatmaps)
    assert not (sweep.curves or sweep.show_seeds) and sweep.cells[0].axes == {}


def test_seeds_in_the_table_change_no_rows(read):
    sweep = read(AXES + 'table: {seeds: true}')
    assert sweep.show_seeds and not sweep.rows
    sweep = read(AXES + 'table: {seeds: true, rows: [b, a]}')
    assert sweep.show_seeds and sweep.rows == ('b', 'a')


def test_values_may_be_lists_and_have_names(read):
    sweep = read("""
        config: own.py
        axes:
          wide: {key: model.stages, values: [[1, 2], [3], null, true]}
          deep: {key: model.depth, values: {few: 2, 'many': {a: 1}}}
        """)
    assert sweep.axes == {'wide': ['[1, 2]', '[3]', 'none', 'true'], 'deep': ['few', 'many']}
    assert sweep.cells[1].options == {'model.stages': [1, 2], 'model.depth': {'a': 1}}
    assert sweep.cells[4].options == {'model.stages': None, 'model.depth': 2}


def test_folders_are_safe_and_differ(read):
    names = ['A b', 'a B', 'a/b', '../x', '...', '%', 'é', 'a,b=1']
    text = ', '.join(f"'{name}': {{config: own.py}}" for name in names)
    folders = [cell.folder for cell in read(f'cells: {{{text}}}').cells]
    assert folders == ['A_b', 'a_B-2', 'a_b-3', 'x', 'cell', 'cell-2', 'cell-3', 'a_b=1']


def test_paper_by_the_table_rows(read):
    sweep = read("""
        config: own.py
        axes:
          mix: {values: {CutMix: {}, Mixup: {}}}
        paper: {CutMix: 80}
        table: {rows: mix}
        """)
    assert [cell.paper for cell in sweep.cells] == [80, None]


@pytest.mark.parametrize('only, number', [
    ([], 8), (['alpha=0.5'], 3), (['alpha=0.5', 'alpha=1'], 6), (['alpha=0.5', 'grid=2x2'], 1),
    (['hard label'], 1), (['Cut_Mix', 'grid=prog'], 3), (['alpha=1, grid=prog'], 1)])
def test_chooses(read, only, number):
    assert len(choose_cells(read(FULL), only)) == number


@pytest.mark.parametrize('only', [['alpha=3'], ['soft label'], ['mix=CutMix', 'alpha=1'],
                                  ['beta=0.5']])
def test_only_refuses(read, only):
    with pytest.raises(ValueError, match='--only: no cell .*(soft label|alpha|beta)'):
        choose_cells(read(FULL), only)


AXES = 'config: own.py\naxes: {a: {key: x, values: [1, 2]}, b: {key: y, values: [1]}}\n'


@pytest.mark.parametrize('text, words', [
    ('[1, 2]', 'the file must be a mapping'),
    ('a: [', 'no YAML'),
    ('axis: {}', "the file has no key 'axis'.*Did you mean axes"),
    ('config: own.py', 'no cells: write axes or cells'),
    ('config: nowhere.py\ncells: {one: {}}', "cell one: There is no config file 'nowhere.py'"),
    ('cells: {one: {}}', 'cell one has no config'),
    ('cells: {one: {config: own.py}, one: {config: own.py}}', 'line 1: one twice'),
    ('cells: {one: {config: own.py, option: {}}}', "cell one has no key 'option'.*mean options"),
    ('cells: {one: {config: own.py, options: 3}}', 'cell one must be a mapping, got 3'),
    ('cells: {off: {config: own.py}}', 'a cell is called False, which is no text'),
    ('config: own.py\naxes: {a: {key: x, values: [1, 1]}}', 'axis a has the value 1 twice'),
    ('config: own.py\naxes: {a: {key: x, values: {p: 1, q: 1}}}', 'axis a has the value q twice'),
    ('config: own.py\naxes: {a: {key: x, values: []}}', 'axis a needs values'),
    ('config: own.py\naxes: {a: {key: x}}', 'axis a needs values'),
    ('config: own.py\naxes: {a: {values: [1]}}', 'axis a has a list of values, but no key'),
    ('config: own.py\naxes: {a: {kye: x, values: [1]}}', "axis a has no key 'kye'.*mean key"),
    ('axes: {a: {values: {p: {config: own.py}}}, b: {values: {q: {config: own.py}}}}',
     'the axes a and b both give a config'),
    (AXES + 'cells: {"a=1, b=1": {}}', "two cells are called 'a=1, b=1'"),
    (AXES + 'seeds: []', 'seeds must be a list of different whole numbers'),
    (AXES + 'seeds: [1, 1]', 'seeds must be'), (AXES + 'seeds: [-1]', 'seeds must be'),
    (AXES + 'evaluate: [tset]', r"evaluate must be a list of test, val, train, got \['tset'\]"),
    (AXES + 'evaluate: []', 'evaluate must be'), (AXES + 'lower: 3', 'lower must be true or'),
    (AXES + 'metric: [a]', 'metric must be a name'),
    (AXES + 'paper: {"a=3, b=1": 3}', 'paper: no cell is called a=3, b=1'),
    (AXES + 'paper: {"a=1, b=1": high}', "paper: a=1, b=1 must be a number, got 'high'"),
    (AXES + 'table: {rows: c}', 'table, rows: c is no axis; there are a, b'),
    (AXES + 'table: {rows: a, columns: a}', r"table: \['a'\] are rows and columns"),
    (AXES + 'table: {seeds: 3}', 'table, seeds must be true or false, got 3'),
    (AXES + 'table: {seeds: true, rows: a, columns: b}', 'table: seeds have a column where'),
    (AXES + 'table: {best: 3}', 'table, best must be table, row or column, got 3'),
    (AXES + 'table: {rows: b}', "table: the cells 'a=1, b=1' and 'a=2, b=1' have the same place"),
    (AXES + 'heatmaps: {x: c, y: a}', 'heatmaps, x: c is no axis'),
    (AXES + 'heatmaps: {x: a}', 'heatmaps needs one axis for x and one for y'),
    (AXES + 'heatmaps: {x: a, y: a}', 'heatmaps takes an axis once'),
])
def test_refuses(read, text, words):
    with pytest.raises(ValueError, match=rf'(?s)some.yml: .*{words}'):
        read(text)


def test_a_heat_map_over_too_few_axes_is_refused(read):
    text = AXES.replace('}}\n', '}, c: {key: z, values: [1, 2]}}\n')
    with pytest.raises(ValueError, match="heatmaps: the cells 'a=1, b=1, c=1' and"):
        read(text + 'heatmaps: {x: a, y: b}')
    assert read(text + 'heatmaps: {x: a, y: b, panels: c}').heatmaps['panels'] == ('c', )


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='no file .*gone.yml'):
        read_sweep(tmp_path / 'gone.yml')
