# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""One run by mmengine's Runner: built, trained, tested."""
from typing import Any

from mmips.config import sources
from mmips.config.pair_checks import check_config
from mmips.config.type_checks import name_warnings
from mmips.errors import explained
from mmips.runs import launch


def build_runner(cfg: Any, fields: tuple[str, ...]) -> Any:
    """Check the paths, prepare the processes, and build a config's Runner with the loops of fields.

    What is missing, and what mmengine or a toolbox refuses of the config, is a UserError.
    """
    from mmengine.registry import RUNNERS
    from mmengine.runner import Runner
    sources.check_paths(cfg, fields)
    launch.prepare_distributed(cfg)
    pending = sources.pending_downloads(cfg, fields)
    with explained('The run cannot be built', sources.advise(pending)):
        runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
        for field in fields:
            # The Runner builds a loop, with its data loader, where it is first asked for it.
            getattr(runner, field.replace('_dataloader', '_loop'))
    return runner


def train(cfg: Any) -> None:
    """Train what a config describes; what it may not mean goes to the log as warnings."""
    doubts = check_config(cfg)
    runner = build_runner(cfg, ('train_dataloader', 'val_dataloader'))
    for doubt in doubts:
        # Only now is there a log file to keep it.
        runner.logger.warning(doubt)
    runner.train()


def evaluate(cfg: Any, out: str | None = None, out_item: str | None = None) -> dict:
    """Test the checkpoint that ``cfg.load_from`` names; write metrics, or else predictions."""
    import mmengine
    from mmengine.evaluator import DumpResults
    runner = build_runner(cfg, ('test_dataloader', ))
    for doubt in name_warnings(cfg):
        runner.logger.warning(doubt)
    if out and out_item != 'metrics':
        runner.test_evaluator.metrics.append(DumpResults(out_file_path=out))
    metrics = runner.test()
    if out and out_item == 'metrics' and runner.rank == 0:
        mmengine.dump(metrics, out)
    return metrics
