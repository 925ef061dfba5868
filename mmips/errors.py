# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Errors that whoever runs a tool can mend; tools print them without a traceback."""
import difflib
import traceback
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

# By these the MM stack tells a user what is wrong with a config; others, such as torch's
# RuntimeError, need their traceback.
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
    return text.splitlines()[-1].removeprefix(f'{UserError.__module__}.{UserError.__name__}: ')


@contextmanager
def explained(problem: str, if_offline: str = '', every: bool = False) -> Iterator[None]:
    """Make a refusal of the MM stack, while it builds, a ``UserError`` that starts ``problem``.

    Where a download may be tried meanwhile, ``if_offline`` is said instead when it fails. With
    ``every`` any error is a refusal, as of what reads a file that may hold anything.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        # Of an assertion without words the condition says most.
        text = error_text(error) or isinstance(error, AssertionError) and (
            traceback.extract_tb(error.__traceback__)[-1].line or '')
        if if_offline and _is_failed_download(error):
            raise UserError(f'{if_offline}\n  (the download failed: {text})') from error
        if not every and (not text or not isinstance(error, _REFUSALS)):
            raise
        raise UserError(f'{problem}: {type(error).__name__}: {text}') from error


def _is_failed_download(error: BaseException | None) -> bool:
    if error is None or isinstance(error, OSError) or 'ownload' in str(error):
        return error is not None
    return _is_failed_download(error.__cause__ or error.__context__)
