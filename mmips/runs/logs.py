# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""The one reader of what mmengine logs of a run: ``<time>/vis_data/scalars.json``."""
from __future__ import annotations

import functools
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mmips.errors import MissingFileError

if TYPE_CHECKING:
    import pandas as pd

_LOG = 'vis_data/scalars.json'
# Where a line stands, beside what it says.
_PLACE = ('step', 'iter', 'epoch')


def find_runs(root: str | os.PathLike) -> list[Path]:
    """The work directories at and below a folder, seed9 before seed10; hidden ones left out."""
    root = Path(root)
    folders = {file.parents[2] for file in root.rglob(_LOG)
               if not any(part.startswith('.') for part in file.relative_to(root).parts)}
    return sorted(folders, key=lambda folder: [
        int(part) if part.isdigit() else part for part in re.split(r'(\d+)', str(folder))])


def read_records(file: str | os.PathLike) -> list[dict]:
    """The lines of one log; a killed run may have left half of one."""
    lines = Path(file).read_text(encoding='utf-8').splitlines()
    return [json.loads(line) for line in lines if line.endswith('}')]


def read_run(folder: str | os.PathLike) -> pd.DataFrame:
    """All numbers that a run has logged; a resumed run continues, one started anew replaces.

    A row for each, in the order of the logs: ``key``, ``value``, ``step``, ``unit`` ('iteration'
    or 'epoch', what the step counts), ``epoch`` (NaN where the line has none) and ``training``
    (whether it is of a line of training).
    """
    import pandas as pd
    files = sorted(Path(folder).glob(f'*/{_LOG}'))
    records: list[dict] = functools.reduce(_join, map(read_records, files), [])
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
