# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Many training runs: several at a time, resumed where they stopped, never done twice.

What the comparison tools share. A run has a folder; in it ``result.json`` says that it is
finished, ``failure.json`` why it failed, ``scores.json`` keeps every validation,
``fingerprint.json`` what the numbers depend on and ``train.log`` all that was printed.
"""
import contextlib
import copy
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from mmips.config import splits
from mmips.runs import loaders
from mmips.runs.files import write_json
from mmips.runs.fingerprints import fingerprint

__all__ = ['Task', 'check_folder', 'cores', 'read_result', 'run_tasks', 'same_setup',
           'train_run']

#: A name for messages, the run's folder, and a function with its arguments that trains there.
Task = tuple[str, Path, Callable[..., dict], tuple]
_DEVICE = 'CUDA_VISIBLE_DEVICES'


def cores() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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
    old = _stored_mark(folder)
    if old != mark:
        differing = [key for key in {**mark, **old} if old.get(key) != mark.get(key)]
        what = f'another setup (differing: {", ".join(differing)})' if old else 'an unknown setup'
        raise ValueError(f'{folder} holds a run of {what}. Train anew with --fresh, or give '
                         'another --work-dir.')


def same_setup(folder: Path, mark: dict) -> bool:
    """Whether the last run of a folder, finished or not, had this :func:`fingerprint`."""
    return _stored_mark(folder) == mark


def _stored_mark(folder: Path) -> dict:
    stored = folder / 'fingerprint.json'
    return json.loads(stored.read_text()) if stored.is_file() else {}


def train_run(cfg: Any, folder: Path, seed: int, metric: str, files: Sequence[str] = (),
              evaluate: Sequence[str] = ()) -> dict:
    """Train one config in this process, or go on with it; its output goes to ``train.log``.

    Args:
        cfg (Config): Epoch-based and with validation; changed in place.
        folder (Path): Where the run goes.
        seed (int): Its random seed.
        metric (str): The validation metric to keep, such as ``'accuracy/top1'``.
        files (Sequence[str]): See :func:`fingerprint`. Defaults to ().
        evaluate (Sequence[str]): Where the last weights are evaluated by the config's
            ``test_evaluator``: 'test', 'val', 'train' (training images come through the test
            pipeline). Defaults to ().

    Returns:
        dict: ``seed``; ``epochs``; ``images`` seen and ``scores`` at each validation; the
        metrics of each of ``evaluate`` by its name; ``seconds``; ``resumed``.

    Raises:
        ValueError: If the folder holds another run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / 'train.log', 'a') as log, contextlib.redirect_stdout(log), \
            contextlib.redirect_stderr(log):
        mark = fingerprint(cfg, files)
        check_folder(folder, mark)
        write_json(folder / 'fingerprint.json', mark)
        try:
            return _train(cfg, folder, seed, metric, evaluate)
        finally:
            _close_logs()


def _close_logs() -> None:
    # mmengine's logger outlives its Runner, and would write the next run's first lines to
    # this one's closed log.
    from mmengine.logging import MMLogger
    logger = MMLogger.get_current_instance()
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()


def _train(cfg: Any, folder: Path, seed: int, metric: str, evaluate: Sequence[str]) -> dict:
    from mmengine.runner import Runner
    cfg.merge_from_dict({'randomness.seed': seed, 'work_dir': str(folder)})
    cfg.resume = _can_resume(folder)
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
    metrics = {split: _evaluate(runner, cfg, split) for split in evaluate}
    return dict(
        seed=seed,
        epochs=runner.max_epochs,
        images=[epoch * per_epoch for epoch in epochs],
        scores=[scores[epoch] for epoch in epochs],
        **metrics,
        seconds=round(time.time() - start, 1),
        resumed=cfg.resume)


def _can_resume(folder: Path) -> bool:
    """Whether there is a last checkpoint; mends its name where a kill has fallen between both."""
    pointer = folder / 'last_checkpoint'
    name = Path(pointer.read_text()).name if pointer.is_file() else ''
    if not name and pointer.is_file():
        # Its text was due: the newest file is whole, for it is saved before.
        saved = sorted(folder.glob('*.pth'), key=lambda path: path.stat().st_mtime_ns)
        name = saved[-1].name if saved else ''
        pointer.write_text(str(folder / name) if name else '')
    return bool(name) and (folder / name).is_file()


def _evaluate(runner: Any, cfg: Any, split: str) -> dict[str, float]:
    """The metrics of a trained model on a split."""
    from mmengine.runner import TestLoop

    cfg = copy.deepcopy(cfg)
    splits.prepare_split(cfg, split, str(cfg.filename))
    settings = {key: value for key, value in (cfg.get('test_cfg') or {}).items() if key != 'type'}
    loop = TestLoop(runner, dataloader=loaders.build_loader(cfg, split),
                    evaluator=runner.build_evaluator(cfg.test_evaluator), **settings)
    return {key: float(value) for key, value in loop.run().items()}


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
            metrics = metrics or {}
            if metric not in metrics:
                raise ValueError(f'There is no metric {metric!r} among {sorted(metrics)}.')
            write_json(path, {**_read_scores(path), runner.epoch: float(metrics[metric])})

    return ScoreKeeper()


