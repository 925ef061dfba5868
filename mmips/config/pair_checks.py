# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What a config gets wrong about pairs, said before anything is built.

A half-configured IPS run either trains wrongly in silence (ordinary batches under a pair loss)
or stops in its first step. For configs of mmseg and mmdet see ``transfer_checks``.
"""
import inspect
from collections.abc import Iterator, Sequence
from typing import Any

from mmips.config.metric_checks import metric_mistakes
from mmips.config.sources import type_name
from mmips.config.strategies import strategy_mistakes
from mmips.config.structure import check_structure, find_preprocessor, plain, refuse
from mmips.config.teacher_checks import teacher_mistakes
from mmips.config.transfer_checks import transfer_mistakes, transfer_warnings
from mmips.config.type_checks import name_warnings, part_mistakes

SWAP = 'IntraClassPatchSwap'
_SAMPLER = "train_dataloader = dict(sampler=dict(type='mmips.PairedClassSampler'))"
_MODEL = "model = dict(type='mmips.SelfDistillClassifier')"
_AUGMENT = f"model = dict(train_cfg=dict(augments=[dict(type='mmips.{SWAP}')]))"
_PAIRED_SAMPLERS = (
    'PairedClassSampler', 'InfinitePairedClassSampler', 'OverlappingBatchSampler')
# Samplers known to know nothing of pairs. A sampler that is in neither list may be a
# user's own pairing: it is let through, and the classifier looks at its first batch.
_ORDINARY_SAMPLERS = ('', 'DefaultSampler', 'InfiniteSampler', 'RepeatAugSampler',
                      'SequentialSampler', 'RandomSampler', 'ClassAwareSampler',
                      'MultiSourceSampler', 'GroupMultiSourceSampler')
# What a loss learns from is in the batches of one sampler alone.
_SAMPLER_OF = dict(BAKELoss='GroupedClassSampler', LastBatchLoss='OverlappingBatchSampler')
# Augments that mix images of a batch by a permutation of their own.
_MIXING = ('Mixup', 'CutMix', 'ResizeMix')


class _Facts:
    """What the checks read from a config."""

    def __init__(self, cfg: Any) -> None:
        self.model, self.loader = cfg.get('model') or {}, cfg.get('train_dataloader') or {}
        self.sampler = type_name(self.loader.get('sampler'))
        self.is_distill = type_name(self.model) == 'SelfDistillClassifier'
        self.is_ordinary = self.sampler in _ORDINARY_SAMPLERS
        self.is_paired = self.sampler in _PAIRED_SAMPLERS
        self.augments_key, augments = find_augments(cfg)
        given = augments.get('augments')
        self.augments = list(_iter_augments(given, f'{self.augments_key}.augments'))
        self.swaps = [(key, augment) for key, augment, _ in self.augments if _is_swap(augment)]
        # Of the choices that mmpretrain makes one of, those without a swap.
        self.unswapped = sum(not any(_is_swap(augment) for _, augment, _ in _iter_augments(
            choice, '')) for choice in (given if isinstance(given, (list, tuple)) else ()))


def _is_swap(augment: Any) -> bool:
    """Whether it is the patch swap, or somebody's own kind of it."""
    from mmips.models.batch_augments import IntraClassPatchSwap
    from mmips.registry import BATCH_AUGMENTS
    kind = augment.get('type')
    kind = BATCH_AUGMENTS.get(kind) if isinstance(kind, str) else kind
    return inspect.isclass(kind) and issubclass(kind, IntraClassPatchSwap)


