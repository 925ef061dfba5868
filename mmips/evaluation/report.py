# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Runs, tables and pictures of several folders as one HTML page."""
import csv
import difflib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from mmips.errors import MissingFileError, UserError
from mmips.runs import files, logs
from mmips.visualization import report as page

__all__ = ['Section', 'collect', 'render_report', 'write_report']

_PICTURES = {'.png': 'image/png', '.jpg': 'image/jpeg', '.jpeg': 'image/jpeg',
             '.svg': 'image/svg+xml'}
# Lines of a dumped config that differ between runs of one setup.
_OWN_LINES = re.compile(
    r'^(work_dir|experiment_name|resume|launcher|load_from) = .*\n|\bseed=\d+', re.MULTILINE)
# Of all that is logged, what is not drawn: the machine's, and a key for each layer, which
# plot_monitor.py draws.
_NOT_DRAWN = re.compile(r'^(time|data_time|memory|base_lr|eta)$|^grad(_\w+)?/')


@dataclass
class Section:
    """What a folder of results holds; names are paths below it."""

    path: Path
    #: All numbers of all runs; ``group`` is the folder that the seeds of one setup share.
    logs: pd.DataFrame = field(default_factory=pd.DataFrame)
    #: The config that each run has dumped, or ''.
    configs: dict[str, str] = field(default_factory=dict)
    #: CSV files as DataFrames of texts, Markdown files as text.
    tables: dict[str, pd.DataFrame | str] = field(default_factory=dict)
    pictures: list[str] = field(default_factory=list)
    #: What could not be read, and why.
    skipped: list[str] = field(default_factory=list)

    def setups(self) -> dict[str, list[str]]:
        """Of each setup, a config without what differs from seed to seed, the runs."""
        setups: dict[str, list[str]] = {}
        for run, config in self.configs.items():
            setups.setdefault(_OWN_LINES.sub('', config), []).append(run)
        return setups


def write_report(folders: Sequence[str | os.PathLike], out: str | os.PathLike,
                 title: str = 'Report') -> list[Section]:
    """Write one HTML page of all that several folders hold, and return what was found."""
    sections = [collect(folder) for folder in folders]
    Path(out).absolute().parent.mkdir(parents=True, exist_ok=True)
    files.write_text(out, render_report(sections, title))
    return sections


def collect(folder: str | os.PathLike) -> Section:
    """Read the runs, the ``.md`` and ``.csv`` tables and the pictures at and below a folder."""
    path = Path(folder)
    if not path.is_dir():
        raise MissingFileError(f'{folder} is not a folder. Give work directories of training '
                               'runs or sweeps, or folders that the evaluating tools have '
                               'written (their --out).')
    section = Section(path)
    _read_runs(section)
    for file in _files(path):
        name = file.relative_to(path).as_posix()
        try:
            if file.suffix == '.md':
                section.tables[name] = file.read_text(encoding='utf-8')
            elif file.suffix == '.csv':
                with open(file, newline='', encoding='utf-8') as text:
                    header, *rows = list(csv.reader(text)) or [[]]
                if header:
                    section.tables[name] = pd.DataFrame(rows, columns=header, dtype=str)
            elif file.suffix.lower() in _PICTURES:
                section.pictures.append(name)
        except (OSError, ValueError, csv.Error) as error:
            section.skipped.append(f'{file}: {error}')
    if not (section.configs or section.tables or section.pictures):
        raise UserError(f'{folder} holds nothing to report: no training run (a folder with '
                        'vis_data/scalars.json), no .csv or .md table and no picture.'
                        + ''.join(f'\n  not read: {text}' for text in section.skipped))
    return section


def _files(path: Path) -> list[Path]:
    """Tables and pictures, but for those that mmengine's own backends keep."""
    names = [file.relative_to(path) for file in path.rglob('*') if file.is_file()]
    return sorted((path / name for name in names if not any(
        part == 'vis_data' or part.startswith('.') for part in name.parts)),
        key=lambda file: (len(file.parts), str(file)))


