import csv
import json

import numpy as np
import pytest

from mmips.runs import sweep_tables
from mmips.runs.sweep_recipes import Heatmaps, Recipe, Sweep, Table
from mmips.runs.sweep_tables import make_tables
from mmips.runs.tables import latex, to_latex, to_markdown


def recipe(name, paper=None, **axes):
    return Recipe(name=name, folder=name, config='x.py', axes=axes,
                  paper={'acc': (paper, )} if paper else {})


def result(test, train=None):
    return dict(test={'acc': test}, train={'acc': train})


GRID = Table(rows='mix', columns='p')
AXES = {'mix': ['none', 'Cut|Mix'], 'p': ['0', '0.5']}
SWEEP = Sweep(title='A & B', axes=AXES, seeds=(0, 1), metric='acc', recipes=(
    recipe('hard'), recipe('b', 81.0, mix='Cut|Mix', p='0.5'), recipe('a', mix='none', p='0.5'),
    recipe('c', 70.5, mix='none', p='0')))
RESULTS = {('hard', 0): result(70, 90), ('hard', 1): result(72, 91), ('a', 0): result(80, 95),
           ('a', 1): result(80, 97), ('b', 0): result(81, 99), ('b', 1): result(83, 99),
           ('c', 0): result(60, 60), ('c', 1): result(60.5, 60)}


def markdown(sweep, results=RESULTS):
    return to_markdown(sweep.title, make_tables(sweep, results))


def test_one_row_a_recipe():
    assert markdown(SWEEP.but(evaluate=('test', 'train'))) == """\
## A & B

| recipe | test acc ↑ | train acc ↑ | gap (train − test) | paper |
|---|---|---|---|---|
| hard | 71.00 ± 1.41 | 90.50 ± 0.71 | 19.50 ± 0.71 |  |
| b | **82.00 ± 1.41** | 99.00 ± 0.00 | 17.00 ± 1.41 | 81.0 |
| a | 80.00 ± 0.00 | 96.00 ± 1.41 | 16.00 ± 1.41 |  |
| c | 60.25 ± 0.35 | 60.00 ± 0.00 | -0.25 ± 0.35 | 70.5 |
"""


def test_every_seed_is_shown_where_it_is_wanted():
    results = {key: {**run, 'images': [10, 24000]} for key, run in RESULTS.items()}
    results['c', 0]['images'] = [12000]
    results['hard', 1] = dict(failed='so')
    del results['a', 0], results['a', 1]
    assert markdown(SWEEP.but(table=Table(seeds=True)), results) == """\
## A & B

| recipe | images seen | seeds | test acc ↑ | paper |
|---|---|---|---|---|
| hard | 24,000 | 0: 70.00 | 70.00 (n=1) |  |
| b | 24,000 | 0: 81.00, 1: 83.00 | **82.00 ± 1.41 (n=2)** | 81.0 |
| a |  |  | – |  |
| c | 12,000, 24,000 | 0: 60.00, 1: 60.50 | 60.25 ± 0.35 (n=2) | 70.5 |
"""


def test_rows_and_columns_in_the_order_of_their_axes():
    assert markdown(SWEEP.but(table=GRID)) == """\
## A & B

test acc ↑

| mix | p=0 | paper p=0 | p=0.5 | paper p=0.5 | acc |
|---|---|---|---|---|---|
| none | 60.25 ± 0.35 | 70.5 | 80.00 ± 0.00 |  |  |
| Cut\\|Mix |  |  | **82.00 ± 1.41** | 81.0 |  |
| hard |  |  |  |  | 71.00 ± 1.41 |
"""
    # Without columns, and several rows.
    table, = make_tables(SWEEP.but(table=Table(rows=('p', 'mix'))), RESULTS)
    assert table.header[:2] == ['p', 'mix'] and table.labels == 2
    assert [row[:2] for row in table.rows] == [['0', 'none'], ['0.5', 'none'], ['0.5', 'Cut|Mix'],
                                               ['hard', '']]
    assert table.bold == {(2, 2)}


