# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What a config gets wrong about its parts: their types, arguments and values.

Much of a run is built only once training has begun, or with the first checkpoint. What can be
known of it before is checked here, part by part, against what will build it.
"""
import collections.abc
import copy
import functools
import inspect
import math
import re
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmips.config.builders import Builder, registries, runner_keys, signatures
from mmips.config.sources import iter_parts, type_name
from mmips.config.structure import Mistake
from mmips.errors import error_text, hint

# Packages whose annotations can be relied on.
_ANNOTATED = ('mmips.', 'mmengine.', 'torch.')
# Ours that are built for a try: quick, and of nothing but their arguments.
_TRIED = ('mmips.models.batch_augments', 'mmips.models.losses', 'mmips.models.targets',
          'mmips.engine.hooks', 'mmips.evaluation.metrics')
_MODELS = ('model', 'tta_model')
# Where infinity makes no sense either, whatever takes it.
_FINITE = ('optim_wrapper.optimizer', 'param_scheduler')
# Whole numbers -> the least that makes sense.
_AT_LEAST = dict(accumulative_counts=1, base_batch_size=1, batch_size=1, max_epochs=1,
                 max_iters=1, num_workers=0, seed=0, val_interval=1)
_CHOICES = dict(mp_start_method=('fork', 'spawn', 'forkserver'), log_level=(
    'DEBUG', 'INFO', 'WARNING', 'WARN', 'ERROR', 'CRITICAL', 'FATAL', 'NOTSET'))
# Not annotated, or by classes that are not named; 'False' is true.
_FLAGS = 'by_epoch', 'to_rgb'
# Annotated as less than they take.
_MISNAMED = ('init_cfg', 'loss_scale')
_LISTS = (list, tuple, set, collections.abc.Sequence, collections.abc.Iterable,
          collections.abc.Collection)


def part_mistakes(cfg: Any) -> list[Mistake]:
    """Every mistake in the parts of a config that the Runner reads."""
    read = {key: value for key, value in cfg.items() if key in runner_keys()}
    scope = str(cfg.get('default_scope') or 'mmengine')
    no_scope: Mistake = ('default_scope', cfg.get('default_scope'), 'an installed toolbox, whose '
                         'types the config names, such as mmpretrain', '')
    if not registries(scope):
        return [no_scope]
    found = _mistakes(read, '', scope)
    train = cfg.get('train_cfg')
    if isinstance(train, Mapping) and not {'type', 'max_epochs', 'max_iters'} & set(train):
        found.append(('train_cfg', train, 'by_epoch=True and max_epochs, or max_iters', ''))
    if not cfg.get('default_scope') and any(key.endswith('.type') for key, *_ in found):
        found.insert(0, no_scope)
    if not any(key.startswith(('optim_wrapper', 'param_scheduler', 'train_cfg'))
               for key, *_ in found):
        found += _refused_schedules(cfg)
    return found


def name_warnings(cfg: Any) -> Iterator[str]:
    """Yield the top-level names that stand for nothing, but look like one that the Runner reads."""
    known = runner_keys()
    for name in sorted(cfg.keys() - known):
        close = hint(name, known, cutoff=0.85)
        # 'train_pipeline' is near 'tta_pipeline', but what most configs build a data set with.
        if close and not name.endswith('_pipeline'):
            yield f'{name}: nothing reads this name of the config{close}.'


def _mistakes(node: Any, where: str, scope: str) -> list[Mistake]:
    """What is wrong with a part and with all below it."""
    scope = str(node.get('_scope_') or scope) if isinstance(node, Mapping) else scope
    found = [mistake for key, value in iter_parts(node) if not _is_foreign(node, key, where)
             for mistake in _mistakes(value, f'{where}.{key}' if where else str(key), scope)]
    if not isinstance(node, Mapping):
        return found
    builder = Builder(node, scope, where)
    if builder.unknown is not None:
        found.append((f'{where}.type', node['type'], 'a registered name, of an installed package'
                      f'{hint(node["type"], builder.unknown)}', ''))
    for key, value in node.items():
        expected = _expected(builder, where, str(key), value)
        if expected:
            found.append((f'{where}.{key}' if where else str(key), value, expected, ''))
    if not found and builder.module.startswith(_TRIED):
        found += _try(where, node, builder.kinds[0])[1]
    return found


def _is_foreign(node: Any, key: Any, where: str) -> bool:
    """Whether what is below a key is built by other rules than those of the registries."""
    foreign = 'policies|metainfo|.*_args' + (
        '|(?!init_cfg|train_cfg).*_cfg|nms|dcn|roi_layer|.*_trans'
        if where.startswith(_MODELS) else '')
    return (type_name(node) in ('Albu', 'Albumentations')
            or re.fullmatch(foreign, str(key)) is not None)


def _expected(builder: Builder, where: str, name: str, value: Any) -> str:
    """What an argument of a part would have to be; '' if it may be what it is."""
    if name in _FLAGS and isinstance(value, str):
        return 'True or False'
    if name not in builder.names:
        return _known_names(builder, where, name)
    if expected := _expected_anywhere(name, value):
        return expected
    known = _annotations(builder.kinds[0]) if builder.module else {}
    annotation, default = known.get(name, (Any, None))
    if not builder.module.startswith(_ANNOTATED):
        annotation = bool if annotation is bool and isinstance(value, str) else Any
    fits = name in _MISNAMED or _fits(value, annotation) or (
        type(value) is type(default) and value == default)
    if isinstance(value, float) and not math.isfinite(value) and (
            not fits or math.isnan(value) or where.startswith(_FINITE)):
        return 'a finite number'
    return '' if fits else inspect.formatannotation(annotation).replace('typing.', '')


def _known_names(builder: Builder, where: str, name: str) -> str:
    """What an argument that is not known to be one may have meant."""
    if name[:1] == '_':
        near = hint(name, ('_scope_', '_delete_'), cutoff=0.7)
        return f'another name{near}' if near else ''
    # What a model takes out for itself is not known; it is built before it is trained.
    if where.startswith(_MODELS) and not builder.module.startswith('mmips.'):
        return ''
    cutoff = (0.7 if where == 'default_hooks' else 0.8) if builder.is_open else 0.6
    close = hint(name, builder.names, cutoff)
    return f'an argument of {builder.label}{close}' if close or not builder.is_open else ''


def _expected_anywhere(name: str, value: Any) -> str:
    """What a value of this name has to be, whatever takes it."""
    if name in _AT_LEAST and (value is not None or name == 'batch_size') and not (
            _fits(value, int) and _AT_LEAST[name] <= value < 2**32):
        return f'a whole number from {_AT_LEAST[name]} to 2**32 - 1'
    if value is not None and value not in _CHOICES.get(name, (value, )):
        return ' or '.join(_CHOICES[name])
    return ''


@functools.cache
def _annotations(function: Any) -> dict[str, tuple[Any, Any]]:
    """Annotation and default of each argument, also of those of the classes above."""
    found: dict[str, tuple[Any, Any]] = {}
    for owner, given in signatures(function):
        for parameter in given:
            annotation = parameter.annotation
            if isinstance(annotation, str):
                try:
                    annotation = eval(annotation, owner.__globals__)
                except Exception:  # A name that is imported for type checkers alone.
                    annotation = Any
            found.setdefault(parameter.name, (annotation, parameter.default))
    return found


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value of a config is of an annotated type; what is built may be a dict."""
    origin, inner = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, each) for each in inner)
    if origin is typing.Literal:
        return value in inner
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)
    if kind is int and type(value) is float:
        return value.is_integer()  # 1e5
    if kind is None or kind in (int, bool, str, type(None)):
        return value is None if kind is None else type(value) is kind
    if kind in (Any, inspect.Parameter.empty) or not isinstance(origin, type):
        return True
    if origin not in _LISTS:
        return isinstance(value, (origin, Mapping)) or origin is Path and isinstance(value, str)
    if not isinstance(value, (list, tuple, set)):
        return False
    if origin is tuple and inner and inner[-1] is not ...:
        return len(value) == len(inner) and all(map(_fits, value, inner))
    return not inner or all(_fits(each, inner[0]) for each in value)


