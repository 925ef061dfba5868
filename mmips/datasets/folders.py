# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Class folders on disk or in an object store; configs call :func:`find_classes`."""
import hashlib
import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmips.errors import MissingFileError

from .files import is_remote
from .remote_folder import RemoteFolder

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff', '.ppm', '.pgm')
ADVICE = ('Set the environment variable MMIPS_DATA (in your own config data_root; an option would '
          'come too late) to a folder that holds train/<class>/*.jpg and val/<class>/*.jpg, or '
          'just <class>/*.jpg.')
# Other names for train, val and test: Train, training_set, Validation, valid, ...
_SPLIT = re.compile(r'(train|val|test)(ing|id|idation)?([ _-]?(set|data|imgs?|images?))?')


def find_classes(root: str | os.PathLike) -> list[str]:
    """Names of the class folders below ``root`` or ``root/train``, sorted, as labels number them.

    Raises:
        FileNotFoundError: If ``root`` does not exist.
        ValueError: If there are less than two classes, or the layout is ambiguous.
    """
    folder = class_root(root, 'train')
    names = visible_folders(folder)
    if len(names) < 2:
        raise ValueError(f'{folder.absolute()} holds {len(names)} class folders {names}, but '
                         f'telling classes apart takes at least two. {ADVICE}')
    return names


def class_root(root: str | os.PathLike, split: str) -> Path | RemoteFolder:
    """The folder of the class folders of ``split``: a folder for splits, or ``root`` itself.

    It is that of 'train' for a 'val' to be split off; a ValueError where it is not clear.
    """
    path = (RemoteFolder(str(root).rstrip('/')) if is_remote(str(root)) else
            Path(root).expanduser())
    if not path.is_dir():
        raise FileNotFoundError(f'The image folder {path.absolute()} does not exist. {ADVICE}')
    folders = visible_folders(path)
    _refuse_misspelt_splits(path, folders)
    others = set(folders) - {'train', 'val', 'test'}
    splits = [name for name in ('train', 'val') if name in folders and visible_folders(path / name)]
    if (splits == ['val'] or splits == ['train'] and (others or 'val' in folders)
            or not splits and folders and not others):
        raise ValueError(f'Cannot tell whether the folders {folders} in {path.absolute()} are '
                         'classes or splits. Use either train/<class>/ and val/<class>/ (val may '
                         "be missing) or <class>/ alone, with no class named 'train' or 'val'.")
    return path / (split if split in splits else 'train') if splits else path


def _refuse_misspelt_splits(path: Path | RemoteFolder, folders: list[str]) -> None:
    """Raise where folders of splits would be taken for classes because of their names."""
    named = {name: match[1] for name in folders if (match := _SPLIT.fullmatch(name.casefold()))}
    odd = {name: split for name, split in named.items() if name != split and (
        len(named) == len(folders) or visible_folders(path / name))}
    if odd:
        raise ValueError(
            f'The folders {list(odd)} in {path.absolute()} look like splits, which are called '
            f'train and val, and would be read as classes. Rename {_pairs(odd)}, or put all '
            'classes into a folder train if they are classes.')


def _pairs(names: dict[str, str]) -> str:
    return ', '.join(f'{old!r} to {new!r}' for old, new in names.items())


def list_images(root: Path | RemoteFolder, name: str, others: list[str] | None = None
                ) -> list[str]:
    """Images below ``root/name``, relative to ``root``, sorted, without hidden files and folders.

    Links are followed, but not in circles, which is where mmpretrain's ``CustomDataset`` gets lost.
    Files that are no images by their name are added to ``others``.
    """
    paths = list(walk(root / name))
    found = [path for path in paths if _is_image(os.path.basename(path))]
    rest = [path for path in paths if not _is_image(os.path.basename(path))]
    for path in filter(os.path.islink, rest):
        _refuse_dangling(path)
    if others is not None:
        others += rest
    return sorted(Path(os.path.relpath(path, str(root))).as_posix() for path in found)


def walk(root: str | os.PathLike[str] | RemoteFolder) -> Iterator[str]:
    """Yield the path of every file below a folder; as ``list_images``, and hidden ones neither."""
    if isinstance(root, RemoteFolder):
        yield from (f'{root}/{file}' for file in root.files()
                    if not any(map(_is_hidden, file.split('/'))))
        return
    seen = set()
    for folder, subfolders, files in os.walk(os.fspath(root), onerror=_raise, followlinks=True):
        real = os.path.realpath(folder)
        subfolders[:] = [] if real in seen else [x for x in subfolders if not _is_hidden(x)]
        if real not in seen:
            yield from (os.path.join(folder, file) for file in files if not _is_hidden(file))
        seen.add(real)


def state(path: str) -> list | None:
    """Size and time of a file, of a folder those of all files below it; None for nothing."""
    if not os.path.isdir(path):
        stat = os.stat(path) if os.path.exists(path) else None
        return stat and [stat.st_size, stat.st_mtime_ns]
    below = sorted([file, state(file)] for file in walk(path))
    return [len(below), hashlib.sha256(repr(below).encode()).hexdigest()]


def split_validation(paths: Sequence[str], fraction: float, seed: int) -> tuple[list, list]:
    """Split the paths of a class for training and validation, both sorted.

    By a hash of seed and path: the same on every machine, whatever the other classes. With two
    images or more neither part is empty; a single image is for training.
    """
    def order(path: str) -> tuple[str, str]:
        # macOS stores accents decomposed, Linux as they were typed.
        text = unicodedata.normalize('NFC', f'{seed}:{path}')
        return hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest(), path

    ordered, number = sorted(paths, key=order), int(len(paths) * fraction + 0.5)
    number = min(max(number, 1), len(ordered) - 1)
    return sorted(ordered[number:]), sorted(ordered[:number])


def visible_folders(path: Path | RemoteFolder) -> list[str]:
    """Names of the folders in ``path`` that are not hidden, sorted."""
    if isinstance(path, RemoteFolder):
        return sorted(name for name in path.folders() if not _is_hidden(name))
    names = []
    for entry in os.scandir(path):
        if not _is_hidden(entry.name):
            if entry.is_symlink():
                _refuse_dangling(entry.path)
            names += [entry.name] if entry.is_dir() else []
    return sorted(names)


def _refuse_dangling(path: str) -> None:
    """Raise for a link to nothing: what it led to would be missing without a word."""
    if not os.path.exists(path):
        raise MissingFileError(f'{path} is a link to {os.readlink(path)}, which does not exist. '
                               'Correct or remove the link.')


def _is_hidden(name: str) -> bool:
    return name.startswith('.') or name in ('__MACOSX', '__pycache__')


def _is_image(name: str) -> bool:
    return name.lower().endswith(IMAGE_SUFFIXES)


def _raise(error: OSError) -> None:
    raise error
