# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Runs, tables and pictures as one HTML page that needs nothing but itself."""
from __future__ import annotations

import base64
import difflib
import html
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmips.visualization.report_data import Picture, Run, Section, Table

__all__ = ['render_report']

TEMPLATE = Path(__file__).parent / 'templates' / 'report.html'
# Of all that is logged, what is not drawn: the machine's, not the training's.
_MACHINE = re.compile(r'^(time|data_time|memory|base_lr|eta)$')
# A key of its own for each layer: plot_monitor.py draws those.
_PER_LAYER = re.compile(r'^grad(_\w+)?/')
# Lines in a picture beyond these have no legend.
_LEGEND = 12


def render_report(sections: Sequence[Section], title: str) -> str:
    """The HTML page: configs, curves, tables and pictures of every section.

    Pictures are part of the page, tables sort by a click on a column's head, and it fits a
    phone as well as a desk. It loads nothing from anywhere.

    Args:
        sections (Sequence[Section]): See :func:`mmips.visualization.report_data.collect`.
        title (str): Its heading.

    Returns:
        str: The page, to be written as UTF-8.
    """
    import jinja2
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined,
                                     trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(TEMPLATE.read_text(encoding='utf-8'))
    return template.render(title=title, versions=_versions(), sections=[
        dict(id=f'section-{number}', name=section.path.resolve().name, path=str(section.path),
             runs=_runs_table(section.runs), curves=_curves(section.runs),
             configs=_configs(section.runs), tables=_tables(section),
             pictures=[dict(name=_relative(picture.path, section), uri=_data_uri(picture))
                       for picture in section.pictures],
             skipped=section.skipped)
        for number, section in enumerate(sections, 1)])


def _versions() -> str:
    import mmengine
    import torch

    import mmips
    return f'mmips {mmips.__version__}, torch {torch.__version__}, mmengine {mmengine.__version__}'


def _relative(path: Path, section: Section) -> str:
    return path.relative_to(section.path).as_posix()


def _data_uri(picture: Picture) -> str:
    content = base64.b64encode(picture.path.read_bytes()).decode()
    return f'data:{picture.media};base64,{content}'


def _tables(section: Section) -> list[dict]:
    """Each Markdown file with the CSV of its name folded below it."""
    texts = {table.path.with_suffix('') for table in section.tables if table.markdown}
    order = sorted(section.tables, key=lambda table: (
        len(table.path.parts), str(table.path.with_suffix('')), not table.markdown))
    return [dict(name=_relative(table.path, section),
                 html=_markdown(table.markdown) if table.markdown else _cells(table),
                 folded=not table.markdown and table.path.with_suffix('') in texts,
                 rows=len(table.rows), hidden=table.hidden_rows) for table in order]


def _markdown(text: str) -> str:
    import markdown
    # Names of classes and runs are no HTML, whatever is in them.
    safe = text.replace('&', '&amp;').replace('<', '&lt;')
    # Pictures that it names stand in the report anyway, and links would lead nowhere.
    safe = re.sub(r'!\[[^\]]*\]\([^)]*\)', '', safe)
    page = markdown.markdown(safe, extensions=['tables'])
    # Its headings stand below that of the file.
    page = re.sub(r'<(/?)h\d>', r'<\1h4>', page)
    return page.replace('<table>', '<div class="wide"><table>').replace(
        '</table>', '</table></div>')


def _cells(table: Table) -> str:
    head = ''.join(f'<th>{html.escape(cell)}</th>' for cell in table.header)
    body = ''.join('<tr>' + ''.join(f'<td>{html.escape(cell)}</td>' for cell in row) + '</tr>'
                   for row in table.rows)
    return (f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
            f'<tbody>{body}</tbody></table></div>')


def _runs_table(runs: Sequence[Run]) -> str:
    """Every run with its seed, its length and its last scores."""
    if not runs:
        return ''
    scores = sorted({key for run in runs for key in run.scalars if run.units[key] == 'epoch'
                     and not _MACHINE.match(key)}) or sorted(
        {key for run in runs for key in run.scalars if key == 'loss'})
    rows = [[run.name, run.seed, *_length(run),
             *(f'{run.scalars[key][-1][1]:.4g}' if key in run.scalars else '' for key in scores)]
            for run in runs]
    header = ['run', 'seed', 'iterations', 'epochs', *scores]
    return _cells(Table(Path(), header, rows))


