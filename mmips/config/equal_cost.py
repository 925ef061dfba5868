# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""The IPS twin of a hard-label config at equal cost: the same images seen, steps and lr."""
import os.path as osp
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmips.config.loading import find_config, load_config
from mmips.config.pair_checks import SWAP, find_augments
from mmips.config.paths import shipped
from mmips.config.sources import iter_datasets, type_name
from mmips.config.structure import find_preprocessor, plain
from mmips.errors import UserError, explained

# Samplers whose epoch has as many images as the data set, and what takes their place.
_SAMPLERS = dict(DefaultSampler='PairedClassSampler', RepeatAugSampler='PairedClassSampler',
                 InfiniteSampler='InfinitePairedClassSampler')
# They treat all channels of an image alike, and so both images of a pair laid on one another.
_PAIRWISE = 'Mixup', 'CutMix', 'ResizeMix', 'CutOut'
_REFUSED = 'There is no equal-cost IPS twin of this config: '
# The names of mmpretrain's configs for sets of images with one label each.
_SHIPPED = r'_(in1k|in21k|cifar10|cifar100|cub)\b'
_REPEATS = """Pairs take the place of its repeated augmentation; the base without that, as a twin:
--cfg-options train_dataloader.sampler.type=DefaultSampler"""


def equal_cost(cfg: Any, grid_size: int = 2, prob: float = 0.5, alpha: float = 1.0) -> dict:
    """The keys that make a hard-label config train by IPS at equal cost; all others stay.

    An epoch shows every image once, in pairs of one class, at the base's batch size. Mixup and its
    like act on whole pairs, before the swap, with the base's ``probs``.

    Args:
        cfg (Config): A config of mmpretrain's ``ImageClassifier``.
        grid_size (int): As ``mmips.IntraClassPatchSwap``. Default: 2, the paper's for ImageNet.
        prob (float): Probability of the swap. Default: 0.5.
        alpha (float): Weight of the KL. Default: 1.

    Raises:
        UserError: For a config without such a twin, with the reason, and for bad settings.
    """
    from mmips.models.batch_augments import IntraClassPatchSwap
    from mmips.models.classifiers.distill_classifier import head_activation
    with explained('The patch swap cannot be built'):
        IntraClassPatchSwap(grid_size, prob)
    if not alpha >= 0:
        raise UserError(f'alpha weighs the KL, so it must be at least 0, but is {alpha}.')
    head = _head(cfg)
    for reason in _refusals(cfg, head):
        raise UserError(f'{_REFUSED}{reason}.')
    model: dict[str, Any] = dict(type='mmips.SelfDistillClassifier')
    if alpha != 1:
        model['alpha'] = alpha
    if head_activation(head) == 'sigmoid':
        model['distill'] = dict(type='mmips.PairKLLoss', activation='sigmoid')
    model['train_cfg'] = _augments(
        find_augments(cfg)[1], dict(type=f'mmips.{SWAP}', grid_size=grid_size, prob=prob))
    if cfg.model.get('train_cfg', {}) is None:  # Into which no dict can be merged.
        model['train_cfg']['_delete_'] = True
    given = cfg.train_dataloader.sampler
    sampler = dict(_delete_=True, type=f'mmips.{_SAMPLERS[type_name(given)]}', epoch='images')
    # True and None are ours by default, too.
    sampler.update({key: given[key] for key in ('seed', 'shuffle')
                    if given.get(key) not in (True, None)})
    parts: dict[str, Any] = dict(model=model, train_dataloader=dict(sampler=sampler))
    if not find_preprocessor(cfg).get('num_classes'):  # Augments take labels as scores.
        place = model if cfg.model.get('data_preprocessor') else parts
        place['data_preprocessor'] = dict(num_classes=cfg.model.head.num_classes)
    return parts


