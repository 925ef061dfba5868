# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""One batch of pairs before and after the patch swap, and how sure networks are of it."""
import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmips.config import colours, loading, sources, splits
from mmips.config.pair_checks import find_augments
from mmips.config.structure import find_preprocessor
from mmips.errors import UserError
from mmips.evaluation import predictions
from mmips.runs import files
from mmips.structures import join_index_pairs, split_pairs
from mmips.visualization import denormalize, draw_pairs

_BARS = ('bars: p, the probability of the class; their mark: p before the swap; \u25b2 easier '
         'after it, \u25bc harder')


class Batch(NamedTuple):
    """One training batch of P pairs as the network gets it."""
    before: Any  # Inputs (2P, C, H, W) before the swap.
    after: Any  # The same after it.
    labels: list[Any]  # int64 (1, ) each.
    names: list[str]  # The class of each pair, or both where they differ.
    mask: np.ndarray | None  # Cells exchanged, bool (P, rows, cols); None without a swap.
    note: str  # What the swap did.
    preprocessor: Any


def browse_pairs(args: predictions.Request) -> str:
    """Do what ``tools/visualization/browse_pairs.py`` is asked for; returns the picture's path."""
    cfg = predictions.load_config(args, 'mmpretrain')
    loading.set_dataloader_defaults(cfg, ('train_dataloader', ))
    sources.check_paths(cfg, ('train_dataloader', ))
    batch = load_batch(cfg, args.num_pairs, args.prob, args.seed)
    pairs, mask = len(batch.names), batch.mask
    shown = choose_pairs(batch.names, np.zeros(pairs, bool) if mask is None else mask.any((1, 2)),
                         min(args.num_pairs, pairs))
    # Last: building a network draws from the random state that the batch depends on.
    found = _measure(cfg, args, batch)
    both = join_index_pairs(*(half[shown] for half in split_pairs(np.arange(2 * pairs))))
    before, after = (denormalize(inputs, batch.preprocessor, colours.network_order(cfg, 'train'))
                     for inputs in (batch.before, batch.after))
    figure = draw_pairs(
        before[both], after[both], None if mask is None else mask[shown],
        [batch.names[pair] for pair in shown],
        [batch.note, *([_BARS] if found else []), *gap_notes(found, batch.names)],
        confidences={name: (values[0][both], values[1][both]) for name, values in found.items()})
    if (kind := Path(args.out).suffix[1:].lower() or 'png') not in (
            known := figure.canvas.get_supported_filetypes()):
        raise UserError(f'--out {args.out}: no picture can be a .{kind}, but a .'
                        f'{", .".join(known)}.')
    files.write_picture(args.out, figure)
    if found:
        rows = _rows(found, batch, shown)
        files.write_csv(Path(args.out).with_suffix('.csv'), rows[0], map(dict.values, rows))
    print(f'Pairs of {args.config}: {args.out}')
    return args.out


