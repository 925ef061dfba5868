import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from torch import nn

from mmips.engine.hooks import SelfDistillMonitor


def log_of(runner):
    lines = (Path(runner.log_dir) / 'vis_data' / 'scalars.json').read_text().splitlines()
    return [line for line in map(json.loads, lines) if 'loss_kd' in line]


def test_logs_gap_and_rates(make_runner):
    runner = make_runner(**{'model.train_cfg.augments.0.prob': 1.0, 'train_cfg.max_epochs': 1})
    runner.train()
    lines = log_of(runner)
    assert len(lines) == 3
    for line in lines:
        assert 0 < line['conf_gap'] < 1
        assert line['swap_rate'] == 1 and line['mismatch_rate'] == 0
        assert line['loss'] == pytest.approx(line['loss_ce'] + line['loss_kd'], rel=1e-4)


def test_reads_at_the_interval_and_at_the_end_of_an_epoch(make_runner):
    runner = make_runner(**{'model.train_cfg.augments.0.prob': 0.0, 'train_cfg.max_epochs': 1,
                            'default_hooks.logger.interval': 2})
    reads = []
    runner.train_loop  # noqa: B018  (builds hooks' surroundings)
    monitor = next(h for h in runner.hooks if isinstance(h, SelfDistillMonitor))
    read = monitor._read
    monitor._read = lambda: reads.append(runner.iter) or read()
    runner.train()
    assert reads == [1, 2]
    assert log_of(runner)[-1]['swap_rate'] == 0


def test_warns_once_about_pairs_of_different_labels(make_runner, caplog):
    plain = dict(_delete_=True, type='DefaultSampler', shuffle=True)
    runner = make_runner(**{'train_cfg.max_epochs': 1, 'train_dataloader.sampler': plain})
    runner.model._checked = True  # as after a first batch that happened to match
    runner.logger.addHandler(caplog.handler)
    runner.train()
    assert caplog.text.count('have two different labels') == 1
    assert log_of(runner)[-1]['mismatch_rate'] > 0


def test_refuses():
    with pytest.raises(ValueError, match='interval must be at least 1, but got 0'):
        SelfDistillMonitor(interval=0)
    with pytest.raises(ValueError, match='the model is Linear. Remove the hook'):
        SelfDistillMonitor().before_train(SimpleNamespace(model=nn.Linear(1, 1), hooks=[]))
