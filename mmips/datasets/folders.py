# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Class folders on disk: which classes there are, and which images are for validation.

Only the standard library is used, because configs call :func:`find_classes` while they are
being parsed.
"""
from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

__all__ = ['IMAGE_SUFFIXES', 'class_root', 'find_classes', 'has_split', 'list_images',
           'split_validation', 'visible_folders']

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff', '.ppm', '.pgm')
SPLIT_NAMES = {'train', 'val', 'test'}
ADVICE = ('Set the environment variable MMIPS_DATA (or data_root) to a folder that holds '
          'train/<class>/*.jpg and val/<class>/*.jpg, or just <class>/*.jpg.')


def find_classes(root: str | os.PathLike) -> list[str]:
    """Names of the classes below ``root``, in the order of their labels.

    Args:
        root: A folder with one folder of images for each class, or with such folders below
            ``train`` (and ``val``).

    Returns:
        The names of the class folders, sorted. Hidden folders do not count.

    Raises:
        FileNotFoundError: If ``root`` does not exist or holds no class folder.
        ValueError: If there is only one class, or the layout is ambiguous.
    """
    folder = class_root(root, 'train')
    names = visible_folders(folder)
    if not names:
        raise FileNotFoundError(f'{folder.absolute()} holds no class folders. {ADVICE}')
    if len(names) == 1:
        raise ValueError(f'{folder.absolute()} holds the single class folder {names[0]!r}, but '
                         'telling classes apart takes at least two. If the classes lie in that '
                         f'folder, it is the one to name. {ADVICE}')
    return names


def has_split(root: str | os.PathLike, split: str) -> bool:
    """Whether ``root/<split>`` exists as a folder of class folders."""
    return _holds_classes(Path(root).expanduser() / split)


def class_root(root: str | os.PathLike, split: str) -> Path:
    """The folder that directly holds the class folders of ``split`` ('train' or 'val').

    This is ``root/<split>`` where that exists, ``root/train`` for a ``val`` that is to be split
    off from it, and otherwise ``root`` itself.

    Raises:
        FileNotFoundError: If ``root`` does not exist.
        ValueError: If it is not clear whether ``train`` or ``val`` is a split or a class.
    """
    path = Path(root).expanduser()
    if not path.is_dir():
        raise FileNotFoundError(f'The image folder {path.absolute()} does not exist. {ADVICE}')
    if not _is_split(path):
        return path
    return path / (split if has_split(path, split) else 'train')


def list_images(root: Path, name: str) -> list[str]:
    """Images of the class folder ``root/name``, subfolders included.

    Returns:
        Paths relative to ``root`` with forward slashes, sorted. Hidden files and folders and
        files without an image suffix (of either case) are left out.

    Raises:
        OSError: If a folder cannot be read.
    """
    found: list[str] = []
    seen = set()
    for folder, subfolders, files in os.walk(root / name, onerror=_raise, followlinks=True):
        real = os.path.realpath(folder)
        subfolders[:] = [] if real in seen else [x for x in subfolders if not _is_hidden(x)]
        if real not in seen:  # symbolic links may lead back up
            found += [os.path.join(folder, file) for file in files if _is_image(file)]
        seen.add(real)
    return sorted(Path(path).relative_to(root).as_posix() for path in found)


def split_validation(paths: Sequence[str], fraction: float, seed: int) -> tuple[list, list]:
    """Split the images of one class into a training and a validation part.

    The order is that of a hash of seed and path, so the result is the same on every machine,
    whatever the order of the file system, and does not depend on other classes.

    Args:
        paths: Paths relative to the class root, with forward slashes.
        fraction: Share of the validation images, between 0 and 1.
        seed: Seed of the split.

    Returns:
        Training and validation paths, both sorted. With two images or more neither is empty; a
        single image is for training.
    """
    ordered = sorted(paths, key=lambda path: (_hash(path, seed), path))
    number = int(len(ordered) * fraction + 0.5)
    number = min(max(number, 1), len(ordered) - 1) if len(ordered) > 1 else 0
    return sorted(ordered[number:]), sorted(ordered[:number])


def visible_folders(path: Path) -> list[str]:
    """Names of the folders in ``path`` that are not hidden, sorted."""
    entries = os.scandir(path)
    return sorted(x.name for x in entries if x.is_dir() and not _is_hidden(x.name))


def _is_split(path: Path) -> bool:
    """Whether ``path`` holds train/<class> rather than <class>; refuses what could be both."""
    train, val = has_split(path, 'train'), has_split(path, 'val')
    names = set(visible_folders(path))
    others = sorted(names - SPLIT_NAMES)
    problem = None
    if not train and names and not others:
        problem = "'train' has no class folders, or images beside its class folders"
    elif not train and val:
        problem = f"'val' has folders inside, but the other folders are {others}"
    elif train and not val and others:
        problem = f"'train' has folders inside, but there are also the folders {others}"
    elif train and not val and 'val' in names and _holds_images(path / 'val'):
        problem = "'train' has class folders, but the images of 'val' are in none"
    if problem:
        raise ValueError(f'Cannot tell the classes in {path.absolute()}: {problem}. Use either '
                         'train/<class>/ and val/<class>/ (val may be missing) or <class>/ alone, '
                         "with no class named 'train' or 'val'.")
    return train


def _hash(path: str, seed: int) -> str:
    # macOS stores accents decomposed, Linux as they were typed.
    text = unicodedata.normalize('NFC', f'{seed}:{path}')
    return hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()


def _holds_classes(path: Path) -> bool:
    """Whether ``path`` is a folder with folders, but no images, directly inside."""
    if not path.is_dir():
        return False
    return bool(visible_folders(path)) and not _holds_images(path)


def _holds_images(path: Path) -> bool:
    return any(_is_image(entry.name) and entry.is_file() for entry in os.scandir(path))


def _is_hidden(name: str) -> bool:
    return name.startswith('.') or name in ('__MACOSX', '__pycache__')


def _is_image(name: str) -> bool:
    return not _is_hidden(name) and name.lower().endswith(IMAGE_SUFFIXES)


def _raise(error: OSError) -> None:
    raise error