def _augments(given: Any, swap: dict) -> dict:
    """What ``train_cfg`` holds: each of the base's augments on whole pairs, and then the swap."""
    augments, probs = _listed(given.get('augments')), given.get('probs')
    if not augments:
        return dict(augments=[swap])
    choices = [dict(type='mmips.SequentialBatchAugment', augments=[
        dict(type='mmips.PairwiseBatchAugment', augment={
            key: value for key, value in plain(augment).items() if key != '_scope_'}), swap])
        for augment in augments]
    if probs is None:
        return dict(augments=choices)
    # Where the base leaves a batch as it is, patches are swapped all the same.
    rest = 1 - sum(_listed(probs))
    left = rest > 1e-9
    return dict(augments=choices + [swap] * left, probs=_listed(probs) + [rest] * left)


def _listed(value: Any) -> list:
    """What mmpretrain takes as a list or as its only item."""
    return list(value) if isinstance(value, (list, tuple)) else [value] if value else []


def _refusals(cfg: Any, head: Any) -> Iterator[str]:
    """Why a config has no such twin, a clause each."""
    from mmips.models.classifiers.distill_classifier import takes_plain_loss
    model, loader = cfg.get('model') or {}, cfg.get('train_dataloader') or {}
    if type_name(model) != 'ImageClassifier':
        yield f'model.type is {type_name(model) or None}, not ImageClassifier'
        return
    yield from (f'it has no {key}, so it is not for training' for key in (
        'train_cfg', 'optim_wrapper', 'train_dataloader') if not cfg.get(key))
    if not takes_plain_loss(head):
        yield (f'the loss of {type_name(model.get("head")) or "no head"} is not that of one logit '
               'tensor and one label, or it has a second classifier for a teacher')
    yield from (f'train_dataloader.{key} has no labels' for key, data in iter_datasets(
        loader.get('dataset'), 'dataset') if data.get('with_label') is False)
    sampler, size = loader.get('sampler'), loader.get('batch_size')
    if type_name(sampler) not in _SAMPLERS:
        yield (f'train_dataloader.sampler is {type_name(sampler) or None}; of '
               f'{", ".join(_SAMPLERS)} alone it is known what pairs take the place of')
    if not isinstance(size, int) or size % 2:
        yield f'train_dataloader.batch_size is {size}, and pairs take an even number'
    if not (find_preprocessor(cfg).get('num_classes') or model.get('head', {}).get('num_classes')):
        yield 'data_preprocessor.num_classes is missing, the number of classes'
    key, augments = find_augments(cfg)
    if key != 'model.train_cfg':
        yield f'the batch augments stand in {key}: move them to model.train_cfg'
    yield from (f'it is not known whether {type_name(augment) or augment} treats both images of a '
                'pair alike' for augment in _listed(augments.get('augments'))
                if type_name(augment) not in _PAIRWISE)


def _head(cfg: Any) -> Any:
    """A classifier's head, without memory for its weights; None where there is none."""
    import torch
    from mmpretrain.registry import MODELS
    model = cfg.get('model') or {}
    if type_name(model) != 'ImageClassifier' or not model.get('head'):
        return None
    with explained('The head of this config cannot be built'), torch.device('meta'):
        return MODELS.build(plain(model['head']))


def write_twin(config: str, out: str, **settings: Any) -> str:
    """Write the twin of a config and return its text.

    Args:
        config (str): A path, a name such as ``ips/x.py``, or ``mmpretrain::resnet/x.py``.
        out (str): The new file.
        **settings: As :func:`equal_cost`.

    Raises:
        UserError: As :func:`equal_cost`, for an ``out`` that is there already, and a config that
            imports its types.
    """
    if osp.exists(out) or not out.endswith('.py'):
        raise UserError(f'{out!r} must be a new file whose name ends in .py: give another name.')
    path = find_config(config)
    from mmengine.config import Config
    if Config._is_lazy_import(path):
        raise UserError(f'{path} imports the classes of its types, and no config of the other kind '
                        'inherits from one that does: write the lines of docs/drop_in.md into it.')
    text = twin_text(load_config(path), _base_name(path, out), out, **settings)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    Path(out).write_text(text, encoding='utf-8')
    return text


