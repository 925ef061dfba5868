# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Robustness to corruptions: accuracies, the mean corruption error, tables and pictures.

Hendrycks and Dietterich, https://arxiv.org/abs/1903.12261; Tables 10 and 11 of the IPS paper.

Scores are a DataFrame of accuracies in percent: a column for each network, a row for each
(corruption, severity), the first of which is ('clean', 0).
"""
import argparse
import copy
import importlib.metadata
import os.path as osp
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mmips.datasets.cifar_c_dataset import read_cifar_c
from mmips.datasets.transforms.corrupt_image import load_library
from mmips.errors import UserError
from mmips.evaluation import predictions
from mmips.evaluation.corrupted_split import CLEAN, Condition, CorruptedSplit
from mmips.functional.corruptions import check_severity, expand_corruptions
from mmips.runs import files, fingerprints
from mmips.runs.tables import Table, to_markdown

__all__ = ['corruption_errors', 'corruption_tables', 'count_images', 'eval_corruptions',
           'relative_corruption_errors', 'summarise']

_LIBRARY = 'imagecorruptions-imaug'
#: Correct and all images, by network and condition.
Counts = dict[str, dict[Condition, Sequence[int]]]


def eval_corruptions(args: argparse.Namespace) -> pd.DataFrame:
    """Do what ``tools/analysis_tools/eval_corruptions.py`` is asked for.

    What is finished is kept in ``corruptions_done.json`` of the folder ``args.out`` (clean images
    beside the checkpoints): after an interruption the same call goes on from there.

    Returns the scores; raises a UserError for options, data or checkpoints that cannot be.
    """
    _check_options(args)
    cfg = predictions.load_classifier_config(args)
    split = CorruptedSplit(cfg, args.split, args.max_images, args.cifar_c, args.where, args.seed)
    folder = Path(args.out)
    folder.mkdir(parents=True, exist_ok=True)
    # First, for it meets whatever is wrong with the images.
    _draw_examples(split, args, folder / 'corruption_examples.png')
    conditions = [(corruption, severity) for corruption in args.corruptions
                  for severity in args.severities]
    counts = count_images(split, dict(zip(args.names, args.checkpoints)), conditions,
                          folder / 'corruptions_done.json', args.device)
    scores = pd.DataFrame({name: {condition: 100 * correct / images for condition, (
        correct, images) in found.items()} for name, found in counts.items()})
    _write(scores, counts, args, folder)
    return scores


def _check_options(args: argparse.Namespace) -> None:
    """Refuse what cannot be before any work, and fill in what follows from other options."""
    args.reference = args.reference or args.names[0]
    args.corruptions = expand_corruptions(args.corruptions)
    args.severities = sorted({check_severity(number) for number in args.severities})
    if args.reference not in args.names:
        raise UserError(f'--reference must be one of {args.names}, got {args.reference!r}.')
    if args.seed < 0:
        raise UserError(f'--seed must be at least 0, got {args.seed}.')
    if args.cifar_c and args.split == 'train':
        raise UserError('--cifar-c holds corrupted test images: leave out --split train.')
    if args.cifar_c and args.where != 'packed':
        raise UserError('--cifar-c holds images that are corrupted already: leave out --where.')
    if not args.cifar_c:
        load_library()
    for corruption in args.corruptions if args.cifar_c else ():
        read_cifar_c(args.cifar_c, corruption)


def _describe_source(args: argparse.Namespace) -> tuple[str, str]:
    """Where the corrupted images come from: in a few words, and what their severities mean."""
    if args.cifar_c:
        name = osp.basename(osp.abspath(args.cifar_c))
        return f'{name} files', f'Severities: those of the files in {name}.'
    place = ('after resizing and cropping, as the network gets them' if args.where == 'packed'
             else 'as loaded, before resizing and cropping')
    version = importlib.metadata.version(_LIBRARY)
    return (f"imagecorruptions {version}, ImageNet-C's severities",
            f"Severities: ImageNet-C's, imagecorruptions {version}. Those of CIFAR-10-C and "
            'CIFAR-100-C are milder: these numbers do not compare with numbers on them. Images '
            f'corrupted {place}; seed {args.seed}.')


def _draw_examples(split: CorruptedSplit, args: argparse.Namespace, path: Path) -> None:
    """Draw one image under the corruptions: mildest, middle and strongest severity."""
    from mmips.visualization.corruptions import draw_examples
    levels = args.severities
    chosen = sorted({levels[0], levels[len(levels) // 2], levels[-1]})
    images = {corruption: {severity: split.example((corruption, severity)) for severity in chosen}
              for corruption in args.corruptions}
    original = split.example(CLEAN)
    height, width = original.shape[:2]
    note = f'{_describe_source(args)[0]}; {width} x {height} pixels for the network'
    files.write_picture(path, draw_examples(original, images, note))


def count_images(split: CorruptedSplit, checkpoints: Mapping[str, str],
                 conditions: Sequence[Condition], path: Path,
                 device: str | None = None) -> Counts:
    """Correct and all images of each checkpoint (a path by name) in each condition, clean first.

    ``path`` keeps what is finished, and is read where it is there.
    """
    clean = predictions.predict_split(split.cfg, split.split, list(checkpoints.values()),
                                      list(checkpoints), split.max_images, device)
    counts: Counts = {name: {CLEAN: (
        int((found.probs.argmax(1) == found.labels).sum()), len(found.labels))}
        for name, found in clean.items()}
    done = files.read_results(path)
    models: dict[str, Any] = {}
    library = '' if split.cifar_c else importlib.metadata.version(_LIBRARY)
    for number, condition in enumerate(conditions, 1):
        current = split.config(condition)
        keys = {name: fingerprints.result_key(current, split.split, checkpoint, library=library,
                                              max_images=split.max_images)
                for name, checkpoint in checkpoints.items()}
        missing = [name for name, key in keys.items() if key not in done]
        if missing:
            models = models or _load_models(split.cfg, checkpoints, device)
            found = _count_correct({name: models[name] for name in missing},
                                   split.loader(condition), f'{number}/{len(conditions)} '
                                   f'{condition[0]} {condition[1]}')
            done.update({keys[name]: found[name] for name in missing})
            files.write_json(path, done)
        for name, key in keys.items():
            counts[name][condition] = done[key]
    return counts


def _load_models(cfg: Any, checkpoints: Mapping[str, str], device: str | None) -> dict[str, Any]:
    """A model for each checkpoint: all see the same images, which are corrupted once."""
    model = predictions.build_model(cfg, device)
    return {name: copy.deepcopy(model) for name in predictions.each_checkpoint(
        model, list(checkpoints.values()), list(checkpoints))}


def _count_correct(models: Mapping[str, Any], loader: Any, title: str
                   ) -> dict[str, tuple[int, int]]:
    """How many images each model classifies correctly, and of how many; one pass for all."""
    import torch
    correct, images = dict.fromkeys(models, 0), 0
    with torch.no_grad():
        for batch in predictions.iter_batches(loader, title):
            for name, model in models.items():
                samples = model.test_step(batch)
                predictions.check_labels([sample.gt_label for sample in samples],
                                         samples[0].pred_score.numel())
                correct[name] += sum(int(sample.pred_score.argmax()) == int(sample.gt_label)
                                     for sample in samples)
            images += len(samples)
    return {name: (number, images) for name, number in correct.items()}


def corruption_errors(scores: pd.DataFrame, reference: str) -> pd.DataFrame:
    """CE of each corruption: errors summed over severities, in percent of the reference's.

    Their mean is the mean corruption error, mCE. Section 4.2 of Hendrycks and Dietterich, whose
    reference is AlexNet. NaN where the reference makes no error.
    """
    return _ratio(100 - scores.drop(index=CLEAN), reference)


def relative_corruption_errors(scores: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Relative CE: the same of what errors exceed those on clean images."""
    return _ratio(scores.loc[CLEAN] - scores.drop(index=CLEAN), reference)


