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
import hashlib
import importlib.metadata
import json
import math
import os
import os.path as osp
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import mmips  # noqa: F401  (first: it makes 'mmips::' bases readable)
from mmips.engine import cli, inference, runs, sources
from mmips.evaluation import corruptions as robustness
from mmips.evaluation.corruptions import CorruptionScores

#: Corruption and severity; ('clean', 0) is the images as they are.
Condition = tuple[str, int]
CLEAN: Condition = ('clean', 0)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Accuracy of checkpoints on corrupted images')
    inference.add_checkpoint_options(parser)
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
    inference.check_names(parser, args)
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


def with_condition(cfg: Any, args: argparse.Namespace, condition: Condition) -> Any:
    """A copy of the config whose split has the corrupted images."""
    cfg = copy.deepcopy(cfg)
    if condition == CLEAN:
        return cfg
    corruption, severity = condition
    loader = cfg[f'{args.split}_dataloader']
    # Workers that live on would not learn of the next condition.
    loader.persistent_workers = False
    datasets = [dataset for _, dataset in sources.iter_datasets(loader.dataset, '')]
    order = channel_order(cfg, datasets[0])
    if args.cifar_c:
        pipeline = [step for step in datasets[0].get('pipeline', [])
                    if not sources.type_name(step).startswith('Load')]
        loader.dataset = dict(
            type='mmips.CIFARCDataset', data_root=args.cifar_c, corruption=corruption,
            severity=severity, channel_order=order, pipeline=pipeline,
            max_classes=datasets[0].get('max_classes'))
    for dataset in datasets if not args.cifar_c else ():
        step = dict(type='mmips.CorruptImage', corruption=corruption, severity=severity,
                    seed=args.seed, channel_order=order)
        dataset['pipeline'] = insert_step(dataset.get('pipeline', []), step, args)
    return cfg


def channel_order(cfg: Any, dataset: Mapping[str, Any]) -> str:
    """The order of the colours between loading and packing."""
    preprocessor = cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}
    from_files = any(sources.type_name(step).startswith('LoadImage')
                     for step in dataset.get('pipeline', []))
    return 'bgr' if from_files or preprocessor.get('to_rgb') else 'rgb'


def insert_step(pipeline: Sequence[dict], step: dict, args: argparse.Namespace) -> list[dict]:
    """The pipeline with the step behind loading or before packing."""
    names = [sources.type_name(part) for part in pipeline]
    if args.where == 'loaded':
        place = max((number + 1 for number, name in enumerate(names) if name.startswith('Load')),
                    default=0)
    elif 'PackInputs' in names:
        place = names.index('PackInputs')
    else:
        raise ValueError(f'The pipeline of the {args.split} split has no PackInputs before which '
                         f'images could be corrupted, only {", ".join(names) or "nothing"}. Give '
                         '--where loaded.')
    return [*pipeline[:place], step, *pipeline[place:]]


def mark(cfg: Any, args: argparse.Namespace, checkpoint: str) -> str:
    """A checksum of all that a number depends on."""
    from mmengine.config import Config
    dataset = cfg[f'{args.split}_dataloader'].dataset
    parts = Config(dict(model=cfg.model, data_preprocessor=cfg.get('data_preprocessor'),
                        dataset=dataset, max_images=args.max_images,
                        library='' if args.cifar_c else library_version()))
    files = [*filter(osp.isfile, [osp.expanduser(checkpoint)]),
             *(path for _, part in sources.iter_datasets(dataset, '') for path in data_paths(part))]
    content = [checkpoint, runs.fingerprint(parts, files)]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def data_paths(dataset: Mapping[str, Any]) -> list[str]:
    """Files and folders of a dataset config that are there."""
    prefix = dataset.get('data_prefix') or ''
    names = [dataset.get(key) for key in ('ann_file', 'images', 'labels')]
    names += [prefix] if isinstance(prefix, str) else list(prefix.values())
    if 'corruption' in dataset:
        names += [f'{dataset["corruption"]}.npy', 'labels.npy']
    paths = {osp.join(osp.expanduser(dataset.get('data_root') or ''), name)
             for name in names if isinstance(name, str)}
    return sorted(filter(osp.exists, paths))


def check_source(args: argparse.Namespace) -> None:
    """Raise before any work where corrupted images could not be had later."""
    if args.cifar_c:
        from mmips.datasets.cifar_c_dataset import read_cifar_c
        for corruption in args.corruptions:
            read_cifar_c(args.cifar_c, corruption)
    else:
        from mmips.datasets.transforms import CorruptImage
        CorruptImage(args.corruptions[0], args.severities[0])


