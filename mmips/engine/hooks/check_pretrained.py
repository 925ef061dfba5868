# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
import copy
import fnmatch
from collections.abc import Mapping, MutableMapping, Sequence

from mmengine.runner import BaseLoop, Runner
from torch import Tensor, nn

from mmips.errors import UserError
from mmips.registry import HOOKS
from mmips.structures.state_dicts import compare, read_checkpoint

from .monitor import ModelHook, bare_model, is_rehearsal, whole_weights

#: The prefix of an ``init_cfg`` that shall be found in the file.
AUTO = 'auto'


@HOOKS.register_module()
class CheckPretrained(ModelHook):
    """Refuse to train unless the whole backbone came from its pretrained checkpoint.

    mmengine loads ``init_cfg=dict(type='Pretrained')`` without strictness: a file of another
    depth, or the wrong ``prefix``, leaves the backbone as it was drawn. Before the first step
    this hook compares every weight, bias and normalisation statistic with that file. What else
    the file holds (a head, stages that the backbone leaves out) does not matter; further tensors
    inside the backbone's own parts, as a deeper network has, do. A run that resumes, or starts
    from ``load_from``, is not compared.

    With ``prefix='auto'`` in that ``init_cfg``, which mmengine does not know, the hook sets the
    prefix under which the file holds the backbone: none, ``backbone.`` or any other.

    Args:
        allow (Sequence[str]): Tensors that need not come from the file, by their names in the
            backbone; ``*`` stands for anything: ``('stem.*', )``. Defaults to ().

    Raises:
        UserError: Before the first step, if the model has no such ``init_cfg``, if a tensor
            is missing, too many, of another shape or of another value, if a name of
            ``allow`` is that of no tensor, or if several prefixes fit equally well.
    """

    # Before anything else may change a weight.
    priority = 'VERY_HIGH'

    def __init__(self, allow: Sequence[str] = ()) -> None:
        if isinstance(allow, str):
            raise ValueError(f'allow must be a list of names, got {allow!r}: write [{allow!r}].')
        self.allow = tuple(allow)

    def before_run(self, runner: Runner) -> None:
        """Refuse a prefix that the file lacks, which mmengine would meet with an assertion."""
        super().before_run(runner)
        if is_rehearsal(runner) or not isinstance(getattr(runner, '_train_loop', None), BaseLoop):
            return  # A test or a validation: the loop for training stays a config.
        backbone = getattr(bare_model(runner), 'backbone', nn.Module())
        config = _pretrained(backbone)
        path = config['checkpoint']
        with whole_weights(runner):
            tensors, state = read_checkpoint(path)['state_dict'], _floats(backbone.state_dict())
        if config.get('prefix') == AUTO:
            config['prefix'] = _find_prefix(path, set(state), tensors)
        prefix = config.get('prefix')
        self._source = _floats(_select(tensors, prefix))
        if self._source and compare(state, self._source):
            self._source = _floats(_as_loaded(backbone, self._source))
        for name in self.allow:
            if not fnmatch.filter([*state, *self._source], name):
                raise UserError(f'CheckPretrained(allow=...): {name!r} is the name of no tensor '
                                f'of the backbone, whose first is {next(iter(state), None)!r}. '
                                'Correct it, or leave it out.')
        self._file = f'{path} (prefix={prefix!r})'
        self._cause = _guess_cause(set(state), tensors, prefix)
        if not self._source:
            self._check(state)

    def before_train(self, runner: Runner) -> None:
        """Compare the weights with the file, and let go of the file."""
        if runner.iter or getattr(runner, '_has_loaded', False):
            runner.logger.info('CheckPretrained: the weights are those of a checkpoint of the '
                               'whole run, so the backbone is not compared with its init_cfg.')
        else:
            with whole_weights(runner):
                state = _floats(bare_model(runner).backbone.state_dict())
                excepted = self._check(state)
            but = (f', but for {len(excepted)} that are allowed not to, the first is '
                   f'{excepted[0]!r}' if excepted else '')
            runner.logger.info(f'CheckPretrained: all {len(state)} tensors of the backbone come '
                               f'from its checkpoint{but}.')
        self._source = {}

    def _check(self, state: dict[str, Tensor]) -> list[str]:
        """Compare with the file; returns what of the backbone is allowed to differ."""
        parts = {key.partition('.')[0] for key in state}
        allowed = {key for name in self.allow
                   for key in fnmatch.filter([*state, *self._source], name)}
        ours, theirs = ({key: value for key, value in tensors.items()
                         if key not in allowed and key.partition('.')[0] in parts}
                        for tensors in (state, self._source))
        found = compare(ours, theirs, values=True)
        if found:
            raise UserError(f'The backbone is not the one in {self._file}. Of its tensors are\n'
                            f'{found.text("backbone")}\n{self._cause}')
        return [key for key in state if key in allowed]


