# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What is wrong with a file of a data set, in words that fit into one line."""
import os

from PIL import Image

#: Where to look for more of the same; ends a message about a file.
LOOK = 'python tools/misc/check_data.py CONFIG --decode looks through all files'


def reason(error: BaseException) -> str:
    """The type of an error and its first line."""
    return ': '.join([type(error).__name__, *str(error).strip().splitlines()[:1]])


def printable(path: str) -> str:
    """A path as it stands; with a line break or the like in it, as Python would write it."""
    return path if path.isprintable() else repr(path)


def is_remote(path: str) -> bool:
    """Whether a path is the business of one of mmengine's file backends."""
    return '://' in path


def fault(path: str) -> str:
    """What can be said of a file that cannot be read without reading it; '' for nothing."""
    if is_remote(path):
        return ''
    if os.path.islink(path) and not os.path.exists(path):
        return f'is a link to {printable(os.readlink(path))}, which does not exist'
    if not os.path.exists(path):
        return 'does not exist'
    if os.path.isdir(path):
        return 'is a folder, not a file'
    return '' if os.path.getsize(path) else 'is empty'


def may_be_deep(path: str) -> bool:
    """Whether a label image may have values beyond a byte; quick for PNG files."""
    with open(path, 'rb') as file:
        start = file.read(25)
    return not start.startswith(b'\x89PNG') or start[24] > 8


def refuse_colours(path: str) -> None:
    """A ValueError for what mmseg would read without a word: colours, and values beyond a byte."""
    with Image.open(path) as image:
        high = image.getextrema()[1] if image.mode.startswith('I') else 0
        if high > 255 or image.mode.startswith(('RGB', 'CMYK', 'LA')):
            raise ValueError(f'its mode is {image.mode}, with values up to {high or 255}, but '
                             'label images hold a number below 256 for each pixel: convert it')
