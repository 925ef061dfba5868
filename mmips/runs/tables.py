# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""The one writer of tables for people: Markdown and LaTeX. For machines: ``files.write_csv``."""
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

_LATEX = {'\\': r'\textbackslash{}', '~': r'\textasciitilde{}', '^': r'\textasciicircum{}',
          '±': r'$\pm$', '−': '$-$', '–': '--', '↑': r'$\uparrow$', '↓': r'$\downarrow$',
          '<': r'\textless{}', '>': r'\textgreater{}', '"': "''",
          **{sign: f'\\{sign}' for sign in '&%$#_{}'}}


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
    parts = [f'## {title}']
    for table in tables:
        header, *rows = (f'| {" | ".join(texts)} |' for texts in _cells(table, _escape, '**{}**'))
        parts += [table.title, '\n'.join([header, '|' + '---|' * len(table.header), *rows])]
    return '\n\n'.join(filter(None, parts)) + '\n'


def _cells(table: Table, escape: Callable[[str], str], bold: str) -> list[list[str]]:
    return [list(map(escape, table.header)), *(
        [bold.format(escape(text)) if (number, place) in table.bold else escape(text)
         for place, text in enumerate(row)] for number, row in enumerate(table.rows))]


def _escape(text: str) -> str:
    return text.replace('|', r'\|')


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
    return re.sub('.', lambda sign: _LATEX.get(sign[0], sign[0]), text)
