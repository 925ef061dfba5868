from dataclasses import replace

import pytest

from mmips.runs import sweep_tables
from mmips.runs.sweep_file import Cell, Sweep
from mmips.runs.sweep_tables import latex, make_tables, to_latex, to_markdown


def cell(name, paper=None, **axes):
    return Cell(name, name, 'x.py', {}, axes, paper)


def result(test, train=None):
    return dict(test={'acc': test}, train={'acc': train})


AXES = {'mix': ['none', 'Cut|Mix'], 'p': ['0', '0.5']}
SWEEP = Sweep('A & B', (cell('hard'), cell('b', 81.0, mix='Cut|Mix', p='0.5'),
                        cell('a', mix='none', p='0.5'), cell('c', 70.5, mix='none', p='0')),
              AXES, (0, 1), 'acc')
RESULTS = {('hard', 0): result(70, 90), ('hard', 1): result(72, 91), ('a', 0): result(80, 95),
           ('a', 1): result(80, 97), ('b', 0): result(81, 99), ('b', 1): result(83, 99),
           ('c', 0): result(60, 60), ('c', 1): result(60.5, 60)}


def markdown(sweep, results=RESULTS):
    return to_markdown(sweep.title, make_tables(sweep, results))


def test_one_row_a_cell():
    assert markdown(replace(SWEEP, evaluate=('test', 'train'))) == """\
## A & B

| cell | test acc ↑ | train acc ↑ | gap (train − test) | paper |
|---|---|---|---|---|
| hard | 71.00 ± 1.41 | 90.50 ± 0.71 | 19.50 ± 0.71 |  |
| b | **82.00 ± 1.41** | 99.00 ± 0.00 | 17.00 ± 1.41 | 81.0 |
| a | 80.00 ± 0.00 | 96.00 ± 1.41 | 16.00 ± 1.41 |  |
| c | 60.25 ± 0.35 | 60.00 ± 0.00 | -0.25 ± 0.35 | 70.5 |
"""


def test_every_seed_is_shown_where_it_is_wanted():
    results = {key: {**one, 'images': [10, 24000]} for key, one in RESULTS.items()}
    results['c', 0]['images'] = [12000]
    results['hard', 1] = dict(failed='so')
    del results['a', 0], results['a', 1]
    assert markdown(replace(SWEEP, show_seeds=True), results) == """\
## A & B

| cell | images seen | seeds | test acc ↑ | paper |
|---|---|---|---|---|
| hard | 24,000 | 0: 70.00 | 70.00 (n=1) |  |
| b | 24,000 | 0: 81.00, 1: 83.00 | **82.00 ± 1.41 (n=2)** | 81.0 |
| a |  |  | – |  |
| c | 12,000, 24,000 | 0: 60.00, 1: 60.50 | 60.25 ± 0.35 (n=2) | 70.5 |
"""


def test_rows_and_columns_in_the_order_of_their_axes():
    assert markdown(replace(SWEEP, rows=('mix', ), columns=('p', ))) == """\
## A & B

test acc ↑

| mix | p=0 | paper p=0 | p=0.5 | paper p=0.5 | acc |
|---|---|---|---|---|---|
| none | 60.25 ± 0.35 | 70.5 | 80.00 ± 0.00 |  |  |
| Cut\\|Mix |  |  | **82.00 ± 1.41** | 81.0 |  |
| hard |  |  |  |  | 71.00 ± 1.41 |
"""


def test_rows_alone_and_several():
    table, = make_tables(replace(SWEEP, rows=('p', 'mix')), RESULTS)
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
    sweep = replace(SWEEP, rows=('mix', ), columns=('p', ), best=best, lower=lower)
    assert make_tables(sweep, RESULTS)[0].bold == bold
    assert ('↓' in markdown(sweep)) == lower


def test_a_table_for_each_split_and_the_gap():
    tables = make_tables(replace(SWEEP, rows=('mix', ), columns=('p', ),
                                 evaluate=('test', 'train')), RESULTS)
    assert [table.title for table in tables] == ['test acc ↑', 'train acc ↑', 'gap (train − test)']
    assert [bool(table.bold) for table in tables] == [True, False, False]
    assert tables[2].rows[0] == ['none', '-0.25 ± 0.35', '16.00 ± 1.41', '']


def test_unfinished_and_failed_runs():
    results = {('hard', 0): result(70), ('b', 0): dict(failed='so'), ('b', 1): result(0.5),
               ('a', 1): dict(failed='so'), ('c', 0): result(60), ('c', 1): result(62)}
    texts = [row[1] for row in make_tables(SWEEP, results)[0].rows]
    assert texts == ['70.00 (n=1)', '0.50 (n=1)', '–', '61.00 ± 1.41 (n=2)']
    # Of equal numbers of seeds nothing is said; ties are all best; shares have more digits.
    results = {(name, 0): result(0.5) for name in 'abc'}
    table, = make_tables(replace(SWEEP, seeds=(0, )), results)
    assert [row[1] for row in table.rows] == ['–', '0.5000', '0.5000', '0.5000']
    assert table.bold == {(1, 1), (2, 1), (3, 1)}
    assert make_tables(SWEEP, {})[0].rows[0] == ['hard', '–', '']


def test_latex():
    sweep = replace(SWEEP, cells=(cell('50 %_{a}$ #1 ~^\\ <b>', 1.0), cell('a'), ))
    text = to_latex(sweep.title, make_tables(sweep, RESULTS))
    assert text == r"""% Needs \usepackage{booktabs}.
\begin{table}
  \centering
  \caption{A \& B}
  \begin{tabular}{lcc}
    \toprule
    cell & test acc $\uparrow$ & paper \\
    \midrule
    50 \%\_\{a\}\$ \#1 \textasciitilde{}\textasciicircum{}\textbackslash{} \textless{}b\textgreater{} & -- & 1.0 \\
    a & 80.00 $\pm$ 0.00 &  \\
    \bottomrule
  \end{tabular}
\end{table}
"""  # noqa: E501
    assert r'\textbf{82.00 $\pm$ 1.41}' in to_latex('', make_tables(SWEEP, RESULTS))
    assert latex('gap (train − test) ↓') == r'gap (train $-$ test) $\downarrow$'


@pytest.mark.parametrize('label, heading', [
    ('0.5', 'a=0.5'), ('-1', 'a=-1'), ('1e-3', 'a=1e-3'), ('no IPS', 'no IPS'), ('2x2', '2x2'),
    ('e', 'e')])
def test_numbers_are_named_by_their_axis(label, heading):
    assert sweep_tables._heading('a', label) == heading
