# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Files written in one step: a kill leaves the old file or the new one, never half."""
import contextlib
import csv
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mmips.errors import UserError
from mmips.runs.tables import to_spreadsheet

_Path = str | os.PathLike


@contextlib.contextmanager
def replacing(path: _Path, mode: str = 'w') -> Iterator[Any]:
    """A file to write that takes the place of another as soon as it is whole, or leaves nothing."""
    text: dict = {} if 'b' in mode else dict(newline='', encoding='utf-8')
    # All processes of a run may write one file, as mmengine's do with the scores of a test.
    partial = f'{os.fspath(path)}.{os.environ.get("RANK") or 0}.part'
    try:
        with open(partial, mode, **text) as file:
            yield file
        os.replace(partial, path)
    except BaseException as error:
        if isinstance(error, OSError):
            error.filename = error.filename or os.fspath(path)
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise


def write_text(path: _Path, text: str) -> None:
    """Write a text in one step."""
    with replacing(path) as file:
        file.write(text)


def write_csv(path: _Path, header: Iterable[Any], rows: Iterable[Iterable[Any]]) -> None:
    """Write a table in one step, lines ended by a newline alone; no cell is a formula."""
    with replacing(path) as file:
        csv.writer(file, lineterminator='\n').writerows(map(to_spreadsheet, [header, *rows]))


def write_picture(path: _Path, picture: Any, dpi: int = 110) -> None:
    """Write a matplotlib figure or a Pillow image in one step; the folder is made."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    kind = os.path.splitext(path)[1][1:].lower() or 'png'
    with replacing(path, 'wb') as file:
        if hasattr(picture, 'savefig'):
            picture.savefig(file, dpi=dpi, format=kind)
        else:
            picture.save(file, format='jpeg' if kind == 'jpg' else kind)


def write_json(path: _Path, content: Any) -> None:
    """Write a JSON file in one step; what JSON does not know leaves the old one as it is."""
    write_text(path, json.dumps(content, indent=1))


def read_results(path: _Path) -> dict[str, Any]:
    """Results by ``result_key``, as an interrupted run has left them with :func:`write_json`."""
    try:
        with open(path, encoding='utf-8') as file:
            return dict(json.load(file))
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError) as error:
        raise UserError(f'{path} is not readable ({error}). Remove it, and its results are '
                        'computed again.') from error


def plain(value: Any) -> Any:
    """What JSON knows: lists for arrays, null for NaN and a string for infinity."""
    if hasattr(value, 'tolist'):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value
