"""What is remembered: said, saved, restored, refused. tests/test_methods.py trains with it."""
from types import SimpleNamespace

import pytest
import torch
from helpers.methods import METHODS, ClassMeans
from torch import nn

from mmips.engine.hooks import MemoryHook
from mmips.errors import UserError
from mmips.models.memory import Memory
from mmips.structures import Step


@pytest.fixture
def hook():
    model = nn.Module()
    model.target = ClassMeans(4, 6)
    model.last_step = Step(torch.eye(4), torch.arange(4), sample_idx=torch.tensor([0, 1, 2, 5]))
    runner = SimpleNamespace(model=model, _resume=True)
    memory = MemoryHook()
    memory.before_run(runner)
    return memory, runner


def test_says_its_size_and_keeps_it_out_of_the_state_dict(make_runner, caplog):
    name, settings = METHODS['a target that remembers']
    runner = make_runner(name, **settings, **{'train_cfg.max_epochs': 1})
    runner.logger.addHandler(caplog.handler)
    runner.train()
    assert 'target.sums (4, 4), target.seen (24,); 0.0 MiB' in caplog.text
    checkpoint = torch.load(f'{runner.work_dir}/epoch_1.pth', weights_only=False)
    assert not any('target' in key for key in checkpoint['state_dict'])
    assert checkpoint['mmips_memory']['target.seen'].sum() == 48


def test_a_checkpoint_brings_the_memory_back(hook):
    memory, runner = hook
    memory.after_train_iter(runner)
    checkpoint = {}
    memory.before_save_checkpoint(runner, checkpoint)
    assert runner.model.target.seen.tolist() == [1, 1, 1, 0, 0, 1]
    runner.model.target.seen.zero_()
    runner._resume = False  # load_from: weights alone
    memory.after_load_checkpoint(runner, {})
    assert runner.model.target.seen.sum() == 0
    runner._resume = True
    memory.after_load_checkpoint(runner, checkpoint)
    assert runner.model.target.seen.tolist() == [1, 1, 1, 0, 0, 1]


def test_ranks_add_up_what_each_has_changed(hook, monkeypatch):
    memory, runner = hook
    monkeypatch.setattr('mmips.engine.hooks.memory_hook.get_world_size', lambda: 2)
    monkeypatch.setattr('mmips.engine.hooks.memory_hook.all_reduce',
                        lambda change: change.add_(1))
    runner.logger = SimpleNamespace(info=print)
    memory.before_train(runner)
    memory.after_train_iter(runner)
    memory.after_train_epoch(runner)
    assert runner.model.target.seen.tolist() == [2, 2, 2, 1, 1, 2]
    assert runner.model.target.sums.sum() == pytest.approx(4 + 4 + 16)


@pytest.mark.parametrize('saved, told', [
    ({}, 'remembers nothing for target.sums'),
    ({'target.sums': torch.zeros(9, 9)}, r'remembers \(9, 9\) for target.sums')])
def test_refuses_to_resume_without_its_memory(hook, saved, told):
    memory, runner = hook
    with pytest.raises(UserError, match=told):
        memory.after_load_checkpoint(runner, dict(mmips_memory=saved))


def test_refuses_a_model_that_remembers_nothing():
    runner = SimpleNamespace(model=nn.Linear(1, 1))
    memory = MemoryHook()
    memory.before_run(runner)
    with pytest.raises(UserError, match='found nothing that Linear remembers. Remove the hook'):
        memory.before_train(runner)
    with pytest.raises(NotImplementedError, match='Memory must say what it remembers'):
        Memory().update(None)