def find_augments(cfg: Any) -> tuple[str, Any]:
    """Key and config of the batch augments: the preprocessor's win over ``train_cfg``'s."""
    own = find_preprocessor(cfg).get('batch_augments')
    if isinstance(own, Sequence):  # mmdet's are of other kinds.
        return 'data_preprocessor.batch_augments', {}
    if own:
        return 'model.data_preprocessor.batch_augments', own
    return 'model.train_cfg', (cfg.get('model') or {}).get('train_cfg') or {}


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
    """Warnings about what a training config says of its parts, pairs, distillation and transfer.

    Raises:
        UserError: All mistakes in one message.
    """
    check_structure(cfg, typed=True)
    mistakes: list[Any] = part_mistakes(cfg)
    facts = _Facts(cfg)
    wholes = [mistake for wrong, *mistake in (
        *_loader_mistakes(cfg, facts), *_augment_mistakes(cfg, facts)) if wrong]
    wholes += map(list, (*transfer_mistakes(cfg), *strategy_mistakes(cfg), *teacher_mistakes(cfg)))
    # Of what is wrong as a whole the parts are left out.
    wrong = tuple(key for key, *_ in wholes)
    mistakes = [*wholes, *(mistake for mistake in (*mistakes, *metric_mistakes(cfg))
                           if not mistake[0].startswith(wrong))]
    # A misspelt name may be why another one is missing.
    told = ''.join(f'{warning}\n' for warning in name_warnings(cfg))
    refuse(f'{told}This config cannot train as it is', mistakes)
    return [*(text for doubt, text in _doubts(facts) if doubt), *transfer_warnings(cfg),
            *name_warnings(cfg)]


def _loader_mistakes(cfg: Any, facts: _Facts) -> list[tuple]:
    """What does not yield pairs, or tears them apart: whether it is so, and the mistake."""
    loader, size = facts.loader, facts.loader.get('batch_size')
    even = max(2, size + size % 2) if isinstance(size, int) else size
    sampler = loader.get('sampler') or {}
    own, partners = sampler.get('batch_size', size), sampler.get('num_partners', 3)
    group = 1 + partners if isinstance(partners, int) and partners > 0 else 1
    hooks = [type_name(hook) for hook in cfg.get('custom_hooks') or []]
    samplers = {field: (cfg.get(field) or {}).get('sampler')
                for field in ('val_dataloader', 'test_dataloader')}
    distill, train = facts.model.get('distill') or {}, cfg.get('train_cfg') or {}
    loss, losses = type_name(distill), [distill, *(distill.get('losses') or ())]
    by_steps = train.get('by_epoch') is False or type_name(train) == 'IterBasedTrainLoop'
    needed = _SAMPLER_OF.get(loss, facts.sampler)
    return [
        # One of the user's own is let through.
        (needed != facts.sampler and (facts.is_ordinary or facts.is_paired
                                      or facts.sampler in _SAMPLER_OF.values()),
         'train_dataloader.sampler', loader.get('sampler'),
         f'mmips.{needed}, whose batches hold what mmips.{loss} learns from',
         f"train_dataloader = dict(sampler=dict(_delete_=True, type='mmips.{needed}', ...))"),
        (facts.is_distill and facts.is_ordinary and loss not in _SAMPLER_OF
         and not facts.model.get('allow_mismatch'),
         'train_dataloader.sampler', loader.get('sampler'),
         'a sampler that yields pairs of one class, to be distilled', _SAMPLER),
        *((by_steps and part.get('start', 0.1) != part.get('end', 0.2), 'train_cfg', train,
           'epochs, from one to the next of which mmips.MaxSupLoss rises',
           'train_cfg = dict(by_epoch=True, max_epochs=...), or start and end of the loss alike')
          for part in losses if type_name(part) == 'MaxSupLoss'),
        ((facts.is_distill or facts.is_paired) and size != even, 'train_dataloader.batch_size',
         size, 'an even number: it counts images, and a pair has two',
         f'train_dataloader = dict(batch_size={even})'),
        (facts.sampler == 'GroupedClassSampler' and isinstance(size, int) and size % group,
         'train_dataloader.batch_size', size,
         f'a multiple of {group}: an image and its num_partners',
         f'train_dataloader = dict(batch_size={group * (1 + size // group)})'
         if isinstance(size, int) else ''),
        # Of an odd one, as it will be when that is mended.
        (facts.is_paired and own not in (size, even), 'train_dataloader.sampler.batch_size', own,
         f'train_dataloader.batch_size, which is {even}',
         f'train_dataloader = dict(sampler=dict(batch_size={even}))'),
        *((type_name(sampler) in _PAIRED_SAMPLERS, f'{field}.sampler', sampler,
           'a sampler that shows every image once; pairs are for training',
           f"{field} = dict(sampler=dict(type='DefaultSampler', shuffle=False))")
          for field, sampler in samplers.items()),
        ('EpochSeedHook' in hooks and loader.get('persistent_workers')
         and loader.get('num_workers'), 'train_dataloader.persistent_workers', True,
         'False: workers that live on are seeded once, so that mmips.EpochSeedHook could not make '
         'a resumed run repeat this one', 'train_dataloader = dict(persistent_workers=False)'),
    ]