def _length(run: Run) -> tuple[str, str]:
    """Iterations and epochs of a run, as far as its log knows them."""
    last = {unit: max((values[-1][0] for key, values in run.scalars.items()
                       if run.units[key] == unit), default=None)
            for unit in ('iteration', 'epoch')}
    found = [last['iteration'], last['epoch']]
    return tuple('' if value is None else f'{value:g}' for value in found)  # type: ignore


def _configs(runs: Sequence[Run]) -> list[dict]:
    """Each setup once: the first whole, the others by what they have different."""
    setups: dict[str, list[Run]] = {}
    for run in runs:
        if run.config:
            setups.setdefault(run.setup, []).append(run)
    groups = list(setups.values())
    return [dict(names=', '.join(run.name for run in same),
                 base=groups[0][0].name if number else '',
                 text=_difference(groups[0][0], same[0]) if number else same[0].config)
            for number, same in enumerate(groups)]


def _difference(first: Run, other: Run) -> str:
    lines = difflib.unified_diff(first.setup.splitlines(), other.setup.splitlines(), n=1,
                                 lineterm='')
    return '\n'.join(line for line in lines if not line.startswith(('---', '+++', '@@')))


def _curves(runs: Sequence[Run]) -> list[dict]:
    """A picture of every logged key, with a line for each run."""
    keys = dict.fromkeys(key for run in runs for key in run.scalars
                         if not _MACHINE.match(key) and not _PER_LAYER.match(key))
    # What is validated comes first.
    order = sorted(keys, key=lambda key: not any(run.units.get(key) == 'epoch' for run in runs))
    # Seeds of one setup share a colour, the same one in every picture.
    setups = list(dict.fromkeys(run.setup for run in runs))
    colours = {setup: _colour(place, len(setups)) for place, setup in enumerate(setups)}
    return [dict(name=key, uri=_draw(key, [run for run in runs if key in run.scalars], colours))
            for key in order]


def _colour(place: int, number: int) -> Any:
    import matplotlib
    return matplotlib.colormaps['tab10' if number <= 10 else 'tab20'](place % 20)


def _draw(key: str, runs: Sequence[Run], colours: dict[str, Any]) -> str:
    """One key over the steps, as a data URI."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    labels = {run.name: _setup_name(run, [other for other in runs if other.setup == run.setup])
              for run in runs}
    named = len(set(labels.values()))
    rows = -(-named // 2) if 1 < named <= _LEGEND else 0
    figure = Figure(figsize=(5, 3.2 + 0.16 * rows), layout='constrained')
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    shown: set[str] = set()
    for run in runs:
        label = labels[run.name]
        axes.plot(*zip(*run.scalars[key]), linewidth=1.2, alpha=0.85,
                  color=colours[run.setup],
                  label=label if label not in shown else None,
                  marker='.' if len(run.scalars[key]) < 25 else None)
        shown.add(label)
    axes.set(xlabel=runs[0].units[key], title=key)
    axes.grid(alpha=0.3)
    axes.spines[['top', 'right']].set_visible(False)
    if rows:
        # Below the axes, where it covers no curve.
        figure.legend(loc='outside lower center', fontsize=6.5, frameon=False, ncols=2)
    buffer = io.BytesIO()
    # Neither date nor random ids: the same results give the same page.
    with matplotlib.rc_context({'svg.hashsalt': key}):
        figure.savefig(buffer, format='svg', metadata={'Date': None})
    return f'data:image/svg+xml;base64,{base64.b64encode(buffer.getvalue()).decode()}'


def _setup_name(run: Run, same: Sequence[Run]) -> str:
    """The folder that the seeds of one setup share, or the run's own."""
    parents: set[Any] = {Path(other.name).parent for other in same}
    shared = parents.pop() if len(parents) == 1 else Path()
    return run.name if shared == Path() else shared.as_posix()
