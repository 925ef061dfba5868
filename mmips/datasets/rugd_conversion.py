# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Conversion of RUGD's colour annotations into label ids, for ``mmips.RUGDDataset``."""
import contextlib
import functools
import os
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from mmengine.utils import track_parallel_progress, track_progress
from PIL import Image

from mmips.errors import MissingFileError

from .rugd_labels import COLOURS, SPLITS

UNKNOWN = 255
WRITTEN, DONE = 'written', 'already done'


def convert(root: Path, annotations: Path | None = None, frames: Path | None = None,
            workers: int = 1, force: bool = False) -> tuple[str, list[str], list[str]]:
    """Write ``root/labels`` from the published annotations and link ``root/frames``.

    Args:
        root (Path): Where the labels go.
        annotations (Path, optional): The published ones. Default: ``root/RUGD_annotations``.
        frames (Path, optional): Their frames. Default: ``root/RUGD_frames-with-annotations``, or
            ``root/frames`` if that is not there.
        workers (int): Processes. Default: 1.
        force (bool): Whether to convert what is done, too. Default: False.

    Returns:
        tuple[str, list[str], list[str]]: All counts in a line; what is odd; what could not be done.

    Raises:
        MissingFileError: If a folder is missing or empty.
    """
    annotations = annotations or root / 'RUGD_annotations'
    folders = (root / 'RUGD_frames-with-annotations', root / 'frames')
    frames = frames or next(filter(Path.is_dir, folders), folders[1])
    tasks, partners = (sorted(_find(folder, kind)) for folder, kind in (
        (annotations, 'annotations'), (frames, 'frames')))
    notes = [f'{name}.png: frame without an annotation' for name in sorted({*partners} - {*tasks})]
    videos = {os.path.dirname(name) for name in tasks}
    notes += [f'{video}: no annotation of this published video'
              for video in sum(SPLITS.values(), ()) if video not in videos]
    errors = _link(root / 'frames', frames)
    work = functools.partial(_convert_image, root / 'labels', annotations, frames, force)
    results = (track_progress(work, tasks, file=sys.stdout) if workers == 1 else
               track_parallel_progress(work, tasks, workers, chunksize=4, file=sys.stdout))
    count = Counter(results)
    failed = [f'{name}.png: {result}' for name, result in zip(tasks, results)
              if result not in (WRITTEN, DONE)]
    errors += failed
    return (f'{len(tasks)} annotations of {len(videos)} videos: {count[WRITTEN]} written, '
            f'{count[DONE]} already done, {len(failed)} failed; {len(notes)} notes, '
            f'{len(errors)} errors', notes, errors)


def read_ids(path: Path) -> np.ndarray:
    """The label ids of one colour annotation, uint8 of shape (H, W); ValueError for others."""
    with Image.open(path) as image:
        if image.mode not in ('RGB', 'RGBA', 'P'):
            raise ValueError(f'expected a colour image, got mode {image.mode}')
        packed = _pack(np.asarray(image.convert('RGB')))
    ids = _table()[packed]
    if (ids == UNKNOWN).any():
        raise ValueError('unknown colour ' + ', '.join(
            f'{colour >> 16} {colour >> 8 & 255} {colour & 255} ({count} pixels)'
            for colour, count in sorted(Counter(packed[ids == UNKNOWN].tolist()).items())))
    return ids


@functools.cache
def _table() -> np.ndarray:
    """The id of each of the 2^24 colours, made once in a process."""
    table = np.full(1 << 24, UNKNOWN, np.uint8)
    table[_pack(np.array(list(COLOURS.values())))] = range(len(COLOURS))
    return table


def _pack(rgb: np.ndarray) -> np.ndarray:
    return rgb.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)


def _convert_image(labels: Path, annotations: Path, frames: Path, force: bool, name: str) -> str:
    """Convert one annotation; whatever is wrong with its files is told, not raised."""
    source, target = annotations / f'{name}.png', labels / f'{name}.png'
    part = target.with_name(f'.{target.name}.part')  # broken off, it never looks done
    if not force and target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
        return DONE
    try:
        ids = read_ids(source)
        with Image.open(frames / f'{name}.png') as frame:
            if frame.size != ids.shape[::-1]:
                raise ValueError(f'the annotation is {ids.shape[1]}x{ids.shape[0]}, its frame '
                                 f'{frame.width}x{frame.height} pixels')
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(ids).save(part, 'PNG')
        os.replace(part, target)
        return WRITTEN
    except Exception as error:  # a broken PNG fails in many ways, and the others shall go on
        part.unlink(missing_ok=True)
        target.unlink(missing_ok=True)  # made from another source, it would pass for this one
        return str(error) or type(error).__name__


def _find(folder: Path, kind: str) -> set[str]:
    """The images of all videos below a folder, as 'video/name'."""
    names = {f'{path.parent.name}/{path.stem}' for path in folder.glob('*/[!.]*.png')}
    if not names:
        raise MissingFileError(
            f'{folder} holds no <video>/*.png; unpack RUGD_annotations.zip and RUGD_frames-with-'
            f'annotations.zip from http://rugd.vision/, or say with --{kind} where they are.')
    return names


def _link(link: Path, frames: Path) -> list[str]:
    """Make ``link`` lead to the frames; returns what stands in the way."""
    if not os.path.lexists(link):
        link.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):  # a file system without links
            link.symlink_to(os.path.relpath(frames, link.parent), target_is_directory=True)
    if link.exists() and link.samefile(frames):
        return []
    return [f'{link} does not lead to {frames}; move one of the two, or give RUGDDataset '
            'data_prefix=dict(img_path=...)']
