import logging
from types import SimpleNamespace

import pytest
from mmengine.runner import IterBasedTrainLoop
from torch import nn

from mmips.engine.hooks import PatchSwapSchedule
from mmips.models.batch_augments import IntraClassPatchSwap, SequentialBatchAugment


def runner_of(*augments, max_epochs=240, max_iters=1000):
    model = nn.Module()
    model.data_preprocessor = SimpleNamespace(batch_augments=SimpleNamespace(augments=augments))
    return SimpleNamespace(
        model=model, epoch=0, iter=0, max_epochs=max_epochs, max_iters=max_iters,
        logger=logging.getLogger('test'))


def probs(hook, runner, swap, epochs):
    seen = []
    for epoch in epochs:
        runner.epoch = epoch
        hook.before_train_epoch(runner)
        seen.append(swap.prob)
    return seen


def test_the_papers_schedule():
    swap = IntraClassPatchSwap()
    runner, hook = runner_of(swap), PatchSwapSchedule()
    hook.before_train(runner)
    expected = [0.1] * 30 + [0.2] * 50 + [0.3] * 40 + [0.5] * 120
    assert probs(hook, runner, swap, range(240)) == expected


@pytest.mark.parametrize('max_epochs,changes', [(60, [8, 20, 30]), (24, [3, 8, 12]), (2, [0, 1])])
def test_scales_with_the_length_of_the_run(max_epochs, changes):
    swap = IntraClassPatchSwap()
    runner, hook = runner_of(swap, max_epochs=max_epochs), PatchSwapSchedule()
    hook.before_train(runner)
    seen = [None, *probs(hook, runner, swap, range(max_epochs))]
    assert [e for e in range(max_epochs) if seen[e] != seen[e + 1]][-len(changes):] == changes
    assert seen[-1] == 0.5


def test_right_at_once_after_a_resume():
    swap = IntraClassPatchSwap(prob=0.9)
    runner, hook = runner_of(swap), PatchSwapSchedule()
    runner.epoch = 100
    hook.before_train(runner)
    assert swap.prob == 0.3


def test_by_iteration_and_in_nested_augments():
    swap, other = IntraClassPatchSwap(), IntraClassPatchSwap()
    runner = runner_of(SequentialBatchAugment([lambda *batch: batch, swap]), other)
    hook = PatchSwapSchedule(milestones=[3, 0.5], values=[0.0, 0.4, 1.0], by_epoch=False)
    hook.before_train(runner)
    seen = []
    for runner.iter in (0, 2, 3, 499, 500):
        hook.before_train_iter(runner, 0)
        seen.append((swap.prob, other.prob))
    assert seen == [(0, 0), (0, 0), (0.4, 0.4), (0.4, 0.4), (1, 1)]


@pytest.mark.parametrize('kwargs,message', [
    (dict(values=[0.1, 0.5]), 'values must be one more than milestones, but got 2 values for 3'),
    (dict(milestones=[1], values=[0.1, 1.5]), r'probabilities in \[0, 1\], but got \[0.1, 1.5\]'),
    (dict(milestones=[1.5], values=[0.1, 0.5]), r'fractions .* but got \[1.5\]'),
    (dict(milestones=[0], values=[0.1, 0.5]), r'positive integers.*but got \[0\]'),
])
def test_refuses(kwargs, message):
    with pytest.raises(ValueError, match=message):
        PatchSwapSchedule(**kwargs)


def test_refuses_epochs_where_there_are_none():
    runner = runner_of(IntraClassPatchSwap())
    runner.train_loop = IterBasedTrainLoop.__new__(IterBasedTrainLoop)
    with pytest.raises(ValueError, match='write by_epoch=False'):
        PatchSwapSchedule().before_train(runner)
    PatchSwapSchedule(by_epoch=False).before_train(runner)


def test_refuses_before_training():
    with pytest.raises(ValueError, match='found no mmips.IntraClassPatchSwap'):
        PatchSwapSchedule().before_train(runner_of())
    hook = PatchSwapSchedule(milestones=[200, 0.5], values=[0, 0.2, 0.5])
    with pytest.raises(ValueError, match=r'must increase.*240 epochs gives \[200, 120\]'):
        hook.before_train(runner_of(IntraClassPatchSwap()))
