# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What a config gets wrong about pairs, said before anything is built.

A half-configured IPS run either trains wrongly in silence (ordinary batches under a
pair loss) or stops in its first step, after the data was read and the model built. All
of it can be read from the config. Each message names the key, its value, what was
expected and what to write. For configs of mmseg and mmdet see ``transfer_checks``.
"""
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from mmips.config.sources import type_name
from mmips.config.transfer_checks import transfer_mistakes, transfer_warnings

__all__ = ['check_config', 'find_augments', 'find_preprocessor']

PAIRED = "dict(type='mmips.PairedClassSampler')"
SWAP = 'IntraClassPatchSwap'
_PAIRED_SAMPLERS = ('PairedClassSampler', 'InfinitePairedClassSampler')
# Samplers known to know nothing of pairs. A sampler that is in neither list may be a
# user's own pairing: it is let through, and the classifier looks at its first batch.
_ORDINARY_SAMPLERS = ('', 'DefaultSampler', 'InfiniteSampler', 'RepeatAugSampler',
                      'SequentialSampler', 'RandomSampler', 'ClassAwareSampler',
                      'MultiSourceSampler', 'GroupMultiSourceSampler')
# Augments that mix images of a batch by a permutation of their own.
_MIXING = ('Mixup', 'CutMix', 'ResizeMix')
_KEEPS_ORDER = ('', 'BatchSampler')


class _Facts:
    """What the checks read from a config."""

    def __init__(self, cfg: Any) -> None:
        self.cfg = cfg
        self.model = cfg.get('model') or {}
        self.loader = cfg.get('train_dataloader') or {}
        self.sampler = type_name(self.loader.get('sampler') or {})
        self.is_distill = type_name(self.model) == 'SelfDistillClassifier'
        self.is_paired = _is_paired(self.sampler)
        self.augments_key, self.augments_cfg = find_augments(cfg)
        self.augments = list(
            _iter_augments(self.augments_cfg.get('augments'), f'{self.augments_key}.augments'))
        self.swaps = [(key, aug) for key, aug, _ in self.augments if type_name(aug) == SWAP]


def _is_paired(name: str) -> bool:
    if name in _PAIRED_SAMPLERS:
        return True
    if name in _ORDINARY_SAMPLERS:
        return False
    # A subclass, where its module has been imported by then (custom_imports).
    from mmips.datasets.samplers import PairedClassSampler
    from mmips.registry import DATA_SAMPLERS
    found = DATA_SAMPLERS.get(name) or DATA_SAMPLERS.root.get(name)
    return inspect.isclass(found) and issubclass(found, PairedClassSampler)


def find_preprocessor(cfg: Any) -> Any:
    """The data preprocessor's config: the model's, or else the one the Runner hands to it."""
    return (cfg.get('model') or {}).get('data_preprocessor') or cfg.get('data_preprocessor') or {}


def find_augments(cfg: Any) -> tuple[str, Any]:
    """Key and config of the batch augments: the preprocessor's win over ``train_cfg``'s."""
    model = cfg.get('model') or {}
    own = find_preprocessor(cfg).get('batch_augments')
    if own:
        return 'model.data_preprocessor.batch_augments', own
    return 'model.train_cfg', model.get('train_cfg') or {}


def _iter_augments(node: Any, key: str, whole_pairs: bool = False
                   ) -> Iterator[tuple[str, Any, bool]]:
    """Yield ``(key, config, whether applied to whole pairs)`` of all augments, nested ones too."""
    if isinstance(node, (list, tuple)):
        for number, part in enumerate(node):
            yield from _iter_augments(part, f'{key}.{number}', whole_pairs)
    elif hasattr(node, 'get'):
        yield key, node, whole_pairs
        inside = whole_pairs or type_name(node) == 'PairwiseBatchAugment'
        for name in ('augments', 'augment'):
            yield from _iter_augments(node.get(name), f'{key}.{name}', inside)


def check_config(cfg: Any) -> list[str]:
    """Check what a training config says about pairs, swaps, distillation and transfer.

    Configs that use none of it pass untouched.

    Args:
        cfg (Config): The whole config, command-line options merged.

    Returns:
        list[str]: Warnings to log: the run is possible, but perhaps not meant.

    Raises:
        ValueError: All mistakes in one message.
    """
    facts = _Facts(cfg)
    mistakes = [text for check in _ERRORS for text in check(facts)]
    mistakes += [_message(key, _plain(value), expected, advice)
                 for key, value, expected, advice in transfer_mistakes(cfg)]
    if mistakes:
        raise ValueError('This config cannot train as it is:\n\n' + '\n\n'.join(mistakes))
    return [text for check in _WARNINGS for text in check(facts)] + [*transfer_warnings(cfg)]


def _message(key: str, value: Any, expected: str, advice: str) -> str:
    return f'{key} = {value!r}\n  expected: {expected}\n  write:    {advice}'


def _unpaired_sampler(facts: _Facts) -> Iterator[str]:
    if facts.is_distill and facts.sampler in _ORDINARY_SAMPLERS:
        yield _message(
            'train_dataloader.sampler', _plain(facts.loader.get('sampler')),
            'a sampler that yields pairs of one class: SelfDistillClassifier pulls the two '
            'predictions of neighbours in the batch together',
            f'train_dataloader = dict(sampler={PAIRED})')


def _odd_batch(facts: _Facts) -> Iterator[str]:
    size = facts.loader.get('batch_size')
    if (facts.is_distill or facts.is_paired) and isinstance(size, int) and (size < 2 or size % 2):
        yield _message('train_dataloader.batch_size', size,
                       'an even number: it counts images, and a pair has two',
                       f'train_dataloader = dict(batch_size={max(2, size + size % 2)})')


def _batch_sampler(facts: _Facts) -> Iterator[str]:
    own = facts.loader.get('batch_sampler') or {}
    if facts.is_paired and type_name(own) not in _KEEPS_ORDER:
        yield _message('train_dataloader.batch_sampler', _plain(own),
                       'none: it regroups the indices and tears pairs apart, and a plain sampler '
                       'with an even batch_size is all that pairs need',
                       'train_dataloader = dict(batch_sampler=None)')


def _swap_without_pairs(facts: _Facts) -> Iterator[str]:
    if facts.swaps and not facts.is_distill and facts.sampler in _ORDINARY_SAMPLERS:
        yield _message(
            facts.swaps[0][0], _plain(facts.swaps[0][1]),
            'pairs of one class to swap between, but the model is '
            f'{type_name(facts.model) or None} and the sampler {facts.sampler or None}: pairs of '
            'different labels are left alone, so hardly anything would be swapped',
            "model = dict(type='mmips.SelfDistillClassifier') and "
            f'train_dataloader = dict(sampler={PAIRED})')


def _merged_augments(facts: _Facts) -> Iterator[str]:
    for key, augment in facts.swaps:
        from mmips.models.batch_augments import IntraClassPatchSwap
        known = inspect.signature(IntraClassPatchSwap).parameters
        left = [name for name in augment if name not in known and name != 'type']
        if left:
            yield _message(
                key, _plain(augment),
                f'only arguments of {SWAP}; {", ".join(left)} came from the augment of the base, '
                'into which this dict was merged',
                "augments=[dict(type='mmips.IntraClassPatchSwap', ...)], a list, which replaces")


def _probs(facts: _Facts) -> Iterator[str]:
    probs, augments = facts.augments_cfg.get('probs'), facts.augments_cfg.get('augments')
    if facts.swaps and isinstance(probs, (list, tuple)):
        count = len(augments) if isinstance(augments, (list, tuple)) else 1
        if len(probs) != count:
            yield _message(f'{facts.augments_key}.probs', list(probs),
                           f'as many numbers as augments ({count}); it is left over from the base',
                           'train_cfg = dict(augments=[...], probs=None)')


def _torn_pairs(facts: _Facts) -> Iterator[str]:
    if not facts.is_distill or facts.model.get('allow_mismatch'):
        return
    for key, augment, whole_pairs in facts.augments:
        if type_name(augment) in _MIXING and not whole_pairs:
            yield _message(
                key, _plain(augment),
                'an augment of whole pairs: this one mixes single images, so the two of a pair '
                'would get different labels',
                f"dict(type='mmips.PairwiseBatchAugment', augment={_plain(augment)})")


def _two_places(facts: _Facts) -> Iterator[str]:
    given = (facts.model.get('train_cfg') or {}).get('augments')
    if given and facts.augments_key != 'model.train_cfg' and (facts.is_distill or facts.swaps):
        yield _message('model.train_cfg.augments', _plain(given),
                       'one place for augments: data_preprocessor.batch_augments is set too, and '
                       'mmpretrain then ignores train_cfg in silence',
                       'model = dict(train_cfg=dict(augments=[...]), '
                       'data_preprocessor=dict(batch_augments=None)), or only one of them')


def _num_classes(facts: _Facts) -> Iterator[str]:
    if not (facts.is_distill or facts.swaps) or not facts.augments:
        return
    preprocessor = find_preprocessor(facts.cfg)
    own, head = preprocessor.get('num_classes'), _head_classes(facts.model)
    advice = f'data_preprocessor = dict(num_classes={head or "..."})'
    if own is None:
        yield _message('data_preprocessor.num_classes', None,
                       'the number of classes: batch augments need one-hot labels', advice)
    elif head is not None and own != head:
        yield _message('data_preprocessor.num_classes', own,
                       f'the same as model.head.num_classes, which is {head}', advice)


def _head_classes(model: Any) -> int | None:
    head = model.get('head')
    return head.get('num_classes') if hasattr(head, 'get') else None


def _hooks(facts: _Facts) -> Iterator[str]:
    names = {type_name(hook): hook for hook in facts.cfg.get('custom_hooks') or []
             if hasattr(hook, 'get')}
    if 'PatchSwapSchedule' in names and not facts.swaps:
        yield _message('custom_hooks', _plain(names['PatchSwapSchedule']),
                       f'a patch swap to schedule, but model.train_cfg.augments has no {SWAP}',
                       "model = dict(train_cfg=dict(augments=[dict(type='mmips."
                       f"{SWAP}')])), or remove the hook")
    if 'SelfDistillMonitor' in names and not facts.is_distill:
        yield _message('custom_hooks', _plain(names['SelfDistillMonitor']),
                       'a model with pairs to watch, but model.type is '
                       f'{facts.model.get("type")!r}',
                       "model = dict(type='mmips.SelfDistillClassifier'), or remove the hook")
    persistent = facts.loader.get('persistent_workers') and facts.loader.get('num_workers')
    if 'EpochSeedHook' in names and persistent:
        yield _message('train_dataloader.persistent_workers', True,
                       'False: workers that live through all epochs are seeded once, so '
                       'mmips.EpochSeedHook could not make a resumed run repeat this one',
                       'train_dataloader = dict(persistent_workers=False)')


def _paired_evaluation(facts: _Facts) -> Iterator[str]:
    for field in ('val_dataloader', 'test_dataloader'):
        sampler = (facts.cfg.get(field) or {}).get('sampler') or {}
        if type_name(sampler) in _PAIRED_SAMPLERS:
            yield _message(f'{field}.sampler', _plain(sampler),
                           'a sampler that shows every image once; pairs are for training',
                           f"{field} = dict(sampler=dict(type='DefaultSampler', shuffle=False))")


def _own_sampler(facts: _Facts) -> Iterator[str]:
    if facts.is_distill and not facts.is_paired and facts.sampler not in _ORDINARY_SAMPLERS:
        yield (f'train_dataloader.sampler is {facts.sampler}, not one of mmips: it has to yield '
               'the two images of a pair one after the other. The first batch will be checked.')


def _pairs_unused(facts: _Facts) -> Iterator[str]:
    if facts.is_paired and not facts.is_distill:
        what = 'swapped' if facts.swaps else 'neither swapped'
        and_not = 'but not' if facts.swaps else 'nor'
        yield (f'train_dataloader.sampler is {facts.sampler}, but model.type is '
               f'{facts.model.get("type")!r}: pairs are {what} {and_not} distilled. Right for an '
               "ablation; for IPS write model = dict(type='mmips.SelfDistillClassifier').")


def _no_swap(facts: _Facts) -> Iterator[str]:
    if facts.is_distill and not facts.swaps:
        yield (f'model.train_cfg.augments has no {SWAP}: pairs are distilled, but not swapped. '
               'Right for the "no swap" ablation; for IPS write model = dict(train_cfg=dict('
               f"augments=[dict(type='mmips.{SWAP}')])).")


def _one_of_several(facts: _Facts) -> Iterator[str]:
    augments = facts.augments_cfg.get('augments')
    if facts.swaps and isinstance(augments, (list, tuple)) and len(augments) > 1:
        yield (f'{facts.augments_key}.augments has {len(augments)} entries, of which mmpretrain '
               'picks one for each batch. To apply all, one after the other, write augments='
               "[dict(type='mmips.SequentialBatchAugment', augments=[...])].")


def _collation(facts: _Facts) -> Iterator[str]:
    name = type_name(facts.loader.get('collate_fn') or {})
    if facts.is_paired and name not in ('', 'default_collate', 'pseudo_collate'):
        yield (f'train_dataloader.collate_fn is {name}: it has to keep the order of the images, '
               'in which the two of a pair follow one another.')


def _plain(node: Any) -> Any:
    """A config node as plain dicts and lists, which print shorter."""
    if hasattr(node, 'items'):
        return {key: _plain(value) for key, value in node.items()}
    return [_plain(part) for part in node] if isinstance(node, (list, tuple)) else node


_Check = Callable[[_Facts], Iterator[str]]
_ERRORS: tuple[_Check, ...] = (
    _unpaired_sampler, _odd_batch, _batch_sampler, _swap_without_pairs, _merged_augments, _probs,
    _torn_pairs, _two_places, _num_classes, _hooks, _paired_evaluation)
_WARNINGS: tuple[_Check, ...] = (_own_sampler, _pairs_unused, _no_swap, _one_of_several,
                                 _collation)
