"""Tables for people and for spreadsheets, whatever is in their cells."""
import csv
import html
import re

import markdown
import pytest

from mmips.runs import files
from mmips.runs.tables import Markup, Table, to_latex, to_markdown


def test_names_stand_in_tables_as_they_are():
    names = ['a\nb', '[1, 2]', '*x*', '_x_', 'p_r=0.1', '`c`', '<b> &lt;', '[d](javascript:1)',
             'back\\slash|pipe', '👩‍💻']
    table = Table('t\n_u_', ['*h*'], 1, [[name] for name in names])
    text = to_markdown('A\n*B*', [table])
    assert text.startswith('## A \\*B\\*\n\nt \\_u\\_\n\n| \\*h\\* |\n|---|\n| a b |\n| [1, 2] |\n')
    # What a reader sees of it.
    page = markdown.markdown(text, extensions=['tables'])
    assert [html.unescape(cell) for cell in re.findall('<td>(.*?)</td>', page)] == [
        'a b', '[1, 2]', '*x*', '_x_', 'p_r=0.1', '`c`', '<b> &lt;', '[d](javascript:1)',
        'back\\slash|pipe', '👩‍💻']
    assert to_markdown('', [Table('', ['a'], 1, [[Markup('**b**')]])]).endswith('| **b** |\n')
    lines = to_latex('A\n\nB', [table]).splitlines()
    assert r'  \caption{A B: t \_u\_}' in lines
    # Neither line begins with what a row's end would take for its argument.
    assert r'    {[}1, 2] \\' in lines and r'    {*}x{*} \\' in lines
    assert r'    back\textbackslash{}slash\textbar{}pipe \\' in lines


@pytest.mark.parametrize('cell, written', [
    ('=cmd()', "'=cmd()"), ('@x', "'@x"), ('+x', "'+x"), ('-x', "'-x"), (' =x', "' =x"),
    ('\t=x', "'\t=x"), ('-1.5e3', '-1.5e3'), ('+0.02', '+0.02'), ('-inf', '-inf'), ('a=b', 'a=b'),
    ('', ''), ('\u2013', '\u2013'), (-1.5, '-1.5')])
def test_no_cell_of_a_csv_file_is_a_formula(tmp_path, cell, written):
    files.write_csv(tmp_path / 'x.csv', ['=h', 'i'], [[cell, 1]])
    with open(tmp_path / 'x.csv', newline='') as file:
        assert list(csv.reader(file)) == [["'=h", 'i'], [written, '1']]