def _pretrained(backbone: nn.Module) -> MutableMapping:
    """The backbone's ``init_cfg`` that names a checkpoint."""
    config = getattr(backbone, 'init_cfg', None) or []
    for part in [config] if isinstance(config, MutableMapping) else config:
        if part.get('type') in ('Pretrained', 'PretrainedInit') and part.get('checkpoint'):
            return part
    raise UserError(
        "CheckPretrained found no init_cfg=dict(type='Pretrained', checkpoint=...) in "
        f'model.backbone, but init_cfg={config!r}. Set it, or remove the hook.')


def _floats(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What a checkpoint has to bring: all but counters and index tables."""
    return {key: value for key, value in state.items() if value.is_floating_point()}


def _select(tensors: Mapping[str, Tensor], prefix: str | None) -> dict[str, Tensor]:
    """The file as mmengine's ``PretrainedInit`` reads it, prefix taken off."""
    # Without a prefix mmengine takes off what DistributedDataParallel puts on.
    start = 'module.' if prefix is None else f'{prefix.rstrip(".")}.'
    return {key.removeprefix(start): value for key, value in tensors.items()
            if prefix is None or key.startswith(start)}


def _as_loaded(backbone: nn.Module, source: dict[str, Tensor]) -> dict[str, Tensor]:
    """The file as the backbone's own loading takes it, which may know older names and sizes."""
    twin = copy.deepcopy(backbone)
    try:
        names = twin.load_state_dict(source, strict=False)
    except RuntimeError:  # Another shape, which is said where it is compared.
        return source
    taken = {key: value for key, value in twin.state_dict().items()
             if key not in names.missing_keys}
    return {**taken, **{key: source[key] for key in names.unexpected_keys}}


def _by_prefix(keys: set[str], tensors: Mapping[str, Tensor]) -> dict[str | None, set[str]]:
    """What a file holds of the backbone's keys below each prefix that its names suggest."""
    prefixes = dict.fromkeys([None, *(
        '.'.join(words[:cut]) + '.' for words in (key.split('.') for key in tensors)
        for cut in range(1, len(words)) if '.'.join(words[cut:]) in keys)])
    prefixes.pop('module.', None)  # The same as None.
    return {name: keys & _select(tensors, name).keys() for name in prefixes}


def _find_prefix(path: str, keys: set[str], tensors: Mapping[str, Tensor]) -> str | None:
    """The one prefix below which a file holds most of the backbone."""
    found = _by_prefix(keys, tensors)
    most = max(map(len, found.values()))
    best = [name for name, held in found.items() if len(held) == most]
    if len(best) > 1:
        raise UserError(f'{path} holds the backbone below each of {best}: set one of them as '
                        'prefix in model.backbone.init_cfg (MMIPS_CKPT_PREFIX for configs that '
                        'read it).')
    return best[0]


def _guess_cause(keys: set[str], tensors: dict[str, Tensor], prefix: str | None) -> str:
    """What to change: another prefix, if it finds more of the backbone's keys."""
    found = {prefix: keys & _select(tensors, prefix).keys(), **_by_prefix(keys, tensors)}
    best = max(found, key=lambda name: len(found[name]))
    if best != prefix:
        return (f'Likely the wrong prefix: set prefix={best!r} in model.backbone.init_cfg '
                f'(MMIPS_CKPT_PREFIX={best or "none"} for configs that read it).')
    if 'conv1.weight' in _select(tensors, prefix) and 'stem.0.weight' in keys - found[prefix]:
        return ("Likely the deep stem of a ResNetV1c or V1d, which the file's network has not: set "
                "type='ResNet' in model.backbone.")
    return ('Likely a checkpoint of another network or depth: give one of the same, or set '
            'model.backbone to what the checkpoint holds.')
