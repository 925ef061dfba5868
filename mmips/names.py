# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Names that others have chosen, in a form that pages, pictures and file systems take."""
import re

# Control characters, and halves of characters, which no encoding has.
_UNWRITABLE = re.compile('[\x00-\x1f\x7f-\x9f\ud800-\udfff]')


def one_line(text: str) -> str:
    """A text in one line, single spaces between its words, '\ufffd' for what no file can hold."""
    return _UNWRITABLE.sub('\ufffd', ' '.join(text.split()))


def file_name(text: str, otherwise: str) -> str:
    """A name for a file or folder in every file system, 100 letters at most."""
    # No comma: --cfg-options would take it for a list.
    name = re.sub(r'[^\w.=+-]+', '_', text, flags=re.ASCII)[:100]
    return name.lstrip('._-').rstrip('._') or otherwise
