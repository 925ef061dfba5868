# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""How ``--cfg-options`` are read from a command line."""
import re
from argparse import ArgumentParser
from typing import Any

from mmengine.config import DictAction

# mmengine takes out all spaces; those within a word stand as this meanwhile.
_BLANK = '\0'


class OptionAction(DictAction):
    """``KEY=VALUE`` as in all tools of OpenMMLab, but a text stays as it was typed.

    Without it a path loses its spaces and its last quote. What is in quotes that reach the tool,
    ``key="'/x, y'"``, is text whatever it looks like, unless it begins with a bracket.
    """

    def __call__(self, parser: ArgumentParser, namespace: Any, values: Any,
                 option_string: str | None = None) -> None:
        """Add options to those of an earlier ``--cfg-options``."""
        try:
            super().__call__(parser, namespace, values, option_string)
        except (ValueError, AssertionError) as error:
            parser.error(f'{option_string} takes KEY=VALUE with balanced brackets, got '
                         f'{" ".join(values)} ({error}).')

    @staticmethod
    def _parse_iterable(val: str) -> Any:
        if re.fullmatch(r"'[^(\[].*'|\"[^(\[].*\"", val, re.DOTALL):
            return val[1:-1]
        kept = re.sub(r'(?<=[^\s,()\[\]]) +(?=[^\s,()\[\]])', lambda x: _BLANK * len(x[0]), val)
        value = DictAction._parse_iterable(kept)
        return val if isinstance(value, str) else _restored(value)


def _restored(value: Any) -> Any:
    """Lists with the blanks in their words back."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(_restored, value))
    return value.replace(_BLANK, ' ') if isinstance(value, str) else value
