# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""One training run in its folder: resumed where it stopped, never done twice.

In the folder ``result.json`` says that the run is finished, ``failure.json`` why it failed,
``scores.json`` keeps every validation, ``fingerprint.json`` what the numbers depend on and
``train.log`` all that was printed.
"""
import contextlib
import copy
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmips.config import sources, splits
from mmips.errors import UserError
from mmips.runs import loaders, work_dir
from mmips.runs.files import read_results, write_json
from mmips.runs.fingerprints import differing, fingerprint
from mmips.runs.runner import build_runner


def check_folder(folder: Path, mark: dict) -> None:
    """Refuse a folder that holds a run of another config or other data; forget its failure."""
    old = read_results(folder / 'fingerprint.json')
    different = differing(old, mark)
    if old and not different:
        return
    if any((folder / name).exists() for name in ('result.json', 'last_checkpoint')):
        setup = f'another setup (differing: {", ".join(different)})' if old else 'an unknown setup'
        raise UserError(f'{folder} holds a run of {setup}. Train anew with --fresh, or give '
                        'another --work-dir.')
    # What another setup has failed at says nothing about this one.
    (folder / 'failure.json').unlink(missing_ok=True)


def train_run(cfg: Any, folder: Path, seed: int, metric: str, files: Sequence[str] = (),
              evaluate: Sequence[str] = (), labels: tuple[str, str] | None = None) -> dict:
    """Train one config, changed in place, or go on; its output goes to a log.

    ``metric`` is kept of each validation, ``files`` are those of :func:`fingerprint`, on the
    splits of ``evaluate`` the ``test_evaluator`` judges the last weights, ``labels`` are sweep
    and recipe.
    """
    from mmengine.logging import MMLogger

    from mmips.structures.checkpoints import as_data
    with work_dir.claimed(folder), open(folder / 'train.log', 'a') as log, \
            contextlib.redirect_stdout(log), contextlib.redirect_stderr(log), as_data():
        mark = fingerprint(cfg, files, metric=metric)
        check_folder(folder, mark)
        write_json(folder / 'fingerprint.json', mark)
        if labels:
            label_backends(cfg, *labels, seed)
        try:
            return _train(cfg, folder, seed, metric, evaluate)
        finally:
            # mmengine's logger outlives its Runner, and would write the next run's first lines
            # to this one's closed log.
            logger = MMLogger.get_current_instance()
            for handler in logger.handlers:
                handler.close()
            logger.handlers.clear()


def label_backends(cfg: Any, sweep: str, recipe: str, seed: int) -> None:
    """Tell mmengine's visualisation backends of a config, in place, where a run belongs.

    What the config says itself stays. TensorBoard knows runs by their folders alone.
    """
    name = f'{recipe}/seed{seed}'
    ours: dict[str, dict[str, Any]] = {
        'WandbVisBackend': dict(init_kwargs=dict(
            group=sweep, name=name, tags=[recipe, f'seed {seed}'])),
        'MLflowVisBackend': dict(exp_name=sweep, run_name=name, tags=dict(
            sweep=sweep, recipe=recipe, seed=str(seed)))}
    for backend in (cfg.get('visualizer') or {}).get('vis_backends') or []:
        for key, value in ours.get(sources.type_name(backend), {}).items():
            backend[key] = {**value, **(backend.get(key) or {})} if isinstance(
                value, dict) else backend.get(key, value)


def _train(cfg: Any, folder: Path, seed: int, metric: str, evaluate: Sequence[str]) -> dict:
    from mmips.engine.first_steps import explained_first_steps
    from mmips.engine.hooks.monitor import bare_model
    start, path, checkpoint = time.time(), folder / 'scores.json', last_checkpoint(folder)
    resumed = dict(resume=True, load_from=str(checkpoint)) if checkpoint else dict(resume=False)
    # mmengine keeps loggers by a name with the second in it: a quick run would get a closed one.
    cfg.merge_from_dict({'randomness.seed': seed, 'work_dir': str(folder), **resumed,
                         'experiment_name': f'{folder.parent.name}_{time.time_ns()}'})
    # mmseg and mmdet name their visualizer, and mmengine keeps it by its name: the next run of
    # this process would write into this one's folder.
    if cfg.get('visualizer'):
        cfg.visualizer.pop('name', None)
    runner = build_runner(cfg, ('train_dataloader', 'val_dataloader'))
    runner.register_hook(_score_keeper(path, metric), priority='LOWEST')
    with explained_first_steps(runner):
        runner.train()
    scores, loader = read_results(path), runner.train_dataloader
    # Which they are is the loop's business: it may begin late, change its interval, or stop early.
    ends = sorted(map(int, scores))
    if not ends:
        raise UserError(f'{folder}: no validation has run: see train_cfg.val_begin.')
    epochs, images = runner.epoch, len(loader.sampler)
    if not _by_epoch(runner):
        images = loader.batch_sampler.batch_size
        epochs = round(runner.iter * images / len(loader.dataset))
    # Some classifiers mix images of their own.
    images *= getattr(bare_model(runner), 'images_per_input', 1)
    metrics = {split: _evaluate(runner, cfg, split, metric) for split in evaluate}
    return dict(
        seed=seed, epochs=epochs, images=[end * images for end in ends],
        scores=[scores[str(end)] for end in ends], **metrics,
        seconds=round(time.time() - start, 1), resumed=cfg.resume)


def _by_epoch(runner: Any) -> bool:
    """Whether a run is counted in epochs, and not in steps."""
    from mmengine.runner import EpochBasedTrainLoop
    return isinstance(runner.train_loop, EpochBasedTrainLoop)


def _evaluate(runner: Any, cfg: Any, split: str, metric: str) -> dict[str, float]:
    """The metrics of a trained model on a split; training images in the test pipeline."""
    from mmengine.registry import LOOPS
    cfg = copy.deepcopy(cfg)
    splits.prepare_split(cfg, split, str(cfg.filename))
    return _with(metric, LOOPS.build(
        {'type': 'TestLoop', **(cfg.get('test_cfg') or {})}, default_args=dict(
            runner=runner, dataloader=loaders.build_loader(cfg, split),
            evaluator=runner.build_evaluator(cfg.test_evaluator))).run())


def _with(metric: str, metrics: dict) -> dict[str, float]:
    """Metrics that are one number each, among which this one is."""
    numbers = {}
    for key, value in metrics.items():
        # Of every class, or a matrix.
        with contextlib.suppress(RuntimeError, TypeError, ValueError):
            numbers[key] = float(value)
    if metric not in numbers:
        raise UserError(f'There is no metric {metric!r} among {sorted(numbers)}.')
    return numbers


def _score_keeper(path: Path, metric: str) -> Any:
    """A hook that keeps the score of every validation, whatever becomes of the process."""
    from mmengine.hooks import Hook

    class ScoreKeeper(Hook):
        """Writes each validation; makes up for one that a kill has prevented."""

        def before_train(self, runner: Any) -> None:
            # A checkpoint is saved before its epoch is validated, and a resumed run goes on
            # with the next epoch, of which there is none after the last.
            by_epoch = _by_epoch(runner)
            done = runner.epoch if by_epoch else runner.iter
            last = done == (runner.max_epochs if by_epoch else runner.max_iters)
            due = done >= runner.val_begin and (done % runner.val_interval == 0 or last)
            if done and due and str(done) not in read_results(path):
                runner.val_loop.run()

        def after_val_epoch(self, runner: Any, metrics: dict | None = None) -> None:
            score = _with(metric, metrics or {})[metric]
            done = runner.epoch if _by_epoch(runner) else runner.iter
            write_json(path, {**read_results(path), str(done): score})

    return ScoreKeeper()


def last_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint of a run, None where there is none; what is damaged is told."""
    path, problems = work_dir.newest_whole(folder.resolve())
    print(*problems, sep='\n', end='\n' if problems else '')
    return path
