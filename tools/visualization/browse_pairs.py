# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Draw pairs of a config before and after the patch swap.

``python tools/visualization/browse_pairs.py CONFIG [--out FILE.png]``

The pairs come through the config's own data set, pipeline, sampler, preprocessor and
batch augments, so the picture shows what the network will see.

``--checkpoint CKPT [CKPT ...] --names NAME [NAME ...]`` adds, as Figure 3 of the IPS paper,
how sure a network is of each image's class before and after the swap (softmax probability
without temperature), for checkpoints of one run early, halfway and at its end, say. The caption
gives the mean confidence gap |p1 - p2| between the two images of all pairs of the batch, the
``conf_gap`` of ``mmips.SelfDistillMonitor``; ``FILE.csv`` has the numbers of all its pairs.
Networks are in evaluation mode: BatchNorm uses its running statistics, so that an image's
confidence does not depend on the others of the batch. The monitor's is that of training mode.
"""
import argparse
import os
import os.path as osp
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import mmips  # noqa: F401  (first: it makes 'mmips::' bases readable)
from mmips.config import loading, sources, splits
from mmips.config.pair_checks import find_augments, find_preprocessor
from mmips.evaluation import predictions
from mmips.runs import cli, files
from mmips.structures import join_index_pairs, split_pairs


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    from mmengine.config import DictAction
    parser = argparse.ArgumentParser(description='Draw pairs before and after the patch swap')
    parser.add_argument('config', help='path of a config, or the name of one of mmips, ips/x.py')
    parser.add_argument('--out', help='PNG file (default: pairs.png in --output-dir)')
    parser.add_argument('--output-dir', help='folder (default: work_dirs/<name of the config>)')
    parser.add_argument('--num-pairs', type=int, default=6, help='pairs to draw (default: 6)')
    parser.add_argument('--prob', type=float, help="probability of a swap (default: the config's)")
    parser.add_argument('--seed', type=int, default=0, help='seed (default: 0)')
    parser.add_argument('--checkpoint', nargs='+', default=[], dest='checkpoints', metavar='CKPT',
                        help='checkpoints of this config, whose confidence is drawn')
    parser.add_argument('--names', nargs='+', metavar='NAME',
                        help='a name for each checkpoint (default: its folder and file)')
    parser.add_argument('--device', help='where checkpoints compute (default: cuda if there is '
                        'one)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override settings of the config')
    args = parser.parse_args(argv)
    if args.num_pairs < 1:
        parser.error(f'--num-pairs must be at least 1, got {args.num_pairs}')
    predictions.check_names(parser, args)
    folder = args.output_dir or osp.join('work_dirs', osp.splitext(osp.basename(args.config))[0])
    args.out = args.out or osp.join(folder, 'pairs.png')
    return args


def build_loader(cfg: Any, num_pairs: int, seed: int) -> Any:
    """The training data loader of a config, in this process, with enough images a batch."""
    from mmengine.runner import Runner
    loader = cfg.train_dataloader
    loader.update(num_workers=0, persistent_workers=False)
    loader.batch_size = max(2 * num_pairs, loader.batch_size // 2 * 2)
    # A worker's seeding has no business in this process.
    loader.pop('worker_init_fn', None)
    return Runner.build_dataloader(loader, seed=seed)


def build_preprocessors(cfg: Any) -> tuple[Any, Any]:
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


def record_masks(augmenting: Any, prob: float | None) -> tuple[Any, list]:
    """The first patch swap of a preprocessor and the list in which it will leave its masks."""
    from mmips.models.batch_augments import find_patch_swaps
    swaps = find_patch_swaps(SimpleNamespace(data_preprocessor=augmenting))  # type: ignore
    masks: list = []
    if not swaps:
        return None, masks
    swap, draw = swaps[0], swaps[0].draw_mask
    if prob is not None:
        swap.prob = prob

    def draw_and_keep(num_pairs: int) -> Any:
        masks.append(draw(num_pairs))
        return masks[-1]

    swap.draw_mask = draw_and_keep
    return swap, masks


def choose(names: Sequence[str], swapped: Sequence[bool], count: int) -> list[int]:
    """Choose pairs to draw: of many classes, and one that was not swapped at the end."""
    order = sorted(range(len(names)), key=lambda pair: names.index(names[pair]) != pair)
    done = [pair for pair in order if swapped[pair]]
    left = [pair for pair in order if not swapped[pair]]
    keep = min(len(done), max(count - bool(left), count - len(left)))
    return done[:keep] + left[:count - keep]


def pair_names(samples: Sequence[Any], classes: Sequence[str]) -> list[str]:
    """The class of each pair, or both where they differ."""
    labels = [int(sample.gt_label) for sample in samples]
    names = [str(classes[label]) if label < len(classes) else f'class {label}'
             for label in labels]
    return [query if query == partner else f'{query} / {partner}'
            for query, partner in zip(*split_pairs(names))]


def draw(cfg: Any, args: argparse.Namespace) -> str:
    """Load one batch, augment it and draw some of its pairs."""
    import copy

    import numpy as np
    from mmengine.runner import set_random_seed

    from mmips.visualization import denormalize, draw_pairs, is_bgr
    set_random_seed(args.seed)
    loader = build_loader(cfg, args.num_pairs, args.seed)
    plain, augmenting = build_preprocessors(cfg)
    swap, masks = record_masks(augmenting, args.prob)
    batch = next(iter(loader))
    bgr = is_bgr(cfg.train_dataloader.dataset, plain)
    raw = plain(copy.deepcopy(batch))['inputs']
    changed = augmenting(batch, training=True)['inputs']
    before, after = (denormalize(inputs, plain, bgr) for inputs in (raw, changed))
    names = pair_names(batch['data_samples'], loader.dataset.metainfo.get('classes') or ())
    mask = masks[0].numpy() & equal_labels(names)[:, None, None] if masks else None
    swapped = mask.any((1, 2)) if mask is not None else [False] * len(names)
    shown = choose(names, swapped, min(args.num_pairs, len(names)))
    both = join_index_pairs(*(half[shown] for half in split_pairs(np.arange(len(before)))))
    note = (f'{sum(swapped)} of {len(names)} pairs of this batch swapped' if swap else
            'no patch swap')
    labels = [int(sample.gt_label) for sample in batch['data_samples']]
    # Last: building a network draws from the random state that the batch depends on.
    found = measure(cfg, args, (raw, changed), labels)
    if found:
        cells = [''] * len(names) if mask is None else mask.sum((1, 2)).tolist()
        write_table(f'{osp.splitext(args.out)[0]}.csv', found, names, shown, cells)
    return draw_pairs(before[both], after[both], None if mask is None else mask[shown],
                      [names[pair] for pair in shown], swap.prob if swap else None, args.out,
                      note=note, confidences=summarize(found, names, both))


def measure(cfg: Any, args: argparse.Namespace, images: Sequence[Any],
            labels: Sequence[int]) -> dict[str, list]:
    """The probability of each image's class by checkpoint, a float array (2P,) for each input.

    Args:
        cfg (Config): The whole config.
        args (argparse.Namespace): The command line.
        images (Sequence[Tensor]): Inputs (2P, C, H, W) before and after the swap.
        labels (Sequence[int]): The class of each image.
    """
    import numpy as np
    if not args.checkpoints:
        return {}
    splits.drop_pretrained(cfg.model)
    model = predictions.build_model(cfg, args.device)
    found = {}
    for name in predictions.each_checkpoint(model, args.checkpoints, args.names):
        probs = [predict(model, inputs) for inputs in images]
        if max(labels) >= probs[0].shape[1]:
            raise ValueError(f'The data has the label {max(labels)}, but the model only '
                             f'{probs[0].shape[1]} classes: set model.head.num_classes.')
        found[name] = [part[np.arange(len(labels)), labels] for part in probs]
    return found


def predict(model: Any, inputs: Any) -> Any:
    """Class probabilities (N, K) of preprocessed images, float32."""
    import torch
    device = next(model.parameters()).device
    with torch.no_grad():
        # In parts for the memory's sake: in evaluation mode it makes no difference.
        return torch.stack([sample.pred_score for part in inputs.split(64)
                            for sample in model(part.to(device), mode='predict')]).cpu().numpy()


def summarize(found: Mapping[str, Sequence[Any]], names: Sequence[str],
              images: Any) -> list[Any]:
    """What to draw of each checkpoint: the chosen images, and the gap over the batch."""
    from mmips.visualization.pairs import Confidence
    same = equal_labels(names)
    results = []
    for name, values in found.items():
        queries, partners = zip(*(split_pairs(value) for value in values))
        gaps = [abs(query - partner)[same].mean() if same.any() else None
                for query, partner in zip(queries, partners)]
        note = (f'mean gap |p\u2081 \u2212 p\u2082| of {same.sum()} pairs {gaps[0]:.3f} before, '
                f'{gaps[1]:.3f} after the swap') if same.any() else 'no pair of one class'
        results.append(Confidence(name, *(value[images] for value in values), note=note))
    return results


def write_table(path: str, found: Mapping[str, Sequence[Any]], names: Sequence[str],
                shown: Sequence[int], cells: Sequence[Any]) -> None:
    """Write the confidences of all pairs of the batch.

    ``pair`` numbers the batch's pairs from 0; ``drawn`` is a pair's place in the picture, from
    1, row by row; ``cells`` is how many were swapped.
    """
    os.makedirs(osp.dirname(osp.abspath(path)), exist_ok=True)
    header = ['pair', 'drawn', 'class', 'checkpoint', 'image', 'before', 'after', 'cells']
    files.write_csv(path, header, (
        [number // 2, shown.index(number // 2) + 1 if number // 2 in shown else '',
         names[number // 2], name, ('query', 'partner')[number % 2], f'{before[number]:.6f}',
         f'{after[number]:.6f}', cells[number // 2]]
        for name, (before, after) in found.items() for number in range(len(before))))


def equal_labels(names: Sequence[str]) -> Any:
    """Which pairs share a label, bool (P,): the swap leaves the others alone."""
    import numpy as np
    return np.array([' / ' not in name for name in names])


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> str:
    """Draw and return the path of the picture."""
    from mmengine.registry import init_default_scope
    args = parse_args(argv)
    cfg = loading.load_config(args.config, args.cfg_options)
    if cfg.get('default_scope') != 'mmpretrain':
        raise ValueError(f'{args.config} is a config of {cfg.get("default_scope")!r}: pairs are '
                         'drawn for classification (mmpretrain) configs.')
    loading.set_dataloader_defaults(cfg, ('train_dataloader', ))
    sources.check_paths(cfg, ('train_dataloader', ))
    predictions.check_checkpoints(args.checkpoints)
    init_default_scope('mmpretrain')
    path = draw(cfg, args)
    print(f'Pairs of {args.config}: {path}')
    return path


if __name__ == '__main__':
    main()
