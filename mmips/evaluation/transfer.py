# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Does an IPS backbone transfer better? A sweep whose recipes start from other recipes' weights."""
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import mmips
from mmips.evaluation.predictions import Request
from mmips.runs import files, sweep, training
from mmips.runs.scheduling import Engine
from mmips.runs.sweep_recipes import RANDOM, Recipe, Sweep, Table
from mmips.runs.tables import Table as Texts
from mmips.runs.tables import to_markdown

STARTS = {'random': RANDOM, 'hard': 'hard label', 'ips': 'IPS 4x4'}


class Transfer(NamedTuple):
    """A task to transfer to."""
    title: str
    config: str
    metric: str
    scale: float  # Turns the metric into percent.


TASKS = {
    'camvid': Transfer('CamVid segmentation, DeepLabV3+, mIoU %',
                       'seg/deeplabv3plus_{network}_ips_camvid.py', 'mIoU', 1),
    'bccd': Transfer('BCCD detection, SSD300, mAP %',
                     'det/ssd300_{network}_ips_bccd.py', 'pascal_voc/mAP', 100),
}


def config_of(task: str, network: str) -> str:
    """The config of a task on a network, as ``mmips.cfg`` takes it."""
    return TASKS[task].config.format(network='r18-w16' if network == 'resnet18-w16' else 'r50')


def transfer_sweep(network: str, roots: Mapping[str, Path], seeds: Sequence[int],
                   options: Mapping[str, Any]) -> Sweep:
    """Both pretrainings, and every task from every start."""
    recipes = [Recipe(name=STARTS[start], folder=f'pretrain/{start}',
                      config=mmips.cfg(f'ips/{network}_{start}_npz.py'))
               for start in ('hard', 'ips')]
    for task, root in roots.items():
        # One process a core: workers would only take turns with it. The last weights are what is
        # reported; the best on the validation set are not kept.
        every = {'dataset.data_root': str(root.resolve()), 'num_workers': 0,
                 'persistent_workers': False}
        own = {**{f'{part}_dataloader.{key}': value for part in ('train', 'val', 'test')
                  for key, value in every.items()}, **options,
               'default_hooks.checkpoint.save_best': None,
               'default_hooks.checkpoint.max_keep_ckpts': 1}
        recipes += [Recipe(name=f'{TASKS[task].title}, from {name}', folder=f'{task}/{start}',
                           config=mmips.cfg(config_of(task, network)), options=own, start=name,
                           metric=TASKS[task].metric) for start, name in STARTS.items()]
    return Sweep(title='Transfer', recipes=tuple(recipes), seeds=tuple(seeds), curves=True,
                 table=Table(seeds=True))


def compare_transfer(found: Sweep, work_dir: Path, engine: Engine, fresh: bool = False) -> None:
    """Pretrain, transfer, compare in tables and pictures, and print where they are."""
    results = sweep.train_recipes(found, found.recipes, work_dir, engine, retry=True, fresh=fresh,
                                  write=write_table)
    pretraining = tuple(recipe.but(folder=Path(recipe.folder).name)
                        for recipe in found.recipes if not recipe.start)
    sweep.report(found.but(title='Pretraining', recipes=pretraining), results,
                 work_dir / 'pretrain')
    print(write_table(found, results, work_dir))
    sweep.check_failures(found, found.recipes, results, work_dir)
    for task in {Path(recipe.folder).parent.name: None for recipe in found.recipes if recipe.start}:
        _draw(work_dir, task, found.seeds[0])
    print(f'\nPictures and per-class tables: {work_dir}/*_predictions/, runs: '
          f'{work_dir}/*/*/seed*/')


def _draw(work_dir: Path, task: str, seed: int) -> None:
    """Draw ground truth and one seed's predictions of a task from all starts, side by side."""
    from mmips.evaluation.segdet import compare_predictions
    folders = {start: work_dir / task / start / f'seed{seed}' for start in STARTS}
    compare_predictions(Request(
        config=str(next(folders['ips'].glob('*.py'))), names=list(STARTS.values()),
        checkpoints=[str(training.last_checkpoint(folder)) for folder in folders.values()],
        out=work_dir / f'{task}_predictions', baseline=STARTS['hard'], images=(), num=4,
        score_thr=0.3))


def _rows(found: Sweep, results: Mapping) -> Iterator[tuple]:
    """What was trained, its start, the seed, the score in percent, images seen and seconds."""
    for recipe in found.recipes:
        part, start = recipe.folder.split('/')
        for seed in found.seeds:
            result = results.get((recipe.name, seed), {'failed': ''})
            if 'failed' not in result:
                title, score = ('pretraining, top-1 %', result['scores'][-1]) if (
                    part == 'pretrain') else (
                    TASKS[part].title, TASKS[part].scale * result['test'][TASKS[part].metric])
                yield title, start, seed, score, result['images'][-1], result['seconds']


def write_table(found: Sweep, results: Mapping, work_dir: Path) -> str:
    """Write ``results.csv`` and ``results.md``; returns the Markdown."""
    import pandas as pd
    frame = pd.DataFrame(list(_rows(found, results)), columns=[
        'what', 'start', 'seed', 'score', 'images_seen', 'seconds'])
    work_dir.mkdir(parents=True, exist_ok=True)
    files.write_csv(work_dir / 'results.csv', frame, (
        [*row[:3], f'{row.score:.2f}', *row[4:]] for row in frame.itertuples(index=False)))
    table = Texts('', ['', 'start', 'images seen', 'seeds', 'mean ± std', 'above hard label'], 2)
    for (title, start), runs in frame.groupby(['what', 'start'], sort=False):
        scores = runs.set_index('seed').score
        hard = frame[(frame.what == title) & (frame.start == 'hard')].set_index('seed').score
        table.rows.append([
            title, STARTS[start], f'{runs.images_seen.iloc[0]:,}',
            ', '.join(f'{seed}: {score:.2f}' for seed, score in scores.items()),
            _mean_std(scores), '' if start == 'hard' else _mean_std(
                (scores - hard)[scores.index.intersection(hard.index)])])
    text = to_markdown('What a backbone transfers', [table])
    files.write_text(work_dir / 'results.md', text)
    return text


def _mean_std(values: Any) -> str:
    """Mean and, of two values or more, the sample standard deviation; NaN with any NaN."""
    return ' ± '.join(f'{function(skipna=False):.2f}'
                      for function in (values.mean, values.std)[:len(values)])
