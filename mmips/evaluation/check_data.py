# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Everything that can be said of a config's data before training, printed and as DataFrames."""
import os
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from mmips.config import loading, sources
from mmips.evaluation.data import ERRORS, WARNINGS, Split, inspect_split
from mmips.runs import files

__all__ = ['check_data', 'class_table', 'findings_table', 'inspect_config']

SPLITS = ('train', 'val', 'test')
# More classes than this are summed up: the rarest and the most frequent are shown.
_MANY = 40
# Of each kind of problem so many are named.
_SHOWN = 10
# Wrappers that give each split another part of one set of files.
_DIVIDING = r"\b(KFoldDataset|Subset)'"
# Problems that a conversion which was forgotten would explain.
_UNCONVERTED = ['missing annotation', 'unreadable annotation', 'label value']


def check_data(config: str, options: dict | None = None, decode: bool = False, workers: int = 0,
               all_classes: bool = False, json: str | os.PathLike | None = None) -> bool:
    """Print what is missing and where to get it, what there is of each class, and what is wrong.

    Args:
        config (str): A config by path or name, of mmpretrain, mmseg or mmdet.
        options (dict, optional): What ``--cfg-options`` holds. Defaults to None.
        decode (bool): Decode every image to the end. Defaults to False.
        workers (int): Processes; below 2 everything happens in this one. Defaults to 0.
        all_classes (bool): Show every class, also of many. Defaults to False.
        json (str | PathLike, optional): File for all numbers and findings. Defaults to None.

    Returns:
        bool: Whether all is there and nothing but warnings was found.
    """
    from mmengine.registry import init_default_scope
    cfg = loading.load_config(config, options)
    init_default_scope(cfg.get('default_scope') or 'mmengine')
    missing, absent = _find_missing(cfg)
    splits = inspect_config(cfg, absent, workers, decode)
    _print_classes(splits, all_classes)
    _print_findings(cfg, splits)
    for text in missing:
        print(f'\n{text}')
    if json:
        Path(json).absolute().parent.mkdir(parents=True, exist_ok=True)
        files.write_json(json, dict(config=config, missing=missing, splits={
            name: _as_json(split) for heading, split in splits.items()
            for name in heading.split(' = ')}))
    right = not missing and all(split.is_sound() for split in splits.values())
    print('\nThe data is complete, and nothing is wrong with it.' if right else
          '\nSomething is missing or wrong, see above.')
    return right


def _find_missing(cfg: Any) -> tuple[list[str], dict[str, list[str]]]:
    """What the disk lacks: a paragraph for each thing, and the keys of the data sets by split."""
    fields = tuple(f'{split}_dataloader' for split in SPLITS)
    texts = [sources.advise_checkpoint(*item) for item in sources.missing_checkpoints(cfg)]
    missing = sources.missing_datasets(cfg, fields)
    pending = sources.pending_downloads(cfg, fields)
    texts += [sources.advise(missing)] if missing else []
    texts += [sources.advise(pending) + '\n  (training downloads it by itself where there is a '
              'network)'] if pending else []
    keys: dict[str, list[str]] = {split: [] for split in SPLITS}
    for key, _, _ in missing + pending:
        field, _, rest = key.partition('.')
        keys[field.removesuffix('_dataloader')].append(rest)
    return texts, keys


def inspect_config(cfg: Any, skip: Mapping[str, list[str]] | None = None, workers: int = 0,
                   decode: bool = False) -> dict[str, Split]:
    """Read the data of every split that a config has; equal ones once, as 'val = test'.

    Data sets in ``skip`` are left out. Images that are in train too are a finding of the others.
    """
    groups: list[tuple[list[str], Any]] = []
    for name in SPLITS:
        data = (cfg.get(f'{name}_dataloader') or {}).get('dataset')
        twin = next((names for names, known in groups if known == data), None)
        if twin:
            twin.append(name)
        elif data is not None:
            groups.append(([name], data))
    splits = {' = '.join(names): inspect_split(names[0], data, (skip or {}).get(names[0], ()),
                                               workers, decode) for names, data in groups}
    first, *others = splits.values() or [Split('')]
    if first.name == 'train' and not re.search(_DIVIDING, str(groups)):
        for split in others:
            split.findings += [('duplicate', path) for path in sorted(split.paths & first.paths)]
    return splits


