# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Convert RUGD's colour annotations into label ids, for ``mmips.RUGDDataset``.

``python tools/dataset_converters/rugd.py data/rugd``

wants both archives of http://rugd.vision/ unpacked in ``data/rugd``, writes
``data/rugd/labels/<video>/<name>.png`` (8 bit, ids 0..24) and links ``data/rugd/frames``
to the frames, which stay where they are. Started again, it does what is not done.
"""
import argparse
import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from mmengine.utils import ProgressBar
from PIL import Image

from mmips.datasets.rugd_labels import COLOURS, SPLITS

COLOUR_MAP = 'RUGD_annotation-colormap.txt'
UNKNOWN = 255
PNG_START, PNG_END = b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR', b'\0\0\0\0IEND\xaeB`\x82'


@dataclass(frozen=True)
class Task:
    """One annotation, its frame and where its ids go."""
    name: str
    source: Path
    frame: Path
    target: Path
    force: bool


@dataclass(frozen=True)
class Outcome:
    """What became of a task: written, already done, or why not."""
    name: str
    written: bool = False
    error: str = ''


@dataclass
class Plan:
    """What there is to do, and what is wrong before anything is done."""
    tasks: list[Task] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Convert the colours of RUGD into label ids')
    parser.add_argument('root', nargs='?', type=Path, default=Path('data/rugd'),
                        help='where labels/ and frames go, and where the unpacked archives are '
                        '(default: data/rugd)')
    parser.add_argument('--annotations', type=Path,
                        help='the published annotations (default: ROOT/RUGD_annotations)')
    parser.add_argument('--frames', type=Path, help='their frames; ROOT/frames becomes a link to '
                        'them (default: ROOT/RUGD_frames-with-annotations, else ROOT/frames)')
    parser.add_argument('--workers', type=int, default=os.cpu_count() or 1,
                        help='processes (default: one for each core)')
    parser.add_argument('--force', action='store_true', help='convert what is done, too')
    args = parser.parse_args(argv)
    if args.workers < 1:
        parser.error(f'--workers must be at least 1, got {args.workers}')
    args.annotations = args.annotations or args.root / 'RUGD_annotations'
    if args.frames is None:
        args.frames = args.root / 'RUGD_frames-with-annotations'
        if not args.frames.is_dir():
            args.frames = args.root / 'frames'
    for option, folder in (('--annotations', args.annotations), ('--frames', args.frames)):
        if not folder.is_dir():
            parser.error(f'{folder} is no folder; unpack RUGD_annotations.zip and RUGD_frames-with-'
                         f'annotations.zip from http://rugd.vision/ in {args.root}, or say with '
                         f'{option} where it is')
    return args


def check_colour_map(path: Path) -> list[str]:
    """How a published colour map ('id name red green blue' a line) differs from our table."""
    ours = [(str(number), name, *map(str, colour))
            for number, (name, colour) in enumerate(COLOURS.items())]
    theirs = [tuple(line.split()) for line in path.read_text(encoding='utf-8').splitlines()
              if line.strip()]
    return [f'{path}: {" ".join(line)!r} is {where}'
            for lines, others, where in ((theirs, ours, 'unknown to this tool'),
                                         (ours, theirs, 'missing'))
            for line in lines if line not in others]


def find_names(folder: Path) -> set[str]:
    """The images of all videos below a folder, as 'video/name'."""
    return {f'{path.parent.name}/{path.stem}' for path in folder.glob('*/*.png')
            if not path.name.startswith('.')}


def make_plan(args: argparse.Namespace) -> Plan:
    """Pair annotations with frames, and say what has no partner."""
    plan = Plan()
    names, frames = find_names(args.annotations), find_names(args.frames)
    if not names:
        plan.errors.append(f'{args.annotations} holds no <video>/*.png')
    for name in sorted(names & frames):
        target = args.root / 'labels' / f'{name}.png'
        plan.tasks.append(Task(name, args.annotations / f'{name}.png',
                               args.frames / f'{name}.png', target, args.force))
    plan.errors += [f'{name}.png: annotation without a frame in {args.frames}'
                    for name in sorted(names - frames)]
    plan.notes += [f'{name}.png: frame without an annotation' for name in sorted(frames - names)]
    videos = {name.partition('/')[0] for name in names}
    published = {video for split in SPLITS.values() for video in split}
    plan.notes += [f'{video}: the video is not there' for video in sorted(published - videos)]
    plan.notes += [f'{video}: no video of a published split, reachable by an ann_file only'
                   for video in sorted(videos - published)]
    return plan


def make_table() -> np.ndarray:
    """The id of every colour, at index red * 65536 + green * 256 + blue; 255: unknown."""
    table = np.full(1 << 24, UNKNOWN, np.uint8)
    for number, (red, green, blue) in enumerate(COLOURS.values()):
        table[red << 16 | green << 8 | blue] = number
    return table


_table: np.ndarray | None = None  # 16 MB, made once in each process


def read_ids(path: Path) -> np.ndarray:
    """The label ids of one colour annotation.

    Args:
        path: A PNG with colours.

    Returns:
        Ids, shape (H, W), uint8.

    Raises:
        ValueError: If the image has no colours, or one that RUGD does not define.
    """
    global _table
    _table = make_table() if _table is None else _table
    with Image.open(path) as image:
        if image.mode not in ('RGB', 'RGBA', 'P'):
            raise ValueError(f'expected a colour image, got mode {image.mode}')
        rgb = np.asarray(image.convert('RGB')).astype(np.uint32)
    packed = rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2]
    ids = _table[packed]
    if (ids == UNKNOWN).any():
        colours, counts = np.unique(packed[ids == UNKNOWN], return_counts=True)
        raise ValueError('unknown colour ' + ', '.join(
            f'{colour >> 16} {colour >> 8 & 255} {colour & 255} ({count} pixels)'
            for colour, count in zip(colours.tolist(), counts.tolist())))
    return ids


def is_done(task: Task) -> bool:
    """Whether the target is a whole image of ids, not older than its source.

    Reads only its ends: eight bits, one channel, and the mark that closes a PNG.
    """
    try:
        if task.target.stat().st_mtime < task.source.stat().st_mtime:
            return False
        with open(task.target, 'rb') as file:
            start = file.read(33)
            file.seek(-len(PNG_END), os.SEEK_END)
            return (start.startswith(PNG_START) and start[24:26] == b'\x08\0'
                    and file.read() == PNG_END)
    except OSError:  # not there, or shorter than a PNG can be
        return False


def save(ids: np.ndarray, target: Path) -> None:
    """Write the ids under another name first: a broken-off file never looks done."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f'.{target.name}.part')
    Image.fromarray(ids).save(part, 'PNG')
    os.replace(part, target)


