import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
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
    return [line for line in map(json.loads, lines) if 'loss' in line]


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
