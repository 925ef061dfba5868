# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""One batch of pairs before and after the patch swap, and how sure networks are of it."""
import argparse
import copy
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from mmips.config import colours, loading, sources, splits
from mmips.config.pair_checks import find_augments, find_preprocessor
from mmips.errors import UserError
from mmips.evaluation import predictions
from mmips.runs import files
from mmips.structures import join_index_pairs, split_pairs
from mmips.visualization import denormalize, draw_pairs

__all__ = ['Batch', 'browse_pairs', 'choose_pairs', 'gap_notes', 'load_batch', 'predict_inputs']

_HEADER = ('pair', 'drawn', 'class', 'checkpoint', 'image', 'before', 'after', 'cells')
_BARS = ('bars: p, the probability of the class; their mark: p before the swap; \u25b2 easier '
         'after it, \u25bc harder')
#: For each network's name, the probability of each image's class before and after the swap.
Confidences = Mapping[str, tuple[np.ndarray, np.ndarray]]


class Batch(NamedTuple):
    """One training batch of P pairs as the network gets it."""
    before: Any  # Inputs (2P, C, H, W) before the swap.
    after: Any  # The same after it.
    labels: list[int]
    names: list[str]  # The class of each pair, or both where they differ.
    mask: np.ndarray | None  # Cells exchanged, bool (P, rows, cols); None without a swap.
    note: str  # What the swap did.
    preprocessor: Any  # Without augments.


def browse_pairs(args: argparse.Namespace) -> str:
    """Do what ``tools/visualization/browse_pairs.py`` is asked for; returns the picture's path."""
    cfg = _load_config(args)
    batch = load_batch(cfg, args.num_pairs, args.prob, args.seed)
    pairs, mask = len(batch.names), batch.mask
    swapped = np.zeros(pairs, bool) if mask is None else mask.any((1, 2))
    shown = choose_pairs(batch.names, swapped, min(args.num_pairs, pairs))
    # Last: building a network draws from the random state that the batch depends on.
    found = _measure(cfg, args, batch)
    notes = [batch.note]
    if found:
        os.makedirs(Path(args.out).parent, exist_ok=True)
        _write_table(Path(args.out).with_suffix('.csv'), found, batch, shown)
        notes += [_BARS, *gap_notes(found, batch.names)]
    both = join_index_pairs(*(half[shown] for half in split_pairs(np.arange(2 * pairs))))
    bgr = colours.network_order(cfg, 'train') == 'bgr'
    before, after = (denormalize(inputs, batch.preprocessor, bgr)[both]
                     for inputs in (batch.before, batch.after))
    files.write_picture(args.out, draw_pairs(
        before, after, None if mask is None else mask[shown],
        [batch.names[pair] for pair in shown], notes, confidences={
            name: (values[0][both], values[1][both]) for name, values in found.items()}))
    print(f'Pairs of {args.config}: {args.out}')
    return args.out


def _load_config(args: argparse.Namespace) -> Any:
    """The config, after all that can be said before its data is read."""
    from mmengine.registry import init_default_scope
    if args.num_pairs < 1:
        raise UserError(f'--num-pairs must be at least 1, got {args.num_pairs}.')
    cfg = loading.load_config(args.config, args.cfg_options)
    if cfg.get('default_scope') != 'mmpretrain':
        raise UserError(f'{args.config} is a config of {cfg.get("default_scope")!r}: pairs are '
                        'drawn for classification (mmpretrain) configs.')
    loading.set_dataloader_defaults(cfg, ('train_dataloader', ))
    sources.check_paths(cfg, ('train_dataloader', ))
    predictions.check_checkpoints(args.checkpoints)
    init_default_scope('mmpretrain')
    return cfg


def load_batch(cfg: Any, num_pairs: int, prob: float | None = None, seed: int = 0) -> Batch:
    """The first training batch of a config, of so many pairs or more; its loader is changed."""
    from mmengine.runner import set_random_seed
    set_random_seed(seed)
    loader = _build_loader(cfg, num_pairs, seed)
    plain, augmenting = _build_preprocessors(cfg)
    swap = _find_swap(augmenting, prob)
    batch = next(iter(loader))
    before = plain(copy.deepcopy(batch))['inputs']
    after = augmenting(batch, training=True)['inputs']
    labels = [int(sample.gt_label) for sample in batch['data_samples']]
    mask = None if swap is None or swap.last_mask is None else swap.last_mask.cpu().numpy()
    return Batch(before, after, labels,
                 _pair_names(labels, loader.dataset.metainfo.get('classes') or ()), mask,
                 _describe_swap(swap, mask), plain)


