# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Many training runs: several at a time, resumed where they stopped, never done twice.

What the comparison tools share. A run has a folder; in it ``result.json`` says that it is
finished, ``scores.json`` keeps every validation, ``fingerprint.json`` what the numbers depend
on and ``train.log`` all that was printed.
"""
import contextlib
import hashlib
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

__all__ = ['Task', 'check_folder', 'cores', 'fingerprint', 'read_result', 'run_tasks', 'train_run',
           'write_json']

#: A name for messages, the run's folder, and a function with its arguments that trains there.
Task = tuple[str, Path, Callable[..., dict], tuple]


def cores() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file in one step: a kill leaves the old file or the new one, never half."""
    partial = path.with_suffix('.tmp')
    partial.write_text(json.dumps(content, indent=1))
    partial.replace(path)


def fingerprint(cfg: Any, files: Sequence[str | os.PathLike] = ()) -> dict:
    """What a run's numbers depend on, its seed aside.

    Args:
        cfg (Config): The merged config.
        files (Sequence[str]): Files it reads, known by path, size and time. Defaults to ().

    Returns:
        dict: Of strings and numbers, to compare with that of another start.
    """
    # As JSON: pretty_text takes a second a config.
    text = json.dumps(cfg.to_dict(), sort_keys=True, default=repr)
    mark: dict = {'config': hashlib.sha256(text.encode()).hexdigest()}
    for file in files:
        stat = os.stat(file)
        mark[os.path.abspath(file)] = [stat.st_size, stat.st_mtime_ns]
    return mark


def check_folder(folder: Path, mark: dict) -> None:
    """Raise where a folder holds a run of another config or other data.

    Args:
        folder (Path): Folder of one run.
        mark (dict): The :func:`fingerprint` of the run to be.

    Raises:
        ValueError: It names the folder, what differs and what to do.
    """
    if not any((folder / name).exists() for name in ('result.json', 'last_checkpoint')):
        return
    stored = folder / 'fingerprint.json'
    old = json.loads(stored.read_text()) if stored.is_file() else {}
    if old != mark:
        differing = [key for key in {**mark, **old} if old.get(key) != mark.get(key)]
        what = f'another setup (differing: {", ".join(differing)})' if old else 'an unknown setup'
        raise ValueError(f'{folder} holds a run of {what}. Train anew with --fresh, or give '
                         'another --work-dir.')


