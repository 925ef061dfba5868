# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What a checkpoint can tell about its weights: network, data, and the score of this epoch.

Everything returned is plain, without paths of the machine.
"""
import math
import os.path as osp
import re
import reprlib
import textwrap
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, JsonValue, ValidationError

from mmips.config.colours import network_order
from mmips.config.sources import iter_datasets, type_name
from mmips.config.stored import read_stored
from mmips.config.structure import find_preprocessor
from mmips.errors import MissingFileError, UserError
from mmips.runs.files import plain
from mmips.runs.logs import read_records

_TOP1 = 'accuracy/top1'
_Text = Annotated[str, Field(max_length=500)]
_Number = Annotated[int, Field(ge=0)]
_Three = Annotated[list[FiniteFloat], Field(min_length=3, max_length=3)]


class _Facts(BaseModel):
    """What a published checkpoint carries on when it is published again, and its classes."""

    model_config = ConfigDict(strict=True)

    config: _Text = ''
    dataset: _Text = ''
    epoch: _Number = 0
    iter: _Number = 0
    seed: _Number = 0
    source: _Text = ''
    weights: Literal['ema', 'raw'] = 'ema'
    backbone: dict[str, JsonValue] = {}
    mean: _Three = []
    std: _Three = []
    channel_order: Literal['BGR', 'RGB'] = 'RGB'
    input_size: Annotated[list[_Number], Field(min_length=2, max_length=2)] = []
    crop_pct: FiniteFloat = 0
    interpolation: _Text = ''
    top1: Annotated[FiniteFloat, Field(ge=0, le=100)] = 0
    top1_source: _Text = ''
    classes: list[str] = []


def _part(node: Any, *keys: str) -> Any:
    """What stands below these keys; None where anything but a dict comes between."""
    for key in keys:
        node = node.get(key) if hasattr(node, 'get') else None
    return node


def describe(checkpoint: Mapping, path: str) -> tuple[dict[str, Any], Any, list[str]]:
    """Facts of a checkpoint's ``meta``, the stored config, and notes about what is missing.

    A checkpoint may say anything: what is not of its type is left out, with a note.
    """
    from mmengine.config import Config
    meta = checkpoint.get('meta')
    facts = {'source': osp.basename(path), **{
        key: _part(meta, key) for key in _Facts.model_fields
        if _part(meta, key) is not None and key != 'classes'}}
    if not facts.get('epoch'):
        facts.pop('epoch', None)  # A run by iterations counts none.
    if classes := _part(meta, 'dataset_meta', 'classes'):
        facts['classes'] = (list(map(str, classes)) if isinstance(classes, (list, tuple))
                            else classes)
    config: Any = {}
    notes = []
    try:
        config = Config(read_stored(_part(meta, 'cfg')))
        facts |= _from_config(config)
    except Exception as error:  # Whatever may be written there.
        problem = textwrap.shorten(f'{type(error).__name__}: {error}', 300)
        notes.append(f'the stored config cannot be read ({problem})')
        config = {}
    if named := re.fullmatch(r'(.+)_\d{8}_\d{6}', str(_part(meta, 'experiment_name'))):
        facts['config'] = named.group(1)
    try:
        _Facts.model_validate(facts)
    except ValidationError as error:
        for key in dict.fromkeys(str(each['loc'][0]) for each in error.errors()):
            said = reprlib.repr(facts.pop(key))
            notes.append(f'{key} left out: the checkpoint says {said}')
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
    meta, hub = checkpoint.get('meta'), checkpoint.get('message_hub')
    try:
        history = [float(score) for score in _part(hub, 'log_scalars', f'val/{_TOP1}').data[0]]
    except (AttributeError, IndexError, TypeError, ValueError):
        history = []  # None, or whatever stands in its place.
    own = tuple(f'_{unit}_{_part(meta, unit)}.pth' for unit in ('epoch', 'iter'))
    info = _part(hub, 'runtime_info')
    is_own = isinstance(info, Mapping) and any(
        str(path).endswith(own) for key, path in info.items() if str(key).startswith('best_ckpt'))
    if log is None:
        known = is_own and history and 0 <= history[-1] <= 100
        return (history[-1], 'checkpoint') if known else None
    by_epoch = _part(config, 'default_hooks', 'logger', 'log_metric_by_epoch')
    unit = 'epoch' if by_epoch in (None, True) and _part(meta, 'epoch') else 'iter'
    if not osp.isfile(log):
        raise MissingFileError(f'--log {log}: there is no such file.')
    scores = [(record['step'], record[_TOP1]) for record in read_records(log)
              if isinstance(record.get(_TOP1), (int, float))]
    found = {score for at, score in scores if at == _part(meta, unit)}
    if len(found) != 1:
        raise UserError(f'--log {log}: it holds {len(found)} values of {_TOP1} for {unit} '
                        f'{_part(meta, unit)}, but for {sorted({at for at, _ in scores})}. Give '
                        'the scalars.json of the run that saved the checkpoint, or --top1.')
    logged = found if is_own else {score for at, score in scores if at < _part(meta, unit)}
    if history and logged and not any(
            math.isclose(history[-1], score, abs_tol=1e-4) for score in logged):
        raise UserError(f'--log {log} is of another run: its scores are not those that the '
                        f'checkpoint knows ({[round(score, 4) for score in history]}).')
    return found.pop(), 'log'
