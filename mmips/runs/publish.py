# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Weights of a training checkpoint in the form that other libraries load.

Pure functions on state dicts: choose (EMA or raw), select (backbone, classifier), rename, and
compare with the network of the library that is to load them. Names alone prove nothing: keys
and shapes are compared with the library's own network, and what neither shows (strides,
dilations, the order of colours) with the config that the checkpoint holds.
"""
import io
import json
import os.path as osp
from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mmips.config.sources import type_name

__all__ = ['DEPTHS', 'FORMATS', 'check_network', 'choose_weights', 'count_parts', 'flatten',
           'read_checkpoint', 'select', 'timm_config', 'to_pth', 'to_safetensors']

FORMATS = ('mmpretrain', 'torchvision', 'timm', 'hf-safetensors')
#: The depths of ResNet that mmpretrain, torchvision and timm share.
DEPTHS = (18, 34, 50, 101, 152)
PREFIX = 'backbone.'
# Settings of a ResNet that change what it computes: those of the other libraries' network.
_PLAIN: dict[str, Any] = dict(
    style='pytorch', num_stages=4, strides=[1, 2, 2, 2], dilations=[1, 1, 1, 1])
# Settings that either change nothing in evaluation or show in the tensors.
_FREE = {'type', 'depth', 'in_channels', 'stem_channels', 'base_channels', 'expansion',
         'out_indices', 'frozen_stages', 'norm_cfg', 'norm_eval', 'with_cp', 'init_cfg',
         'pretrained', 'zero_init_residual', 'drop_path_rate', 'contract_dilation', '_scope_'}


def read_checkpoint(path: str) -> dict[str, Any]:
    """Read a training or a published checkpoint onto the CPU.

    A training checkpoint holds Python objects: like every tool of OpenMMLab this one
    unpickles them, so read only files that you trust.

    Args:
        path (str): A ``.pth`` file.

    Returns:
        dict[str, Any]: The checkpoint, with ``state_dict``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no checkpoint, or one without ``state_dict``.
    """
    from mmengine.runner import CheckpointLoader
    if not osp.isfile(path):
        kind = 'is a folder, not a file' if osp.isdir(path) else 'does not exist'
        raise FileNotFoundError(f'The checkpoint {path!r} {kind}. Give a .pth file that a '
                                'training run has saved.')
    try:
        content = CheckpointLoader.load_checkpoint(path, map_location='cpu')
    except Exception as error:
        raise ValueError(f'{path} is not a checkpoint that torch can read '
                         f'({type(error).__name__}). Give a .pth file that a training run has '
                         'saved.') from error
    state = content.get('state_dict') if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not state:
        first = list(content)[:3] if isinstance(content, Mapping) else type(content).__name__
        raise ValueError(f'{path} is no checkpoint of mmengine: it has no state_dict, but {first}. '
                         'Give a .pth file that a training run has saved.')
    return dict(content)


def choose_weights(checkpoint: Mapping, which: str = 'auto') -> tuple[dict[str, Tensor], str]:
    """The averaged (EMA) or the raw weights.

    mmengine's ``EMAHook`` swaps the two when it saves: ``state_dict`` is the average, and
    ``ema_state_dict`` holds the raw weights as ``module.<key>``, and ``steps``.

    Args:
        checkpoint (Mapping): With ``state_dict`` and perhaps ``ema_state_dict``.
        which (str): ``'ema'``, ``'raw'``, or ``'auto'`` for what ``state_dict`` holds.

    Returns:
        tuple[dict[str, Tensor], str]: The state dict, and ``'ema'``, ``'raw'``, or ``''``
        where the checkpoint knows of no average.

    Raises:
        ValueError: EMA or raw weights are asked for, and the checkpoint does not hold both.
    """
    if which not in ('auto', 'ema', 'raw'):
        raise ValueError(f"weights must be 'auto', 'ema' or 'raw', got {which!r}")
    state, other = dict(checkpoint['state_dict']), checkpoint.get('ema_state_dict')
    if not other:
        if which != 'auto':
            raise ValueError(f'--weights {which}: the checkpoint has no ema_state_dict, so it was '
                             'trained without EMAHook or is published already, and holds one set '
                             'of weights. Leave --weights out.')
        return state, ''
    if which != 'raw':
        return state, 'ema'
    lost = [key for key in state if f'module.{key}' not in other]
    if lost:
        raise ValueError(f'--weights raw: ema_state_dict lacks {len(lost)} of the {len(state)} '
                         f'tensors, the first is {"module." + lost[0]!r}.')
    return {key: other[f'module.{key}'] for key in state}, 'raw'


def select(state: Mapping[str, Any], keep_head: bool = False) -> dict[str, Tensor]:
    """The backbone, and on demand neck and head, as tensors that share nothing.

    Args:
        state (Mapping[str, Any]): A model's state dict.
        keep_head (bool): Keep ``neck.`` and ``head.`` too. Defaults to False.

    Returns:
        dict[str, Tensor]: Keys as they were; contiguous copies on the CPU, dtypes kept.

    Raises:
        ValueError: There is no ``backbone.``, or no ``head.`` where one is to be kept.
    """
    wanted = (PREFIX, 'neck.', 'head.') if keep_head else (PREFIX, )
    for part in wanted[::2]:
        if not any(key.startswith(part) for key in state):
            option = '' if part == PREFIX else '--keep-head: '
            raise ValueError(f'{option}no key of the checkpoint starts with {part!r}; its first '
                             f'keys are {list(state)[:3]}.{_hint(part, state)}')
    return {key: _own(value) for key, value in state.items() if key.startswith(wanted)}


def _hint(part: str, state: Mapping) -> str:
    if part == PREFIX:
        if 'conv1.weight' in state:
            return ' It holds a bare network already, as torchvision and timm do.'
        return ' Give the checkpoint of a classifier, segmentor or detector of OpenMMLab.'
    return ' Only classifiers have one; leave --keep-head out.'


def _own(value: Tensor) -> Tensor:
    # A clone of its own storage: torch.save writes the whole storage that a view looks at.
    return value.detach().cpu().clone(memory_format=torch.contiguous_format)


def count_parts(keys: Any) -> dict[str, int]:
    """How many tensors each part of a model (``backbone``, ``head``, ...) has."""
    return dict(Counter(key.partition('.')[0] for key in keys))


def flatten(selected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename to the keys of torchvision's and timm's ResNet: ``head.fc`` becomes ``fc``.

    Args:
        selected (Mapping[str, Tensor]): What :func:`select` returns.

    Returns:
        dict[str, Tensor]: Without prefix.

    Raises:
        ValueError: Neck or head hold more than one linear layer.
    """
    head = [key for key in selected if not key.startswith(PREFIX)]
    extra = [key for key in head if key not in ('head.fc.weight', 'head.fc.bias')]
    if extra or len(head) == 1:
        raise ValueError('--keep-head: the classifier of torchvision and timm is one linear layer '
                         f'(head.fc with a bias), this one has {(extra or head)[:3]}. Leave '
                         '--keep-head out, or use --format mmpretrain.')
    return {key.removeprefix(PREFIX).removeprefix('head.'): value
            for key, value in selected.items()}


