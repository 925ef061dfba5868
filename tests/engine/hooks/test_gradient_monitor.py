import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.optim import AmpOptimWrapper
from torch import nn

from mmips.engine.hooks import GradientMonitor
from mmips.engine.hooks.gradient_monitor import find_conv_weights

STEM = 'backbone.conv1'


class Spy(Hook):
    """The gradients that the optimiser takes, step by step."""

    def before_train(self, runner):
        self.weights = find_conv_weights(runner.model)
        self.steps = []
        runner.optim_wrapper.optimizer.register_step_pre_hook(self.look)

    def look(self, *args):
        self.steps.append({f'grad/{name}': float(weight.grad.abs().mean())
                           for name, weight in self.weights.items()})


def lines_of(runner):
    lines = (Path(runner.log_dir) / 'vis_data' / 'scalars.json').read_text().splitlines()
    return [line for line in map(json.loads, lines) if grads(line)]


def train(make_runner, monitor=None, **options):
    runner = make_runner(**{'train_cfg.max_epochs': 1, **options})
    spy = Spy()
    runner.register_hook(monitor or GradientMonitor())
    runner.register_hook(spy)
    runner.train()
    return lines_of(runner), spy


def grads(line):
    return {key: value for key, value in line.items() if key.startswith('grad/')}


@pytest.mark.parametrize('name', ['ips/resnet-s_ips_npz.py', 'ips/resnet-s_hard_npz.py'])
def test_logs_the_mean_absolute_gradient_of_every_conv(make_runner, name):
    lines, spy = train(make_runner, name=name)
    assert len(lines) == len(spy.steps) >= 2
    for line, step in zip(lines, spy.steps):
        assert list(grads(line)) == list(step)
        assert grads(line) == pytest.approx(step, rel=1e-5)
    # ResNet_CIFAR of depth 18 without its fourth stage, in the order of the forward pass.
    names = list(grads(lines[0]))
    assert len(names) == 15 and names[0] == f'grad/{STEM}'
    assert names[1] == 'grad/backbone.layer1.0.conv1' and 'downsample' in names[7]


@pytest.mark.parametrize('sample_interval', [1, 2])
def test_averages_what_was_sampled_since_the_last_line(make_runner, sample_interval):
    monitor = GradientMonitor([STEM], sample_interval=sample_interval)
    lines, spy = train(make_runner, monitor, **{
        'default_hooks.logger.interval': 2, 'train_dataloader.batch_size': 8})
    assert len(spy.steps) == 6 and len(lines) == 3
    for number, line in enumerate(lines):
        steps = spy.steps[2 * number:2 * number + 2:sample_interval]
        expected = sum(step[f'grad/{STEM}'] for step in steps) / len(steps)
        assert grads(line) == {f'grad/{STEM}': pytest.approx(expected, rel=1e-5)}


def test_sees_a_whole_accumulated_batch_and_clipped_gradients(make_runner):
    lines, spy = train(make_runner, GradientMonitor([STEM], sample_interval=2), **{
        'train_dataloader.batch_size': 8, 'optim_wrapper.accumulative_counts': 2,
        'optim_wrapper.clip_grad': dict(max_norm=1e-3), 'default_hooks.logger.interval': 2})
    assert len(spy.steps) == len(lines) == 3
    for line, step in zip(lines, spy.steps):
        # The sample was due in the first iteration, and the step came in the second.
        assert grads(line)[f'grad/{STEM}'] == pytest.approx(step[f'grad/{STEM}'], rel=1e-5)
        assert step[f'grad/{STEM}'] < 1e-4


def test_an_interval_without_a_step_has_no_line(make_runner):
    lines, _ = train(make_runner, GradientMonitor([STEM]), **{
        'train_dataloader.batch_size': 8, 'optim_wrapper.accumulative_counts': 2})
    assert [(line['step'], line['epoch'], line['iter']) for line in lines] == [
        (2, 1, 2), (4, 1, 4), (6, 1, 6)]


def test_layers_reach_the_backends_and_not_the_console(make_runner, tmp_path):
    lines, _ = train(make_runner, GradientMonitor(['*.conv1']))
    assert len(grads(lines[0])) == 7 and all(key.endswith('.conv1') for key in grads(lines[0]))
    text = next(tmp_path.glob('run/*/*.log')).read_text()
    console = [line for line in text.splitlines() if 'Epoch(train)' in line]
    assert len(console) == len(lines)
    for line in console:
        assert 'grad/' not in line and 'conf_gap: ' in line and 'loss_kd: ' in line


def test_changes_nothing_and_a_resumed_run_ends_in_the_same_weights(make_runner):
    def weights(name, monitor=True, stop_at=None, resume=False):
        runner = make_runner(work_dir=name, stop_at=stop_at, resume=resume, **{
            'train_cfg.max_epochs': 2, 'train_cfg.val_interval': 2})
        if monitor:
            runner.register_hook(GradientMonitor())
        if stop_at is None:
            runner.train()
        else:
            with pytest.raises(InterruptedError):
                runner.train()
        return runner.model.state_dict()

    plain, whole = weights('plain', monitor=False), weights('whole')
    weights('broken', stop_at=4)
    resumed = weights('broken', resume=True)
    for name, value in plain.items():
        assert torch.equal(value, whole[name]) and torch.equal(value, resumed[name]), name


