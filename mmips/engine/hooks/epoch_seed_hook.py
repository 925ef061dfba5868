# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from typing import Any

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmips.engine.seeding import seed_everything
from mmips.registry import HOOKS


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Reseed Python, NumPy and torch from (seed, rank, epoch) before every training epoch.

    mmengine's checkpoints hold no random state, so a resumed run draws other crops and masks
    than one that was never interrupted. With this hook, ``worker_init_fn=dict(
    type='mmips.seed_worker')`` and ``persistent_workers=False`` both end in the same weights,
    bit for bit on a CPU. The rank is part of the seed, so ranks augment differently.

    Iteration-based loops have a single epoch: they are seeded once, at every start.
    """

    # Before every hook that may draw, and before the loop builds its data iterator.
    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        """Give a sampler that took the run's seed the one a resumed checkpoint brought."""
        # The loader of a tool that only looks at schedules may have none.
        sampler: Any = getattr(runner.train_dataloader, 'sampler', None)
        config = runner.cfg.get('train_dataloader') or {}
        own = (config.get('sampler') or {}).get('seed') if isinstance(config, dict) else None
        if own is None and getattr(sampler, 'seed', runner.seed) != runner.seed:
            sampler.seed = runner.seed
        if getattr(runner.train_dataloader, 'persistent_workers', False):
            runner.logger.warning('persistent_workers=True: workers are seeded once for all, so a '
                                  'resumed run will not repeat an uninterrupted one exactly.')

    def before_train_epoch(self, runner: Runner) -> None:
        """Reseed."""
        seed_everything(runner.seed, get_rank(), runner.epoch, runner.iter)
