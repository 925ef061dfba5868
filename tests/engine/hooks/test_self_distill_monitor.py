import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from torch import nn

from mmips.engine.hooks import SelfDistillMonitor
from mmips.models.batch_augments import find_patch_swaps


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


def run(make_runner, prob, **options):
    runner = make_runner(**{'model.train_cfg.augments.0.prob': prob, 'train_cfg.max_epochs': 1,
                            'train_dataloader.batch_size': 8, **options})
    runner.train()
    return log_of(runner)


def test_swapped_and_raw_pairs_make_up_all(make_runner):
    lines = run(make_runner, 0.5, **{'default_hooks.logger.interval': 2})
    assert len(lines) == 3
    for line in lines:
        rate = line['swap_rate']
        assert 0 < rate < 1
        for name in ('conf_gap', 'kd_grad'):
            swapped, raw = line[f'{name}_swapped'], line[f'{name}_raw']
            assert line[name] == pytest.approx(rate * swapped + (1 - rate) * raw, rel=1e-4)
            assert swapped > 0 and raw > 0 and abs(swapped - raw) > 1e-6 * raw


@pytest.mark.parametrize(('prob', 'there', 'missing'), [(0., 'raw', 'swapped'),
                                                        (1., 'swapped', 'raw')])
def test_without_swapped_or_raw_pairs_all_are_the_others(make_runner, prob, there, missing):
    for line in run(make_runner, prob):
        for name in ('conf_gap', 'kd_grad'):
            assert line[f'{name}_{there}'] == pytest.approx(line[name], rel=1e-5)
            assert f'{name}_{missing}' not in line


def test_what_has_no_pairs_any_more_is_not_repeated(make_runner):
    runner = make_runner(**{'model.train_cfg.augments.0.prob': 1.0, 'train_cfg.max_epochs': 1,
                            'train_dataloader.batch_size': 8})
    swap, = find_patch_swaps(runner.model)

    class Stop(Hook):

        def before_train_iter(self, runner, batch_idx, data_batch=None):
            swap.prob = float(batch_idx < 3)

    runner.register_hook(Stop())
    runner.train()
    lines = log_of(runner)
    assert ['conf_gap_swapped' in line for line in lines] == [True] * 3 + [False] * 3
    assert ['kd_grad_raw' in line for line in lines] == [False] * 3 + [True] * 3


def test_samples_the_gradient_of_the_kl(make_runner):
    asked = []
    runner = make_runner(**{'train_cfg.max_epochs': 1, 'train_dataloader.batch_size': 8,
                            'default_hooks.logger.interval': 2})
    monitor = next(h for h in runner.hooks if isinstance(h, SelfDistillMonitor))
    monitor.sample_interval = 4
    count = runner.model._count
    runner.model._count = lambda *args: asked.append(runner.model.count_kd_grad) or count(*args)
    runner.train()
    assert asked == [True, False, False, False, True, False]
    assert ['kd_grad' in line for line in log_of(runner)] == [True, False, True]


def test_sums_over_the_ranks(monkeypatch):
    stats = torch.tensor([4., 1., .9])
    split = torch.tensor([[2., .4, 1., 3.], [1., .5, 0., 0.]])
    other = torch.tensor([4., 0., 1.1, 2., 4., 3., .8, 3., 5., 1., .3, 1., 10.])
    monkeypatch.setattr('mmips.engine.hooks.self_distill_monitor.all_reduce',
                        lambda total: total.add_(other))
    monitor = SelfDistillMonitor()
    monitor._model = SimpleNamespace(pop_stats=lambda: stats, pop_split_stats=lambda: split)
    monitor._swaps = [SimpleNamespace(pop_counts=lambda: torch.tensor([1, 4]))]
    assert monitor._read() == pytest.approx(dict(
        conf_gap=2 / 7, mismatch_rate=1 / 8, swap_rate=3 / 8, kd_grad=18 / 5,
        conf_gap_raw=1.2 / 5, conf_gap_swapped=.8 / 2, kd_grad_raw=8 / 4, kd_grad_swapped=10.))


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
    with pytest.raises(ValueError, match='sample_interval must be at least 1, but got 0'):
        SelfDistillMonitor(sample_interval=0)
    with pytest.raises(ValueError, match='the model is Linear. Remove the hook'):
        SelfDistillMonitor().before_train(SimpleNamespace(model=nn.Linear(1, 1), hooks=[]))