@pytest.mark.parametrize('best, lower, bold', [
    ('table', False, {(1, 3)}), ('table', True, {(0, 1)}),
    # One value alone is no best.
    ('row', False, {(0, 3)}), ('row', True, {(0, 1)}), ('column', False, {(1, 3)}),
    ('column', True, {(0, 3)})])
def test_what_is_best(best, lower, bold):
    sweep = SWEEP.but(table=Table(rows='mix', columns='p', best=best), lower=lower)
    assert make_tables(sweep, RESULTS)[0].bold == bold
    assert ('↓' in markdown(sweep)) == lower


def test_a_table_for_each_split_and_the_gap():
    tables = make_tables(SWEEP.but(table=GRID, evaluate=('test', 'train')), RESULTS)
    assert [table.title for table in tables] == ['test acc ↑', 'train acc ↑', 'gap (train − test)']
    assert [bool(table.bold) for table in tables] == [True, False, False]
    assert tables[2].rows[0] == ['none', '-0.25 ± 0.35', '16.00 ± 1.41', '']
    # A number is named by its axis, a name needs none.
    labels = {'0.5': 'p=0.5', '-1': 'p=-1', '1e-3': 'p=1e-3', 'no IPS': 'no IPS', '2x2': '2x2'}
    sweep = SWEEP.but(table=GRID, axes={**AXES, 'p': list(labels)}, recipes=[
        recipe(label, mix='none', p=label) for label in labels])
    assert make_tables(sweep, {})[0].header == ['mix', *labels.values()]


def test_unfinished_and_failed_runs():
    results = {('hard', 0): result(70), ('b', 0): dict(failed='so'), ('b', 1): result(0.5),
               ('a', 1): dict(failed='so'), ('c', 0): result(60), ('c', 1): result(62)}
    texts = [row[1] for row in make_tables(SWEEP, results)[0].rows]
    assert texts == ['70.00 (n=1)', '0.50 (n=1)', '–', '61.00 ± 1.41 (n=2)']
    # Of equal numbers of seeds nothing is said; ties are all best; shares have more digits.
    results = {(name, 0): result(0.5) for name in 'abc'}
    table, = make_tables(SWEEP.but(seeds=(0, )), results)
    assert [row[1] for row in table.rows] == ['–', '0.5000', '0.5000', '0.5000']
    assert table.bold == {(1, 1), (2, 1), (3, 1)}
    assert make_tables(SWEEP, {})[0].rows[0] == ['hard', '–', '']


def several(scores, **more):
    return {(name, seed): dict(test={'acc': acc, 'loss': loss, **more}, scores=[acc + 1, acc])
            for name, values in scores.items() for seed, (acc, loss) in enumerate(values)}


SEVERAL = Sweep(title='', seeds=(0, 1, 2), metric='acc', more={'loss': 'lower', 'iou': 'higher'},
                table=Table(rows='recipe', columns='metric', best='column', paired='hard',
                            best_epoch=True), recipes=(
    recipe('hard').but(paper={'acc': (78.7, 0.13), 'loss': (56., )}),
    recipe('soft').but(paper={'iou': (3., )})))