def _base_name(path: str, out: str) -> str:
    """How the file ``out`` names a base."""
    place, root = Path(path).resolve(), shipped('mmpretrain', 'A classifier')
    if place.is_relative_to(root):
        return f'mmpretrain::{place.relative_to(root).as_posix()}'
    return osp.relpath(place, Path(out).parent.resolve())


def twin_text(cfg: Any, base: str, out: str, **settings: Any) -> str:
    """The text of a config ``out`` that inherits from ``base``, which is ``cfg``."""
    parts = equal_cost(cfg, **settings)
    model, sampler = parts.pop('model'), parts.pop('train_dataloader')['sampler']
    train_cfg = model.pop('train_cfg')
    augments = train_cfg.pop('augments')
    names: dict[str, str] = {}  # Of augments, by their text.
    for augment in (part for choice in augments for part in choice.get('augments', [choice])):
        name = type_name(augment.get('augment')).lower() or 'swap'
        taken = name in names.values() and _code(augment) not in names
        names.setdefault(_code(augment), f'{name}{len(names)}' if taken else name)
    choices = ',\n        '.join(map(_code, augments))
    for text, name in names.items():
        choices = choices.replace(text, name)
    start, other = '\n        ' * (len(augments) > 1), ''.join(
        f', {key}={value}' for key, value in train_cfg.items())
    repeats = type_name(cfg.train_dataloader.sampler) == 'RepeatAugSampler'
    return '\n'.join([
        f'"""IPS at the cost of {Path(base).stem}: its images, steps and lr.', '',
        f'Command: python tools/train.py {shlex.quote(out)}'.replace('\\', '\\\\'),
        *[_REPEATS] * repeats, '"""',
        f'_base_ = {base!r}', '', *(f'{name} = {text}' for text, name in names.items()),
        'model = dict(', *(f'    {key}={_code(value)},' for key, value in model.items()),
        f'    train_cfg=dict(augments=[{start}{choices}]{other}))',
        'train_dataloader = dict(', f'    sampler={_code(sampler)})',
        *(f'{key} = {_code(value)}' for key, value in parts.items()), ''])


def _code(node: Any) -> str:
    """A part of a config as Python, in one line."""
    if isinstance(node, Mapping):
        return f'dict({", ".join(f"{key}={_code(value)}" for key, value in node.items())})'
    return f'[{", ".join(map(_code, node))}]' if isinstance(node, (list, tuple)) else repr(node)


def table() -> str:
    """Markdown: of how many of mmpretrain's configs there is a twin, by family, and why not."""
    counts: dict[str, Counter[str]] = {}
    root = shipped('mmpretrain', 'The table')
    for path in sorted(root.rglob('*.py')):
        family = path.relative_to(root).parts[0]
        if family != '_base_' and re.search(_SHIPPED, path.stem):
            counts.setdefault(family, Counter())[_verdict(str(path))] += 1
    rows = [(family, found[''], found.total() - found[''], '; '.join(
        f'{number}: {reason}' for reason, number in sorted(found.items()) if reason))
        for family, found in counts.items()]
    rows.append(('all', *(sum(column) for column in list(zip(*rows))[1:3]), ''))
    return '\n'.join(['| family | converted | refused | why |', '|---|---|---|---|', *(
        f'| {" | ".join(map(str, row))} |' for row in rows), ''])


def _verdict(path: str) -> str:
    """Why there is no twin of a config; '' where there is one."""
    try:
        equal_cost(load_config(path))
    except UserError as error:
        return (str(error).partition(_REFUSED)[2].rstrip('.')
                or 'mmengine cannot read it, or not build its head')
    return ''
