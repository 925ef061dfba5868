import logging
import random
from types import SimpleNamespace

import pytest
from mmengine.runner import IterBasedTrainLoop
from torch import nn

from mmips.engine.hooks import PatchSwapSchedule
from mmips.errors import UserError
from mmips.models.batch_augments import IntraClassPatchSwap, SequentialBatchAugment


def runner_of(*augments, max_epochs=240, max_iters=1000):
    model = nn.Module()
    model.batch_augments = SimpleNamespace(augments=augments)
    return SimpleNamespace(
        model=model, epoch=0, iter=0, max_epochs=max_epochs, max_iters=max_iters,
        logger=logging.getLogger('test'))


@pytest.mark.parametrize('max_epochs, changes', [
    (240, [30, 80, 120]), (60, [8, 20, 30]), (24, [3, 8, 12]), (2, [0, 1, 1])])
def test_the_papers_schedule_scales_with_the_length_of_the_run(max_epochs, changes):
    swap = IntraClassPatchSwap(prob=0.9)
    runner, hook = runner_of(swap, max_epochs=max_epochs), PatchSwapSchedule()
    hook.before_train(runner)
    # Right at once, and so after a resume.
    for runner.epoch in random.sample(range(max_epochs), max_epochs):
        hook.before_train_iter(runner)
        passed = sum(runner.epoch >= change for change in changes)
        assert swap.prob == [0.1, 0.2, 0.3, 0.5][passed]


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
    (dict(values=[0.1, 0.5]), r'one more than milestones, but got \[0.1, 0.5\] for 3'),
    (dict(milestones=[1], values=[0.1, 1.5]), r'probabilities in \[0, 1\].* got \[0.1, 1.5\]'),
    (dict(milestones=[1.5], values=[0.1, 0.5]), r'fractions .* but got \[1.5\]'),
    (dict(milestones=[0], values=[0.1, 0.5]), r'positive integers.*but got \[0\]'),
])
def test_refuses(kwargs, message):
    with pytest.raises(ValueError, match=message):
        PatchSwapSchedule(**kwargs)


def test_refuses_before_training():
    with pytest.raises(UserError, match='found no mmips.IntraClassPatchSwap'):
        PatchSwapSchedule().before_train(runner_of())
    runner = runner_of(IntraClassPatchSwap())
    hook = PatchSwapSchedule(milestones=[200, 0.5], values=[0, 0.2, 0.5])
    with pytest.raises(UserError, match=r'must increase.*240 epochs gives \[200, 120\]'):
        hook.before_train(runner)
    runner.train_loop = IterBasedTrainLoop.__new__(IterBasedTrainLoop)
    with pytest.raises(UserError, match='write by_epoch=False'):
        PatchSwapSchedule().before_train(runner)
    PatchSwapSchedule(by_epoch=False).before_train(runner)
