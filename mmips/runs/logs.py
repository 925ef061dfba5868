# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""The one reader of what mmengine logs of a run: ``<time>/vis_data/scalars.json``."""
from __future__ import annotations

import functools
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmips.errors import MissingFileError
from mmips.names import one_line

if TYPE_CHECKING:
    import pandas as pd

_LOG = 'vis_data/scalars.json'
# Where a line stands, beside what it says.
_PLACE = ('step', 'iter', 'epoch')


def find_runs(root: str | os.PathLike) -> list[Path]:
    """The work directories at and below a folder, seed9 before seed10; hidden ones left out."""
    root = Path(root)
    folders = {file.parents[2] for file in root.rglob(f'*/{_LOG}')
               if not any(part.startswith('.') for part in file.relative_to(root).parts)}
    return sorted(folders, key=lambda folder: [
        int(part) if part.isdecimal() else part for part in re.split(r'(\d+)', str(folder))])


def _tell(text: str) -> None:
    print(f'Not read: {text}', file=sys.stderr)


def read_records(file: str | os.PathLike, tell: Callable[[str], Any] = _tell) -> list[dict]:
    """The lines of one log that say where they stand; what is left out is told in one line.

    A killed run may have left half a line at the end, of which nothing is said.
    """
    try:
        lines = Path(file).read_text(encoding='utf-8-sig').rstrip().split('\n')
    except (OSError, ValueError) as error:
        tell(f'{file}: {error}')
        return []
    records, lost = [], dict[str, list[str]]()
    for number, line in enumerate(lines, 1):
        if record := _record(line):
            records.append(record)
            lost.setdefault('texts in the place of numbers', []).extend(
                f'{key} in line {number}' for key, value in record.items()
                if isinstance(value, str))
        elif line.strip() and (number < len(lines) or line[0] != '{' or line[-1] == '}'):
            lost.setdefault('lines that are no JSON object with a step', []).append(
                f'line {number}')
    if any(lost.values()):
        tell(f'{file}: ' + ', '.join(f'{len(places)} {what} (the first: {places[0]})'
                                     for what, places in lost.items() if places))
    return records


def _record(line: str) -> dict:
    """What a line says, by keys of one line each; nothing where its place is no number."""
    try:
        # Of integers beyond all counting Python refuses the conversion, or that to a float.
        record = json.loads(line, parse_int=lambda digits: int(digits) if len(digits) < 17
                            else float(digits))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(record, dict) or 'step' not in record or any(
            type(place) not in (int, float) or not abs(place) < 2**53
            for place in (record[key] for key in _PLACE if key in record)):
        return {}
    return {one_line(key): value for key, value in record.items()}


def read_run(folder: str | os.PathLike, tell: Callable[[str], Any] = _tell) -> pd.DataFrame:
    """All numbers that a run has logged; a resumed run continues, one started anew replaces.

    A row for each, in the order of the logs: ``key``, ``value``, ``step``, ``unit`` ('iteration'
    or 'epoch', what the step counts), ``epoch`` (NaN where the line has none) and ``training``
    (whether it is of a line of training). ``tell`` is given what is left out, a line a file.
    """
    import pandas as pd
    files = sorted(Path(folder).glob(f'*/{_LOG}'))
    records: list[dict] = functools.reduce(_join, (read_records(file, tell) for file in files), [])
    if not records:
        found = f'no line in {files[-1]}' if files else f'no */{_LOG}'
        raise MissingFileError(f'{folder} holds {found}: give the work directory of a training '
                               'run that has logged at least once.')
    # A validation has its step alone, which counts epochs, or iterations where there are none.
    validated = 'epoch' if _has_epochs(records) else 'iteration'
    rows = [(key, float(value), record.get('step'),
             'iteration' if 'iter' in record else validated, record.get('epoch'),
             'iter' in record)
            for record in records for key, value in record.items()
            if key not in _PLACE and type(value) in (int, float)]
    return pd.DataFrame(rows, columns=['key', 'value', 'step', 'unit', 'epoch', 'training'])


def _has_epochs(records: list[dict]) -> bool:
    # GradientMonitor, which writes lines of its own, says epoch 1 where there are none.
    return all('epoch' in record for record in records if 'iter' in record)


def _join(old: list[dict], new: list[dict]) -> list[dict]:
    """What counts of the lines so far and those of the next start."""
    # Their step counts through the whole run; 'iter' of GradientMonitor only through an epoch.
    known, found = ([record for record in part if 'iter' in record] for part in (old, new))
    if not found:
        return old + new
    anew = _has_epochs(known + found) and found[0]['epoch'] == 1
    if anew or known and found[0]['step'] <= known[0]['step']:
        return new
    # A resumed run repeats what it had not saved: the later one counts.
    end = next((place for place, record in enumerate(old)
                if 'iter' in record and record['step'] >= found[0]['step']), len(old))
    return old[:end] + new
