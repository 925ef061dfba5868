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

__all__ = ['merge_options']

# Words of a config for mmengine itself, in the order in which they have to be merged.
_SPECIAL = ('_delete_', 'type', '_scope_')
# What the Runner and our tools read of a config besides the Runner's own arguments.
_RUNNER_KEYS = ('activation_checkpointing', 'compile', 'data_preprocessor',
                'efficient_conv_bn_eval', 'find_unused_parameters', 'model_wrapper_cfg',
                'runner_type', 'strategy', 'sync_bn', 'tta_model', 'tta_pipeline')
_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
# What mmengine itself takes out of a part before it hands the rest to a class, by the top key.
_TAKEN_OUT = {
    **dict.fromkeys(_LOADERS, ('num_batch_per_epoch', )),
    **dict.fromkeys(('default_hooks', 'custom_hooks'), ('priority', )),
    'optim_wrapper': ('constructor', 'paramwise_cfg'), 'train_cfg': ('by_epoch', ),
    'param_scheduler': ('convert_to_iter_based', ),
}


def merge_options(cfg: Any, options: Mapping[str, Any]) -> None:
    """Merge dotted options into a config; refuse what would have no effect.

    Every key must exist in the config, or else be an argument of what the config builds there.
    Where nobody can know the arguments (``**kwargs``, a dict without a type), only what looks like
    another key misspelt is refused. A top-level key must be one that the Runner reads: a variable
    of the config's own text has been used by then.

    Args:
        cfg (Config): The whole config, changed in place.
        options (dict): Values by dotted key; numbers lead into lists. A dict is merged into the
            one that is there (unless it has ``_delete_=True``), a list takes the other's place.

    Raises:
        UserError: It names the key and, for a misspelt one, those that are alike.
    """
    for key in sorted(options, key=_turn):
        value = options[key]
        _check(cfg, key.split('.'), value, cfg.get('default_scope') or 'mmengine')
        try:
            # A copy: mmengine takes _delete_ out of what it merges.
            cfg.merge_from_dict({key: copy.deepcopy(value)})
        except Exception as error:  # Whatever mmengine thinks of it.
            raise UserError(f'the option {key}={value!r} does not fit the config: '
                            f'{type(error).__name__}: {error}') from error


def _turn(key: str) -> tuple[int, int]:
    """Outer dicts before what is in them; there, first what they become."""
    *path, last = key.split('.')
    return len(path), _SPECIAL.index(last) if last in _SPECIAL else len(_SPECIAL)


def _check(cfg: Any, parts: list[str], value: Any, scope: str) -> None:
    """Follow a key through the config as far as it exists."""
    _check_top(cfg, parts)
    node: Any = dict(cfg.items())
    for depth, part in enumerate(parts):
        path = parts[:depth]
        if isinstance(node, (list, tuple)):
            if not part.isdigit() or int(part) >= len(node):
                raise UserError(f'the option {".".join(parts)} does not fit the config: '
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
        for key, inner in value.items():
            if key not in node:
                _check_argument({**node, **value}, parts, str(key), scope, set(node))
            else:
                _check(cfg, [*parts, str(key)], inner, scope)


def _check_top(cfg: Any, parts: list[str]) -> None:
    """Raise unless the Runner reads the first part of a key."""
    from mmengine.runner import Runner
    known = _parameters(Runner)[0].union(_RUNNER_KEYS)
    if parts[0] not in known:
        reason = (f'{parts[0]!r} is a variable of the config, which is used up once it is read: '
                  'name the place where its value ends up' if parts[0] in cfg else
                  f'the Runner reads no {parts[0]!r}{_hint(parts[0], known)}')
        raise UserError(f'the option {".".join(parts)} would have no effect: {reason}.')


def _check_argument(node: Mapping, path: list[str], name: str, scope: str,
                    present: Iterable[str] | None = None) -> None:
    """Raise unless what is built from ``node`` takes, or may take, an argument of this name."""
    if not path or name in _SPECIAL:
        return
    built = _built_from(node, path, scope)
    arguments = [_parameters(part) for part in built]
    known = {key for names, _ in arguments for key in names}.union(_TAKEN_OUT.get(path[0], ()))
    others = {*map(str, node if present is None else present), *known} - {name}
    anything = not built or any(kwargs for _, kwargs in arguments)
    if name in known or (anything and not difflib.get_close_matches(name, others, cutoff=0.8)):
        return
    where = '.'.join(path)
    kind = f" of type {node['type']!r}" if 'type' in node else ''
    hint = _hint(name, others) or f' ({where} has {", ".join(map(str, node))})'
    raise UserError(f'the option {where}.{name} does not exist: {where}{kind} has no '
                    f'{name!r}{hint}.')


def _hint(name: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(name, known)
    return f' (did you mean {" or ".join(found)}?)' if found else ''


def _built_from(node: Mapping, path: list[str], scope: str) -> list[Any]:
    """The classes and functions that a part of a config may be built by."""
    kind = node.get('type')
    if not isinstance(kind, str):
        return [kind] if kind else _untyped(path, scope)
    from mmengine import registry
    full = kind if '.' in kind else f'{scope}.{kind}'
    modules = [registry]
    # What the toolboxes import announces what it does without.
    with contextlib.redirect_stdout(io.StringIO()):
        for package in {scope, full.partition('.')[0]}:
            with contextlib.suppress(ImportError):
                # mmengine knows of a toolbox's own registries once they are imported.
                modules.append(importlib.import_module(f'{package}.registry'))
        found = [entry.get(full) for module in modules for entry in vars(module).values()
                 if isinstance(entry, registry.Registry)]
    return [part for part in found if part is not None]


def _untyped(path: list[str], scope: str) -> list[Any]:
    """What parts of a config are that need no type; nothing where nobody can know."""
    from mmengine.optim import OptimWrapper
    from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, TestLoop, ValLoop
    from mmengine.runner.utils import set_random_seed
    from torch.utils.data import DataLoader
    key = '.'.join(path)
    if scope == 'mmpretrain':
        from mmpretrain.models import ClsDataPreprocessor, RandomBatchAugment
        if key == 'model.train_cfg':
            return [RandomBatchAugment]
        if key.removeprefix('model.') == 'data_preprocessor':
            return [ClsDataPreprocessor]
    kinds: dict[str, list] = {
        **dict.fromkeys(_LOADERS, [DataLoader]), 'optim_wrapper': [OptimWrapper],
        'train_cfg': [EpochBasedTrainLoop, IterBasedTrainLoop], 'val_cfg': [ValLoop],
        'test_cfg': [TestLoop], 'randomness': [set_random_seed]}
    return kinds.get(key, [])


def _parameters(function: Any) -> tuple[set[str], bool]:
    """Names of all arguments, also those of the classes above; whether it takes any other."""
    names: set[str] = set()
    anything = False
    for owner in inspect.getmro(function) if inspect.isclass(function) else [function]:
        if inspect.isclass(owner) and '__init__' not in vars(owner):
            continue
        given = inspect.signature(owner.__init__ if inspect.isclass(owner) else owner).parameters
        names |= {key for key, parameter in given.items()
                  if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in given.values()):
            break
        anything = True
    return names - {'self'}, anything
