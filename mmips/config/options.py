# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Options merged into a config, after it is clear that something will read them."""
import contextlib
import copy
import difflib
import importlib
import inspect
import io
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

__all__ = ['merge_options']


def merge_options(cfg: Any, options: Mapping[str, Any]) -> None:
    """Merge dotted options into a config one by one; refuse what would have no effect.

    mmengine's own merging makes new keys of misspelt ones, without a word. Here every key must
    exist in the config, or else be an argument of what the config builds there (``model.alpha``
    is one of ``type='mmips.SelfDistillClassifier'`` even where the config leaves it at its
    default). A top-level key must be one that the Runner reads: a variable that only the
    config's own text uses has been used by then.

    Args:
        cfg (Config): The whole config, changed in place.
        options (dict): Values by dotted key; numbers lead into lists. A dict is merged into the
            one that is there (unless it has ``_delete_=True``), a list takes the other's place.

    Raises:
        ValueError: It names the key and, for a misspelt one, those that are alike.
    """
    for key, value in options.items():
        _check(cfg, key.split('.'), value, _scope(cfg))
        try:
            # A copy: mmengine takes _delete_ out of what it merges.
            cfg.merge_from_dict({key: copy.deepcopy(value)})
        except Exception as error:  # Whatever mmengine thinks of it.
            raise ValueError(f'the option {key}={value!r} does not fit the config: '
                             f'{type(error).__name__}: {error}') from error


def _scope(cfg: Any) -> str:
    return cfg.get('default_scope') or 'mmengine'


def _check(cfg: Any, parts: list[str], value: Any, scope: str) -> None:
    """Follow a key through the config as far as it exists."""
    if parts[0] not in _runner_keys():
        what = (f'{parts[0]!r} is a variable of the config, which is used up once it is read: name '
                'the place where its value ends up' if parts[0] in cfg else
                f'the Runner reads no {parts[0]!r}{_alike(parts[0], _runner_keys())}')
        raise ValueError(f'the option {".".join(parts)} would have no effect: {what}.')
    node: Any = dict(cfg.items())
    for depth, part in enumerate(parts):
        path = parts[:depth]
        if isinstance(node, (list, tuple)):
            if not part.isdigit() or int(part) >= len(node):
                raise ValueError(f'the option {".".join(parts)} does not fit the config: '
                                 f'{".".join(path)} is a list of {len(node)}, numbered from 0.')
            node = node[int(part)]
        elif not isinstance(node, Mapping):
            return  # mmengine says what it is.
        elif part in node:
            node = node[part]
        else:
            _check_argument(node, path, part, scope)
            return
    if isinstance(value, Mapping) and isinstance(node, Mapping) and not value.get('_delete_'):
        merged = {**node, **value}
        for key, inner in value.items():
            if key not in node:
                _check_argument(merged, parts, str(key), scope)
            else:
                _check(cfg, [*parts, str(key)], inner, scope)


def _check_argument(node: Mapping, path: list[str], name: str, scope: str) -> None:
    """Raise unless what is built from ``node`` takes an argument of this name."""
    if not path or name == 'type':
        return
    known = _arguments(node, path, scope)
    if name not in known:
        where = '.'.join(path)
        what = f" of type {node['type']!r}" if 'type' in node else ''
        others = {*node, *known} - {name}
        hint = _alike(name, others) or f' ({where} has {", ".join(map(str, node))})'
        raise ValueError(f'the option {where}.{name} does not exist: {where}{what} has no '
                         f'{name!r}{hint}.')


def _alike(name: str, known: set[str]) -> str:
    found = difflib.get_close_matches(name, map(str, known), 3, 0.6)
    return f' (did you mean {" or ".join(found)}?)' if found else ''


def _runner_keys() -> set[str]:
    from mmengine.runner import Runner
    return {*_parameters(Runner), 'compile', 'data_preprocessor'}


def _arguments(node: Mapping, path: list[str], scope: str) -> set[str]:
    """Names of the arguments of whatever is built from a part of a config."""
    return set().union(*map(_parameters, _built_from(node, path, scope)))


def _built_from(node: Mapping, path: list[str], scope: str) -> list[Any]:
    from mmengine import registry
    kind = node.get('type')
    if not isinstance(kind, str):
        return [kind] if kind else _untyped(path)
    full = kind if '.' in kind else f'{scope}.{kind}'
    found = []
    # What the toolboxes import announces what it does without.
    with contextlib.redirect_stdout(io.StringIO()):
        for module in (registry, *_registries({scope, full.partition('.')[0]})):
            found += [one.get(full) for one in vars(module).values()
                      if isinstance(one, registry.Registry)]
    return [one for one in found if one is not None]


def _registries(scopes: Iterable[str]) -> list[ModuleType]:
    """The modules of the toolboxes' own registries; mmengine knows of them once imported."""
    found = []
    for scope in scopes:
        with contextlib.suppress(ImportError):
            found.append(importlib.import_module(f'{scope}.registry'))
    return found


def _untyped(path: list[str]) -> list[Any]:
    """What parts of a config are that need no type."""
    from mmengine.optim import OptimWrapper
    from mmengine.runner import EpochBasedTrainLoop, TestLoop, ValLoop
    from mmengine.runner.utils import set_random_seed
    from torch.utils.data import DataLoader
    kinds: dict[str, Any] = {
        'train_dataloader': DataLoader, 'val_dataloader': DataLoader,
        'test_dataloader': DataLoader, 'optim_wrapper': OptimWrapper,
        'train_cfg': EpochBasedTrainLoop, 'val_cfg': ValLoop, 'test_cfg': TestLoop,
        'randomness': set_random_seed}
    return [kinds[path[0]]] if len(path) == 1 and path[0] in kinds else []


def _parameters(function: Any) -> set[str]:
    """Names of all arguments, through ``**kwargs`` also those of the classes above."""
    names: set[str] = set()
    for one in inspect.getmro(function) if inspect.isclass(function) else [function]:
        if inspect.isclass(one) and '__init__' not in vars(one):
            continue
        given = inspect.signature(one.__init__ if inspect.isclass(one) else one).parameters
        names |= {key for key, what in given.items()
                  if what.kind in (what.POSITIONAL_OR_KEYWORD, what.KEYWORD_ONLY)}
        if not any(what.kind is what.VAR_KEYWORD for what in given.values()):
            break
    return names - {'self'}