def _read_runs(section: Section) -> None:
    found = {}
    for folder in logs.find_runs(section.path):
        name = (folder.relative_to(section.path).as_posix() if folder != section.path else
                folder.resolve().name)
        try:
            found[name] = logs.read_run(folder)
            # The last one dumped: a resumed run dumps again.
            dumped = sorted(folder.glob('*.py'), key=lambda file: file.stat().st_mtime)
            section.configs[name] = dumped[-1].read_text(encoding='utf-8') if dumped else ''
        except (OSError, ValueError) as error:
            section.skipped.append(f'{folder}: {error}')
    if not section.configs:
        return
    groups = {}
    for runs in section.setups().values():
        shared, *others = {Path(run).parent.as_posix() for run in runs}
        groups.update({run: run if others or shared == '.' else shared for run in runs})
    section.logs = pd.concat([found[run].assign(run=run, group=groups[run])
                              for run in section.configs])


def render_report(sections: Sequence[Section], title: str) -> str:
    """The HTML page of configs, curves, tables and pictures; it loads nothing from anywhere."""
    import mmengine
    import torch

    import mmips
    versions = (f'mmips {mmips.__version__}, torch {torch.__version__}, '
                f'mmengine {mmengine.__version__}')
    return page.render_page(title, versions, [dict(
        name=section.path.resolve().name, path=str(section.path), skipped=section.skipped,
        tables=section.tables,
        pictures=[dict(name=name, uri=page.data_uri((section.path / name).read_bytes(), _PICTURES[
            Path(name).suffix.lower()])) for name in section.pictures],
        runs=_runs_table(section), curves=_curves(section.logs), configs=_configs(section))
        for section in sections])


def _runs_table(section: Section) -> str:
    """Every run with its seed, its length and its last scores."""
    if not section.configs:
        return ''
    seeds = {run: re.search(r'\bseed=(\d+)', config) for run, config in section.configs.items()}
    table = pd.DataFrame({'run': list(seeds), 'seed': [
        found[1] if found else '' for found in seeds.values()]}, list(seeds))
    log = section.logs
    for unit in ('iteration', 'epoch'):
        last = log[log['unit'] == unit].groupby('run')['step'].max()
        table[f'{unit}s'] = last.map('{:g}'.format)
    is_score = (log['unit'] == 'epoch') & ~log['key'].str.match(_NOT_DRAWN)
    if not is_score.any():
        is_score = log['key'] == 'loss'
    for key, lines in log[is_score].groupby('key'):
        table[key] = lines.groupby('run')['value'].agg(lambda values: f'{values.iloc[-1]:.4g}')
    return page.table_html(table.fillna(''))


def _configs(section: Section) -> list[dict]:
    """Each setup once: the first whole, the others by what they have different."""
    setups = {setup: runs for setup, runs in section.setups().items() if setup}
    shown: list[dict] = []
    first = next(iter(setups), '')
    for setup, runs in setups.items():
        lines = difflib.unified_diff(first.splitlines(), setup.splitlines(), n=1, lineterm='')
        difference = '\n'.join(line for line in lines if not line.startswith(('---', '+++', '@@')))
        shown.append(dict(names=', '.join(runs), base=setups[first][0] if shown else '',
                          text=difference if shown else section.configs[runs[0]]))
    return shown


def _curves(log: pd.DataFrame) -> list[dict]:
    """A picture of every logged key, with a line for each run."""
    if log.empty:
        return []
    log = log[~log['key'].str.match(_NOT_DRAWN)]
    # A resumed run repeats what it had not saved: the later one counts.
    log = log.drop_duplicates(['run', 'key', 'step'], keep='last')
    groups = list(log['group'].unique())
    # What is validated comes first.
    log = log.sort_values('training', kind='stable')
    return [dict(name=key, uri=page.draw_curve(curve, key, curve['unit'].iloc[0], groups))
            for key, curve in log.groupby('key', sort=False)]