def _ratio(values: pd.DataFrame, reference: str) -> pd.DataFrame:
    sums = values.groupby(level=0, sort=False).sum()
    # Above rounding: accuracies are quotients of small numbers.
    base = sums[reference].where(sums[reference] > 1e-9)
    return 100 * sums.div(base, axis=0)


def summarise(scores: pd.DataFrame, reference: str) -> pd.DataFrame:
    """A row of means for each network: accuracies (higher is better), mCEs (lower is better).

    The latter are over the corruptions where they are defined, NaN if nowhere.
    """
    return pd.DataFrame(dict(
        clean=scores.loc[CLEAN], accuracy=scores.drop(index=CLEAN).mean(),
        mce=corruption_errors(scores, reference).mean(),
        relative_mce=relative_corruption_errors(scores, reference).mean()))


def corruption_tables(scores: pd.DataFrame, reference: str) -> list[Table]:
    """Tables as the IPS paper's Table 11: errors by corruption, means, accuracy by severity."""
    means = summarise(scores, reference)
    errors = 100 - scores.groupby(level=0, sort=False).mean()
    errors.loc['mean of the corruptions'] = 100 - means.accuracy
    levels = scores.drop(index=CLEAN).groupby(level=1).mean()
    return [
        _table('error %, lower is better', [(label, row, min) for label, row in errors.iterrows()]),
        _table(f'all {len(errors) - 2} corruptions', [
            ('accuracy %, higher is better', means.accuracy, max),
            ('mCE %, lower is better', means.mce, min),
            ('relative mCE %, lower is better', means.relative_mce, min)]),
        _table('accuracy %, higher is better', [
            (f'severity {level}', row, max) for level, row in levels.iterrows()])]


