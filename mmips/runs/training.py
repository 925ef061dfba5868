# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""One training run in its folder: resumed where it stopped, never done twice.

In the folder ``result.json`` says that the run is finished, ``failure.json`` why it failed,
``scores.json`` keeps every validation, ``fingerprint.json`` what the numbers depend on and
``train.log`` all that was printed.
"""
import contextlib
import copy
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmips.config import sources, splits
from mmips.errors import UserError
from mmips.runs import loaders
from mmips.runs.files import write_json
from mmips.runs.fingerprints import fingerprint

__all__ = ['check_folder', 'label_backends', 'last_checkpoint', 'read_result', 'same_setup',
           'train_run']


def check_folder(folder: Path, mark: dict) -> None:
    """Refuse a folder that holds a run of another config or other data."""
    if not any((folder / name).exists() for name in ('result.json', 'last_checkpoint')):
        return
    old = _stored_mark(folder)
    if old != mark:
        differing = [key for key in {**mark, **old} if old.get(key) != mark.get(key)]
        setup = f'another setup (differing: {", ".join(differing)})' if old else 'an unknown setup'
        raise UserError(f'{folder} holds a run of {setup}. Train anew with --fresh, or give '
                        'another --work-dir.')


def same_setup(folder: Path, mark: dict) -> bool:
    """Whether the last run of a folder, finished or not, had this :func:`fingerprint`."""
    return _stored_mark(folder) == mark


def _stored_mark(folder: Path) -> dict:
    stored = folder / 'fingerprint.json'
    return json.loads(stored.read_text()) if stored.is_file() else {}


def train_run(cfg: Any, folder: Path, seed: int, metric: str, files: Sequence[str] = (),
              evaluate: Sequence[str] = (), labels: tuple[str, str] | None = None) -> dict:
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
        labels (tuple[str, str], optional): The sweep and the recipe, for
            :func:`label_backends`. Defaults to None.

    Returns:
        dict: ``seed``; ``epochs``; ``images`` seen and ``scores`` at each validation; the
        metrics of each of ``evaluate`` by its name; ``seconds``; ``resumed``.

    Raises:
        UserError: If the folder holds another run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / 'train.log', 'a') as log, contextlib.redirect_stdout(log), \
            contextlib.redirect_stderr(log):
        mark = fingerprint(cfg, files)
        check_folder(folder, mark)
        write_json(folder / 'fingerprint.json', mark)
        if labels:
            label_backends(cfg, *labels, seed)
        try:
            return _train(cfg, folder, seed, metric, evaluate)
        finally:
            _close_logs()


def label_backends(cfg: Any, sweep: str, recipe: str, seed: int) -> None:
    """Tell mmengine's visualisation backends of a config, in place, where a run belongs.

    W&B gets the sweep as the run's group, MLflow as its experiment; both get the recipe and the
    seed as its name and tags. What the config says itself stays. TensorBoard knows runs by
    their folders alone, which are ``RECIPE/seedK`` below the sweep's.
    """
    name = f'{recipe}/seed{seed}'
    for backend in (cfg.get('visualizer') or {}).get('vis_backends') or []:
        kind = sources.type_name(backend)
        if kind == 'WandbVisBackend':
            ours = dict(group=sweep, name=name, tags=[recipe, f'seed {seed}'])
            backend['init_kwargs'] = {**ours, **(backend.get('init_kwargs') or {})}
        elif kind == 'MLflowVisBackend':
            tags = dict(sweep=sweep, recipe=recipe, seed=str(seed))
            backend.update({'exp_name': sweep, 'run_name': name, **backend,
                            'tags': {**tags, **(backend.get('tags') or {})}})


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
    # mmengine keeps loggers by a name with the second in it: a quick run would get a closed one.
    cfg.merge_from_dict({'randomness.seed': seed, 'work_dir': str(folder),
                         'experiment_name': f'{folder.parent.name}_{time.time_ns()}'})
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
    if pointer.is_file() and not pointer.read_text():
        # Its text was due: the newest file is whole, for it is saved before.
        saved = sorted(folder.glob('*.pth'), key=lambda path: path.stat().st_mtime_ns)
        pointer.write_text(str(saved[-1]) if saved else '')
    return last_checkpoint(folder) is not None


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
        raise UserError(f'{path} has {len(scores)} scores at {len(images)} numbers of images, but '
                        'each needs the other. Train this run anew, with --fresh.')
    return result


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint of a run, None where there is none."""
    pointer = folder / 'last_checkpoint'
    name = Path(pointer.read_text()).name if pointer.is_file() else ''
    # By name: the folder may have moved since.
    return folder.resolve() / name if name and (folder / name).is_file() else None