def train_run(cfg: Any, folder: Path, seed: int, metric: str, files: Sequence[str] = (),
              test: bool = False) -> dict:
    """Train one config in this process, or go on with it; its output goes to ``train.log``.

    Args:
        cfg (Config): Epoch-based and with validation; changed in place.
        folder (Path): Where the run goes.
        seed (int): Its random seed.
        metric (str): The validation metric to keep, such as ``'accuracy/top1'``.
        files (Sequence[str]): See :func:`fingerprint`. Defaults to ().
        test (bool): Evaluate the last weights on the test set too. Defaults to False.

    Returns:
        dict: ``seed``; ``images`` seen and ``scores`` at each validation; ``test``, the
        metrics on the test set; ``seconds``; ``resumed``.

    Raises:
        ValueError: If the folder holds another run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / 'train.log', 'a') as log, contextlib.redirect_stdout(log), \
            contextlib.redirect_stderr(log):
        mark = fingerprint(cfg, files)
        check_folder(folder, mark)
        write_json(folder / 'fingerprint.json', mark)
        return _train(cfg, folder, seed, metric, test)


def _train(cfg: Any, folder: Path, seed: int, metric: str, test: bool) -> dict:
    from mmengine.runner import Runner
    cfg.merge_from_dict({'randomness.seed': seed, 'work_dir': str(folder)})
    cfg.resume = (folder / 'last_checkpoint').is_file()
    start = time.time()
    runner = Runner.from_cfg(cfg)
    path = folder / 'scores.json'
    runner.register_hook(_score_keeper(path, metric), priority='LOWEST')
    runner.train()
    scores = _read_scores(path)
    epochs = [*range(runner.val_interval, runner.max_epochs, runner.val_interval),
              runner.max_epochs]
    missing = [epoch for epoch in epochs if epoch not in scores]
    if missing:
        raise RuntimeError(f'{path} has no score of the epochs {missing}: train anew, with '
                           '--fresh.')
    per_epoch = len(runner.train_dataloader.sampler)
    metrics = {key: float(value) for key, value in runner.test().items()} if test else {}
    return dict(
        seed=seed,
        images=[epoch * per_epoch for epoch in epochs],
        scores=[scores[epoch] for epoch in epochs],
        test=metrics,
        seconds=round(time.time() - start, 1),
        resumed=cfg.resume)


def _read_scores(path: Path) -> dict[int, float]:
    """Score by epoch, empty where no epoch was validated yet."""
    return {int(epoch): float(value) for epoch, value in json.loads(path.read_text()).items()
            } if path.is_file() else {}


def _score_keeper(path: Path, metric: str) -> Any:
    """A hook that keeps the score of every epoch, whatever becomes of the process."""
    from mmengine.hooks import Hook

    class ScoreKeeper(Hook):
        """Writes each validation; makes up for one that a kill has prevented."""

        def before_train(self, runner: Any) -> None:
            # A checkpoint is saved before its epoch is validated, and a resumed run goes on
            # with the next epoch, of which there is none after the last.
            epoch = runner.epoch
            due = epoch % runner.val_interval == 0 or epoch == runner.max_epochs
            if epoch and due and epoch not in _read_scores(path):
                runner.val_loop.run()

        def after_val_epoch(self, runner: Any, metrics: dict | None = None) -> None:
            write_json(path, {**_read_scores(path), runner.epoch: float((metrics or {})[metric])})

    return ScoreKeeper()


def read_result(path: Path) -> dict:
    """The stored result of a finished run."""
    result = json.loads(path.read_text())
    images, scores = result.get('images', []), result.get('scores', [])
    if len(images) != len(scores) or not scores:
        sys.exit(f'{path} has {len(scores)} scores at {len(images)} numbers of images, but each '
                 'needs the other. Train this run anew, with --fresh.')
    return result


def run_tasks(tasks: Sequence[Task], jobs: int) -> Iterator[tuple[Task, dict]]:
    """Do tasks in processes of their own, ``jobs`` at a time, and store their results.

    Args:
        tasks (Sequence[Task]): In the order in which they start.
        jobs (int): How many run at a time; the cores are shared out among them.

    Yields:
        tuple[Task, dict]: A task that is finished and its result, which is in its folder's
        ``result.json`` by then.

    Raises:
        SystemExit: When one fails, with its name and its log. Finished ones are kept.
    """
    # OMP_NUM_THREADS of the user's own wins.
    os.environ.setdefault('OMP_NUM_THREADS', str(max(1, cores() // jobs)))
    pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context('spawn'),
                               initializer=_quiet)
    waiting: list[Task] = list(tasks)
    running: dict[Any, Task] = {}
    try:
        while waiting or running:
            # No more than can run: what the pool has queued for its workers it cannot cancel.
            while waiting and len(running) < jobs:
                task = waiting.pop(0)
                running[pool.submit(_do, task)] = task
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                task = running.pop(done)
                if done.exception():
                    sys.exit(_failure(task, done.exception(), len(running)))
                yield task, done.result()
    finally:
        # Not waiting, so that a failure is reported at once.
        pool.shutdown(wait=False, cancel_futures=True)


def _do(task: Task) -> dict:
    # Stored here, in the worker: it ends its run even when another one's failure ends the tool.
    result = task[2](*task[3])
    write_json(task[1] / 'result.json', result)
    return result


def _failure(task: Task, error: BaseException | None, running: int) -> str:
    others = f' {running} running now will end first.' if running else ''
    return (f'{task[0]} failed ({error}). Log: {task[1]}/train.log. Finished runs are kept: start '
            f'again after mending it.{others}')


def _quiet() -> None:
    import warnings

    import torch
    warnings.simplefilter('ignore')
    torch.set_num_threads(int(os.environ['OMP_NUM_THREADS']))
