from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers.gpu import never_waiting
from mmengine.hooks import Hook
from mmengine.optim import AmpOptimWrapper
from torch import nn

from mmips.engine.hooks import GradientMonitor
from mmips.engine.hooks.gradient_monitor import find_conv_weights
from mmips.errors import UserError
from mmips.runs.logs import read_records

STEM = 'grad/backbone.conv1'


class Spy(Hook):
    """The gradients that the optimiser takes, step by step."""

    def before_train(self, runner):
        self.steps = []
        runner.optim_wrapper.optimizer.register_step_pre_hook(lambda *args: self.steps.append({
            f'grad/{name}': float(weight.grad.abs().mean())
            for name, weight in find_conv_weights(runner.model).items()}))


def train(make_runner, monitor, **options):
    """The ``grad/`` values of each line of the log that has some, and what the spy saw."""
    runner = make_runner(**{'train_cfg.max_epochs': 1, 'train_cfg.val_interval': 2, **options})
    spy = Spy()
    runner.register_hook(monitor)
    runner.register_hook(spy)
    runner.train()
    lines = read_records(Path(runner.log_dir) / 'vis_data' / 'scalars.json')
    grads = [{key: value for key, value in line.items() if key.startswith('grad/')}
             for line in lines]
    return [(line['step'], found) for line, found in zip(lines, grads) if found], spy.steps


def test_logs_the_mean_absolute_gradient_of_every_conv_and_changes_no_weight(make_runner, tmp_path):
    lines, steps = train(make_runner, GradientMonitor(), name='ips/resnet-s_hard_npz.py')
    assert len(lines) == len(steps) >= 2
    for (_, line), step in zip(lines, steps):
        assert list(line) == list(step) and line == pytest.approx(step, rel=1e-5)
    # ResNet_CIFAR of depth 18 without its fourth stage, in the order of the forward pass.
    names = list(lines[0][1])
    assert len(names) == 15 and names[0] == STEM
    assert names[1] == 'grad/backbone.layer1.0.conv1' and 'downsample' in names[7]
    # To the backends, not to the console.
    text = next(tmp_path.glob('run/*/*.log')).read_text()
    assert text.count('Epoch(train)') == len(lines) and 'grad/' not in text
    # The same as without it.
    _, plain = train(make_runner, Hook(), name='ips/resnet-s_hard_npz.py', work_dir='plain')
    assert steps == plain


@pytest.mark.parametrize('sample_interval', [1, 2])
def test_averages_what_was_sampled_since_the_last_line(make_runner, sample_interval):
    monitor = GradientMonitor(['backbone.conv1'], sample_interval=sample_interval)
    lines, steps = train(make_runner, monitor, **{
        'default_hooks.logger.interval': 2, 'train_dataloader.batch_size': 8})
    assert len(steps) == 6 and len(lines) == 3
    for number, (_, line) in enumerate(lines):
        sampled = steps[2 * number:2 * number + 2:sample_interval]
        expected = sum(step[STEM] for step in sampled) / len(sampled)
        assert line == {STEM: pytest.approx(expected, rel=1e-5)}


@pytest.mark.parametrize('interval', [1, 2])
def test_sees_a_whole_accumulated_batch_and_clipped_gradients(make_runner, interval):
    """A sample is due in the first iteration, and the step comes in the second."""
    monitor = GradientMonitor(['backbone.conv1'], sample_interval=interval)
    lines, steps = train(make_runner, monitor, **{
        'train_dataloader.batch_size': 8, 'optim_wrapper.accumulative_counts': 2,
        'optim_wrapper.clip_grad': dict(max_norm=1e-3), 'default_hooks.logger.interval': interval})
    assert [number for number, _ in lines] == [2, 4, 6] and len(steps) == 3
    for (_, line), step in zip(lines, steps):
        assert line[STEM] == pytest.approx(step[STEM], rel=1e-5) and step[STEM] < 1e-4


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
    monitor.after_train(None)
    assert not optimizer._optimizer_step_pre_hooks


def test_fused_optimisers_are_handed_scaled_gradients_and_skip_steps_themselves():
    model = Net().half()  # In which the sum of the gradients may be infinite.
    monitor, optimizer = ready(model, layers=['used'])
    for grad, found_inf in [(4e4, 0.), (float('inf'), 1.), (6e4, 0.)]:
        monitor.before_train_iter(None, 0)
        model.used.weight.grad = torch.full((2, 1, 1, 1), grad, dtype=torch.half)
        # As torch.amp.GradScaler.step sets them for an optimiser that unscales by itself.
        optimizer.grad_scale, optimizer.found_inf = torch.tensor(4.), torch.tensor(found_inf)
        monitor._sample(optimizer)
    assert monitor._read() == {'grad/used': pytest.approx((1e4 + 1.5e4) / 2, rel=1e-3)}


@pytest.mark.gpu
@pytest.mark.parametrize('fused', [False, True])
def test_sees_unscaled_gradients_on_a_gpu_without_waiting(fused):
    model = Net().cuda()
    monitor, _ = ready(model, layers=['used'])
    optimizer = torch.optim.SGD(model.parameters(), 0.1, fused=fused)
    wrapper = AmpOptimWrapper(optimizer=optimizer, loss_scale=512.)

    def sample(*args):
        with never_waiting():
            monitor._sample(*args)

    optimizer.register_step_pre_hook(sample)
    for value in (1., float('inf'), 3.):
        monitor.before_train_iter(None, 0)
        with wrapper.optim_context(model):
            wrapper.update_params((value * model.used(torch.ones(1, 1, 1, 1).cuda())).sum())
    assert monitor._read() == {'grad/used': pytest.approx(2)}


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


@pytest.mark.parametrize('model, options, message', [
    (Net(), dict(interval=0), 'interval must be at least 1, but got 0'),
    (Net(), dict(sample_interval=-1), 'sample_interval must be at least 1, but got -1'),
    (Net(), dict(layers='backbone.*'), "must be a list of names .* got 'backbone"),
    (Net(), dict(layers=['used', 'conv*']), r"'conv\*' is the name of none of the 2 .*: used, un"),
    (nn.Linear(1, 1), {}, 'none of the 0 convolutions to train in Linear: .*remove the hook')])
def test_refuses(model, options, message):
    with pytest.raises(ValueError, match=message):
        ready(model, **options)


def test_refuses_several_optimisers():
    runner = SimpleNamespace(model=Net(), hooks=[], optim_wrapper={})
    with pytest.raises(UserError, match='one optimiser, but the run has dict. Remove the hook'):
        GradientMonitor().before_train(runner)