def test_several_metrics_stand_beside_the_papers():
    results = several({'hard': [(70, .5), (71, .4), (73, .3)],
                       'soft': [(72, .7), (73, .7), (76, .7)]})
    # Student's t at two degrees of freedom is 4.3027; the accuracy's mean difference has an error
    # of 1/3.
    assert markdown(SEVERAL, results) == """\
## \n
test

| recipe | acc ↑ | paper acc ↑ | loss ↓ | paper loss ↓ | iou ↑ | paper iou ↑ |
|---|---|---|---|---|---|---|
| hard | 71.33 ± 1.53 | 78.7 ± 0.13 | **0.4000 ± 0.1000** | 56.0 | – |  |
| soft | **73.67 ± 2.08** |  | 0.7000 ± 0.0000 |  | – | 3.0 |

difference to hard, 95 % interval

| recipe | acc ↑ | loss ↓ |
|---|---|---|
| soft | +2.33 [+0.90, +3.77] | +0.3000 [+0.0516, +0.5484] |

best epoch − last

| recipe | acc ↑ |
|---|---|
| hard | 1.00 ± 0.00 |
| soft | 1.00 ± 0.00 |
"""
    # Before anything is there, and where all has failed.
    for ended in ({}, {('hard', 0): dict(failed='so')}):
        assert [row[1:3] for row in make_tables(SEVERAL, ended)[0].rows] == [
            ['–', '78.7 ± 0.13'], ['–', '']]
    # The other way round, for tables with a row a metric; what is better is that of each metric.
    sweep = SEVERAL.but(table=Table(rows='metric', columns='recipe', best='row'))
    table, = make_tables(sweep, results)
    assert table.header == ['metric', 'hard', 'paper hard', 'soft', 'paper soft']
    assert [row[0] for row in table.rows] == ['acc ↑', 'loss ↓', 'iou ↑']
    assert table.bold == {(0, 3), (1, 1)}


def test_differences_are_of_the_seeds_that_both_have_and_within_the_other_axes():
    results = several({'hard': [(70, 1), (71, 1)], 'soft': [(71, 1)]})
    plain = SEVERAL.but(more={}, table=Table(paired='hard', best_epoch=True))
    assert [row[2:] for row in make_tables(plain, results)[0].rows] == [
        ['', '1.00 ± 0.00 (n=2)', '78.7 ± 0.13'], ['+1.00', '1.00 (n=1)', '']]
    results['soft', 0] = dict(failed='so')
    assert make_tables(plain, results)[0].header == [
        'recipe', 'test acc ↑', 'best epoch − last', 'paper']
    sweep = SWEEP.but(seeds=(0, ), table=GRID.but(paired='none'), recipes=(
        *SWEEP.recipes, recipe('d', mix='Cut|Mix', p='0')))
    results = {key: run for key, run in RESULTS.items() if not key[1]}
    _, differences = make_tables(sweep, {**results, ('d', 0): result(65)})
    assert differences.rows == [['Cut|Mix', '+5.00', '+1.00']]


def test_latex():
    sweep = SWEEP.but(recipes=(recipe('50 %_{a}$ #1 ~^\\ <b>', 1.0), recipe('a')))
    text = to_latex(sweep.title, make_tables(sweep, RESULTS))
    assert text == r"""% Needs \usepackage{booktabs}.
\begin{table}
  \centering
  \caption{A \& B}
  \begin{tabular}{lcc}
    \toprule
    recipe & test acc $\uparrow$ & paper \\
    \midrule
    50 \%\_\{a\}\$ \#1 \textasciitilde{}\textasciicircum{}\textbackslash{} \textless{}b\textgreater{} & -- & 1.0 \\
    a & 80.00 $\pm$ 0.00 &  \\
    \bottomrule
  \end{tabular}
\end{table}
"""  # noqa: E501
    assert r'\textbf{82.00 $\pm$ 1.41}' in to_latex('', make_tables(SWEEP, RESULTS))
    assert latex('gap (train − test) ↓') == r'gap (train $-$ test) $\downarrow$'


def outcome(seed, value, seconds=1.):
    return dict(seed=seed, epochs=2, images=[24, 48], scores=[value + 1, value], seconds=seconds,
                resumed=seconds > 1, test={'acc': value, 'loss': 0.1}, train={'acc': value + 5})


