# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Look through the data of a config before training.

``python tools/misc/check_data.py CONFIG [--decode] [--json FILE] [--cfg-options KEY=VALUE ...]``

Says what is missing and where to get it, how many images and how many boxes or pixels of each
class there are in train, val and test, and which files are wrong. Works for mmpretrain, mmseg and
mmdet. The exit status is 0 if all is right and 1 if something is missing or wrong.
"""
import argparse
import json
import os
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import mmips  # noqa: F401  (first: it makes 'mmips::' and 'mmseg::' bases readable)
from mmips.config import loading, sources
from mmips.evaluation.data import ERRORS, WARNINGS, Report, find_duplicates, inspect_split
from mmips.runs import cli

SPLITS = ('train', 'val', 'test')
# More classes than this are summed up: the rarest and the most frequent are shown.
MANY = 40
# Of each kind of problem so many are named.
SHOWN = 10
#: Wrappers that give each split another part of one set of files.
DIVIDING = ('KFoldDataset', 'Subset')
#: Problems that a conversion which was forgotten would explain.
UNCONVERTED = ('missing annotation', 'unreadable annotation', 'label value')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    from mmengine.config import DictAction
    parser = argparse.ArgumentParser(description='Look through the data of a config')
    parser.add_argument('config', help='path of a config, or the name of one of mmips, ips/x.py')
    parser.add_argument('--decode', action='store_true',
                        help='decode every image to the end, to find the broken ones')
    parser.add_argument('--json', metavar='FILE', help='write all numbers and problems there')
    parser.add_argument('--workers', type=int, default=min(os.cpu_count() or 1, 16),
                        help='processes (default: one for each core, at most 16)')
    parser.add_argument('--all-classes', action='store_true',
                        help=f'show every class, also of more than {MANY}')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override settings of the config')
    args = parser.parse_args(argv)
    if args.workers < 0:
        parser.error(f'--workers must not be negative, got {args.workers}')
    return args


def find_missing(cfg: Any) -> tuple[list[str], dict[str, list[str]]]:
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


def inspect(cfg: Any, absent: dict[str, list[str]], args: argparse.Namespace
            ) -> dict[str, Report]:
    """A report for each split that the config has; equal ones are read once."""
    reports: dict[str, Report] = {}
    seen: list[tuple[Any, str]] = []
    for split in SPLITS:
        data = (cfg.get(f'{split}_dataloader') or {}).get('dataset')
        if data is None:
            continue
        twin = next((name for known, name in seen if known == data), None)
        seen.append((data, split))
        if twin is not None:
            reports[split] = reports[twin]
            continue
        reports[split] = inspect_split(split, data, absent[split], args.workers, args.decode)
    return reports


def mark_duplicates(cfg: Any, reports: dict[str, Report]) -> None:
    """Note in val and test which of their images are also in train."""
    train = reports.get('train')
    if train is None or any(kind in _types(cfg) for kind in DIVIDING):
        return
    for split in SPLITS[1:]:
        report = reports.get(split, train)
        if report is not train and 'duplicate' not in report.problems:
            shared = find_duplicates(train, report)
            if shared:
                report.problems['duplicate'] = shared


def _types(cfg: Any) -> set[str]:
    """The types of all data sets and wrappers of a config."""
    found: set[str] = set()
    nodes = [cfg.get(f'{split}_dataloader') for split in SPLITS]
    while nodes:
        node = nodes.pop()
        if hasattr(node, 'get'):
            found.add(sources.type_name(node))
            nodes += [node.get('dataset'), *(node.get('datasets') or ())]
    return found


# ---- what is shown -----------------------------------------------------------------------------


def columns(reports: dict[str, Report]) -> dict[str, Report]:
    """Reports by heading; splits that are the same share one."""
    names: dict[int, list[str]] = {}
    for split, report in reports.items():
        names.setdefault(id(report), []).append(split)
    return {' = '.join(names[id(report)]): report for report in reports.values() if names.get(
        id(report))}


def summary(heading: str, report: Report) -> str:
    """One line on a split as a whole."""
    parts = [f'{report.images:,} images']
    if report.epoch not in (None, report.images):
        parts.append(f'{report.epoch:,} in an epoch')
    total = sum(report.counts.values())
    if report.kind == 'pixels':
        ignored = report.notes['ignored']
        parts.append(f'{percent(ignored, total + ignored)} of the pixels ignored')
    if report.kind == 'boxes':
        notes = report.notes
        parts.append(f'{total:,} boxes, of which {notes["difficult"]:,} difficult and '
                     f'{notes["ignored"]:,} ignored')
        parts += [f'{notes["without boxes"]:,} without boxes'] if notes['without boxes'] else []
        parts += [f'{notes["left out"]:,} images left out by filter_cfg'
                  ] if notes['left out'] else []
    return f'{heading}: {", ".join(parts)}'


def percent(part: int, whole: int) -> str:
    """A share with two digits after the point."""
    return f'{100 * part / whole:.2f} %' if whole else '-'


def rows(shown: dict[str, Report], everything: bool) -> Iterator[tuple[str, list[str]]]:
    """Class and cells of the table."""
    totals = {name: sum(report.counts.get(name, 0) for report in shown.values())
              for report in shown.values() for name in report.counts}
    names = list(totals)
    if len(names) > MANY and not everything:
        ranked = sorted(names, key=totals.__getitem__)
        names = [*ranked[:5], '', *ranked[-5:]]
    for name in names:
        if not name:
            yield f'... {len(totals) - 10} more (--all-classes)', [''] * len(shown) * 2
            continue
        yield name, [cell for report in shown.values() for cell in cells(name, report)]


def cells(name: str, report: Report) -> list[str]:
    """What a split holds of a class."""
    if name not in report.counts:
        return ['-', '-']
    count, images = report.counts[name], f'{report.occurs[name]:,}'
    if report.kind == 'pixels':
        return [percent(count, sum(report.counts.values())), images]
    return [f'{count:,}', images]


def show_table(reports: dict[str, Report], everything: bool) -> None:
    """Print the lines and the table of what there is."""
    from rich.console import Console
    from rich.table import Table
    shown = {heading: report for heading, report in columns(reports).items() if report.images}
    for heading, report in shown.items():
        print(summary(heading, report))
    if not any(report.counts for report in shown.values()):
        return
    table = Table('class', box=None, pad_edge=False, padding=(0, 2, 0, 0))
    only_images = all(report.kind == 'images' for report in shown.values())
    for heading, report in shown.items():
        for unit in ('images', ) if only_images else (report.kind, 'images'):
            table.add_column(f'{heading}\n{unit}', justify='right', no_wrap=True)
    for name, values in rows(shown, everything):
        table.add_row(name, *(values[::2] if only_images else values))
    print()
    # As wide as it takes: a file or a pipe has no width.
    console = Console(file=sys.stdout, highlight=False, markup=False)
    console.print(table, width=max(console.width, 80 + 30 * len(shown)), crop=False,
                  no_wrap=True)


def show_problems(cfg: Any, reports: dict[str, Report]) -> None:
    """Print what is wrong, each kind with its first files."""
    for heading, report in columns(reports).items():
        for kind, found in report.problems.items():
            word, meaning = (('ERROR', ERRORS[kind]) if kind in ERRORS else
                             ('warning', WARNINGS[kind]))
            print(f'\n{word} in {heading}: {len(found):,} {meaning}')
            if kind == 'no example':
                print(textwrap.indent(textwrap.fill(', '.join(found), 96, max_lines=4), '    '))
                continue
            for what in found[:SHOWN]:
                print(f'    {what}')
            if len(found) > SHOWN:
                print(f'    ... {len(found) - SHOWN:,} more (all of them: --json FILE)')
        if any(kind in report.problems for kind in UNCONVERTED):
            for line in conversions(cfg, heading.split(' = ')[0]):
                print(line)


def conversions(cfg: Any, split: str) -> list[str]:
    """The commands that convert the data sets of a split, where it takes one."""
    data = cfg[f'{split}_dataloader']['dataset']
    lines = [line for _, part in sources.iter_datasets(data, '')
             for line in sources.advise_conversion(part)]
    return ['  Was it converted?', *dict.fromkeys(lines)] if lines else []


def write_json(path: str, config: str, missing: list[str], reports: dict[str, Report]) -> None:
    """Write everything to a file, whole or not at all."""
    content = dict(config=config, missing=missing,
                   splits={split: report.as_dict() for split, report in reports.items()})
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(f'{path}.part', 'w') as file:
        json.dump(content, file, indent=1)
    os.replace(f'{path}.part', path)


def check(cfg: Any, args: argparse.Namespace) -> int:
    """Look, tell, and return the exit status."""
    missing, absent = find_missing(cfg)
    reports = inspect(cfg, absent, args)
    mark_duplicates(cfg, reports)
    show_table(reports, args.all_classes)
    show_problems(cfg, reports)
    for text in missing:
        print(f'\n{text}')
    if args.json:
        write_json(args.json, args.config, missing, reports)
    errors = sum(bool(report.errors()) for report in reports.values())
    right = not missing and not errors
    print('\nThe data is complete, and nothing is wrong with it.' if right else
          '\nSomething is missing or wrong, see above.')
    return 0 if right else 1


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> int:
    """Check; returns the exit status."""
    from mmengine.registry import init_default_scope
    args = parse_args(argv)
    cfg = loading.load_config(args.config, args.cfg_options)
    init_default_scope(cfg.get('default_scope') or 'mmengine')
    try:
        return check(cfg, args)
    except KeyboardInterrupt:
        print('\nInterrupted.', file=sys.stderr)
        return 130


if __name__ == '__main__':
    sys.exit(main())
