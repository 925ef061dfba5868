# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Everything that can be said of a config's data before training."""
import re
import textwrap
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pandas as pd

from mmips.config import loading, sources
from mmips.config.data import ERRORS, WARNINGS, Split, inspect_split
from mmips.config.data_checks import data_mistakes, head_classes
from mmips.errors import UserError

SPLITS = ('train', 'val', 'test')
# More classes than this are summed up: the rarest and the most frequent are shown.
_MANY = 40
# Of each kind of problem so many are named.
_SHOWN = 10
# Wrappers that give each split another part of one set of files.
_DIVIDING = r"\b(KFoldDataset|Subset)'"


def check_data(config: str, options: dict | None = None, decode: bool = False, workers: int = 0,
               all_classes: bool = False) -> tuple[bool, dict]:
    """Print what is missing and where to get it, what there is of each class, and what is wrong.

    ``decode`` reads every image to the end, ``workers`` below 2 means in this process. Returned is
    whether nothing but warnings was found, and all numbers and findings, for a JSON file.
    """
    from mmengine.registry import init_default_scope
    cfg = loading.load_config(config, options)
    init_default_scope(cfg.get('default_scope') or 'mmengine')
    missing, absent = _find_missing(cfg)
    splits = inspect_config(cfg, absent, workers, decode)
    _print_classes(splits, all_classes)
    _print_findings(splits)
    right = not missing and all(split.is_sound() for split in splits.values())
    for text in [*missing, 'The data is complete, and nothing is wrong with it.' if right else
                 'Something is missing or wrong, see above.']:
        print(f'\n{text}')
    return right, dict(config=config, missing=missing, splits={
        name: {key: value for key, value in vars(split).items() if key not in ('name', 'paths')}
        for heading, split in splits.items() for name in heading.split(' = ')})


def _find_missing(cfg: Any) -> tuple[list[str], dict[str, list[str]]]:
    """What the disk lacks: a paragraph for each thing, and the keys of the data sets by split."""
    fields = tuple(f'{split}_dataloader' for split in SPLITS)
    missing, pending = (sources.missing_datasets(cfg, fields, each) for each in (False, True))
    texts = [sources.advise_checkpoint(*item) for item in sources.missing_checkpoints(cfg)]
    try:
        texts += [sources.advise(missing)] if missing else data_mistakes(cfg)
    except UserError as error:
        texts.append(str(error))
    texts += [sources.advise(pending) + '\n  (training downloads it by itself where there is a '
              'network)'] if pending else []
    keys: dict[str, list[str]] = {}
    for key, _, _ in missing + pending:
        field, _, rest = key.partition('_dataloader.')
        keys.setdefault(field, []).append(rest)
    return texts, keys


def inspect_config(cfg: Any, skip: Mapping[str, list[str]], workers: int = 0,
                   decode: bool = False) -> dict[str, Split]:
    """Read the data of every split that a config has; equal ones once, as 'val = test'.

    Data sets in ``skip`` are left out. Images that are in train too are a finding of the others.
    """
    loaders = {name: cfg.get(f'{name}_dataloader') or {} for name in SPLITS}
    twins: dict[str, list[str]] = {}
    for name, loader in loaders.items():
        if loader.get('dataset') is not None:
            twins.setdefault(repr(loader['dataset']), []).append(name)
    splits = {' = '.join(names): inspect_split(
        names[0], loaders[names[0]]['dataset'], skip.get(names[0], ()), workers, decode,
        head_classes(cfg)) for names in twins.values()}
    first, *others = splits.values() or [Split('')]
    if first.name == 'train' and not re.search(_DIVIDING, str(loaders)):
        for split in others:
            split.add(('duplicate', path) for path in sorted(split.paths & first.paths))
    return splits


def _print_classes(splits: Mapping[str, Split], everything: bool) -> None:
    columns, sums = {}, Counter[str]()
    for heading, split in splits.items():
        if split.images:
            print(f'{heading}: {", ".join(_summary(split))}')
            sums.update(split.counts)
            columns[heading, split.kind] = {  # of pixels a share says more
                name: f'{number:,}' if split.kind != 'pixels' else
                _percent(number, split.counts.total()) for name, number in split.counts.items()}
            columns[heading, 'images'] = {name: f'{split.images_with[name]:,}'
                                          for name in split.counts}
    table = pd.DataFrame(columns, list(sums)).fillna('-')
    if len(table) > _MANY and not everything:
        order = sorted(sums, key=lambda name: sums[name])
        more = pd.DataFrame('', [f'... {len(table) - 10} more (--all-classes)'], table.columns)
        table = pd.concat([table.loc[order[:5]], more, table.loc[order[-5:]]])
    if len(table):
        print(f'\n{table.rename_axis(columns=["class", None]).to_string()}')


def _summary(split: Split) -> list[str]:
    """A split as a whole, in phrases."""
    parts, notes, total = [f'{split.images:,} images'], split.notes, split.counts.total()
    if split.epoch not in (None, split.images):
        parts.append(f'{split.epoch:,} in an epoch')
    if notes['remote']:
        parts.append(f'{notes["remote"]:,} not on this machine, whose files are not looked at')
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


def _print_findings(splits: Mapping[str, Split]) -> None:
    """Print what is wrong, each kind with its first files."""
    for heading, split in splits.items():
        for problem, places in split.problems.items():
            word = 'ERROR' if problem in ERRORS else 'warning'
            text = '\n'.join(places[:_SHOWN])
            if problem == 'no example':
                text = textwrap.fill(', '.join(places), 96, max_lines=4)
            elif len(places) > _SHOWN:
                text += f'\n... {len(places) - _SHOWN:,} more (all of them: --json FILE)'
            print(f'\n{word} in {heading}: {len(places):,} {(ERRORS | WARNINGS)[problem]}')
            print(textwrap.indent(text, '    '))
