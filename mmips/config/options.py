# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Options merged into a config, after it is clear that something will read them."""
import copy
from collections.abc import Mapping
from typing import Any

from mmips.config.builders import TAKEN_OUT, Builder, runner_keys
from mmips.errors import UserError, hint


def merge_options(cfg: Any, options: Mapping[str, Any]) -> None:
    """Merge dotted options into a config; refuse what would have no effect.

    Every key must exist in the config, or else be an argument of what the config builds there.
    Where the arguments are not known (``**kwargs``, a dict without a type), only what looks like
    another key misspelt is refused. A top-level key must be one that the Runner reads: a variable
    of the config's own text has been used by then. A key that begins with ``+`` is merged without
    any of this. Numbers lead into lists. A dict is merged into the one that is there (unless it
    has ``_delete_=True``), a list takes the other's place.
    """
    known = runner_keys()
    checked = {key: value for key, value in options.items() if not key.startswith('+')}
    for key in checked:
        top = key.partition('.')[0]
        if top not in known:
            reason = (f'{top!r} is a variable of the config, which is used up once it is read: '
                      'name the place where its value ends up' if top in cfg else
                      f'the Runner reads no {top!r}{hint(top, known)}')
            raise UserError(f'the option {key} would have no effect: {reason}.')
    try:
        # What a new key makes may be reached into.
        cfg.merge_from_dict(_nest({key[1:]: value for key, value in options.items()
                                   if key.startswith('+')}))
        nested = _nest(checked)
        _check(dict(cfg.items()), nested, '', cfg.get('default_scope') or 'mmengine')
        cfg.merge_from_dict(nested)
    except UserError:
        raise
    except Exception as error:  # Whatever mmengine thinks of it.
        raise UserError(f'the options {dict(options)} do not fit the config: '
                        f'{type(error).__name__}: {error}') from error


def _nest(options: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys as dicts in dicts; an option may reach into a dict or list that another gives."""
    nested: dict[str, Any] = {}
    for key in sorted(options, key=lambda key: key.count('.')):
        *path, last = key.split('.')
        node: Any = nested
        for part in path:
            node = node[int(part)] if isinstance(node, list) else node.setdefault(part, {})
        # A copy: mmengine takes _delete_ out of what it merges.
        node[int(last) if isinstance(node, list) else last] = copy.deepcopy(options[key])
    return nested


def _check(node: Any, given: Any, where: str, scope: str) -> None:
    """Refuse what the part ``node`` of a config does not take; mmengine says what does not fit."""
    if isinstance(given, (list, tuple)):
        # It takes the other's place.
        for number, part in enumerate(given):
            _check({}, part, f'{where}.{number}', scope)
    if not isinstance(given, Mapping):
        return
    if given.get('_delete_'):
        node = {}
    if isinstance(node, (list, tuple)):
        node = {**given, **{str(number): part for number, part in enumerate(node)}}
    if isinstance(node, Mapping):
        for key, value in given.items():
            if key not in node and where:
                _check_argument({**node, **given}, where[1:], str(key), scope, set(node))
            _check(node.get(key, {}), value, f'{where}.{key}', scope)


def _check_argument(node: Mapping, where: str, name: str, scope: str, present: set) -> None:
    """Raise unless what is built from ``node`` takes, or may take, an argument of this name."""
    builder = Builder(node, scope, where)
    known = builder.names
    if name in known or builder.is_open and not hint(name, present | known, cutoff=0.8):
        return
    kind = f" of type {node['type']!r}" if 'type' in node else ''
    listed = sorted(known - TAKEN_OUT or set(map(str, present)) - TAKEN_OUT)
    close = hint(name, present | known) or (f' (it takes {", ".join(listed)})' if listed else '')
    raise UserError(f'the option {where}.{name} does not exist: {where}{kind} has no '
                    f'{name!r}{close}. A key that is meant to be new: +{where}.{name}=...')
