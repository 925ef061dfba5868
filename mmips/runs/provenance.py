# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What a checkpoint can tell about its weights: network, data, and the score of this epoch.

Everything returned is plain, without paths of the machine.
"""
import math
import os.path as osp
import re
from collections.abc import Iterator, Mapping
from typing import Any

from mmips.config.colours import network_order
from mmips.config.pair_checks import find_preprocessor
from mmips.config.sources import iter_datasets, type_name
from mmips.errors import MissingFileError, UserError
from mmips.runs.files import plain
from mmips.runs.logs import read_records

_TOP1 = 'accuracy/top1'
#: What a published checkpoint carries on when it is published again.
_FACTS = ('config', 'dataset', 'epoch', 'iter', 'seed', 'source', 'weights', 'backbone', 'mean',
          'std', 'channel_order', 'input_size', 'crop_pct', 'interpolation', 'top1', 'top1_source')


def describe(checkpoint: Mapping, path: str) -> tuple[dict[str, Any], Any, list[str]]:
    """Facts of a checkpoint's ``meta``, the stored config, and notes about what is missing."""
    from mmengine.config import Config
    meta = checkpoint.get('meta') or {}
    facts = {'source': osp.basename(path), **{
        key: meta[key] for key in _FACTS if meta.get(key) is not None}}
    if not facts.get('epoch'):
        facts.pop('epoch', None)  # A run by iterations counts none.
    if classes := (meta.get('dataset_meta') or {}).get('classes'):
        facts['classes'] = list(map(str, classes))
    config: Any = {}
    notes = []
    try:
        config = Config.fromstring(meta.get('cfg') or '', '.py')
    except Exception as error:  # It is a Python file, and may import what is not here.
        notes.append(f'the stored config cannot be read ({type(error).__name__}: {error})')
    facts |= _from_config(config)
    if named := re.fullmatch(r'(.+)_\d{8}_\d{6}', str(meta.get('experiment_name'))):
        facts['config'] = named.group(1)
    if 'backbone' not in facts:
        notes.append('no config of the network in the checkpoint: strides and style do not show '
                     'in tensors, and are taken for the usual ones')
    return facts, config, notes


def _from_config(config: Any) -> dict[str, Any]:
    data = next(_datasets(config, 'train'), {})
    preprocessor = find_preprocessor(config)
    backbone = (config.get('model') or {}).get('backbone') or {}
    facts: dict[str, Any] = {
        'dataset': type_name(data),
        'channel_order': data and preprocessor and network_order(config, 'train').upper(),
        # But for the settings that hold paths of the machine it was trained on.
        'backbone': {key: value for key, value in backbone.items()
                     if key not in ('init_cfg', 'pretrained')},
        **{key: [float(value) for value in preprocessor[key]] for key in ('mean', 'std')
           if len(preprocessor.get(key) or ()) == 3}}
    judged = next(_datasets(config, 'val'), None) or next(_datasets(config, 'test'), {})
    steps = {type_name(step): step for step in judged.get('pipeline') or ()}
    edge, crop = steps.get('ResizeEdge', {}), steps.get('CenterCrop', {}).get('crop_size')
    if isinstance(crop, int):
        facts.update(input_size=[crop, crop], interpolation=edge.get('interpolation', 'bilinear'),
                     crop_pct=edge.get('scale') and round(crop / edge['scale'], 4))
    return plain({key: fact for key, fact in facts.items() if fact})


def _datasets(config: Any, split: str) -> Iterator[dict]:
    dataset = (config.get(f'{split}_dataloader') or {}).get('dataset')
    return (data for _, data in iter_datasets(dataset, ''))


def find_top1(checkpoint: Mapping, config: Any, log: str | None = None
              ) -> tuple[float, str] | None:
    """The validation top-1 of exactly these weights, and 'checkpoint' or 'log'; None if unknown.

    A checkpoint is saved before its validation and knows earlier scores alone, but for a best one
    (``save_best``), whose ``best_ckpt`` names its own epoch. ``log`` is the run's scalars.json.
    """
    meta, hub = checkpoint.get('meta') or {}, checkpoint.get('message_hub') or {}
    buffer = (hub.get('log_scalars') or {}).get(f'val/{_TOP1}')
    history = [float(score) for score in buffer.data[0]] if buffer is not None else []
    own = tuple(f'_{unit}_{meta.get(unit)}.pth' for unit in ('epoch', 'iter'))
    is_own = any(str(path).endswith(own) for key, path in (hub.get('runtime_info') or {}).items()
                 if key.startswith('best_ckpt'))
    if log is None:
        return (history[-1], 'checkpoint') if history and is_own else None
    logger = (config.get('default_hooks') or {}).get('logger') or {}
    unit = 'epoch' if logger.get('log_metric_by_epoch', True) and meta.get('epoch') else 'iter'
    if not osp.isfile(log):
        raise MissingFileError(f'--log {log}: there is no such file.')
    scores = [(record['step'], record[_TOP1]) for record in read_records(log) if _TOP1 in record]
    found = {score for at, score in scores if at == meta.get(unit)}
    if len(found) != 1:
        raise UserError(f'--log {log}: it holds {len(found)} values of {_TOP1} for {unit} '
                        f'{meta.get(unit)}, but for {sorted({at for at, _ in scores})}. Give the '
                        'scalars.json of the run that saved the checkpoint, or --top1.')
    logged = found if is_own else {score for at, score in scores if at < meta[unit]}
    if history and logged and not any(
            math.isclose(history[-1], score, abs_tol=1e-4) for score in logged):
        raise UserError(f'--log {log} is of another run: its scores are not those that the '
                        f'checkpoint knows ({[round(score, 4) for score in history]}).')
    return found.pop(), 'log'
