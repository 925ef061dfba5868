# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""An HTML page of tables, pictures and curves that needs nothing but itself."""
import base64
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mmips.visualization import style

TEMPLATE = Path(__file__).parent / 'templates' / 'report.html'
#: Rows of a table beyond these are not shown; the page says so.
MAX_ROWS = 2000
# More lines than these have no legend.
_LEGEND = 12


def render_page(title: str, versions: str, sections: Sequence[Mapping[str, Any]]) -> str:
    """The page: pictures are part of it, tables sort by a click, it fits a phone and a desk."""
    import jinja2
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined,
                                     trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(TEMPLATE.read_text(encoding='utf-8'))
    return template.render(title=title, versions=versions, sections=[
        {**section, 'tables': _tables(section['tables'])} for section in sections])


def _tables(tables: Mapping[str, pd.DataFrame | str]) -> list[dict]:
    """Markdown files, each with the CSV of its name, a table of texts, folded below it."""
    order = sorted(tables, key=lambda name: (name.count('/'), name.rpartition('.')[0],
                                             name.endswith('.csv')))
    return [dict(name=name, html=_markdown(table), folded=False, rows=0, hidden=0)
            if isinstance(table := tables[name], str) else
            dict(name=name, html=table_html(table[:MAX_ROWS]), rows=min(len(table), MAX_ROWS),
                 folded=f'{name.rpartition(".")[0]}.md' in tables,
                 hidden=max(0, len(table) - MAX_ROWS)) for name in order]


def _markdown(text: str) -> str:
    import markdown
    parser = markdown.Markdown(extensions=['tables'])
    # Names of classes and runs are no HTML, whatever is in them, and links would lead nowhere, or
    # to a script: what would make them stays text.
    parser.preprocessors.deregister('html_block')
    parser.parser.blockprocessors.deregister('reference')
    for name in ('html', 'link', 'image_link', 'autolink', 'automail'):
        parser.inlinePatterns.deregister(name)
    # Pictures that it names stand in the report anyway.
    html = parser.convert(re.sub(r'!\[[^\]]*\]\([^)]*\)', '', text))
    # Its headings stand below that of the file.
    html = re.sub(r'<(/?)h\d>', r'<\1h4>', html)
    return re.sub('<table>.*?</table>', r'<div class="wide">\g<0></div>', html, flags=re.DOTALL)


def table_html(table: pd.DataFrame) -> str:
    """A table of texts as HTML, whatever is in them."""
    # pandas would cut long texts.
    with pd.option_context('display.max_colwidth', None):
        return f'<div class="wide">{table.to_html(index=False, border=0)}</div>'


def data_uri(content: bytes, media: str) -> str:
    """A file as an address that holds it."""
    return f'data:{media};base64,{base64.b64encode(content).decode()}'


def draw_curve(curve: pd.DataFrame, title: str, unit: str, groups: Sequence[str]) -> str:
    """One quantity over the steps, a line a run in the colour of its group, as an SVG data URI."""
    import matplotlib
    # A group is in the legend by its first run.
    first = curve.groupby('group', sort=False)['run'].first()
    rows = -(-len(first) // 2) if 1 < len(first) <= _LEGEND else 0
    figure = style.new_figure(5, 3.2 + 0.16 * rows)
    axes = figure.add_subplot()
    for (group, run), points in curve.groupby(['group', 'run'], sort=False):
        points = points.sort_values('step', kind='stable')
        axes.plot(points['step'], style.drawable(points['value']), linewidth=1.2, alpha=0.85,
                  marker='.' if len(points) < 25 else None,
                  label=group if run == first[group] else None,
                  **style.line_style(groups.index(group)))
    style.tidy(axes, unit, title=title)
    if rows:
        style.legend(figure, fontsize=6.5, ncols=2)
    buffer = io.BytesIO()
    # Neither date nor random ids: the same results give the same page.
    with matplotlib.rc_context({'svg.hashsalt': title}):
        figure.savefig(buffer, format='svg', metadata={'Date': None})
    return data_uri(buffer.getvalue(), 'image/svg+xml')
