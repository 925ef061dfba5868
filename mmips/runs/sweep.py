# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Train the cells of a sweep, each with every seed, and collect what comes out.

The YAML format is told in :mod:`mmips.runs.sweep_file`. A sweep has a folder; a run of it is in
``CELL/seedK``, with what :mod:`mmips.runs.training` keeps and the checkpoints ``epoch_N.pth``.
"""
import contextlib
import copy
import csv
import io
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mmips.config import loading, sources
from mmips.config.options import merge_options
from mmips.runs import files, fingerprints, training
from mmips.runs.sweep_file import Cell, Sweep, choose_cells, read_sweep
from mmips.runs.sweep_tables import make_tables
from mmips.runs.tables import to_latex, to_markdown

__all__ = ['Cell', 'Results', 'Sweep', 'check_cells', 'choose_cells', 'collect', 'draw_results',
           'folder_of', 'load_cell', 'prepare_folders', 'read_sweep', 'report', 'run_cells',
           'train_cell', 'train_cells', 'write_results']

#: Of each run that has ended, by the name of its cell and its seed: what ``train_run`` returns,
#: or ``dict(failed='why')``.
Results = dict[tuple[str, int], dict]


def check_cells(sweep: Sweep, cells: Sequence[Cell], data: bool = True) -> dict[str, dict]:
    """Read every config, check what can be checked before the training.

    Args:
        sweep (Sweep): Where the cells are from.
        cells (Sequence[Cell]): Those to train.
        data (bool): Also check that data sets, checkpoints and the metric are there. Defaults
            to True.

    Returns:
        dict[str, dict]: The fingerprint of each cell by its name.

    Raises:
        FileNotFoundError: Data is missing; it says which and where it is to be got.
        ValueError: Of a cell whose options do not fit its config, and of a metric that is none.
    """
    configs: dict[str, Any] = {}
    marks, evaluators = {}, set()
    for cell in cells:
        if cell.config not in configs:
            configs[cell.config] = _read_config(cell.config)
        cfg = load_cell(cell, sweep.curves, configs[cell.config])
        _check_kind(cell, cfg, sweep)
        if data:
            fields = 'train_dataloader', 'val_dataloader', 'test_dataloader'
            sources.check_paths(cfg, fields)
            _download(cfg, fields)
            evaluator = repr((cfg.val_evaluator, cfg.test_evaluator))
            if evaluator not in evaluators:
                _check_metric(cell, cfg, sweep.metric)
                evaluators.add(evaluator)
        marks[cell.name] = fingerprints.fingerprint(cfg, data_files(cfg))
    return marks


def _read_config(path: str) -> Any:
    # mmengine announces the variables of a config; each run's own log has that too.
    with contextlib.redirect_stdout(io.StringIO()):
        return loading.load_config(path)


def load_cell(cell: Cell, curves: bool = False, cfg: Any = None) -> Any:
    """The config of a cell.

    Args:
        cell (Cell): The cell.
        curves (bool): Validate about twelve times, unless its options say how often. Defaults
            to False.
        cfg (Config, optional): Its config without options, where it has been read already; not
            changed. Defaults to None.

    Raises:
        ValueError: If the config cannot be read, or the options do not fit it.
    """
    cfg = copy.deepcopy(cfg) if cfg is not None else _read_config(cell.config)
    try:
        merge_options(cfg, cell.options)
    except ValueError as error:
        raise ValueError(f'cell {cell.name} ({cell.config}): {error}') from error
    if curves and 'train_cfg.val_interval' not in cell.options:
        cfg.train_cfg.val_interval = max(1, cfg.train_cfg.max_epochs // 12)
    return cfg


def data_files(cfg: Any) -> list[str]:
    """The data file of a config that reads one."""
    return [cfg.npz_file] if cfg.get('npz_file') else []


def _check_kind(cell: Cell, cfg: Any, sweep: Sweep) -> None:
    needed = {f'{split}_dataloader' for split in ('train', 'val', *sweep.evaluate)}
    missing = sorted(key for key in {*needed, 'val_evaluator', 'test_evaluator'}
                     if not cfg.get(key))
    if missing:
        raise ValueError(f'cell {cell.name} ({cell.config}) has no {", ".join(missing)}.')
    if not cfg.train_cfg.get('max_epochs'):
        raise ValueError(f'cell {cell.name} ({cell.config}) is not trained in epochs '
                         '(train_cfg.max_epochs), which a sweep needs.')


def _download(cfg: Any, fields: tuple[str, ...]) -> None:
    """Fetch data sets that fetch themselves, once: runs side by side would get in their way."""
    from mmengine.registry import DATASETS, init_default_scope
    pending = sources.pending_downloads(cfg, fields)
    if pending:
        init_default_scope(cfg.get('default_scope', 'mmengine'))
    for _, data, _ in pending:
        try:
            DATASETS.build(copy.deepcopy(data))
        except Exception as error:
            raise FileNotFoundError(f'{sources.advise(pending)}\n  (the download failed: '
                                    f'{error})') from error


def _check_metric(cell: Cell, cfg: Any, metric: str) -> None:
    """Raise if a classifier's evaluation would not have the metric.

    Other toolboxes' metrics need whole images; theirs is found missing at the first validation.
    """
    number = (cfg.model.get('head') or {}).get('num_classes')
    if cfg.get('default_scope') != 'mmpretrain' or not isinstance(number, int):
        return
    import torch
    from mmengine.evaluator import Evaluator
    from mmengine.registry import init_default_scope
    from mmpretrain.structures import DataSample
    init_default_scope('mmpretrain')
    labels = range(min(number, 8))
    samples = [DataSample(num_classes=number).set_gt_label(label).set_pred_label(0)
               .set_pred_score(torch.full((number, ), 1 / number)) for label in labels]
    for key in ('val_evaluator', 'test_evaluator'):
        evaluator = Evaluator(copy.deepcopy(cfg[key]))
        evaluator.dataset_meta = dict(classes=[str(label) for label in range(number)])
        evaluator.process(samples)
        names = sorted(evaluator.evaluate(len(samples)))
        if metric not in names:
            raise ValueError(f'metric: {metric!r} is not among the results of the {key} of cell '
                             f'{cell.name}, which are {", ".join(names)}.')


def train_cell(sweep: Sweep, cell: Cell, folder: Path, seed: int) -> dict:
    """Train one cell with one seed in this process, or go on with it.

    Returns:
        dict: That of :func:`mmips.runs.training.train_run`.
    """
    cfg = load_cell(cell, sweep.curves)
    return training.train_run(cfg, folder, seed, sweep.metric, data_files(cfg), sweep.evaluate)


def folder_of(work_dir: Path, cell: Cell, seed: int) -> Path:
    """Where a cell is trained with a seed."""
    return work_dir / cell.folder / f'seed{seed}'


def collect(sweep: Sweep, work_dir: Path) -> Results:
    """The runs of a sweep that have ended, in the order of its cells.

    Args:
        sweep (Sweep): Whose cells and seeds are looked for.
        work_dir (Path): The sweep's folder.
    """
    results = {}
    for cell in sweep.cells:
        for seed in sweep.seeds:
            folder = folder_of(work_dir, cell, seed)
            path = folder / 'result.json'
            result = training.read_result(path) if path.is_file() else {}
            # One that was not evaluated everywhere goes on from its last weights.
            if set(sweep.evaluate) <= set(result):
                results[cell.name, seed] = result
            elif (folder / 'failure.json').is_file():
                results[cell.name, seed] = json.loads((folder / 'failure.json').read_text())
    return results


def prepare_folders(sweep: Sweep, cells: Sequence[Cell], marks: Mapping[str, dict],
                    work_dir: Path, retry: bool = False, fresh: bool = False) -> None:
    """Remove what is to be forgotten, and refuse runs of another config or other data.

    Args:
        sweep (Sweep): Its seeds.
        cells (Sequence[Cell]): Those to train.
        marks (dict): Of :func:`check_cells`.
        work_dir (Path): The sweep's folder.
        retry (bool): Forget failures. Defaults to False.
        fresh (bool): Forget everything. Defaults to False.

    Raises:
        ValueError: It names the folder.
    """
    folders = [(cell, folder_of(work_dir, cell, seed)) for cell in cells for seed in sweep.seeds]
    if not fresh:
        for cell, folder in folders:
            training.check_folder(folder, marks[cell.name])
    for cell, folder in folders:
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        # What another setup has failed at says nothing about this one.
        elif retry or not training.same_setup(folder, marks[cell.name]):
            (folder / 'failure.json').unlink(missing_ok=True)


def run_cells(sweep: Sweep, cells: Sequence[Cell], work_dir: Path, jobs: int,
              devices: Sequence[str] = ()) -> Iterator[tuple[Cell, int, dict]]:
    """Train what has not ended yet, all cells with the first seed before the next seed.

    Args:
        sweep (Sweep): Where the cells are from.
        cells (Sequence[Cell]): Those to train.
        work_dir (Path): The sweep's folder.
        jobs (int): See :func:`mmips.runs.training.run_tasks`, as for ``devices``.
        devices (Sequence[str]): Defaults to ().

    Yields:
        tuple[Cell, int, dict]: A cell that has ended, its seed, and its result or
        ``dict(failed='why')``.
    """
    done = collect(sweep, work_dir)
    # Seeds outside: an interrupted comparison is still a comparison.
    todo = [(cell, seed) for seed in sweep.seeds for cell in cells if (cell.name, seed) not in done]
    tasks: dict[Path, tuple[Cell, int]] = {
        folder_of(work_dir, cell, seed): (cell, seed) for cell, seed in todo}
    started = training.run_tasks([(cell.name, folder, train_cell, (sweep, cell, folder, seed))
                              for folder, (cell, seed) in tasks.items()],
                             jobs, devices, keep_going=True)
    with contextlib.closing(started):
        for (_, folder, *_), result in started:
            yield *tasks[folder], result


def train_cells(sweep: Sweep, cells: Sequence[Cell], work_dir: Path, jobs: int,
                devices: Sequence[str] = (), retry: bool = False, fresh: bool = False) -> None:
    """Check everything, then train what is missing; each end is told and the tables written.

    Args:
        sweep (Sweep): Where the cells are from.
        cells (Sequence[Cell]): Those to train.
        work_dir (Path): The sweep's folder.
        jobs (int): See :func:`mmips.runs.training.run_tasks`, as for ``devices``.
        devices (Sequence[str]): Defaults to ().
        retry (bool): Train what has failed again. Defaults to False.
        fresh (bool): Forget what is there of these cells. Defaults to False.

    Raises:
        FileNotFoundError, ValueError: Of :func:`check_cells` and :func:`prepare_folders`.
        SystemExit: When it is interrupted; it says that the same command goes on.
    """
    # The tables have the others too, so what they hold must be of this sweep.
    others = [cell for cell in sweep.cells if cell not in cells]
    prepare_folders(sweep, others, check_cells(sweep, others, data=False), work_dir)
    prepare_folders(sweep, cells, check_cells(sweep, cells), work_dir, retry, fresh)
    results = collect(sweep, work_dir)
    todo = sum((cell.name, seed) not in results for cell in cells for seed in sweep.seeds)
    start = time.time()
    try:
        ended = run_cells(sweep, cells, work_dir, jobs, devices)
        for number, (cell, seed, result) in enumerate(ended, 1):
            results[cell.name, seed] = result
            write_results(sweep, results, work_dir)
            left = (time.time() - start) / number * (todo - number) / 60
            what = f'failed: {result["failed"]}' if 'failed' in result else (
                f'{sweep.metric} {result[sweep.evaluate[0]][sweep.metric]:.2f} in '
                f'{result["seconds"]:.0f} s')
            print(f'[{number}/{todo}] {cell.name}, seed {seed}: {what}; about {left:.0f} min left',
                  flush=True)
    except KeyboardInterrupt:
        sys.exit(f'\nInterrupted. Finished runs are kept in {work_dir}, the others resume '
                 'with the same command.')


def report(sweep: Sweep, cells: Sequence[Cell], work_dir: Path) -> Results:
    """Write and print the tables and draw the pictures of all cells.

    Args:
        sweep (Sweep): Where the cells are from.
        cells (Sequence[Cell]): Those whose failures are told.
        work_dir (Path): The sweep's folder.

    Returns:
        Results: What has ended, of all cells.

    Raises:
        SystemExit: If one of the chosen cells has failed, with its log.
    """
    results = collect(sweep, work_dir)
    print(write_results(sweep, results, work_dir))
    pictures = draw_results(sweep, results, work_dir)
    print(f'In {work_dir}: {", ".join(["results.csv, .json, .md, .tex", *pictures])}')
    failed = [(cell, seed) for cell in cells for seed in sweep.seeds
              if 'failed' in results.get((cell.name, seed), {})]
    for cell, seed in failed:
        print(f'{cell.name}, seed {seed}, failed ({results[cell.name, seed]["failed"]}). Log: '
              f'{folder_of(work_dir, cell, seed)}/train.log', file=sys.stderr)
    if failed:
        print('The others are finished. After mending it start again; sweep.py needs '
              '--retry-failed.', file=sys.stderr)
        sys.exit(1)
    return results


def write_results(sweep: Sweep, results: Results, work_dir: Path) -> str:
    """Write ``results.csv``, ``.json``, ``.md``, ``.tex`` and ``times.csv``; returns the Markdown.

    ``results.csv`` has a row a run in the order of the cells and seeds, and nothing in it that
    depends on when or how often a run was started.

    Args:
        sweep (Sweep): Where the results are from.
        results (Results): What has ended so far; failures have no row.
        work_dir (Path): Where to.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    ordered = [(cell, seed, results[cell.name, seed]) for cell in sweep.cells
               for seed in sweep.seeds if (cell.name, seed) in results]
    finished = [one for one in ordered if 'failed' not in one[2]]
    metrics = dict.fromkeys((split, key) for split in sweep.evaluate for _, _, result in finished
                            for key in result[split])
    best = min if sweep.lower else max
    _write_csv(work_dir / 'results.csv', [
        ['cell', *sweep.axes, 'seed', *(f'{split}_{key}' for split, key in metrics),
         'images_seen', 'epochs', 'best_validation'],
        *([cell.name, *(cell.axes.get(axis, '') for axis in sweep.axes), seed,
           *(_number(result[split].get(key)) for split, key in metrics), result['images'][-1],
           result['epochs'], _number(best(result['scores']))] for cell, seed, result in finished)])
    _write_csv(work_dir / 'times.csv', [
        ['cell', 'seed', 'seconds', 'resumed'],
        *([cell.name, seed, result['seconds'], result['resumed']]
          for cell, seed, result in finished)])
    files.write_json(work_dir / 'results.json', dict(
        sweep=asdict(sweep), results=[dict(cell=cell.name, **{'seed': seed, **result})
                                      for cell, seed, result in ordered]))
    tables = make_tables(sweep, results)
    text = to_markdown(sweep.title, tables)
    _write(work_dir / 'results.md', text)
    _write(work_dir / 'results.tex', to_latex(sweep.title, tables))
    return text


def _number(value: float | None) -> str:
    # As many digits as single precision has: 50.70000076 was 50.7.
    return '' if value is None else f'{value:.7g}'


def draw_results(sweep: Sweep, results: Results, work_dir: Path) -> list[str]:
    """Draw the pictures that the sweep asks for; returns the names of those there are."""
    from mmips.visualization.sweep import draw_curves, draw_heatmaps
    wanted = {'heatmaps.png': (bool(sweep.heatmaps), draw_heatmaps),
              'curves.png': (sweep.curves, draw_curves)}
    return [name for name, (asked, draw) in wanted.items()
            if asked and draw(sweep, results, work_dir / name)]


def _write_csv(path: Path, rows: Sequence[Sequence[Any]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows(rows)
    _write(path, text.getvalue())


def _write(path: Path, text: str) -> None:
    partial = path.with_suffix(f'{path.suffix}.part')
    partial.write_text(text, encoding='utf-8')
    os.replace(partial, path)