def convert(task: Task) -> Outcome:
    """Do one task; whatever is wrong with its files is told, not raised."""
    try:
        if not task.force and is_done(task):
            return Outcome(task.name)
        ids = read_ids(task.source)
        with Image.open(task.frame) as frame:
            if frame.size != ids.shape[::-1]:
                raise ValueError(f'the annotation is {ids.shape[1]}x{ids.shape[0]}, its frame '
                                 f'{frame.width}x{frame.height} pixels')
        save(ids, task.target)
        return Outcome(task.name, written=True)
    except ValueError as error:
        task.target.unlink(missing_ok=True)  # made from another source, it would pass for this one
        return Outcome(task.name, error=f'{task.name}.png: {error}')
    except Exception as error:  # a broken PNG fails in many ways, and the others shall go on
        return Outcome(task.name, error=f'{task.name}.png: {error or type(error).__name__}')


def end_with_parent() -> None:
    """Let a worker end when the tool is killed, rather than wait for work forever."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def convert_all(tasks: list[Task], workers: int) -> Iterator[Outcome]:
    """Do all tasks, in as many processes, in this one if it is to be one."""
    workers = min(workers, len(tasks))
    if workers <= 1:
        yield from map(convert, tasks)
        return
    with ProcessPoolExecutor(workers, initializer=end_with_parent) as pool:
        yield from pool.map(convert, tasks, chunksize=4)


def link_frames(root: Path, frames: Path) -> str:
    """Make ``root/frames`` lead to the frames; returns what stands in the way, or ''."""
    link = root / 'frames'
    try:
        if not os.path.lexists(link):
            root.mkdir(parents=True, exist_ok=True)
            link.symlink_to(os.path.relpath(frames, root), target_is_directory=True)
        if link.exists() and link.samefile(frames):
            return ''
        return (f'{link} is there already and does not lead to {frames}; remove it, or give '
                'RUGDDataset data_prefix=dict(img_path=...)')
    except OSError as error:
        return (f'{link} could not be made ({error}); move {frames} there, or give RUGDDataset '
                'data_prefix=dict(img_path=...)')


def report(plan: Plan, outcomes: list[Outcome], root: Path) -> int:
    """Print what was done and what was wrong; the exit status."""
    errors = plan.errors + [outcome.error for outcome in outcomes if outcome.error]
    for kind, lines in (('note', plan.notes), ('error', errors)):
        for line in lines:
            print(f'{kind}: {line}', file=sys.stderr)
    written = sum(outcome.written for outcome in outcomes)
    failed = sum(bool(outcome.error) for outcome in outcomes)
    videos = {outcome.name.partition('/')[0] for outcome in outcomes}
    print(f'{root / "labels"}: {len(outcomes)} annotations of {len(videos)} videos: {written} '
          f'written, {len(outcomes) - written - failed} already done, {failed} failed; '
          f'{len(plan.notes)} notes, {len(errors)} errors')
    return 1 if errors else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Convert what is not converted yet.

    Args:
        argv: Command line. Defaults to None (``sys.argv``).

    Returns:
        The exit status: 0, or 1 if anything could not be converted.
    """
    args = parse_args(argv)
    plan, outcomes = make_plan(args), []
    colour_map = args.annotations / COLOUR_MAP
    if colour_map.is_file():
        differences = check_colour_map(colour_map)
        if differences:
            # Other colours or ids than these would be other data: write nothing.
            return report(Plan(errors=differences), outcomes, args.root)
    else:
        plan.notes.append(f'{colour_map} is not there, the built-in colours were not compared')
    obstacle = link_frames(args.root, args.frames)
    plan.errors += [obstacle] if obstacle else []
    if plan.tasks:
        bar = ProgressBar(len(plan.tasks))
        for outcome in convert_all(plan.tasks, args.workers):
            outcomes.append(outcome)
            bar.update()
        print()
    return report(plan, outcomes, args.root)


if __name__ == '__main__':
    sys.exit(main())