class Net(nn.Module):

    def __init__(self):
        super().__init__()
        self.used, self.unused = nn.Conv2d(1, 2, 1), nn.ConvTranspose2d(1, 1, 1)
        self.frozen = nn.Conv1d(1, 1, 1).requires_grad_(False)
        self.fc = nn.Linear(1, 1)


def ready(model, **kwargs):
    """A monitor of a model, and its optimiser, without a run."""
    monitor = GradientMonitor(**kwargs)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    monitor.before_train(SimpleNamespace(
        model=model, hooks=[], optim_wrapper=SimpleNamespace(optimizer=optimizer)))
    return monitor, optimizer


def test_layers_that_are_frozen_or_unused():
    model = Net()
    monitor, optimizer = ready(model)
    monitor.before_train_iter(None, 0)
    model.used.weight.grad = torch.tensor([[[[-1.]]], [[[3.]]]])
    optimizer.step()
    assert monitor._read() == {'grad/used': 2, 'grad/unused': 0}
    assert monitor._read() == {}


def test_fused_optimisers_are_handed_scaled_gradients_and_skip_steps_themselves():
    model = Net()
    monitor, optimizer = ready(model, layers=['used'])
    for grad, found_inf in [(4., 0.), (float('inf'), 1.), (8., 0.)]:
        monitor.before_train_iter(None, 0)
        model.used.weight.grad = torch.full((2, 1, 1, 1), grad)
        # As torch.amp.GradScaler.step sets them for an optimiser that unscales by itself.
        optimizer.grad_scale, optimizer.found_inf = torch.tensor(4.), torch.tensor(found_inf)
        monitor._sample(optimizer)
    assert monitor._read() == {'grad/used': pytest.approx((1 + 2) / 2)}


@pytest.mark.gpu
@pytest.mark.parametrize('fused', [False, True])
def test_sees_unscaled_gradients_on_a_gpu_without_waiting(fused):
    model = Net().cuda()
    monitor, _ = ready(model, layers=['used'])
    optimizer = torch.optim.SGD(model.parameters(), 0.1, fused=fused)
    wrapper = AmpOptimWrapper(optimizer=optimizer, loss_scale=512.)

    def sample(*args):
        torch.cuda.set_sync_debug_mode('error')
        try:
            monitor._sample(*args)
        finally:
            torch.cuda.set_sync_debug_mode('default')

    optimizer.register_step_pre_hook(sample)
    for value in (1., float('inf'), 3.):
        monitor.before_train_iter(None, 0)
        with wrapper.optim_context(model):
            wrapper.update_params((value * model.used(torch.ones(1, 1, 1, 1).cuda())).sum())
    assert monitor._read() == {'grad/used': pytest.approx(2)}


def test_half_and_double_precision():
    for dtype in (torch.float16, torch.float64):
        model = Net().to(dtype)
        monitor, optimizer = ready(model, layers=['used'])
        monitor.before_train_iter(None, 0)
        # Their sum is beyond float16.
        model.used.weight.grad = torch.full((2, 1, 1, 1), 6e4, dtype=dtype)
        monitor._sample(optimizer)
        assert monitor._read() == {'grad/used': pytest.approx(6e4, rel=1e-3)}


def test_leaves_the_optimiser_after_training():
    monitor, optimizer = ready(Net())
    assert len(optimizer._optimizer_step_pre_hooks) == 1
    monitor.after_train(None)
    assert not optimizer._optimizer_step_pre_hooks


def test_compiled_step_is_seen():
    model = Net()
    monitor, optimizer = ready(model, layers=['used'])

    @torch.compile(backend='eager')
    def step(x):
        model.used(x).sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    monitor.before_train_iter(None, 0)
    step(torch.full((1, 1, 1, 1), 5.))
    assert monitor._read() == {'grad/used': 5}


@pytest.mark.parametrize('kwargs,message', [
    (dict(interval=0), 'interval must be at least 1, but got 0'),
    (dict(sample_interval=-1), 'sample_interval must be at least 1, but got -1'),
    (dict(layers='backbone.*'), "must be a list of names .* got 'backbone"),
    (dict(layers=[]), 'must be a list of names'),
])
def test_refuses_settings(kwargs, message):
    with pytest.raises(ValueError, match=message):
        GradientMonitor(**kwargs)


def test_refuses_what_it_cannot_watch():
    with pytest.raises(ValueError, match='no convolution to train in Linear. Remove the hook'):
        ready(nn.Linear(1, 1))
    with pytest.raises(ValueError, match=r"'conv\*' is the name of none of the 2 .*used, unused"):
        ready(Net(), layers=['used', 'conv*'])
    runner = SimpleNamespace(model=Net(), hooks=[], optim_wrapper={})
    with pytest.raises(ValueError, match='one optimiser, but the run has dict. Remove the hook'):
        GradientMonitor().before_train(runner)
