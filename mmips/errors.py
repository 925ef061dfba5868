# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Errors that whoever runs a tool can mend; tools print them without a traceback."""

__all__ = ['MissingFileError', 'UserError', 'error_text']


class UserError(ValueError):
    """A wrong input; the message names the value, what was expected and what to do."""


class MissingFileError(UserError, FileNotFoundError):
    """A file or folder that is not there; the message says where to get it or put it."""

    # OSError's own would print the arguments as errno and path.
    __str__ = Exception.__str__


def error_text(error: BaseException) -> str:
    """What an error says, in one line where it is that of a worker process."""
    # str() of a KeyError is the repr of its message.
    message = error.args[0] if isinstance(error, KeyError) and error.args else error
    text = str(message).strip()
    # A worker process sends its whole traceback as the message.
    return text.splitlines()[-1] if 'Original Traceback' in text else text