def test_endedare_sorted_and_without_times(tmp_path):
    sweep = SWEEP.but(evaluate=('test', 'train'))
    results = {('c', 1): outcome(1, 60., 9), ('a', 0): dict(failed='so'),
               ('b', 1): outcome(1, 50.70000076293945), ('b', 0): outcome(0, 40.)}
    text = sweep_tables.write_results(sweep, results, tmp_path / 'out')
    assert (tmp_path / 'out' / 'results.csv').read_bytes() == b'\n'.join((
        b'recipe,mix,p,seed,test_acc,test_loss,train_acc,images_seen,epochs,best_validation',
        b'b,Cut|Mix,0.5,0,40,0.1,45,48,2,41', b'b,Cut|Mix,0.5,1,50.7,0.1,55.7,48,2,51.7',
        b'c,none,0,1,60,0.1,65,48,2,61', b''))
    with open(tmp_path / 'out' / 'times.csv', newline='') as file:
        assert list(csv.reader(file))[3] == ['c', '1', '9', 'True']
    stored = json.loads((tmp_path / 'out' / 'results.json').read_text())
    assert stored['sweep']['metric'] == 'acc'
    assert [(run['recipe'], run['seed']) for run in stored['results']] == [
        ('b', 0), ('b', 1), ('a', 0), ('c', 1)]
    assert text == (tmp_path / 'out' / 'results.md').read_text()
    assert '| c | **60.00 (n=1)** | 65.00 (n=1) | 5.00 (n=1) | 70.5 |' in text
    assert r'\toprule' in (tmp_path / 'out' / 'results.tex').read_text()
    low = sweep_tables.write_results(sweep.but(lower=True), results, tmp_path / 'out')
    assert '**45.35 ± 7.57 (n=2)**' in low
    assert ',48,2,40\n' in (tmp_path / 'out' / 'results.csv').read_text()
    assert not list((tmp_path / 'out').glob('*.part'))


def test_recipes_of_another_metric_have_a_table_of_their_own():
    other = recipe('seg').but(metric='mIoU')
    sweep = SWEEP.but(recipes=(*SWEEP.recipes, other))
    first, second = make_tables(sweep, {**RESULTS, ('seg', 0): dict(test={'mIoU': 0.5})})
    assert [row[0] for row in first.rows] == ['hard', 'b', 'a', 'c']
    assert second.header == ['recipe', 'test mIoU ↑'] and second.rows == [['seg', '0.5000']]
    assert set(sweep_tables.curves_frame(sweep, {
        ('seg', 0): dict(images=[1], scores=[2]), ('a', 1): dict(images=[3], scores=[4])
    }).itertuples(index=False, name=None)) == {('a', 1, 3, 4)}


def test_values_stand_where_their_recipes_do():
    sweep = SWEEP.but(heatmaps=Heatmaps(x='p', y='mix'))
    maps = sweep_tables.heatmap_frames(sweep, {**RESULTS, ('b', 1): dict(failed='so')})
    np.testing.assert_array_equal(maps[()], [[60.25, 80], [np.nan, 81]])
    assert list(maps[()].index) == AXES['mix'] and maps[()].columns.name == 'p'
    layers = SWEEP.but(axes={**AXES, 'n': ['1']}, recipes=[
        each.but(axes={**each.axes, 'n': '1'}) for each in SWEEP.recipes])
    maps = sweep_tables.heatmap_frames(
        layers.but(heatmaps=Heatmaps(x='p', y='n', panels='mix')), RESULTS)
    assert list(maps) == [('none', ), ('Cut|Mix', )]
    np.testing.assert_array_equal(maps['Cut|Mix', ], [[np.nan, 82]])


def test_a_diverged_seed_is_seen_in_the_mean_and_is_no_best_validation(tmp_path):
    nan = float('nan')
    results = {('hard', 0): outcome(0, 60.), ('hard', 1): outcome(1, nan),
               ('a', 0): {**outcome(0, 50.), 'scores': [nan, 50.]}, ('a', 1): outcome(1, 50.)}
    sweep = SWEEP.but(heatmaps=Heatmaps(x='p', y='mix'))
    text = sweep_tables.write_results(sweep, results, tmp_path)
    assert '| hard | nan ± nan |' in text
    assert '| a | **50.00 ± 0.00** |' in text
    rows = (tmp_path / 'results.csv').read_text().splitlines()
    assert [row.rpartition(',')[2] for row in rows[1:]] == ['61', '', '50', '51']
    results['a', 1] = outcome(1, nan)
    assert np.isnan(sweep_tables.heatmap_frames(sweep, results)[()].to_numpy()).all()