def _as_json(split: Split) -> dict:
    problems: dict[str, list[str]] = {}
    for problem, place in split.findings:
        problems.setdefault(problem, []).append(place)
    return dict(kind=split.kind, images=split.images, epoch=split.epoch, counts=split.counts,
                images_with=split.images_with, notes=split.notes, problems=problems)


def class_table(splits: Mapping[str, Split]) -> pd.DataFrame:
    """Counts of classes; columns are the split and 'images', 'pixels' or 'boxes'."""
    columns = {}
    for heading, split in splits.items():
        columns[heading, split.kind] = counts = pd.Series(split.counts, dtype='Int64')
        columns[heading, 'images'] = pd.Series(split.images_with, counts.index, 'Int64').fillna(0)
    return pd.DataFrame(columns, list(dict.fromkeys(
        name for split in splits.values() for name in split.counts)))


def findings_table(splits: Mapping[str, Split]) -> pd.DataFrame:
    """What is wrong with the data: ``split``, ``severity``, ``problem`` and ``place``."""
    rows = [(heading, 'ERROR' if problem in ERRORS else 'warning', problem, place)
            for heading, split in splits.items() for problem, place in split.findings]
    return pd.DataFrame(rows, columns=['split', 'severity', 'problem', 'place'])


def _print_classes(splits: Mapping[str, Split], everything: bool) -> None:
    shown = {name: split for name, split in splits.items() if split.images}
    for heading, split in shown.items():
        print(f'{heading}: {", ".join(_summary(split))}')
    table = class_table(shown)
    if table.empty:
        return
    # A share says more of pixels than their number does.
    texts = table.apply(lambda column: column.map(
        lambda number: _percent(number, column.sum()) if column.name[1] == 'pixels' else
        f'{number:,}', na_action='ignore')).fillna('-')
    if len(table) > _MANY and not everything:
        order = sorted(table.index, key=lambda name: sum(
            split.counts[name] for split in shown.values()))
        more = pd.DataFrame('', [f'... {len(table) - 10} more (--all-classes)'], table.columns)
        texts = pd.concat([texts.loc[order[:5]], more, texts.loc[order[-5:]]])
    print(f'\n{texts.rename_axis(columns=["class", None]).to_string()}')


def _summary(split: Split) -> list[str]:
    """A split as a whole, in phrases."""
    parts, notes, total = [f'{split.images:,} images'], split.notes, split.counts.total()
    if split.epoch not in (None, split.images):
        parts.append(f'{split.epoch:,} in an epoch')
    if split.kind == 'pixels':
        share = _percent(notes['ignored'], total + notes['ignored'])
        parts.append(f'{share} of the pixels ignored')
    if split.kind == 'boxes':
        parts.append(f'{total:,} boxes, of which {notes["difficult"]:,} difficult and '
                     f'{notes["ignored"]:,} ignored')
        parts += [f'{notes[note]:,} {text}' for note, text in (
            ('without boxes', 'without boxes'), ('left out', 'images left out by filter_cfg')
        ) if notes[note]]
    return parts


def _percent(part: int, whole: int) -> str:
    return f'{100 * part / whole:.2f} %' if whole else '-'


def _print_findings(cfg: Any, splits: Mapping[str, Split]) -> None:
    """Print what is wrong, each kind with its first files."""
    for heading, found in findings_table(splits).groupby('split', sort=False):
        for (word, problem), places in found.groupby(['severity', 'problem'], sort=False)['place']:
            print(f'\n{word} in {heading}: {len(places):,} {(ERRORS | WARNINGS)[problem]}')
            if problem == 'no example':
                print(textwrap.indent(textwrap.fill(', '.join(places), 96, max_lines=4), '    '))
                continue
            print(textwrap.indent('\n'.join(places[:_SHOWN]), '    '))
            if len(places) > _SHOWN:
                print(f'    ... {len(places) - _SHOWN:,} more (all of them: --json FILE)')
        if found['problem'].isin(_UNCONVERTED).any():
            # The commands that convert the data sets, where it takes one.
            data = cfg[f'{heading.split(" = ")[0]}_dataloader']['dataset']
            lines = [line for _, part in sources.iter_datasets(data, '')
                     for line in sources.advise_conversion(part)]
            if lines:
                print('\n'.join(['  Was it converted?', *dict.fromkeys(lines)]))