def _build_loader(cfg: Any, num_pairs: int, seed: int) -> Any:
    """The training data loader of a config, in this process, with enough images a batch."""
    from mmengine.runner import Runner
    loader = cfg.train_dataloader
    loader.update(num_workers=0, persistent_workers=False)
    loader.batch_size = max(2 * num_pairs, loader.batch_size // 2 * 2)
    # A worker's seeding has no business in this process.
    loader.pop('worker_init_fn', None)
    return Runner.build_dataloader(loader, seed=seed)


def _build_preprocessors(cfg: Any) -> tuple[Any, Any]:
    """The model's data preprocessor without and with its batch augments."""
    from mmpretrain.registry import MODELS
    settings = {'type': 'ClsDataPreprocessor', **find_preprocessor(cfg)}
    # Left out rather than None: a preprocessor of another type may not know the argument.
    settings.pop('batch_augments', None)
    plain = MODELS.build(dict(settings))
    augments = find_augments(cfg)[1]
    if not augments.get('augments'):
        return plain, plain
    return plain, MODELS.build({**settings, 'batch_augments': dict(augments)})


def _find_swap(augmenting: Any, prob: float | None) -> Any:
    """The first patch swap of a preprocessor, None without one; ``prob`` becomes its own."""
    from mmips.models.batch_augments import find_patch_swaps
    model = torch.nn.Module()
    model.data_preprocessor = augmenting
    swaps = find_patch_swaps(model)
    if swaps and prob is not None:
        swaps[0].prob = prob
    return swaps[0] if swaps else None


def _describe_swap(swap: Any, mask: np.ndarray | None) -> str:
    if mask is None:
        return 'no patch swap'
    pairs, rows, columns = mask.shape
    return (f'grid {rows}\u2009\u00d7\u2009{columns},  prob = {swap.prob:g},  '
            f'{mask.any((1, 2)).sum()} of {pairs} pairs of this batch swapped')


def choose_pairs(names: Sequence[str], swapped: Any, count: int) -> list[int]:
    """Choose pairs to draw: of many classes, and one that was not swapped at the end."""
    order = sorted(range(len(names)), key=lambda pair: names.index(names[pair]) != pair)
    done = [pair for pair in order if swapped[pair]]
    left = [pair for pair in order if not swapped[pair]]
    keep = min(len(done), max(count - bool(left), count - len(left)))
    return done[:keep] + left[:count - keep]


def _pair_names(labels: Sequence[int], classes: Sequence[str]) -> list[str]:
    names = [str(classes[label]) if label < len(classes) else f'class {label}'
             for label in labels]
    return [query if query == partner else f'{query} / {partner}'
            for query, partner in zip(*split_pairs(names))]


def _measure(cfg: Any, args: argparse.Namespace, batch: Batch
             ) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """How sure each checkpoint is of each image's class, before and after the swap, (2P,) each."""
    if not args.checkpoints:
        return {}
    splits.drop_pretrained(cfg.model)
    model = predictions.build_model(cfg, args.device)
    labels, found = batch.labels, {}
    for name in predictions.each_checkpoint(model, args.checkpoints, args.names):
        own = np.arange(len(labels)), labels
        found[name] = (predict_inputs(model, batch.before, labels)[own],
                       predict_inputs(model, batch.after, labels)[own])
    return found


def predict_inputs(model: Any, inputs: Any, labels: Sequence[int]) -> np.ndarray:
    """Class probabilities (N, K) of preprocessed images, whose labels the model must know."""
    device = next(model.parameters()).device
    with torch.no_grad():
        # In parts for the memory's sake: in evaluation mode it makes no difference.
        probs = torch.stack([sample.pred_score for part in inputs.split(64)
                             for sample in model(part.to(device), mode='predict')]).cpu().numpy()
    if max(labels) >= probs.shape[1]:
        raise UserError(f'The data has the label {max(labels)}, but the model only '
                        f'{probs.shape[1]} classes: set model.head.num_classes.')
    return probs


def gap_notes(found: Confidences, names: Sequence[str]) -> list[str]:
    """A line on each network: the mean |p1 - p2| over the batch's pairs of one class."""
    same = np.array([' / ' not in name for name in names])
    notes = []
    for name, values in found.items():
        gaps = [np.abs(query - partner)[same] for query, partner in map(split_pairs, values)]
        notes.append(f'{name}: mean gap |p\u2081 \u2212 p\u2082| of {same.sum()} pairs '
                     f'{gaps[0].mean():.3f} before, {gaps[1].mean():.3f} after the swap'
                     if same.any() else f'{name}: no pair of one class')
    return notes


def _write_table(path: Path, found: Confidences, batch: Batch, shown: Sequence[int]) -> None:
    """Write the confidences of all pairs; ``drawn`` is a pair's place in the picture, from 1."""
    drawn = {pair: place for place, pair in enumerate(shown, 1)}
    names, mask = batch.names, batch.mask
    cells = [''] * len(names) if mask is None else mask.sum((1, 2)).tolist()
    files.write_csv(path, _HEADER, (
        [pair, drawn.get(pair, ''), names[pair], name, image, f'{before[2 * pair + place]:.6f}',
         f'{after[2 * pair + place]:.6f}', cells[pair]]
        for name, (before, after) in found.items() for pair in range(len(names))
        for place, image in enumerate(('query', 'partner'))))