class CorruptedSplit:
    """The split in any condition. A data set is built once, however often it is corrupted.

    Args:
        cfg (Config): The whole config.
        args (Namespace): The command line.
    """

    def __init__(self, cfg: Any, args: argparse.Namespace) -> None:
        self.cfg, self.args = cfg, args
        self._loaders: dict[Condition | None, Any] = {}

    def loader(self, condition: Condition) -> Any:
        """The data loader; another condition may change it."""
        key = condition if condition == CLEAN or self.args.cifar_c else None
        if key not in self._loaders:
            self._loaders[key] = inference.build_loader(
                with_condition(self.cfg, self.args, condition), self.args.split,
                self.args.max_images)
        if key is None:
            for step in self._steps(self._loaders[key].dataset):
                step.corruption, step.severity = condition
        return self._loaders[key]

    def _steps(self, dataset: Any) -> list[Any]:
        steps = corrupting_steps(dataset)
        settings = self.cfg[f'{self.args.split}_dataloader'].dataset
        if len(steps) != len(list(sources.iter_datasets(settings, ''))):
            # Left alone, they would go on with the first condition.
            raise ValueError(f'{settings.get("type")} of the {self.args.split} split does not show '
                             "the pipelines of what it wraps, as mmengine's wrappers do in their "
                             'dataset or datasets. Evaluate the wrapped data set itself.')
        return steps

    def example(self, condition: Condition) -> np.ndarray:
        """An image from the middle of the split as it is packed, (H, W, 3) uint8 RGB."""
        from mmips.visualization.denormalize import denormalize
        order = channel_order(self.cfg, next(sources.iter_datasets(
            self.cfg[f'{self.args.split}_dataloader'].dataset, ''))[1])
        images = self.loader(condition).dataset
        return denormalize(images[len(images) // 2]['inputs'][None], bgr=order == 'bgr')[0]


def corrupting_steps(dataset: Any) -> list[Any]:
    """Every CorruptImage in the pipelines of a data set and of those that it wraps."""
    from mmips.datasets.transforms import CorruptImage
    steps = getattr(getattr(dataset, 'pipeline', None), 'transforms', ())
    wrapped = [getattr(dataset, 'dataset', None), *getattr(dataset, 'datasets', ())]
    return [step for step in steps if isinstance(step, CorruptImage)] + [
        step for part in wrapped if part is not None for step in corrupting_steps(part)]


def draw_strip(split: CorruptedSplit, args: argparse.Namespace, folder: Path) -> None:
    """Draw one image under the corruptions: mildest, middle and strongest severity."""
    from mmips.visualization.draw_corruptions import draw_examples
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
    model = inference.build_model(copy.deepcopy(cfg), args.device)
    return {name: copy.deepcopy(model)
            for name in inference.each_checkpoint(model, args.checkpoints, args.names)}


def count_correct(models: Mapping[str, Any], loader: Any, title: str
                  ) -> dict[str, tuple[int, int]]:
    """How many images each model classifies correctly, and of how many; one pass for all."""
    import torch
    correct, images = dict.fromkeys(models, 0), 0
    with torch.no_grad():
        for batch in inference.iter_batches(loader, title):
            for name, model in models.items():
                samples = model.test_step(batch)
                correct[name] += sum(map(is_correct, samples))
            images += len(samples)
    return {name: (number, images) for name, number in correct.items()}


def is_correct(sample: Any) -> bool:
    """Whether an image is classified correctly."""
    label, classes = sample.gt_label, sample.pred_score.numel()
    if label.numel() != 1:
        raise ValueError('Every image must have one label, but some have none or several: only '
                         'single-label classifiers are evaluated here.')
    if int(label) >= classes:
        raise ValueError(f'The data has the label {int(label)}, but the model only {classes} '
                         'classes. Is this the data the checkpoint was trained for?')
    return int(sample.pred_score.argmax()) == int(label)


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
    models: dict[str, Any] = {}
    counts = {}
    for number, condition in enumerate(conditions, 1):
        current = with_condition(split.cfg, args, condition)
        marks = {name: mark(current, args, checkpoint)
                 for name, checkpoint in zip(args.names, args.checkpoints)}
        missing = [name for name in args.names if marks[name] not in done]
        if missing:
            models = models or load_models(split.cfg, args)
            title = f'{number}/{len(conditions)} {condition[0]} {condition[1] or ""}'
            found = count_correct({name: models[name] for name in missing},
                                  split.loader(condition), title)
            done.update({marks[name]: found[name] for name in missing})
            runs.write_json(path, done)
        counts[condition] = {name: done[key] for name, key in marks.items()}
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
    from mmips.visualization.draw_corruptions import draw_accuracies
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
    runs.write_json(folder / 'corruptions.json', without_nan(dict(
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


def without_nan(content: Any) -> Any:
    """The same with None for what JSON has no number for."""
    if isinstance(content, dict):
        return {key: without_nan(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [without_nan(value) for value in content]
    return None if isinstance(content, float) and math.isnan(content) else content


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> dict[str, CorruptionScores]:
    """Evaluate, and return the scores by name."""
    args = parse_args(argv)
    check_source(args)
    cfg = inference.load_classifier_config(args)
    conditions = [CLEAN, *((corruption, severity) for corruption in args.corruptions
                           for severity in args.severities)]
    folder = Path(args.out)
    os.makedirs(folder, exist_ok=True)
    try:
        # First, for it meets whatever is wrong with the images.
        split = CorruptedSplit(cfg, args)
        draw_strip(split, args, folder)
        counts = evaluate(split, args, conditions, folder / 'corruptions_done.json')
        return write_results(counts, args, folder)
    except KeyboardInterrupt:
        print('\nInterrupted. What is finished is kept: the same command goes on from there.',
              file=sys.stderr)
        sys.exit(130)


if __name__ == '__main__':
    main()
