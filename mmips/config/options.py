# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Options merged into a config, after it is clear that something will read them."""
import contextlib
import copy
import difflib
import importlib
import inspect
import io
from collections.abc import Iterable, Mapping
from typing import Any

from mmips.errors import UserError

# What the Runner and our tools read of a config besides the Runner's own arguments.
_RUNNER_KEYS = ('activation_checkpointing', 'compile', 'data_preprocessor',
                'efficient_conv_bn_eval', 'find_unused_parameters', 'model_wrapper_cfg',
                'runner_type', 'strategy', 'sync_bn', 'tta_model', 'tta_pipeline')
# What mmengine itself takes out of a part before it hands the rest to a class.
_TAKEN_OUT = {'_delete_', '_scope_', 'by_epoch', 'constructor', 'convert_to_iter_based',
              'num_batch_per_epoch', 'paramwise_cfg', 'priority', 'type'}


def merge_options(cfg: Any, options: Mapping[str, Any]) -> None:
    """Merge dotted options into a config; refuse what would have no effect.

    Every key must exist in the config, or else be an argument of the type the config names there.
    Where the arguments are not known (``**kwargs``, a dict without a type), only what looks like
    another key misspelt is refused. A top-level key must be one that the Runner reads: a variable
    of the config's own text has been used by then. Numbers lead into lists. A dict is merged into
    the one that is there (unless it has ``_delete_=True``), a list takes the other's place.
    """
    from mmengine.runner import Runner
    known = _parameters(Runner)[0].union(_RUNNER_KEYS)
    for key in options:
        top = key.partition('.')[0]
        if top not in known:
            reason = (f'{top!r} is a variable of the config, which is used up once it is read: '
                      'name the place where its value ends up' if top in cfg else
                      f'the Runner reads no {top!r}{_hint(top, known)}')
            raise UserError(f'the option {key} would have no effect: {reason}.')
    try:
        nested = _nest(options)
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
    if not isinstance(given, Mapping):
        return
    if given.get('_delete_'):
        node = {}
    if isinstance(node, (list, tuple)):
        node = {**given, **{str(number): part for number, part in enumerate(node)}}
    if isinstance(node, Mapping):
        for key, value in given.items():
            if key in node:
                _check(node[key], value, f'{where}.{key}', scope)
            elif where:
                _check_argument({**node, **given}, where[1:], str(key), scope, set(node))


def _check_argument(node: Mapping, where: str, name: str, scope: str, present: set) -> None:
    """Raise unless what is built from ``node`` takes, or may take, an argument of this name."""
    arguments = [_parameters(part) for part in _built_from(node, scope)]
    known = _TAKEN_OUT.union(*(names for names, _ in arguments))
    anything = not arguments or any(kwargs for _, kwargs in arguments)
    if name in known or anything and not _hint(name, present | known, cutoff=0.8):
        return
    kind = f" of type {node['type']!r}" if 'type' in node else ''
    hint = _hint(name, present | known) or f' ({where} has {", ".join(map(str, node))})'
    raise UserError(f'the option {where}.{name} does not exist: {where}{kind} has no '
                    f'{name!r}{hint}.')


def _hint(name: str, known: Iterable[Any], cutoff: float = 0.6) -> str:
    found = difflib.get_close_matches(name, map(str, known), cutoff=cutoff)
    return f' (did you mean {" or ".join(found)}?)' if found else ''


def _built_from(node: Mapping, scope: str) -> list[Any]:
    """The classes and functions that a part of a config may be built by; none if unknown."""
    from mmengine.registry import Registry
    kind = node.get('type')
    if not isinstance(kind, str):
        return [kind] if kind else []
    full = kind if '.' in kind else f'{scope}.{kind}'
    found = []
    # What the toolboxes import announces what it does without.
    with contextlib.redirect_stdout(io.StringIO()):
        for package in {scope, full.partition('.')[0], 'mmengine'}:
            with contextlib.suppress(ImportError):
                # mmengine knows of a toolbox's own registries once they are imported.
                module = importlib.import_module(f'{package}.registry')
                found += [entry.get(full) for entry in vars(module).values()
                          if isinstance(entry, Registry)]
    return [part for part in found if part is not None]


def _parameters(function: Any) -> tuple[set[str], bool]:
    """Names of all arguments, also those of the classes above; whether it takes any other."""
    owners = [vars(owner)['__init__'] for owner in inspect.getmro(function)
              if '__init__' in vars(owner)] if inspect.isclass(function) else [function]
    names: set[str] = set()
    anything = False
    for owner in owners:
        given = inspect.signature(owner).parameters.values()
        names |= {parameter.name for parameter in given
                  if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in given):
            break
        anything = True
    return names - {'self'}, anything