def read_result(path: Path) -> dict:
    """The stored result of a finished run."""
    result = json.loads(path.read_text())
    images, scores = result.get('images', []), result.get('scores', [])
    if len(images) != len(scores) or not scores:
        sys.exit(f'{path} has {len(scores)} scores at {len(images)} numbers of images, but each '
                 'needs the other. Train this run anew, with --fresh.')
    return result


def run_tasks(tasks: Sequence[Task], jobs: int, devices: Sequence[str] = (),
              keep_going: bool = False) -> Generator[tuple[Task, dict], None, None]:
    """Do tasks in processes of their own, several at a time, and store their results.

    Args:
        tasks (Sequence[Task]): In the order in which they start.
        jobs (int): How many run at a time, on each device where there are devices; the cores
            are shared out among them.
        devices (Sequence[str]): What ``CUDA_VISIBLE_DEVICES`` is to the tasks, ``''`` for a
            CPU. Defaults to (), whatever it is now.
        keep_going (bool): Whether the others go on when a task fails. Defaults to False.

    Yields:
        tuple[Task, dict]: A task that is finished and its result, which is in its folder's
        ``result.json`` by then; or one that failed and ``dict(failed='why')``, which is in
        ``failure.json``.

    Raises:
        SystemExit: When one fails, with its name and its log, unless ``keep_going``. Finished
            ones are kept.
    """
    places: Sequence[str | None] = devices or [None]
    free = [_Worker(device) for device in places for _ in range(jobs)]
    workers = list(free)
    # OMP_NUM_THREADS of the user's own wins.
    os.environ.setdefault('OMP_NUM_THREADS', str(max(1, cores() // len(workers))))
    waiting: list[Task] = list(tasks)
    running: dict[Any, tuple[_Worker, Task]] = {}
    try:
        while waiting or running:
            # No more than can run: what a pool has queued for its process it cannot cancel.
            while waiting and free:
                worker, task = free.pop(0), waiting.pop(0)
                running[worker.submit(task)] = worker, task
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                worker, task = running.pop(done)
                free.append(worker)
                result = worker.result(done, task)
                if 'failed' in result and not keep_going:
                    sys.exit(_failure(task, result['failed'], len(running)))
                yield task, result
    except (KeyboardInterrupt, GeneratorExit):
        for worker in workers:
            worker.terminate()
        raise
    finally:
        for worker in workers:
            worker.leave()


class _Worker:
    """A process that does one task after the other; a new one takes its place if it dies."""

    def __init__(self, device: str | None) -> None:
        self.device = device
        self.pool: ProcessPoolExecutor | None = None
        self.processes: list = []

    def submit(self, task: Task) -> Any:
        if self.pool is None:
            self.pool = ProcessPoolExecutor(
                1, mp_context=multiprocessing.get_context('spawn'), initializer=_prepare)
            others = multiprocessing.active_children()
            # The process starts with the first call, and takes the environment of that moment.
            with _visible_device(self.device):
                self.pool.submit(int)
            self.processes = [process for process in multiprocessing.active_children()
                              if process not in others]
        return self.pool.submit(_do, task)

    def result(self, future: Any, task: Task) -> dict:
        try:
            return future.result()
        except BrokenProcessPool:
            self.leave()
            result = dict(failed='its process died: killed for lack of memory?')
            task[1].mkdir(parents=True, exist_ok=True)
            write_json(task[1] / 'failure.json', result)
            return result

    def terminate(self) -> None:
        for process in self.processes:
            process.terminate()

    def leave(self) -> None:
        """Let the process end by itself; not waiting, so that a failure is reported at once."""
        if self.pool is not None:
            self.pool.shutdown(wait=False, cancel_futures=True)
            self.pool = None


@contextlib.contextmanager
def _visible_device(device: str | None) -> Iterator[None]:
    old = os.environ.get(_DEVICE)
    if device is not None:
        os.environ[_DEVICE] = device
    try:
        yield
    finally:
        if old is None:
            os.environ.pop(_DEVICE, None)
        else:
            os.environ[_DEVICE] = old


def _do(task: Task) -> dict:
    # Stored here, in the worker: it ends its run even when another one's failure ends the tool.
    _, folder, function, arguments = task
    try:
        result = function(*arguments)
    except (Exception, SystemExit) as error:
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / 'train.log', 'a') as log:
            traceback.print_exc(file=log)
        # The first line: torch lists every tensor of another shape.
        text = (str(error).strip() or 'no message').splitlines()[0]
        result = dict(failed=f'{type(error).__name__}: {text}')
        write_json(folder / 'failure.json', result)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / 'result.json', result)
    return result


def _failure(task: Task, error: str, running: int) -> str:
    others = f' {running} running now will end first.' if running else ''
    return (f'{task[0]} failed ({error}). Log: {task[1]}/train.log. Finished runs are kept: start '
            f'again after mending it.{others}')


def _prepare() -> None:
    import torch
    warnings.simplefilter('ignore')
    torch.set_num_threads(int(os.environ['OMP_NUM_THREADS']))
    # Ctrl-C reaches every process of a terminal: the first one says what becomes of the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    # Or else a run would go on unseen, beside the one that takes it up again.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