def load_batch(cfg: Any, num_pairs: int, prob: float | None = None, seed: int = 0) -> Batch:
    """The first training batch of a config, of so many pairs or more; its loader is changed."""
    from mmengine.runner import Runner, set_random_seed

    from mmips.datasets.named_samples import name_samples
    set_random_seed(seed)
    settings = cfg.train_dataloader
    settings.update(num_workers=0, persistent_workers=False,
                    batch_size=max(2 * num_pairs, settings.batch_size // 2 * 2))
    loader = Runner.build_dataloader(settings, seed=seed)
    name_samples(loader.dataset)
    preprocessor, swap = _build_preprocessor(cfg, prob)
    batch = next(iter(loader))
    # The same crops without augments: whole batches are cropped and flipped here.
    plain = copy.deepcopy(preprocessor)
    plain.batch_augments = None
    before = plain(copy.deepcopy(batch), training=True)['inputs']
    after = preprocessor(batch, training=True)['inputs']
    labels = [sample.gt_label for sample in batch['data_samples']]
    numbers = list(map(int, labels))
    classes = predictions.class_names(loader, max(numbers) + 1)
    names = [classes[query] if query == partner else f'{classes[query]} / {classes[partner]}'
             for query, partner in zip(*split_pairs(numbers))]
    if swap is None or swap.last_mask is None:
        return Batch(before, after, labels, names, None, 'no patch swap', preprocessor)
    mask = swap.last_mask.cpu().numpy()
    pairs, rows, columns = mask.shape
    note = (f'grid {rows}\u2009\u00d7\u2009{columns},  prob = {swap.prob:g},  '
            f'{mask.any((1, 2)).sum()} of {pairs} pairs of this batch swapped')
    return Batch(before, after, labels, names, mask, note, preprocessor)


def _build_preprocessor(cfg: Any, prob: float | None) -> tuple[Any, Any]:
    """The model's data preprocessor and its first patch swap, whose ``prob`` is set, if any."""
    from mmpretrain.registry import MODELS

    from mmips.models.batch_augments import find_patch_swaps
    augments = find_augments(cfg)[1]
    # Left out rather than None: a preprocessor of another type may not know the argument.
    own = dict(batch_augments=dict(augments)) if augments.get('augments') else {}
    settings = {'type': 'ClsDataPreprocessor', **find_preprocessor(cfg), **own}
    preprocessor = MODELS.build(settings)
    swap = next(iter(find_patch_swaps(preprocessor)), None)
    if swap and prob is not None:
        swap.prob = prob
    return preprocessor, swap


def choose_pairs(names: Sequence[str], swapped: Any, count: int) -> list[int]:
    """Choose pairs to draw: of many classes, and one that was not swapped at the end."""
    order = sorted(range(len(names)), key=lambda pair: names.index(names[pair]) != pair)
    done = [pair for pair in order if swapped[pair]]
    left = [pair for pair in order if not swapped[pair]]
    keep = min(len(done), max(count - bool(left), count - len(left)))
    return done[:keep] + left[:count - keep]


def _measure(cfg: Any, args: predictions.Request, batch: Batch) -> Mapping[str, tuple]:
    """How sure each checkpoint is of each image's class, before and after the swap, (2P,) each."""
    if not args.checkpoints:
        return {}
    splits.drop_pretrained(cfg.model)
    model = predictions.build_model(cfg, args.device)
    own = range(len(batch.labels)), list(map(int, batch.labels))
    return {name: (predictions.predict_inputs(model, batch.before, batch.labels)[own],
                   predictions.predict_inputs(model, batch.after, batch.labels)[own])
            for name in predictions.each_checkpoint(model, args.paths)}


def gap_notes(found: Mapping[str, tuple], names: Sequence[str]) -> list[str]:
    """A line on each network: the mean |p1 - p2| over the batch's pairs of one class."""
    same = np.array([' / ' not in name for name in names])
    if not same.any():
        return [f'{name}: no pair of one class' for name in found]
    gaps = {name: [np.abs(query - partner)[same].mean()
                   for query, partner in map(split_pairs, values)]
            for name, values in found.items()}
    return [f'{name}: mean gap |p\u2081 \u2212 p\u2082| of {same.sum()} pairs {before:.3f} before, '
            f'{after:.3f} after the swap' for name, (before, after) in gaps.items()]


def _rows(found: Mapping[str, tuple], batch: Batch, shown: Sequence[int]) -> list[dict]:
    """The confidences of all pairs; ``drawn`` is a pair's place in the picture, from 1."""
    drawn = {pair: place for place, pair in enumerate(shown, 1)}
    cells = [''] * len(batch.names) if batch.mask is None else batch.mask.sum((1, 2)).tolist()
    return [{'pair': pair, 'drawn': drawn.get(pair, ''), 'class': batch.names[pair],
             'checkpoint': name, 'image': image, 'before': f'{before[2 * pair + place]:.6f}',
             'after': f'{after[2 * pair + place]:.6f}', 'cells': cells[pair]}
            for name, (before, after) in found.items() for pair in range(len(batch.names))
            for place, image in enumerate(('query', 'partner'))]
