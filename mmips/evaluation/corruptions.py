# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Robustness to corruptions: Tables 10 and 11 of the IPS paper.

Hendrycks and Dietterich, https://arxiv.org/abs/1903.12261. Scores are a DataFrame of accuracies in
percent: a column for each network, a row for each (corruption, severity), first ('clean', 0).
"""
import copy
import importlib.metadata
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmips.config import colours, sources
from mmips.datasets.cifar_c_dataset import read_cifar_c
from mmips.errors import UserError
from mmips.evaluation import predictions
from mmips.functional.corruptions import check_severity, expand_corruptions
from mmips.runs import files
from mmips.runs.tables import Table, to_markdown
from mmips.visualization import denormalize

_LIBRARY = 'imagecorruptions-imaug'
CLEAN = ('clean', 0)


def eval_corruptions(request: predictions.Request) -> pd.DataFrame:
    """Do what ``tools/analysis_tools/eval_corruptions.py`` is asked for; returns the scores.

    What is finished is kept in ``corruptions_done.json``, from which the same call goes on.
    """
    _check_options(request)
    cfg = predictions.load_classifier_config(request)
    _draw_examples(cfg, request)  # First, for it meets whatever is wrong with the images.
    counts = _count_images(cfg, request)
    scores = pd.DataFrame({name: {condition: 100 * correct / images for condition, (
        correct, images) in found.items()} for name, found in counts.items()})
    _write(scores, counts, request)
    return scores


def _check_options(request: predictions.Request) -> None:
    """Refuse what cannot be before any work, and fill in what follows from other options."""
    request.reference = request.reference or request.names[0]
    request.corruptions = expand_corruptions(request.corruptions)
    request.severities = sorted({check_severity(number) for number in request.severities})
    if request.reference not in request.names:
        raise UserError(f'--reference must be one of {request.names}, got {request.reference!r}.')
    if request.cifar_c and (request.split == 'train' or request.where != 'packed'):
        raise UserError('--cifar-c holds test images that are corrupted already: leave out --split '
                        'train and --where.')
    for corruption in request.corruptions if request.cifar_c else ():
        read_cifar_c(request.cifar_c, corruption)


def _describe_source(request: predictions.Request) -> tuple[str, str]:
    """Where the corrupted images come from: in a few words, and what their severities mean."""
    if request.cifar_c:
        name = Path(request.cifar_c).absolute().name
        return f'{name} files', f'Severities: those of the files in {name}.'
    place = ('after resizing and cropping, as the network gets them' if request.where == 'packed'
             else 'as loaded, before resizing and cropping')
    version = importlib.metadata.version(_LIBRARY)
    return (f"imagecorruptions {version}, ImageNet-C's severities",
            f"Severities: ImageNet-C's, imagecorruptions {version}. Those of CIFAR-10-C and "
            'CIFAR-100-C are milder: these numbers do not compare with numbers on them. Images '
            f'corrupted {place}; seed {request.seed}.')


def corrupt_split(cfg: Any, request: predictions.Request, condition: tuple[str, int]) -> Any:
    """The config, or a copy whose split has corrupted images or those of ``--cifar-c``."""
    if condition == CLEAN:
        return cfg
    cfg = copy.deepcopy(cfg)
    loader = cfg[f'{request.split}_dataloader']
    datasets = [dataset for _, dataset in sources.iter_datasets(loader.dataset, '')]
    settings = dict(corruption=condition[0], severity=condition[1],
                    channel_order=colours.pipeline_order(cfg, request.split))
    if request.cifar_c:
        loader.dataset = dict(
            type='mmips.CIFARCDataset', data_root=request.cifar_c, **settings,
            pipeline=[step for step in datasets[0].get('pipeline', [])
                      if not sources.type_name(step).startswith('Load')],
            max_classes=datasets[0].get('max_classes'))
        return cfg
    for dataset in datasets:
        step = dict(type='mmips.CorruptImage', seed=request.seed, **settings)
        dataset['pipeline'] = insert_step(dataset.get('pipeline', []), step, request.where)
    return cfg


def insert_step(pipeline: Sequence[dict], step: dict, where: str) -> list[dict]:
    """The pipeline with the step behind loading ('loaded') or before packing ('packed')."""
    names = [sources.type_name(part) for part in pipeline]
    if where == 'packed' and 'PackInputs' not in names:
        raise UserError('The pipeline of the split has no PackInputs before which images could be '
                        f'corrupted, only {", ".join(names) or "nothing"}. Give --where loaded.')
    place = (names.index('PackInputs') if where == 'packed' else max(
        (number for number, name in enumerate(names, 1) if name.startswith('Load')), default=0))
    return [*pipeline[:place], step, *pipeline[place:]]


def _draw_examples(cfg: Any, request: predictions.Request) -> None:
    """Draw the image in the middle of the split: mildest, middle and strongest severity."""
    from mmips.visualization.corruptions import draw_examples
    levels = request.severities
    images: dict[str, dict[int, np.ndarray]] = {}
    for corruption, severity in [CLEAN, *itertools.product(request.corruptions, sorted(
            {levels[0], levels[len(levels) // 2], levels[-1]}))]:
        found = request.build_loader(corrupt_split(cfg, request, (corruption, severity))).dataset
        images.setdefault(corruption, {})[severity] = denormalize(
            found[len(found) // 2]['inputs'][None],
            order=colours.pipeline_order(cfg, request.split))[0]
    original = images.pop('clean')[0]
    height, width = original.shape[:2]
    files.write_picture(Path(request.out, 'corruption_examples.png'), draw_examples(
        original, images,
        f'{_describe_source(request)[0]}; {width} x {height} pixels for the network'))


def _count_images(cfg: Any, request: predictions.Request) -> dict[str, dict]:
    """Correct and all images, by network and condition, the clean images first."""
    library = '' if request.cifar_c else importlib.metadata.version(_LIBRARY)
    keys = {(name, condition): request.key(
        corrupt_split(cfg, request, condition), path, library=library)
        for condition in itertools.product(request.corruptions, request.severities)
        for name, path in request.paths.items()}
    counts: dict = {name: {CLEAN: (int(found.right.sum()), len(found.right))}
                    for name, found in request.predict(cfg).items()}
    path = Path(request.out, 'corruptions_done.json')
    done = files.read_results(path)
    missing = {condition: names for _, condition in keys if (
        names := [name for name in request.names if keys[name, condition] not in done])}
    if missing:
        # One for each checkpoint: all see the same images, which are corrupted once.
        model = predictions.build_model(cfg, request.device)
        models = {name: copy.deepcopy(model)
                  for name in predictions.each_checkpoint(model, request.paths)}
    for condition, names in missing.items():
        loader = request.build_loader(corrupt_split(cfg, request, condition))
        found = _count_correct({name: models[name] for name in names}, loader,
                               f'{condition[0]} {condition[1]}')
        done.update({keys[name, condition]: count for name, count in found.items()})
        files.write_json(path, done)
    for (name, condition), key in keys.items():
        counts[name][condition] = done[key]
    return counts


def _count_correct(models: Mapping[str, Any], loader: Any, title: str
                   ) -> dict[str, tuple[int, int]]:
    """How many images each model classifies correctly, and of how many; one pass for all."""
    import torch
    correct = dict.fromkeys(models, 0)
    with torch.no_grad():
        for batch in predictions.iter_batches(loader, title):
            for name, model in models.items():
                samples = model.test_step(batch)
                predictions.check_labels([sample.gt_label for sample in samples],
                                         samples[0].pred_score.numel())
                correct[name] += sum(int(sample.pred_score.argmax()) == int(sample.gt_label)
                                     for sample in samples)
    return {name: (number, len(loader.dataset)) for name, number in correct.items()}


def corruption_errors(scores: pd.DataFrame, reference: str, relative: bool = False
                      ) -> pd.DataFrame:
    """CE of each corruption: errors summed over severities, in percent of the reference's.

    Their mean is the mean corruption error, mCE. Section 4.2 of Hendrycks and Dietterich, whose
    reference is AlexNet. NaN where the reference makes no error. ``relative``: of what errors
    exceed those on clean images.
    """
    errors = (scores.loc[CLEAN] if relative else 100) - scores.drop(index=CLEAN)
    sums = errors.groupby(level=0, sort=False).sum()
    # Above rounding: accuracies are quotients of small numbers.
    return 100 * sums.div(sums[reference].where(sums[reference] > 1e-9), axis=0)


def summarise(scores: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Means of each network; mCEs over the corruptions where they are defined, NaN if nowhere."""
    return pd.DataFrame(dict(
        clean=scores.loc[CLEAN], accuracy=scores.drop(index=CLEAN).mean(),
        mce=corruption_errors(scores, reference).mean(),
        relative_mce=corruption_errors(scores, reference, relative=True).mean()))