def _augment_mistakes(cfg: Any, facts: _Facts) -> list[tuple]:
    """What swaps nothing, is left over from a base, mixes single images or lacks classes."""
    in_train_cfg = (facts.model.get('train_cfg') or {}).get('augments')
    own, head = find_preprocessor(cfg).get('num_classes'), facts.model.get('head') or {}
    classes = head.get('num_classes')
    swaps_or_distills = facts.is_distill or facts.swaps
    return [
        (in_train_cfg == [], 'model.train_cfg.augments', [], 'None, where nothing is augmented',
         'model = dict(train_cfg=dict(augments=None))'),
        *((not facts.is_distill and facts.is_ordinary, key, augment,
           'pairs of one class, which alone are swapped, but the model is '
           f'{type_name(facts.model) or None} and the sampler {facts.sampler or None}',
           f'{_MODEL} and {_SAMPLER}') for key, augment in facts.swaps[:1]),
        *((_foreign_keys(augment), key, augment,
           f'only arguments of {SWAP}; {", ".join(_foreign_keys(augment))} came from the augment '
           'of the base, into which this dict was merged',
           f"augments=[dict(type='mmips.{SWAP}', ...)], a list, which replaces")
          for key, augment in facts.swaps),
        *((type_name(augment) in _MIXING and not whole_pairs and facts.is_distill
           and not facts.model.get('allow_mismatch'), key, augment,
           'an augment of whole pairs: this one mixes single images and parts their labels',
           f"dict(type='mmips.PairwiseBatchAugment', augment={plain(augment)})")
          for key, augment, whole_pairs in facts.augments),
        (swaps_or_distills and in_train_cfg and facts.augments_key != 'model.train_cfg',
         'model.train_cfg.augments', in_train_cfg,
         'one place for augments: data_preprocessor.batch_augments is set too, and wins',
         'one of the two alone, such as data_preprocessor = dict(batch_augments=None)'),
        (swaps_or_distills and facts.augments and (own is None or classes not in (None, own)),
         'data_preprocessor.num_classes', own,
         'the number of classes: batch augments need one-hot labels' if own is None else
         f'the same as model.head.num_classes, which is {classes}',
         f'data_preprocessor = dict(num_classes={classes or "..."})'),
    ]


def _foreign_keys(augment: Any) -> list[str]:
    from mmips.models.batch_augments import IntraClassPatchSwap
    own = inspect.signature(IntraClassPatchSwap).parameters
    return sorted(augment.keys() - own - {'type'}) if type_name(augment) == SWAP else []


def _doubts(facts: _Facts) -> list[tuple]:
    """What is possible, but perhaps not meant: whether it is so, and what to say."""
    return [
        (facts.is_distill and not facts.is_paired and not facts.is_ordinary,
         f'train_dataloader.sampler is {facts.sampler}, not one of mmips: it has to yield pairs '
         'one after the other. The first batch will be checked.'),
        (facts.is_paired and not facts.is_distill,
         f'model.type is {facts.model.get("type")!r}: pairs are '
         f'{"swapped but not" if facts.swaps else "neither swapped nor"} distilled. Right for an '
         f'ablation; for IPS write {_MODEL}.'),
        (facts.is_distill and not facts.swaps,
         f'model.train_cfg.augments has no {SWAP}: pairs are distilled, but not swapped. Right for '
         f'the "no swap" ablation; for IPS write {_AUGMENT}.'),
        (facts.swaps and facts.unswapped,
         f'{facts.augments_key}.augments lacks {SWAP} in {facts.unswapped} of its entries, of '
         'which mmpretrain picks one for each batch. To apply all, write '
         "augments=[dict(type='mmips.SequentialBatchAugment', augments=[...])]."),
    ]