def check_network(flat: Mapping[str, Tensor], backbone: Mapping | None, library: str,
                  channel_order: str | None = None) -> str:
    """Refuse weights that a library's own ResNet would not take, or would read otherwise.

    Args:
        flat (Mapping[str, Tensor]): What :func:`flatten` returns.
        backbone (Mapping, optional): The backbone's config; ``None`` where it is not known,
            the depth is then found from the tensors.
        library (str): ``'torchvision'`` or ``'timm'``. timm is asked only where it is
            installed; its keys are torchvision's.
        channel_order (str, optional): ``'RGB'`` or ``'BGR'``. Defaults to None, unknown.

    Returns:
        str: The network's name in both libraries, such as ``'resnet50'``.

    Raises:
        ValueError: Naming each setting and the first tensors that do not fit.
    """
    depth = (backbone or {}).get('depth')
    if depth not in DEPTHS:
        depth = max(DEPTHS, key=lambda depth: _overlap(flat, depth))
    classes = len(flat['fc.weight']) if 'fc.weight' in flat else 0
    problems = _unlike(backbone or {}, depth)
    for build in (_torchvision, _timm) if library == 'timm' else (_torchvision, ):
        target = build(depth, classes)
        problems += [text for text in _misfits(flat, target) if text not in problems]
    if channel_order == 'BGR':
        problems.append('it was trained on images in BGR order (to_rgb=False), the library reads '
                        'RGB')
    if problems:
        raise ValueError(f'{library} has no network that these weights fit; compared with its '
                         f'resnet{depth}:\n  ' + '\n  '.join(problems)
                         + '\n  Use --format mmpretrain, which keeps any network.')
    return f'resnet{depth}'


def _unlike(backbone: Mapping, depth: int) -> list[str]:
    """Settings by which the network computes something else with equal tensors."""
    if not backbone:
        return []
    kind = type_name(backbone)
    problems = [] if kind == 'ResNet' else [f'its type is {kind}, not ResNet']
    for key, value in backbone.items():
        plain = _PLAIN.get(key)
        # The blocks of the shallow networks have one place for the stride: no style.
        free = key in _FREE or (key == 'style' and depth < 50)
        usual = list(value) == plain if isinstance(plain, list) else value in (plain, None, False)
        if key == 'conv_cfg':
            usual = type_name(value or {}) in ('', 'Conv', 'Conv2d')
        if not free and not usual:
            problems.append(f'{key}={value!r}, expected {plain!r}')
    eps = (backbone.get('norm_cfg') or {}).get('eps', 1e-5)
    return problems + ([f'norm_cfg.eps={eps}, expected 1e-05'] if eps != 1e-5 else [])