def corruption_tables(scores: pd.DataFrame, reference: str) -> list[Table]:
    """Tables as the IPS paper's Table 11: errors by corruption, means, accuracy by severity."""
    means = summarise(scores, reference)
    errors = 100 - scores.groupby(level=0, sort=False).mean()
    errors.loc['mean of the corruptions'] = 100 - means.accuracy
    levels = scores.drop(index=CLEAN).groupby(level=1).mean().rename('severity {}'.format)
    means = means.drop(columns='clean').rename(columns=dict(
        accuracy='accuracy %, higher is better', mce='mCE %, lower is better',
        relative_mce='relative mCE %, lower is better'))
    return [_table('error %, lower is better', errors),
            _table(f'all {len(errors) - 2} corruptions', means.T),
            _table('accuracy %, higher is better', levels)]


def _table(title: str, values: pd.DataFrame) -> Table:
    """Percent with two digits; the best of a row is in bold where there are several."""
    shown = values.round(2)
    texts = shown.map('{:.2f}'.format).replace('nan', '\u2013')
    table = Table('', [title, *shown], 1, texts.reset_index().values.tolist())
    for number, (label, row) in enumerate(shown.iterrows()):
        best = row.max() if 'higher is better' in f'{title} {label}' else row.min()
        table.bold |= {(number, place) for place, value in enumerate(row, 1)
                       if value == best and len(row) > 1}
    return table


