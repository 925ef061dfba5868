# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What a checkpoint can tell about its weights: network, data, and the score of this epoch.

The text of the config that mmengine stores is read as data; nothing of it is executed or
imported. Everything returned is plain (text, numbers, lists, dicts), without paths.
"""
import ast
import json
import math
import os.path as osp
import re
from collections.abc import Mapping
from typing import Any

from mmips.config.pair_checks import find_preprocessor
from mmips.config.sources import iter_datasets, type_name

__all__ = ['describe', 'find_top1', 'read_config']

TOP1 = 'accuracy/top1'
#: What a published checkpoint carries on when it is published again.
_FACTS = ('config', 'dataset', 'epoch', 'iter', 'seed', 'source', 'weights', 'backbone', 'mean',
          'std', 'channel_order', 'input_size', 'crop_pct', 'interpolation', 'top1', 'top1_source')
# Settings of a backbone that hold paths of the machine it was trained on.
_PATHS = ('init_cfg', 'pretrained')


def read_config(text: str) -> dict[str, Any]:
    """Read the text of a config that mmengine has dumped.

    Args:
        text (str): ``meta['cfg']``: assignments of literals and ``dict(...)``.

    Returns:
        dict[str, Any]: Its settings. A value that is neither stays text.

    Raises:
        ValueError: The text is not Python.
    """
    try:
        body = ast.parse(text).body
    except SyntaxError as error:
        raise ValueError(f'the stored config cannot be read ({error})') from error
    return {node.targets[0].id: _value(node.value) for node in body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)}


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
        return {word.arg: _value(word.value) for word in node.keywords}
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return [_value(part) for part in node.elts]
    if isinstance(node, ast.Dict):
        return {_value(key): _value(value) for key, value in zip(node.keys, node.values) if key}
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)


def describe(checkpoint: Mapping, path: str) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Collect what the checkpoint's ``meta`` tells; what it does not tell is left out.

    Args:
        checkpoint (Mapping): Training checkpoint, or one published before.
        path (str): Its path, of which the file's name is kept.

    Returns:
        tuple: Facts (plain types), the stored config (empty where there is none), and
        sentences about what is missing.
    """
    meta = checkpoint.get('meta') or {}
    facts = {key: meta[key] for key in _FACTS if meta.get(key) is not None}
    if not facts.get('epoch'):
        facts.pop('epoch', None)  # A run by iterations counts none.
    facts.setdefault('source', osp.basename(path))
    classes = (meta.get('dataset_meta') or {}).get('classes')
    if classes:
        facts['classes'] = [str(name) for name in classes]
    config, doubts = {}, []
    try:
        config = read_config(meta.get('cfg') or '')
    except ValueError as error:
        doubts.append(str(error))
    facts.update(_from_config(config))
    named = re.fullmatch(r'(.+)_\d{8}_\d{6}', str(meta.get('experiment_name')))
    if named:
        facts['config'] = named.group(1)
    if 'backbone' not in facts:
        doubts.append('no config of the network in the checkpoint: strides and style do not show '
                      'in tensors, and are taken for the usual ones')
    return facts, config, doubts