def _table(title: str, rows: Sequence[tuple[Any, pd.Series, Any]]) -> Table:
    """Percent with two digits; the best of a row is in bold where there are several."""
    table = Table('', [title, *rows[0][1].index], 1)
    for number, (label, row, better) in enumerate(rows):
        shown = row.round(2)
        table.rows.append([str(label), *('\u2013' if pd.isna(value) else f'{value:.2f}'
                                         for value in shown)])
        if len(shown) > 1 and shown.notna().any():
            best = better(shown.dropna())
            table.bold |= {(number, place) for place, value in enumerate(shown, 1)
                           if value == best}
    return table


def _write(scores: pd.DataFrame, counts: Counts, args: argparse.Namespace, folder: Path) -> None:
    """Write tables and picture."""
    from mmips.visualization.corruptions import draw_accuracies
    source, severities = _describe_source(args)
    rows = [dict(checkpoint=name, corruption=condition[0], severity=condition[1], images=images,
                 accuracy=round(100 * correct / images, 4), source=source)
            for name, found in counts.items() for condition, (correct, images) in found.items()]
    images, levels = rows[-1]['images'], ', '.join(map(str, args.severities))
    note = (f'{osp.basename(args.config)}, {args.split} split, {images} images for each corruption '
            f'and severity ({levels}). {severities} mCE: errors summed over severities '
            f'relative to those of {args.reference}, mean over the corruptions.')
    page = to_markdown('Accuracy under corruptions', corruption_tables(scores, args.reference))
    files.write_text(folder / 'corruptions.md', f'{page}\n{note}\n')
    files.write_csv(folder / 'corruptions.csv', rows[0], (row.values() for row in rows))
    files.write_json(folder / 'corruptions.json', files.plain(dict(
        config=args.config, split=args.split, source=source, note=note, seed=args.seed,
        where=None if args.cifar_c else args.where, reference=args.reference,
        checkpoints=dict(zip(args.names, args.checkpoints)), corruptions=args.corruptions,
        severities=args.severities,
        summary=summarise(scores, args.reference).to_dict('index'),
        corruption_errors=corruption_errors(scores, args.reference).to_dict(), scores=rows)))
    files.write_picture(folder / 'corruptions.png', draw_accuracies(
        scores, f'{source}; bar: mean over severities {levels}, line: their range; '
        f'{images} images each'))
    print(f'{page}\n{note}\n\n{folder / "corruptions.md"}, .csv, .json, .png')
