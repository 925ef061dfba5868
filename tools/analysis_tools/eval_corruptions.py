# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Accuracy of several checkpoints of one config on corrupted images.

::

    python tools/analysis_tools/eval_corruptions.py CONFIG CHECKPOINT [CHECKPOINT ...] \\
        --names 'hard label' IPS --out DIR

Tables 10 (last column) and 11 of the IPS paper, and the mean corruption error (mCE) of
Hendrycks and Dietterich. Corrupts the config's images as it goes, or reads CIFAR-100-C with
``--cifar-c``. Every set of corrupted images is made once, and all checkpoints see the same. Each
result is kept as soon as it is there: the same command goes on after an interruption, and more
corruptions, severities or checkpoints cost only themselves.

Writes ``corruptions.md``, ``.csv`` (a number a row), ``.json`` and ``.png``, and
``corruption_examples.png``, an image of the split under each corruption.
"""
import argparse
import copy
import importlib.metadata
import json
import os
import os.path as osp
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import mmips  # noqa: F401  (first: it makes 'mmips::' bases readable)
from mmips.evaluation import corruptions as robustness
from mmips.evaluation import predictions
from mmips.evaluation.corrupted_split import CLEAN, Condition, CorruptedSplit
from mmips.evaluation.corruptions import CorruptionScores
from mmips.runs import cli, files, fingerprints


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Accuracy of checkpoints on corrupted images')
    predictions.add_checkpoint_options(parser)
    parser.add_argument('--corruptions', nargs='+', default=['paper'], metavar='NAME',
                        help="names, or the groups 'paper' (the ten of the IPS paper), 'common' "
                        "(the 15 of mCE), 'all' (19) (default: paper)")
    parser.add_argument('--severities', nargs='+', type=int, metavar='N',
                        default=robustness.SEVERITIES, help='of 1 2 3 4 5 (default: all)')
    parser.add_argument('--cifar-c', metavar='DIR', help='folder of CIFAR-100-C or CIFAR-10-C, '
                        "read instead of corrupting the config's images")
    parser.add_argument('--where', choices=['packed', 'loaded'], default='packed',
                        help='corrupt images as the network gets them, after resizing and '
                        'cropping, as ImageNet-C, or as they are loaded (default: packed)')
    parser.add_argument('--seed', type=int, default=0, help='of the corruptions (default: 0)')
    parser.add_argument('--reference', metavar='NAME',
                        help='the checkpoint whose mCE is 100 (default: the first)')
    args = parser.parse_args(argv)
    predictions.check_names(parser, args)
    args.reference = args.reference or args.names[0]
    try:
        args.corruptions = robustness.expand_corruptions(args.corruptions)
        args.severities = sorted({robustness.check_severity(number) for number in args.severities})
    except ValueError as error:
        parser.error(str(error))
    problem = find_problem(args)
    if problem:
        parser.error(problem)
    return args


def find_problem(args: argparse.Namespace) -> str | None:
    """What is wrong with the command line as a whole."""
    if args.reference not in args.names:
        return f'--reference must be one of {args.names}, got {args.reference!r}'
    if args.seed < 0:
        return f'--seed must be at least 0, got {args.seed}'
    if args.cifar_c and args.split == 'train':
        return '--cifar-c holds corrupted test images: leave out --split train'
    if args.cifar_c and args.where != 'packed':
        return '--cifar-c holds images that are corrupted already: leave out --where'
    return None


def library_version() -> str:
    """The version of the package that corrupts images."""
    return importlib.metadata.version('imagecorruptions-imaug')


def describe_source(args: argparse.Namespace) -> tuple[str, str]:
    """Where the corrupted images come from: in a few words, and what their severities mean."""
    if args.cifar_c:
        name = osp.basename(osp.abspath(args.cifar_c))
        return f'{name} files', f'Severities: those of the files in {name}.'
    place = ('after resizing and cropping, as the network gets them' if args.where == 'packed'
             else 'as loaded, before resizing and cropping')
    version = library_version()
    return (f"imagecorruptions {version}, ImageNet-C's severities",
            f"Severities: ImageNet-C's, imagecorruptions {version}. Those of CIFAR-10-C and "
            'CIFAR-100-C are milder: these numbers do not compare with numbers on them. Images '
            f'corrupted {place}; seed {args.seed}.')


def check_source(args: argparse.Namespace) -> None:
    """Raise before any work where corrupted images could not be had later."""
    if args.cifar_c:
        from mmips.datasets.cifar_c_dataset import read_cifar_c
        for corruption in args.corruptions:
            read_cifar_c(args.cifar_c, corruption)
    else:
        from mmips.datasets.transforms import CorruptImage
        CorruptImage(args.corruptions[0], args.severities[0])


def draw_strip(split: CorruptedSplit, args: argparse.Namespace, folder: Path) -> None:
    """Draw one image under the corruptions: mildest, middle and strongest severity."""
    from mmips.visualization.corruptions import draw_examples
    chosen = sorted({args.severities[0], args.severities[len(args.severities) // 2],
                     args.severities[-1]})
    images = {corruption: {severity: split.example((corruption, severity)) for severity in chosen}
              for corruption in args.corruptions}
    original = split.example(CLEAN)
    height, width = original.shape[:2]
    draw_examples(original, images, str(folder / 'corruption_examples.png'),
                  note=f'{describe_source(args)[0]}; {width} x {height} pixels for the network')


def load_models(cfg: Any, args: argparse.Namespace) -> dict[str, Any]:
    """A model for each checkpoint."""
    # A copy: building fills in settings, and later checksums would differ from the first.
    model = predictions.build_model(copy.deepcopy(cfg), args.device)
    return {name: copy.deepcopy(model)
            for name in predictions.each_checkpoint(model, args.checkpoints, args.names)}


def count_correct(models: Mapping[str, Any], loader: Any, title: str
                  ) -> dict[str, tuple[int, int]]:
    """How many images each model classifies correctly, and of how many; one pass for all."""
    import torch
    correct, images = dict.fromkeys(models, 0), 0
    with torch.no_grad():
        for batch in predictions.iter_batches(loader, title):
            for name, model in models.items():
                samples = model.test_step(batch)
                correct[name] += sum(map(is_correct, samples))
            images += len(samples)
    return {name: (number, images) for name, number in correct.items()}


def is_correct(sample: Any) -> bool:
    """Whether an image is classified correctly."""
    predictions.check_labels([sample.gt_label], sample.pred_score.numel())
    return int(sample.pred_score.argmax()) == int(sample.gt_label)


def read_done(path: Path) -> dict[str, tuple[int, int]]:
    """Earlier results: correct and all images by checksum."""
    try:
        return json.loads(path.read_text()) if path.is_file() else {}
    except ValueError as error:
        raise ValueError(f'{path} is not readable ({error}). Remove it, and its results are '
                         'computed again.') from error


def evaluate(split: CorruptedSplit, args: argparse.Namespace, conditions: Sequence[Condition],
             path: Path) -> dict[Condition, dict[str, tuple[int, int]]]:
    """Correct and all images of each checkpoint in each condition; stored one by one."""
    done = read_done(path)
    library = '' if args.cifar_c else library_version()
    models: dict[str, Any] = {}
    counts = {}
    for number, condition in enumerate(conditions, 1):
        current = split.config(condition)
        keys = {name: fingerprints.result_key(current, args.split, checkpoint,
                                           max_images=args.max_images, library=library)
                for name, checkpoint in zip(args.names, args.checkpoints)}
        missing = [name for name in args.names if keys[name] not in done]
        if missing:
            models = models or load_models(split.cfg, args)
            title = f'{number}/{len(conditions)} {condition[0]} {condition[1] or ""}'
            found = count_correct({name: models[name] for name in missing},
                                  split.loader(condition), title)
            done.update({keys[name]: found[name] for name in missing})
            files.write_json(path, done)
        counts[condition] = {name: done[key] for name, key in keys.items()}
    return counts


def to_scores(counts: Mapping[Condition, Mapping[str, tuple[int, int]]],
              args: argparse.Namespace) -> dict[str, CorruptionScores]:
    """Accuracies by name."""
    def accuracy(name: str, condition: Condition) -> float:
        correct, images = counts[condition][name]
        return 100 * correct / images

    return {name: CorruptionScores(accuracy(name, CLEAN), np.array(
        [[accuracy(name, (corruption, severity)) for severity in args.severities]
         for corruption in args.corruptions])) for name in args.names}


def write_results(counts: Mapping[Condition, Mapping[str, tuple[int, int]]],
                  args: argparse.Namespace, folder: Path) -> dict[str, CorruptionScores]:
    """Write tables and picture; returns the scores by name."""
    from mmips.visualization.corruptions import draw_accuracies
    scores = to_scores(counts, args)
    source, severities = describe_source(args)
    rows = [dict(checkpoint=name, corruption=condition[0], severity=condition[1],
                 images=found[name][1],
                 accuracy=round(100 * found[name][0] / found[name][1], 4), source=source)
            for name in args.names for condition, found in counts.items()]
    table = robustness.corruption_table(scores, args.corruptions, args.severities, args.reference)
    images, levels = rows[-1]['images'], ', '.join(map(str, args.severities))
    note = (f'{osp.basename(args.config)}, {args.split} split, {images} images for each corruption '
            f'and severity ({levels}). {severities} mCE: errors summed over severities '
            f'relative to those of {args.reference}, mean over the corruptions.')
    robustness.write_tables(folder, f'{table}\n{note}\n', rows)
    reference = scores[args.reference]
    files.write_json(folder / 'corruptions.json', files.plain(dict(
        config=args.config, split=args.split, source=source, note=note, seed=args.seed,
        where=None if args.cifar_c else args.where, reference=args.reference,
        checkpoints=dict(zip(args.names, args.checkpoints)), corruptions=args.corruptions,
        severities=args.severities, summary=robustness.summarise(scores, args.reference),
        corruption_errors={name: dict(zip(args.corruptions, robustness.corruption_errors(
            one, reference).tolist())) for name, one in scores.items()}, scores=rows)))
    draw_accuracies(scores, args.corruptions, str(folder / 'corruptions.png'),
                    note=f'{source}; bar: mean over severities {levels}, line: their range; '
                    f'{images} images each')
    print(f'{table}\n{note}\n\n{folder / "corruptions.md"}, .csv, .json, .png')
    return scores


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> dict[str, CorruptionScores]:
    """Evaluate, and return the scores by name."""
    args = parse_args(argv)
    check_source(args)
    cfg = predictions.load_classifier_config(args)
    conditions = [CLEAN, *((corruption, severity) for corruption in args.corruptions
                           for severity in args.severities)]
    folder = Path(args.out)
    os.makedirs(folder, exist_ok=True)
    try:
        # First, for it meets whatever is wrong with the images.
        split = CorruptedSplit(cfg, args.split, args.max_images, args.cifar_c, args.where,
                               args.seed)
        draw_strip(split, args, folder)
        counts = evaluate(split, args, conditions, folder / 'corruptions_done.json')
        return write_results(counts, args, folder)
    except KeyboardInterrupt:
        print('\nInterrupted. What is finished is kept: the same command goes on from there.',
              file=sys.stderr)
        sys.exit(130)


if __name__ == '__main__':
    main()