def _refused_schedules(cfg: Any) -> list[Mistake]:
    """Try the optimizer on a parameter, and on it the schedules; the Runner builds them late."""
    import torch
    scope, epochs = cfg.get('default_scope') or 'mmengine', (cfg.get('train_cfg') or {}).get(
        'max_epochs')
    wrapper, schedules = cfg.get('optim_wrapper') or {}, cfg.get('param_scheduler')
    given = wrapper.get('optimizer') or {}
    # Others have several optimizers, or make them by themselves.
    if 'constructor' not in wrapper and cfg.get('optim_wrapper') is not None:
        lacking = [(f'{where}.type', None, 'a registered name', '') for where, part in (
            ('optim_wrapper.optimizer', given), ('param_scheduler', schedules))
            if isinstance(part, Mapping) and 'type' not in part]
        if lacking:
            return lacking
    builder = Builder(given, scope, 'optim_wrapper.optimizer')
    # Of others it is not known what building one does; that one needs a process group.
    if (not builder.module.startswith(('torch.', 'mm'))
            or type_name(given) == 'ZeroRedundancyOptimizer'):
        return []
    optimizer, found = _try('optim_wrapper.optimizer', given, builder.kinds[0],
                            params=[torch.nn.Parameter(torch.zeros(1))])
    schedules = schedules or []
    parts: list[tuple[str, Any]] = [('param_scheduler', schedules)] if 'type' in schedules else [
        (f'param_scheduler.{number}', part) for number, part in iter_parts(schedules)]
    for where, given in parts if optimizer else ():
        if not isinstance(given, Mapping):
            continue  # Built already.
        builder = Builder(given, scope, where)
        end = dict(end=epochs) if epochs and given.get('by_epoch', True) else {}
        if builder.module.startswith(('torch.', 'mm')):
            mistakes = _try(where, given, builder.kinds[0], optimizer=optimizer,
                            epoch_length=1000, **end)[1]
            found += [(*mistake[:3], _late(where, given, epochs)) for mistake in mistakes]
    return found


def _late(where: str, schedule: Mapping, epochs: Any) -> str:
    """What to write for a schedule that begins when the run is over, as shortened ones do."""
    begin = schedule.get('begin')
    if not isinstance(begin, int) or not isinstance(epochs, int) or begin < epochs:
        return ''
    return (f'train_cfg = dict(max_epochs=...), above {begin}, or an earlier {where}.begin, and '
            'an earlier end of the schedule before it')


def _try(where: str, node: Mapping, kind: Any, **defaults: Any) -> tuple[Any, list[Mistake]]:
    """A part built for a try, or why it cannot be."""
    given = {key: value for key, value in {**defaults, **copy.deepcopy(dict(node))}.items()
             if key not in ('type', '_scope_', 'priority')}
    build = kind.build_iter_from_epoch if given.pop('convert_to_iter_based', False) else kind
    if build is kind:
        given.pop('epoch_length', None)
    try:
        return build(**given), []
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        reason = error_text(error) or type(error).__name__
        return None, [(where, node, f'what {type_name(node)} takes: {reason}', '')]
    except Exception:  # No refusal: what this machine, or an ordinary tensor, is not able to.
        return None, []
