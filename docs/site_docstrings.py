# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Extension of mkdocstrings: what docstrings borrow from reStructuredText, as Markdown."""
import re
from collections.abc import Callable
from typing import Any

import griffe
from latex2mathml.converter import convert


def to_markdown(text: str) -> str:
    """Formulas as MathML, which browsers draw without a script, and roles as plain code."""
    text = re.sub(r'\.\. math::(.+?)(?=\n\s*\n|\Z)', _formula('<div>{}</div>'), text,
                  flags=re.DOTALL)
    text = re.sub(r':math:`([^`]+)`', _formula('<span>{}</span>'), text)
    return re.sub(r':\w+:(?=`)|(?<=\w:):$', '', text, flags=re.MULTILINE)


def _formula(frame: str) -> Callable[[re.Match], str]:
    display = 'block' if 'div' in frame else 'inline'
    return lambda found: frame.format(convert(' '.join(found[1].split()), display=display))


class SiteDocstrings(griffe.Extension):
    """Changes every docstring as it is read."""

    def on_object(self, *, obj: Any, **kwargs: Any) -> None:
        """Called by griffe for every module, class, function and attribute."""
        if obj.docstring:
            obj.docstring.value = to_markdown(obj.docstring.value)
