import logging
import random

import numpy as np
import pytest
import torch

PROGRESSIVE = 'ips/resnet-s_ips-prog_npz.py'
WORKERS = {'train_dataloader.num_workers': 2, 'val_dataloader.num_workers': 2}


def test_killed_and_resumed_with_workers_ends_in_the_same_bits(make_runner):
    """Without workers: every method in tests/test_methods.py."""
    whole = make_runner(PROGRESSIVE, work_dir='whole', **WORKERS)
    whole.train()
    # 3 steps an epoch: stopped in the middle of the second epoch, after one checkpoint.
    with pytest.raises(InterruptedError):
        make_runner(PROGRESSIVE, work_dir='killed', stop_at=4, **WORKERS).train()
    # Whatever a new process starts with.
    random.seed(99), np.random.seed(99), torch.manual_seed(99)
    resumed = make_runner(PROGRESSIVE, work_dir='killed', resume=True, **WORKERS)
    resumed.train()
    momenta = [[value['momentum_buffer'] for value in run.optim_wrapper.optimizer.state.values()]
               for run in (whole, resumed)]
    assert all(torch.equal(*pair) for pair in zip(*momenta))
    state = resumed.model.state_dict()
    assert all(torch.equal(value, state[name])
               for name, value in whole.model.state_dict().items())


def test_without_the_hook_a_resumed_run_goes_elsewhere(make_runner):
    """The test above can fail: it does without the hook."""
    with pytest.raises(InterruptedError):
        make_runner(work_dir='killed', stop_at=4, custom_hooks=[]).train()
    runs = [make_runner(work_dir='whole', custom_hooks=[]),
            make_runner(work_dir='killed', custom_hooks=[], resume=True)]
    for run in runs:
        run.train()
    assert not torch.equal(*(run.model.state_dict()['head.fc.weight'] for run in runs))


def test_a_resumed_seed_reaches_the_sampler(make_runner):
    with pytest.raises(InterruptedError):
        make_runner(stop_at=4, **{'randomness.seed': 7}).train()
    resumed = make_runner(resume=True, **{'randomness.seed': None})
    resumed.train()
    assert resumed.seed == 7
    assert resumed.train_dataloader.sampler.seed == 7


def test_warns_where_exactness_is_lost(make_runner, caplog):
    runner = make_runner(**{**WORKERS, 'train_dataloader.persistent_workers': True,
                            'train_cfg.max_epochs': 1})
    runner.logger.addHandler(caplog.handler)
    with caplog.at_level(logging.WARNING):
        runner.train()
    assert 'persistent_workers=True' in caplog.text
