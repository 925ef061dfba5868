# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What a folder of results holds, read for a report: runs, tables and pictures."""
from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ['Picture', 'Run', 'Section', 'Table', 'collect']

_PICTURES = {'.png': 'image/png', '.jpg': 'image/jpeg', '.jpeg': 'image/jpeg',
             '.svg': 'image/svg+xml'}
#: Rows of a CSV file beyond these stay in the file; the report says so.
MAX_ROWS = 2000
# Lines of a dumped config that differ between runs of one setup.
_OWN_LINES = re.compile(
    r'^(work_dir|experiment_name|resume|launcher|load_from) = .*\n|\bseed=\d+', re.MULTILINE)


@dataclass
class Table:
    """Cells of a CSV file, or the text of a Markdown file, which may hold several tables."""

    path: Path
    header: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    markdown: str = ''
    hidden_rows: int = 0


@dataclass
class Picture:
    """An image file and its media type."""

    path: Path
    media: str


@dataclass
class Run:
    """One training run.

    Attributes:
        name (str): Its folder, below that of the section.
        config (str): The config as the run has dumped it, or ''.
        setup (str): The same without what differs from seed to seed.
        seed (str): The random seed, or ''.
        scalars (dict): Of every logged key the steps and values, in the order of steps.
        units (dict): Of every key what its steps are, 'iteration' or 'epoch'.
    """

    name: str
    config: str
    setup: str
    seed: str
    scalars: dict[str, list[tuple[float, float]]]
    units: dict[str, str]


@dataclass
class Section:
    """A folder of results."""

    path: Path
    runs: list[Run] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def collect(folder: str | Path) -> Section:
    """Read what a folder holds, sub-folders included.

    A run is a folder with mmengine's ``<time>/vis_data/scalars.json``; runs that were resumed
    have several, which are joined. Tables are ``.md`` and ``.csv`` files, of which one with
    the name of a ``.md`` file is its long form.

    Args:
        folder (str | Path): A work directory, that of a sweep, or the ``--out`` of a tool.

    Returns:
        Section: Files that cannot be read are named in ``skipped``.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it holds neither a run, a table nor a picture.
    """
    path = Path(folder)
    if not path.is_dir():
        raise FileNotFoundError(f'{folder} is not a folder. Give work directories of training '
                                'runs or sweeps, or folders that the evaluating tools have '
                                'written (their --out).')
    section = Section(path)
    for place in _run_folders(path):
        try:
            section.runs.append(_read_run(place, path))
        except (OSError, ValueError) as error:
            section.skipped.append(f'{place}: {error}')
    for file in sorted(_files(path), key=lambda file: (len(file.parts), str(file))):
        try:
            _add_file(section, file)
        except (OSError, ValueError, csv.Error) as error:
            section.skipped.append(f'{file}: {error}')
    if not (section.runs or section.tables or section.pictures):
        raise ValueError(f'{folder} holds nothing to report: no training run (a folder with '
                         'vis_data/scalars.json), no .csv or .md table and no picture.'
                         + ''.join(f'\n  not read: {what}' for what in section.skipped))
    return section


def _run_folders(path: Path) -> list[Path]:
    """Folders of runs, each once however often it was resumed."""
    return sorted({file.parents[2] for file in path.rglob('vis_data/scalars.json')
                   if not _is_hidden(file, path)}, key=_natural)


def _natural(path: Path) -> list:
    """A sort key that puts seed10 behind seed9."""
    return [int(part) if part.isdigit() else part for part in re.split(r'(\d+)', str(path))]


def _is_hidden(file: Path, root: Path) -> bool:
    return any(part.startswith('.') for part in file.relative_to(root).parts)


def _files(path: Path) -> Iterator[Path]:
    """Tables and pictures; those that mmengine's own backends keep are left where they are."""
    for file in path.rglob('*'):
        inside = file.relative_to(path).parts
        if file.is_file() and not _is_hidden(file, path) and 'vis_data' not in inside:
            yield file


def _add_file(section: Section, file: Path) -> None:
    if file.suffix == '.md':
        section.tables.append(Table(file, markdown=file.read_text(encoding='utf-8')))
    elif file.suffix == '.csv':
        with open(file, newline='', encoding='utf-8') as text:
            rows = list(csv.reader(text))
        if rows:
            section.tables.append(Table(file, rows[0], rows[1:MAX_ROWS + 1],
                                        hidden_rows=max(0, len(rows) - 1 - MAX_ROWS)))
    elif file.suffix.lower() in _PICTURES:
        section.pictures.append(Picture(file, _PICTURES[file.suffix.lower()]))


def _read_run(folder: Path, root: Path) -> Run:
    scalars: dict[str, dict[float, float]] = {}
    units: dict[str, str] = {}
    for file in sorted(folder.glob('*/vis_data/scalars.json')):
        for record in _records(file):
            # A line of training holds its iteration; one of validation its step alone, which
            # counts epochs, or iterations in runs that have no epochs.
            unit = 'iteration' if 'iter' in record else 'epoch'
            step = record.get('iter', record.get('step'))
            for key, value in record.items():
                is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
                if is_number and step is not None and key not in ('step', 'iter', 'epoch'):
                    # A resumed run repeats what it had not saved: the later one counts.
                    scalars.setdefault(key, {})[float(step)] = float(value)
                    units.setdefault(key, unit)
    # The last one dumped: a resumed run dumps again.
    dumped = sorted(folder.glob('*.py'), key=lambda file: file.stat().st_mtime)
    config = dumped[-1].read_text(encoding='utf-8') if dumped else ''
    if 'IterBasedTrainLoop' in config:
        units = dict.fromkeys(units, 'iteration')
    seed = re.search(r'\bseed=(\d+)', config)
    name = str(folder.relative_to(root)) if folder != root else folder.resolve().name
    return Run(name, config, _OWN_LINES.sub('', config), seed.group(1) if seed else '',
               {key: sorted(values.items()) for key, values in scalars.items()}, units)


def _records(file: Path) -> Iterator[dict]:
    """The lines of mmengine's log; a killed run may have left half of one."""
    for line in file.read_text(encoding='utf-8').splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue
