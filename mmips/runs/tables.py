# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""The one writer of tables for people: Markdown and LaTeX. For machines: ``files.write_csv``."""
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmips.names import one_line

_LATEX = {'\\': r'\textbackslash{}', '~': r'\textasciitilde{}', '^': r'\textasciicircum{}',
          '±': r'$\pm$', '−': '$-$', '–': '--', '↑': r'$\uparrow$', '↓': r'$\downarrow$',
          '<': r'\textless{}', '>': r'\textgreater{}', '"': "''", '|': r'\textbar{}',
          # After the end of a row these two would be its arguments.
          '[': '{[}', '*': '{*}',
          **{sign: f'\\{sign}' for sign in '&%$#_{}'}}
# What makes a code span, emphasis, a link or another cell of a text.
_MARKDOWN = re.compile(r'[\\`*|]|(?<!\w)_|_(?!\w)|(?<=\])[(\[]')


class Markup(str):
    """A cell that is Markdown already."""


@dataclass
class Table:
    """Texts in rows; the first ``labels`` columns say what a row is."""

    title: str
    header: list[str]
    labels: int
    rows: list[list[str]] = field(default_factory=list)
    #: Row and column of what is best.
    bold: set[tuple[int, int]] = field(default_factory=set)


def to_markdown(title: str, tables: Sequence[Table]) -> str:
    """Tables as Markdown below a heading."""
    parts = [f'## {_escape(title)}']
    for table in tables:
        header, *rows = (f'| {" | ".join(texts)} |' for texts in _cells(table, _escape, '**{}**'))
        line = '|' + '---|' * len(table.header)
        parts += [_escape(table.title), '\n'.join([header, line, *rows])]
    return '\n\n'.join(filter(None, parts)) + '\n'


def _cells(table: Table, escape: Callable[[str], str], bold: str) -> list[list[str]]:
    return [list(map(escape, table.header)), *(
        [bold.format(escape(text)) if (number, place) in table.bold else escape(text)
         for place, text in enumerate(row)] for number, row in enumerate(table.rows))]


def _escape(text: str) -> str:
    if isinstance(text, Markup):
        return text
    text = _MARKDOWN.sub(r'\\\g<0>', one_line(text))
    return re.sub(r'&(?=#?\w+;)', '&amp;', text).replace('<', '&lt;')


def to_latex(title: str, tables: Sequence[Table]) -> str:
    """Tables for LaTeX with ``\\usepackage{booktabs}``."""
    parts = []
    for table in tables:
        caption = latex(': '.join(filter(None, (title, table.title))))
        columns = 'l' * table.labels + 'c' * (len(table.header) - table.labels)
        header, *rows = (f'    {" & ".join(texts)} \\\\'
                         for texts in _cells(table, latex, r'\textbf{{{}}}'))
        parts.append('\n'.join([
            r'\begin{table}', r'  \centering', f'  \\caption{{{caption}}}',
            f'  \\begin{{tabular}}{{{columns}}}', r'    \toprule', header, r'    \midrule', *rows,
            r'    \bottomrule', r'  \end{tabular}', r'\end{table}']))
    return '% Needs \\usepackage{booktabs}.\n' + '\n\n'.join(parts) + '\n'


def latex(text: str) -> str:
    """A text with what is special to LaTeX escaped."""
    return re.sub('.', lambda sign: _LATEX.get(sign[0], sign[0]), one_line(text))


def to_spreadsheet(cells: Iterable[Any]) -> list[Any]:
    """The cells of a CSV file's row, an apostrophe before texts that would be formulas.

    To a spreadsheet whatever begins with one of ``= + - @``, but for numbers, is a formula, which
    may start programs.
    """
    return [f"'{cell}" if _is_formula(cell) else cell for cell in cells]


def _is_formula(cell: Any) -> bool:
    if not isinstance(cell, str) or cell.lstrip()[:1] not in ('=', '+', '-', '@'):
        return False
    try:
        float(cell)
    except ValueError:
        return True
    return False