def _from_config(config: dict[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    backbone = (config.get('model') or {}).get('backbone')
    if isinstance(backbone, Mapping):
        facts['backbone'] = {key: value for key, value in backbone.items() if key not in _PATHS}
    data = [data for _, data in iter_datasets(_dataset(config, 'train'), '')]
    if data and type_name(data[0]):
        facts['dataset'] = type_name(data[0])
    preprocessor = find_preprocessor(config)
    for key in ('mean', 'std'):
        if len(preprocessor.get(key) or ()) == 3:
            facts[key] = [float(value) for value in preprocessor[key]]
    if data and preprocessor:
        facts['channel_order'] = _channel_order(data[0], preprocessor)
    return {**facts, **_input_size(config)}


def _dataset(config: dict[str, Any], split: str) -> Any:
    return (config.get(f'{split}_dataloader') or {}).get('dataset')


def _channel_order(data: Mapping, preprocessor: Mapping) -> str:
    """mmcv reads files as BGR; sets of arrays, as CIFAR, are RGB without being turned round."""
    steps = [type_name(step) for step in data.get('pipeline') or ()]
    turned = preprocessor.get('to_rgb') or preprocessor.get('bgr_to_rgb')
    return 'BGR' if 'LoadImageFromFile' in steps and not turned else 'RGB'


def _input_size(config: dict[str, Any]) -> dict[str, Any]:
    """Height and width of a classifier's test image, the share its crop takes, how it is scaled."""
    found: dict[str, Any] = {}
    edge, interpolation = 0, 'bilinear'
    for _, data in iter_datasets(_dataset(config, 'val') or _dataset(config, 'test'), ''):
        for step in data.get('pipeline') or ():
            size = step.get('crop_size', step.get('scale'))
            if type_name(step) == 'ResizeEdge' and isinstance(size, int):
                edge, interpolation = size, step.get('interpolation', 'bilinear')
            elif type_name(step) == 'CenterCrop' and isinstance(size, int):
                found['input_size'] = [size, size]
                found['interpolation'] = interpolation
                found.update(dict(crop_pct=round(size / edge, 4)) if edge else {})
    return found


def find_top1(checkpoint: Mapping, config: dict[str, Any], log: str | None = None
              ) -> tuple[float, str] | None:
    """The validation top-1 of exactly these weights.

    A checkpoint is saved before its validation and then knows the scores of earlier epochs
    alone. Only a best one (``save_best``) is saved afterwards: its ``best_ckpt`` names its own
    epoch or iteration.

    Args:
        checkpoint (Mapping): Training checkpoint.
        config (dict[str, Any]): Its config, see :func:`read_config`.
        log (str, optional): ``vis_data/scalars.json`` of the run. Defaults to None.

    Returns:
        tuple[float, str] | None: Per cent and ``'checkpoint'`` or ``'log'``; ``None`` where it
        is not known.

    Raises:
        ValueError: The log does not hold the score, or is one of another run.
        OSError: The log cannot be read.
    """
    meta = checkpoint.get('meta') or {}
    history = _history(checkpoint)
    own = history[-1] if history and _saved_after_validation(checkpoint, meta) else None
    if log is None:
        return None if own is None else (own, 'checkpoint')
    unit, step = _step(config, meta)
    scores = _read_log(log)
    found = {score for at, score in scores if at == step}
    if len(found) != 1:
        raise ValueError(f'--log {log}: it holds {len(found)} values of {TOP1} for {unit} {step}, '
                         f'but for {unit} {sorted({at for at, _ in scores})}. Give the '
                         'scalars.json of the run that saved the checkpoint, or --top1.')
    value = found.pop()
    earlier = [score for at, score in scores if at < step]
    known = history if own is None else history[:-1]
    strange = earlier and known and not any(
        math.isclose(score, other, abs_tol=1e-4) for score in earlier for other in known)
    if strange or (own is not None and not math.isclose(value, own, abs_tol=1e-4)):
        raise ValueError(f'--log {log} is of another run: its scores are not those that the '
                         f'checkpoint knows ({[round(score, 4) for score in history]}).')
    return value, 'log'


def _history(checkpoint: Mapping) -> list[float]:
    """All validation scores that the run has seen before it saved the checkpoint."""
    scalars = (checkpoint.get('message_hub') or {}).get('log_scalars') or {}
    buffer = scalars.get(f'val/{TOP1}')
    return [float(score) for score in buffer.data[0]] if buffer is not None else []


def _saved_after_validation(checkpoint: Mapping, meta: Mapping) -> bool:
    info = (checkpoint.get('message_hub') or {}).get('runtime_info') or {}
    for key, path in info.items():
        best = key.startswith('best_ckpt') and re.search(r'_(epoch|iter)_(\d+)\.pth$', str(path))
        if best and meta.get(best.group(1)) == int(best.group(2)):
            return True
    return False


def _step(config: dict[str, Any], meta: Mapping) -> tuple[str, int]:
    """Under which number the log holds the validation of this checkpoint."""
    loop = config.get('train_cfg') or {}
    epochs = loop.get('by_epoch') or type_name(loop) == 'EpochBasedTrainLoop'
    logger = (config.get('default_hooks') or {}).get('logger') or {}
    unit = 'epoch' if logger.get('log_metric_by_epoch', True) else 'iter'
    if not loop or (unit == 'epoch' and not epochs) or not isinstance(meta.get(unit), int):
        raise ValueError('--log: the checkpoint does not tell to which line of a log it belongs. '
                         'Give --top1 instead.')
    return unit, meta[unit]


def _read_log(path: str) -> list[tuple[int, float]]:
    try:
        with open(path, encoding='utf-8') as file:
            entries = [json.loads(line) for line in file if line.strip()]
        return [(int(entry['step']), float(entry[TOP1])) for entry in entries if TOP1 in entry]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f'--log {path} is not a scalars.json of mmengine, one JSON object a line '
                         f'({type(error).__name__}: {error}).') from error