def _torchvision(depth: int, classes: int) -> dict[str, Tensor] | None:
    import torchvision
    with torch.device('meta'):
        build = getattr(torchvision.models, f'resnet{depth}')
        return _without_fc(build(num_classes=classes or 1).state_dict(), classes)


def _timm(depth: int, classes: int) -> dict[str, Tensor] | None:
    try:
        import timm
    except ImportError:
        return None
    with torch.device('meta'):
        return timm.create_model(f'resnet{depth}', num_classes=classes).state_dict()


def _without_fc(state: Mapping[str, Tensor], classes: int) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if classes or not key.startswith('fc.')}


def _overlap(flat: Mapping[str, Tensor], depth: int) -> int:
    target = _torchvision(depth, 0) or {}
    same = sum(key in target and target[key].shape == value.shape for key, value in flat.items())
    # Of two networks that hold all of it, the one with less besides.
    return 2 * same - len(target)


def _misfits(flat: Mapping[str, Tensor], target: Mapping[str, Tensor] | None) -> list[str]:
    """What a strict load would complain about, each kind with its first keys."""
    if target is None:
        return []
    kinds = {
        # Weights of old versions have no such counters, and torch does without.
        'missing': [key for key in target if key not in flat
                    and not key.endswith('num_batches_tracked')],
        'not in its network': [key for key in flat if key not in target],
        'of another shape': [f'{key} {tuple(flat[key].shape)} instead of {tuple(value.shape)}'
                             for key, value in target.items()
                             if key in flat and flat[key].shape != value.shape],
    }
    return [f'{len(keys)} tensors are {kind}: {", ".join(keys[:3])}'
            + (', ...' if len(keys) > 3 else '') for kind, keys in kinds.items() if keys]


def to_pth(content: Mapping[str, Any]) -> bytes:
    """The bytes of ``torch.save``: equal content gives equal bytes, whatever the file's name.

    Args:
        content (Mapping[str, Any]): Tensors and plain types alone, so that
            ``torch.load(weights_only=True)`` reads it.
    """
    # Into a file, torch would write the file's name as well.
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    return buffer.getvalue()


def to_safetensors(tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> bytes:
    """The bytes of a safetensors file.

    Args:
        tensors (Mapping[str, Tensor]): The weights.
        meta (Mapping[str, Any]): Facts about them; the format knows text alone, so that
            everything else is written as JSON. ``format`` becomes ``'pt'``, which the
            readers of the hub ask for.

    Raises:
        ImportError: safetensors is not installed.
    """
    try:
        from safetensors.torch import save
    except ImportError:
        raise ImportError('--format hf-safetensors needs the package safetensors: '
                          'pip install safetensors') from None
    texts = {key: value if isinstance(value, str) else json.dumps(value)
             for key, value in {**meta, 'format': 'pt'}.items()}
    data = save(dict(tensors), metadata=texts)
    # The library writes the facts in an order that changes from run to run.
    size = int.from_bytes(data[:8], 'little')
    header = json.loads(data[8:8 + size])
    header['__metadata__'] = dict(sorted(header['__metadata__'].items()))
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    return len(text).to_bytes(8, 'little') + text + data[8 + size:]


def timm_config(architecture: str, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]
                ) -> dict[str, Any]:
    """The ``config.json`` that timm and the Hugging Face hub expect beside the weights.

    Args:
        architecture (str): timm's name of the network.
        tensors (Mapping[str, Tensor]): The weights, with or without ``fc``.
        facts (Mapping[str, Any]): May hold ``mean``, ``std`` (for images in 0..255),
            ``input_size`` (height, width), ``crop_pct``, ``interpolation`` and ``classes``.

    Returns:
        dict[str, Any]: Plain types; what is not known is left to timm's defaults.
    """
    classes = len(tensors['fc.weight']) if 'fc.weight' in tensors else 0
    features = tensors['layer4.0.conv1.weight'].shape[0] * (4 if 'layer1.0.conv3.weight' in tensors
                                                            else 1)
    settings: dict[str, Any] = dict(
        custom_load=False, fixed_input_size=False, first_conv='conv1', classifier='fc',
        pool_size=None, num_classes=classes)
    if 'input_size' in facts:
        settings['input_size'] = [tensors['conv1.weight'].shape[1], *facts['input_size']]
    for key in ('mean', 'std'):
        if key in facts:
            settings[key] = [round(value / 255, 6) for value in facts[key]]
    settings.update({key: facts[key] for key in ('crop_pct', 'interpolation') if key in facts})
    config = dict(architecture=architecture, num_classes=classes, num_features=features,
                  global_pool='avg', pretrained_cfg=settings)
    if classes and len(facts.get('classes') or ()) == classes:
        config['label_names'] = facts['classes']
    return config
