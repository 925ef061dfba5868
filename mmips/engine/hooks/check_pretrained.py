# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, CheckpointLoader, Runner
from torch import Tensor, nn

from mmips.registry import HOOKS

__all__ = ['CheckPretrained']


@HOOKS.register_module()
class CheckPretrained(Hook):
    """Refuse to train unless the whole backbone came from its pretrained checkpoint.

    mmengine loads ``init_cfg=dict(type='Pretrained')`` without strictness: a file of another
    depth, or the wrong ``prefix``, leaves the backbone as it was drawn, with a warning in the
    log alone. This hook reads ``checkpoint`` and ``prefix`` from the backbone's own
    ``init_cfg`` and compares, before the first step, every weight, bias and normalisation
    statistic with the file. What else the file holds (a classifier head, stages that the
    backbone leaves out) does not matter; further tensors inside the backbone's own parts, as
    a deeper network has, do. Tensors are counted, not elements: a random stem would be a
    thousandth of the elements.

    A run that resumes, or starts from ``load_from``, takes its weights from there and is not
    compared.

    Args:
        allow (Sequence[str]): Tensors that need not come from the file, by their names in the
            backbone; ``*`` stands for anything: ``('stem.*', )``. Defaults to ().

    Raises:
        ValueError: Before the first step, if the model has no such ``init_cfg``, if a tensor
            is missing, too many, of another shape or of another value, or if a name of
            ``allow`` is that of no tensor.
    """

    # Before anything else may change a weight.
    priority = 'VERY_HIGH'

    def __init__(self, allow: Sequence[str] = ()) -> None:
        if isinstance(allow, str):
            raise ValueError(f'allow must be a list of names, got {allow!r}: write [{allow!r}].')
        self.allow = tuple(allow)

    def before_run(self, runner: Runner) -> None:
        """Refuse a prefix that the file lacks, which mmengine would meet with an assertion."""
        self._what, self._source = '', {}
        if not isinstance(getattr(runner, '_train_loop', None), BaseLoop):
            return  # A test or a validation: the loop for training stays a config.
        backbone = _backbone(runner)
        config = _pretrained(backbone)
        path, prefix = config['checkpoint'], config.get('prefix')
        self._what = f'The backbone is not the one in {path} (prefix={prefix!r})'
        tensors = _read(path)
        self._source = _select(tensors, prefix)
        state = _state(backbone)
        for name in self.allow:
            if not any(fnmatchcase(key, name) for key in [*state, *self._source]):
                raise ValueError(f'CheckPretrained(allow=...): {name!r} is the name of no tensor '
                                 f'of the backbone, whose first is {next(iter(state), None)!r}. '
                                 'Correct it, or leave it out.')
        self._cause = _guess_cause(set(state), tensors, prefix)
        if not self._source:
            raise ValueError(f'{self._what}: no key of the file has this prefix; its first is '
                             f'{next(iter(tensors), None)!r}. {self._cause}')

    def before_train(self, runner: Runner) -> None:
        """Compare the weights with the file, and let go of the file."""
        source, self._source = self._source, {}
        if runner.iter or getattr(runner, '_has_loaded', False):
            runner.logger.info('CheckPretrained: the weights are those of a checkpoint of the '
                               'whole run, so the backbone is not compared with its init_cfg.')
            return
        state = _state(_backbone(runner))
        excepted = [key for key in state if self._allows(key)]
        source = {key: value for key, value in source.items() if not self._allows(key)}
        state = {key: value for key, value in state.items() if key not in excepted}
        problems = _compare(state, source)
        if problems:
            raise ValueError(f'{self._what}: {"; ".join(problems)}. {self._cause}')
        but = (f', but for {len(excepted)} that are allowed not to, the first is '
               f'{excepted[0]!r}' if excepted else '')
        runner.logger.info(f'CheckPretrained: all {len(state) + len(excepted)} tensors of the '
                           f'backbone come from its checkpoint{but}.')

    def _allows(self, key: str) -> bool:
        return any(fnmatchcase(key, name) for name in self.allow)


