# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Errors that whoever runs a tool can mend; tools print them without a traceback."""
import difflib
import re
import reprlib
import traceback
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

# By these the MM stack tells a user what is wrong. Others, such as torch's RuntimeError, need their
# traceback, unless it shows which part of a config could not be built.
_REFUSALS = (ValueError, TypeError, KeyError, OSError, AssertionError, ImportError)


class UserError(ValueError):
    """A wrong input; the message names the value, what was expected and what to do."""


class MissingFileError(UserError, FileNotFoundError):
    """A file or folder that is not there; the message says where to get it or put it."""

    # OSError's own would print the arguments as errno and path.
    __str__ = Exception.__str__


def check_choice(name: str, value: Any, choices: Collection[Any]) -> None:
    """Refuse an argument of a part of a config that is none of the choices."""
    if value not in choices:
        raise ValueError(f'{name} must be {" or ".join(map(repr, choices))}, got {value!r}.')


def hint(name: Any, known: Iterable[Any], cutoff: float = 0.6) -> str:
    """The names that a misspelt one may stand for, as the end of a sentence; '' without any."""
    names = set(map(str, known))
    swapped = [each for each in names if sorted(each) == sorted(str(name))]
    found = swapped or difflib.get_close_matches(str(name), names, cutoff=cutoff)
    return f' (did you mean {" or ".join(found)}?)' if found else ''


def error_text(error: BaseException) -> str:
    """What an error says, in one line where it is that of a worker process."""
    # str() of a KeyError is the repr of its message.
    message = error.args[0] if isinstance(error, KeyError) and error.args else error
    text = str(message).strip()
    if 'Original Traceback' not in text:
        return text
    # A worker process sends its whole traceback as the message.
    return re.sub(r'^mmips\.\w+\.\w+: ', '', text.splitlines()[-1])


@contextmanager
def explained(problem: str, if_offline: str = '', every: bool = False) -> Iterator[None]:
    """Make a refusal of the MM stack, while it builds, a ``UserError`` that starts ``problem``.

    It names the part that is not built, and says the line of code where the error says nothing.
    Where a download may be tried meanwhile, ``if_offline`` is said instead when it fails. With
    ``every`` any error is a refusal, as of what reads a file that may hold anything.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        text, part = error_text(error), _part_being_built(error)
        if if_offline and isinstance(error, (*_REFUSALS, RuntimeError)) and (
                _is_failed_download(error)):
            raise UserError(f'{if_offline}\n  (the download failed: {text})') from error
        # Of an assertion without words the condition says most.
        is_refusal = isinstance(error, _REFUSALS) and (text or isinstance(error, AssertionError))
        if not (part or every or is_refusal):
            raise
        text = text or traceback.extract_tb(error.__traceback__)[-1].line or ''
        raise UserError(f'{problem}: {part}{type(error).__name__}: {text}') from error


def _part_being_built(error: BaseException) -> str:
    """The innermost part of a config that mmengine was building, to begin a message with."""
    frames = [frame.f_locals for frame, _ in traceback.walk_tb(error.__traceback__)
              if frame.f_code.co_name == 'build_from_cfg' and frame.f_locals.get('obj_cls')]
    if not frames:
        return ''
    # What is built already, such as a whole Runner's config, says nothing in short.
    given = ', '.join(f'{key}={reprlib.repr(value)}' for key, value in dict(
        frames[-1].get('args') or {}).items() if key != 'cfg')
    name = getattr(frames[-1]['obj_cls'], '__name__', frames[-1]['obj_cls'])
    return f'{name}({given[:300]}): '


def _is_failed_download(error: BaseException | None) -> bool:
    if error is None or isinstance(error, OSError) or 'ownload' in str(error):
        return error is not None
    return _is_failed_download(error.__cause__ or error.__context__)
