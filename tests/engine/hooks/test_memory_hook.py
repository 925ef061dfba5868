"""What is remembered: said, saved, restored, refused. tests/test_methods.py trains with it."""
from types import SimpleNamespace

import pytest
import torch
from helpers.methods import METHODS, ClassMeans
from torch import nn

from mmips.datasets.whole_batch_dataset import WholeBatchDataset
from mmips.engine.hooks import MemoryHook
from mmips.errors import UserError
from mmips.models.memory import Memory
from mmips.structures import Step


def start(hook, *parts, images=6):
    model = nn.Module()
    model.weight = nn.Parameter(torch.zeros(1))
    model.head = SimpleNamespace(num_classes=4)
    model.parts = nn.ModuleList(parts)
    model.last_step = Step(torch.eye(4), torch.arange(4), sample_idx=torch.tensor([0, 1, 2, 5]))
    runner = SimpleNamespace(
        model=model, _resume=True, hooks=[hook], logger=SimpleNamespace(info=print),
        train_dataloader=SimpleNamespace(
            dataset=Numbered(images), batch_size=None,  # as a loader has it with a batch sampler
            batch_sampler=SimpleNamespace(batch_size=4)))
    hook.before_run(runner)
    return hook, runner, *parts


class Numbered(WholeBatchDataset):
    """So many images, numbered."""

    def __init__(self, images):
        self._labels = range(images)


class LastLogits(Memory):
    """What every rank remembers for itself: its last batch."""
    shared = False

    def plan(self, num_images, num_classes, batch_size):
        return dict(logits=torch.empty(batch_size, num_classes, device='meta'))

    def update(self, step):
        self.logits.copy_(step.logits)


@pytest.fixture
def hook():
    return start(MemoryHook(), ClassMeans())


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
    memory, runner, means = hook
    memory.after_train_iter(runner)
    checkpoint = {}
    memory.before_save_checkpoint(runner, checkpoint)
    assert means.seen.tolist() == [1, 1, 1, 0, 0, 1]
    means.seen.zero_()
    runner._resume = False  # load_from: weights alone
    memory.after_load_checkpoint(runner, {})
    assert means.seen.sum() == 0
    runner._resume = True
    memory.after_load_checkpoint(runner, checkpoint)
    assert means.seen.tolist() == [1, 1, 1, 0, 0, 1]


def test_ranks_add_up_what_each_has_changed(hook, monkeypatch):
    memory, runner, means = hook
    monkeypatch.setattr('mmips.engine.hooks.memory_hook.get_world_size', lambda: 2)
    monkeypatch.setattr('mmips.engine.hooks.memory_hook.all_reduce',
                        lambda change: change.add_(1))
    memory.before_train(runner)
    memory.after_train_iter(runner)
    memory.after_train_epoch(runner)
    assert means.seen.tolist() == [2, 2, 2, 1, 1, 2]
    assert means.sums.sum() == pytest.approx(4 + 16)


def test_an_epoch_ends_without_a_third_copy(hook, monkeypatch):
    memory, runner, means = hook
    reduced = []
    monkeypatch.setattr('mmips.engine.hooks.memory_hook.get_world_size', lambda: 2)
    monkeypatch.setattr('mmips.engine.hooks.memory_hook.all_reduce',
                        lambda change: reduced.append(change.data_ptr()))
    memory.before_train(runner)
    own = [buffer.data_ptr() for buffer in means.remembered().values()]
    common = [copy.data_ptr() for copy in memory._common.values()]
    for seen in (1, 2):
        memory.after_train_iter(runner)
        memory.after_train_epoch(runner)
        assert means.seen.tolist() == [seen, seen, seen, 0, 0, seen]
    assert reduced == 2 * own
    assert [copy.data_ptr() for copy in memory._common.values()] == common


@pytest.mark.parametrize('saved, told', [
    ({}, 'remembers nothing for parts.0.sums'),
    ({'parts.0.sums': torch.zeros(9, 9)}, r'remembers \(9, 9\) for parts.0.sums')])
def test_refuses_to_resume_without_its_memory(hook, saved, told):
    memory, runner, _ = hook
    with pytest.raises(UserError, match=told):
        memory.after_load_checkpoint(runner, dict(mmips_memory=saved))


def test_every_rank_keeps_what_it_alone_remembers(monkeypatch):
    hook, runner, last = start(MemoryHook(), LastLogits())
    monkeypatch.setattr('mmips.engine.hooks.memory_hook.get_world_size', lambda: 2)
    monkeypatch.setattr('mmips.engine.hooks.memory_hook.all_gather',
                        lambda buffer: [buffer, 2 * buffer])
    hook.before_train(runner)
    hook.after_train_iter(runner)
    hook.after_train_epoch(runner)
    hook.before_save_checkpoint(runner, checkpoint := {})
    assert torch.equal(last.logits, torch.eye(4))
    monkeypatch.setattr('mmips.engine.hooks.memory_hook.get_rank', lambda: 1)
    hook.after_load_checkpoint(runner, checkpoint)
    assert torch.equal(last.logits, 2 * torch.eye(4))
    monkeypatch.setattr('mmips.engine.hooks.memory_hook.get_world_size', lambda: 3)
    with pytest.raises(UserError, match=r'\(2, 4, 4\) for parts.0.logits, but the model \(3, 4, 4'):
        hook.after_load_checkpoint(runner, checkpoint)


def test_refuses_a_run_in_which_no_epoch_ends(make_runner):
    name, settings = METHODS['a target that remembers']
    runner = make_runner(name, **settings, **{
        'train_cfg': dict(_delete_=True, by_epoch=False, max_iters=2),
        'train_dataloader.sampler': dict(type='mmips.InfinitePairedClassSampler'),
        'param_scheduler': dict(type='MultiStepLR', by_epoch=False, milestones=[1])})
    with pytest.raises(UserError, match='ClassMeans remembers from epoch to epoch, and this run is '
                       r'iteration-based: write train_cfg=dict\(by_epoch=True'):
        runner.train()


def test_refuses_more_than_there_is():
    with pytest.raises(UserError, match=r'0.seen \(10000000000000,\); 76293945.* MiB a process,'
                       ' but .* MiB are there on cpu'):
        start(MemoryHook(), ClassMeans(), images=10**13)


def test_refuses_a_model_that_remembers_nothing():
    with pytest.raises(UserError, match='found nothing that Module remembers. Remove the hook'):
        start(MemoryHook())
    for work, told in ((lambda: Memory().update(None), 'must remember steps'),
                       (lambda: Memory().plan(1, 1, 1), 'must say what it remembers')):
        with pytest.raises(NotImplementedError, match=told):
            work()
    with pytest.raises(UserError, match='ClassMeans remembers, but nothing keeps its memory'):
        ClassMeans()(None)


@pytest.mark.parametrize('ema_first', [True, False])
def test_an_average_of_the_weights_leaves_it_alone(make_runner, ema_first):
    """mmengine's average pairs buffers by their order; here batch norms come after the memory."""
    name, settings = METHODS['DRG and DSR']
    average, *hooks = dict(type='EMAHook', momentum=0.5), dict(type='mmips.MemoryHook')
    runner = make_runner(name, **{**settings, 'train_cfg.max_epochs': 1, 'custom_hooks': [
        average, *hooks] if ema_first else [*hooks, average]})
    runner.train()
    checkpoint = torch.load(f'{runner.work_dir}/epoch_1.pth', weights_only=False)
    assert checkpoint['mmips_memory']['distill.count'] > 0
    assert not any('sorted_logits' in key for key in checkpoint['ema_state_dict'])
