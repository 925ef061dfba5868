from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from helpers.gpu import never_waiting
from mmengine.hooks import Hook
from torch import nn

from mmips.engine.hooks import SelfDistillMonitor
from mmips.engine.hooks.self_distill_monitor import count_pairs
from mmips.errors import UserError
from mmips.models.batch_augments import find_patch_swaps
from mmips.models.losses import PairKLLoss
from mmips.runs.logs import read_records
from mmips.structures import Step


def run(make_runner, prob, interval=1, prepare=lambda runner: None, **options):
    """An epoch of six steps; the lines of its log."""
    runner = make_runner(**{
        'model.train_cfg.augments.0.prob': prob, 'train_cfg.max_epochs': 1,
        'train_dataloader.batch_size': 8, 'default_hooks.logger.interval': interval, **options})
    prepare(runner)
    runner.train()
    lines = read_records(Path(runner.log_dir) / 'vis_data' / 'scalars.json')
    return [line for line in lines if 'loss_kd' in line]


def test_swapped_and_raw_pairs_make_up_all(make_runner):
    lines = run(make_runner, 0.5, interval=2)
    assert len(lines) == 3
    for line in lines:
        rate = line['swap_rate']
        assert 0 < rate < 1 and 0 < line['conf_gap'] < 1 and line['mismatch_rate'] == 0
        assert line['loss'] == pytest.approx(line['loss_ce'] + line['loss_kd'], rel=1e-4)
        for name in ('conf_gap', 'kd_grad'):
            swapped, raw = line[f'{name}_swapped'], line[f'{name}_raw']
            assert line[name] == pytest.approx(rate * swapped + (1 - rate) * raw, rel=1e-4)
            assert swapped > 0 and raw > 0 and abs(swapped - raw) > 1e-6 * raw


def test_what_has_no_pairs_any_more_is_not_repeated(make_runner):

    class Stop(Hook):

        def before_train_iter(self, runner, batch_idx, data_batch=None):
            swap, = find_patch_swaps(runner.model)
            assert swap.last_mask is None  # It may have no turn in this batch.
            swap.prob = float(batch_idx < 3)

    lines = run(make_runner, 1.0, prepare=lambda runner: runner.register_hook(Stop()))
    for number, line in enumerate(lines):
        there, missing = ('swapped', 'raw') if number < 3 else ('raw', 'swapped')
        assert line['swap_rate'] == (number < 3)
        for name in ('conf_gap', 'kd_grad'):
            assert line[f'{name}_{there}'] == pytest.approx(line[name], rel=1e-5)
            assert f'{name}_{missing}' not in line


def test_reads_and_samples_at_intervals_and_reads_at_the_end_of_an_epoch(make_runner):
    reads, calls = [], []

    def prepare(runner):
        monitor = next(hook for hook in runner.hooks if isinstance(hook, SelfDistillMonitor))
        monitor.sample_interval = 4
        read = monitor._read
        monitor._read = lambda: reads.append(runner.iter) or read()
        runner.model.distill.register_forward_hook(lambda *args: calls.append(runner.iter))

    lines = run(make_runner, 0.0, 4, prepare)
    assert reads == [3, 5]
    assert calls == [0, 0, 1, 2, 3, 4, 4, 5]  # one more, for the monitor, in steps 0 and 4
    assert lines[-1]['swap_rate'] == 0 and 'kd_grad' in lines[-1]


LABELS = (0, 0, 2, 1, 1, 1, 2, 2)  # the second pair has two labels


def mask(*pairs):
    return torch.tensor(pairs)[:, None, None]


@pytest.mark.parametrize('distill', [
    PairKLLoss(), PairKLLoss(temperature=2., detach='partner', symmetric=False),
    lambda step: (step.pairs[0] - step.pairs[1]).square().sum(1)[step.matched].mean()])