def _write(scores: pd.DataFrame, counts: Mapping, request: predictions.Request) -> None:
    """Write tables and picture."""
    from mmips.visualization.corruptions import draw_accuracies
    source, severities = _describe_source(request)
    rows = [dict(checkpoint=name, corruption=condition[0], severity=condition[1], images=images,
                 accuracy=round(100 * correct / images, 4), source=source)
            for name, found in counts.items() for condition, (correct, images) in found.items()]
    images, levels = rows[-1]['images'], ', '.join(map(str, request.severities))
    note = (f'{Path(request.config).name}, {request.split} split, {images} images for each '
            f'corruption and severity ({levels}). {severities} mCE: errors summed over severities '
            f'relative to those of {request.reference}, mean over the corruptions.')
    page = to_markdown('Accuracy under corruptions', corruption_tables(scores, request.reference))
    predictions.write(request.out, 'corruptions', f'{page}\n{note}\n', rows, dict(
        config=request.config, split=request.split, source=source, note=note, seed=request.seed,
        where=None if request.cifar_c else request.where, reference=request.reference,
        checkpoints=request.paths, corruptions=request.corruptions,
        severities=request.severities,
        summary=summarise(scores, request.reference).to_dict('index'),
        metrics=(100 - scores.groupby(level=0).mean()).rename('corruptions/error_{}'.format).T
        .assign(**{'corruptions/accuracy': scores.drop(index=CLEAN).mean()}).T.to_dict(),
        corruption_errors=corruption_errors(scores, request.reference).to_dict(), scores=rows),
        corruptions=draw_accuracies(scores, f'{source}; bar: mean over severities {levels}, line: '
                                    f'their range; {images} images each'))
