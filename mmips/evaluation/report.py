# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Runs, tables and pictures of several folders as one HTML page."""
import difflib
import os
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from mmips.errors import MissingFileError, UserError
from mmips.runs import files, logs
from mmips.visualization import report as page

_PICTURES = {'.png': 'image/png', '.jpg': 'image/jpeg', '.jpeg': 'image/jpeg',
             '.svg': 'image/svg+xml'}
# Lines of a dumped config that differ between runs of one setup.
_OWN_LINES = re.compile(
    r'^(work_dir|experiment_name|resume|launcher|load_from) = .*\n|\bseed=\d+', re.MULTILINE)
# A picture of each quantity takes a tenth of a second.
_MAX_CURVES = 200
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
    #: Pictures as addresses that hold them.
    pictures: dict[str, str] = field(default_factory=dict)
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
    section = Section(Path(folder))
    if not section.path.is_dir():
        raise MissingFileError(f'{folder} is not a folder. Give work directories of training runs '
                               'or sweeps, or what the evaluating tools have written (--out).')
    _read_runs(section)
    _read_files(section)
    if not (section.configs or section.tables or section.pictures):
        raise UserError(f'{folder} holds nothing to report: no training run (a folder with '
                        'TIME/vis_data/scalars.json), no .csv or .md table and no picture.'
                        + ''.join(f'\n  not read: {text}' for text in section.skipped))
    return section


def _read_files(section: Section) -> None:
    """Read tables and pictures, but for those that mmengine's own backends keep."""
    names = [file.relative_to(section.path) for file in section.path.rglob('*') if file.is_file()]
    for path in sorted((name for name in names if not any(
            part == 'vis_data' or part.startswith('.') for part in name.parts)),
            key=lambda name: (len(name.parts), str(name))):
        file, name = section.path / path, path.as_posix()
        try:
            if file.suffix == '.md':
                section.tables[name] = file.read_text(encoding='utf-8')
            elif file.suffix == '.csv':
                section.tables[name] = _read_csv(file)
            elif media := _PICTURES.get(file.suffix.lower()):
                section.pictures[name] = page.data_uri(file.read_bytes(), media)
        except (OSError, ValueError, pd.errors.ParserWarning) as error:
            section.skipped.append(f'{file}: {error}')


def _read_csv(file: Path) -> pd.DataFrame:
    with warnings.catch_warnings():
        # Of rows longer than the header it would leave out the end.
        warnings.simplefilter('error', pd.errors.ParserWarning)
        return pd.read_csv(file, dtype=str, keep_default_na=False, index_col=False)


def _read_runs(section: Section) -> None:
    found = {}
    for folder in logs.find_runs(section.path):
        name = (folder.relative_to(section.path).as_posix() if folder != section.path else
                folder.resolve().name)
        try:
            found[name] = logs.read_run(folder, section.skipped.append)
            # The last one dumped: a resumed run dumps again.
            dumped = sorted(folder.glob('*.py'), key=lambda file: file.stat().st_mtime)
            section.configs[name] = dumped[-1].read_text(encoding='utf-8') if dumped else ''
        except (OSError, ValueError) as error:
            section.skipped.append(f'{folder}: {error}')
    groups = {}
    for runs in section.setups().values():
        shared, *others = {Path(run).parent.as_posix() for run in runs}
        groups.update({run: run if others or shared == '.' else shared for run in runs})
    if groups:
        section.logs = pd.concat([found[run].assign(run=run, group=group)
                                  for run, group in groups.items()])


def render_report(sections: Sequence[Section], title: str) -> str:
    """The HTML page of configs, curves, tables and pictures; it loads nothing from anywhere."""
    import mmengine
    import torch

    import mmips
    versions = (f'mmips {mmips.__version__}, torch {torch.__version__}, '
                f'mmengine {mmengine.__version__}')
    text = page.render_page(title, versions, [dict(
        name=section.path.resolve().name, path=str(section.path), skipped=section.skipped,
        tables=section.tables,
        pictures=[dict(name=name, uri=uri) for name, uri in section.pictures.items()],
        runs=_runs_table(section), curves=_curves(section), configs=_configs(section))
        for section in sections])
    # A name of a file may hold what no encoding has.
    return text.encode('utf-8', 'replace').decode('utf-8')


def _runs_table(section: Section) -> str:
    """Every run with its seed, its length and its last scores."""
    log = section.logs
    if log.empty:
        return ''
    seeds = {run: ''.join(re.findall(r'\bseed=(\d+)', config)[:1])
             for run, config in section.configs.items()}
    lengths = log.groupby(['run', 'unit'])['step'].max().map('{:g}'.format).unstack().reindex(
        columns=['iteration', 'epoch']).add_suffix('s')
    is_score = (log['unit'] == 'epoch') & ~log['key'].str.match(_NOT_DRAWN)
    last = log[is_score if is_score.any() else log['key'] == 'loss'].drop_duplicates(
        ['run', 'key'], keep='last')
    scores = last.assign(value=last['value'].map('{:.4g}'.format)).pivot(
        index='run', columns='key', values='value')
    table = pd.DataFrame({'run': seeds.keys(), 'seed': seeds.values()}, list(seeds))
    # Not joined: what is logged may have any name.
    parts = [part.reindex(table.index) for part in (table, lengths, scores)]
    return page.table_html(pd.concat(parts, axis=1).fillna(''))


def _configs(section: Section) -> list[dict]:
    """Each setup once: the first whole, the others by what they have different."""
    setups = {setup: runs for setup, runs in section.setups().items() if setup}
    first = next(iter(setups), '')
    return [dict(names=', '.join(runs), base=setups[first][0] if setup != first else '',
                 text=_difference(first, setup) if setup != first else section.configs[runs[0]])
            for setup, runs in setups.items()]


def _difference(first: str, second: str) -> str:
    lines = difflib.unified_diff(first.splitlines(), second.splitlines(), n=1, lineterm='')
    return '\n'.join(line for line in lines if not line.startswith(('---', '+++', '@@')))


def _curves(section: Section) -> list[dict]:
    """A picture of every logged key, with a line for each run; what is validated comes first."""
    if section.logs.empty:
        return []
    log = section.logs[~section.logs['key'].str.match(_NOT_DRAWN)]
    groups = list(log['group'].unique())
    found = list(log.sort_values('training', kind='stable').groupby('key', sort=False))
    if len(found) > _MAX_CURVES:
        section.skipped.append(f'{section.path}: {len(found)} quantities were logged, of which the '
                               f'first {_MAX_CURVES} are drawn')
    return [dict(name=key, uri=page.draw_curve(curve, key, curve['unit'].iloc[0], groups))
            for key, curve in found[:_MAX_CURVES]]