def test_swapped_and_raw_pairs_are_counted_apart(distill):
    step = Step(torch.randn(8, 3), torch.tensor(LABELS))
    masks = [mask(False, True, True, False), mask(True, False, False, False)]
    top, raw, swapped = count_pairs(step, masks, distill).tolist()
    assert top == [4, 3, 3, 8]
    gap, norm = [], []
    for pair in (0, 2, 3):
        logits = step.logits[2 * pair:2 * pair + 2].double().requires_grad_()
        loss = distill(Step(logits, step.target[2 * pair:2 * pair + 2]))
        norm.append(float(torch.autograd.grad(loss, logits)[0].abs().sum()))
        prob = logits.detach().softmax(1)[:, LABELS[2 * pair]]
        gap.append(float((prob[0] - prob[1]).abs()))
    assert swapped == pytest.approx([2, gap[0] + gap[1], 2, norm[0] + norm[1]], rel=1e-5)
    assert raw == pytest.approx([1, gap[2], 1, norm[2]], rel=1e-5)


def test_without_swap_or_sample_these_columns_stay_empty():
    step = Step(torch.randn(4, 3), F.one_hot(torch.tensor([0, 0, 2, 2]), 3))
    top, raw, swapped = count_pairs(step, []).tolist()
    assert top == [2, 2, 0, 0] and raw[0] == 2 and raw[2:] == [0, 0] and swapped == [0] * 4


def test_an_infinite_pair_does_not_spoil_the_other_group():
    logits = torch.randn(6, 3)
    logits[2:4] = float('inf')
    step = Step(logits, torch.tensor([0, 0, 2, 2, 1, 1]))
    _, raw, swapped = count_pairs(step, [mask(False, True, False)], PairKLLoss())
    assert torch.isfinite(raw).all() and not torch.isfinite(swapped).all()


@pytest.mark.gpu
def test_counting_never_waits_for_the_gpu():
    step = Step(torch.randn(8, 3).cuda(), torch.tensor(LABELS).cuda())
    swapped = mask(False, True, True, False).cuda()
    with never_waiting():
        count_pairs(step, [swapped], PairKLLoss())


def test_sums_over_the_ranks(monkeypatch):
    monitor = SelfDistillMonitor()
    monitor._counts = torch.tensor([[4., 3., 1., 4.], [2., .4, 1., 3.], [1., .5, 0., 0.]])
    other = torch.tensor([[4., 4., 2., 4.], [3., .8, 3., 5.], [1., .3, 1., 10.]])
    monkeypatch.setattr('mmips.engine.hooks.self_distill_monitor.all_reduce',
                        lambda total: total.add_(other))
    assert monitor._read() == pytest.approx(dict(
        conf_gap=2 / 7, mismatch_rate=1 / 8, swap_rate=3 / 8, kd_grad=18 / 5,
        conf_gap_raw=1.2 / 5, conf_gap_swapped=.8 / 2, kd_grad_raw=8 / 4, kd_grad_swapped=10.))
    assert monitor._read() == {}


def test_warns_once_about_pairs_of_different_labels(make_runner, caplog):

    def prepare(runner):
        runner.model._checked = True  # as after a first batch that happened to match
        runner.logger.addHandler(caplog.handler)

    plain = dict(_delete_=True, type='DefaultSampler', shuffle=True)
    lines = run(make_runner, 0.5, prepare=prepare, **{'train_dataloader.sampler': plain})
    assert caplog.text.count('have two different labels') == 1
    assert lines[-1]['mismatch_rate'] > 0


def test_refuses():
    with pytest.raises(ValueError, match='interval must be at least 1, but got 0'):
        SelfDistillMonitor(interval=0)
    with pytest.raises(UserError, match='the model is Linear. Remove the hook'):
        SelfDistillMonitor().before_train(SimpleNamespace(model=nn.Linear(1, 1), hooks=[]))


def test_losses_on_features_are_sampled_and_those_that_remember_are_not(make_runner, npz):
    lines = run(make_runner, 0.5, **{'model.distill': dict(type='mmips.DDGSDLoss')})
    assert all(line['kd_grad'] > 0 for line in lines)
    last = dict(_delete_=True, type='mmips.OverlappingBatchSampler', batch_size=8)
    lines = run(make_runner, 0.5, work_dir='last', **{
        'model.distill': dict(type='mmips.LastBatchLoss'), 'model.allow_mismatch': True,
        'train_dataloader.sampler': last, 'custom_hooks': [
            dict(type='mmips.MemoryHook'), dict(type='mmips.SelfDistillMonitor')]})
    assert all('kd_grad' not in line for line in lines) and 'conf_gap' in lines[-1]