def _backbone(runner: Runner) -> nn.Module:
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    return getattr(model, 'backbone', None) or nn.Module()


def _pretrained(backbone: nn.Module) -> dict:
    """The backbone's ``init_cfg`` that names a checkpoint."""
    config = getattr(backbone, 'init_cfg', None) or []
    for part in [config] if isinstance(config, Mapping) else config:
        if part.get('type') in ('Pretrained', 'PretrainedInit') and part.get('checkpoint'):
            return dict(part)
    raise ValueError(
        "CheckPretrained found no init_cfg=dict(type='Pretrained', checkpoint=...) in "
        f'model.backbone, but init_cfg={config!r}. Set it, or remove the hook.')


def _state(backbone: nn.Module) -> dict[str, Tensor]:
    """What a checkpoint has to bring: all but counters and index tables."""
    return {key: value for key, value in backbone.state_dict().items()
            if value.is_floating_point()}


def _read(path: str) -> dict[str, Tensor]:
    content: Any = CheckpointLoader.load_checkpoint(path, map_location='cpu')
    content = content.get('state_dict', content)
    return {key: value for key, value in content.items() if isinstance(value, Tensor)}


def _select(tensors: dict[str, Tensor], prefix: str | None) -> dict[str, Tensor]:
    """The file as mmengine's ``PretrainedInit`` reads it, prefix taken off."""
    # Without a prefix mmengine takes off what DistributedDataParallel puts on.
    start = 'module.' if prefix is None else f'{prefix.rstrip(".")}.'
    return {key.removeprefix(start): value for key, value in tensors.items()
            if prefix is None or key.startswith(start)}


def _compare(state: dict[str, Tensor], source: dict[str, Tensor]) -> list[str]:
    parts = {key.partition('.')[0] for key in state}
    there = [key for key in state if key in source]
    misfit = [key for key in there if state[key].shape != source[key].shape]
    kinds = {
        'missing in the file': [key for key in state if key not in source],
        'of another shape': misfit,
        'too many in the file': [key for key, value in source.items() if value.is_floating_point()
                                 and key not in state and key.partition('.')[0] in parts],
        'of another value than in the file': [
            key for key in there if key not in misfit and not _same(state[key], source[key])],
    }
    return [f'{len(keys)} tensors are {kind}, the first is {keys[0]!r}'
            + (f' ({tuple(source[keys[0]].shape)} in the file, {tuple(state[keys[0]].shape)} in '
               'the model)' if keys is misfit else '')
            for kind, keys in kinds.items() if keys]


def _same(value: Tensor, source: Tensor) -> bool:
    return torch.equal(value.detach().cpu(), source.to(value.dtype))


def _guess_cause(keys: set[str], tensors: dict[str, Tensor], prefix: str | None) -> str:
    """What to change: another prefix, if it finds more of the backbone's keys."""
    found: dict[str | None, int] = {}
    for name in [None, *dict.fromkeys(_prefixes(keys, tensors))]:
        found[name] = len(keys & set(_select(tensors, name)))
    best = max(found, key=lambda name: found[name], default=prefix)
    there = set(_select(tensors, prefix))
    if found[best] > len(keys & there):
        return (f'Likely the wrong prefix: set prefix={best!r} in model.backbone.init_cfg '
                f'(MMIPS_CKPT_PREFIX={best or "none"} for configs that read it).')
    if any(key.startswith('stem.') for key in keys - there) and 'conv1.weight' in there:
        return ("Likely the deep stem of a ResNetV1c or V1d, which the file's network has not: set "
                "type='ResNet' in model.backbone.")
    return ('Likely a checkpoint of another network or depth: give one of the same, or set '
            'model.backbone to what the checkpoint holds.')


def _prefixes(keys: set[str], tensors: dict[str, Tensor]) -> list[str]:
    """Beginnings of the file's keys after which a key of the backbone follows."""
    return ['.'.join(words[:cut]) + '.' for words in (key.split('.') for key in tensors)
            for cut in range(1, len(words)) if '.'.join(words[cut:]) in keys]
