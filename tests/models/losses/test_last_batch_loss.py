"""DLB's loss and memory against a dictionary, over three epochs, on one rank and on two."""
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mmips.datasets.samplers import OverlappingBatchSampler
from mmips.datasets.whole_batch_dataset import WholeBatchDataset
from mmips.engine.hooks import MemoryHook
from mmips.errors import UserError
from mmips.models.losses import LastBatchLoss
from mmips.structures import Step

IMAGES, CLASSES, SIZE = 26, 5, 8


class Numbered(WholeBatchDataset):
    """So many images, numbered."""

    def __init__(self):
        self._labels = range(IMAGES)


def start(**options):
    """A hook with the loss in a model, and a step through both."""
    model = nn.Module()
    model.weight = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    model.head = SimpleNamespace(num_classes=CLASSES)
    model.distill = LastBatchLoss(**options)
    hook = MemoryHook()
    runner = SimpleNamespace(
        model=model, _resume=True, hooks=[hook], logger=SimpleNamespace(info=print),
        train_dataloader=SimpleNamespace(
            dataset=Numbered(), batch_sampler=SimpleNamespace(batch_size=SIZE)))
    hook.before_run(runner)
    model.distill.double()

    def step(logits, numbers):
        model.last_step = Step(logits, torch.zeros(len(numbers)).long(),
                               sample_idx=torch.tensor(numbers))
        loss = model.distill(model.last_step)
        hook.after_train_iter(runner)
        return loss

    return hook, runner, step


def reference(logits, numbers, before, t):
    """KL of what a dictionary remembers, image by image, class by class."""
    total, count = 0., 0
    for row in range(1, len(numbers), 2):
        if numbers[row] not in before:
            continue
        count += 1
        goal, now = ((z / t).exp() / (z / t).exp().sum() for z in (
            before[numbers[row]], logits[row]))
        total = total + t * t * sum(p * (p.log() - q.log()) for p, q in zip(goal, now))
    return total / max(count, 1)


@pytest.mark.parametrize('rank, world', [(0, 1), (0, 2), (1, 2)])
@pytest.mark.parametrize('t', [3., 1.5])
def test_is_the_formula_over_three_epochs(rank, world, t, monkeypatch):
    monkeypatch.setattr('mmips.datasets.samplers.overlapping_batch_sampler.get_dist_info',
                        lambda: (rank, world))
    generator = torch.Generator().manual_seed(rank)
    sampler = OverlappingBatchSampler(range(IMAGES), SIZE, seed=0)
    hook, runner, step = start(temperature=t)
    before, taught = {}, 0
    for epoch in range(3):
        sampler.set_epoch(epoch)
        order = list(sampler)
        for first in range(0, len(order), SIZE):
            numbers = order[first:first + SIZE]
            logits = torch.randn(SIZE, CLASSES, generator=generator, dtype=torch.float64)
            logits = (3 * logits).requires_grad_()
            loss = step(logits, numbers)
            expected = torch.as_tensor(reference(logits, numbers, before, t))
            assert loss.item() == pytest.approx(expected.item(), rel=1e-10, abs=1e-15)
            if before:
                taught += 1
                ours, theirs = (torch.autograd.grad(each, logits)[0] for each in (loss, expected))
                assert torch.allclose(ours, theirs, rtol=1e-9, atol=1e-13)
                assert (ours[0::2] == 0).all() and (ours[1::2] != 0).all()
            else:
                assert loss == 0
            before = dict(zip(numbers[0::2], logits.detach()[0::2]))
        hook.after_train_epoch(runner)
    assert taught == 3 * sampler.num_batches - 1
    # Another process goes on from what this one remembers.
    hook.before_save_checkpoint(runner, checkpoint := {})
    assert checkpoint['mmips_memory']['distill.logits'].shape == (1, SIZE // 2, CLASSES)
    hook, runner, step = start(temperature=t)
    hook.after_load_checkpoint(runner, checkpoint)
    sampler.set_epoch(3)
    numbers = list(sampler)[:SIZE]
    assert step(logits, numbers).item() == pytest.approx(
        reference(logits, numbers, before, t).item(), rel=1e-10)


def test_refuses_partners_that_were_not_there_before():
    _, _, step = start()
    logits = torch.randn(SIZE, CLASSES, dtype=torch.float64)
    step(logits, list(range(8)))
    with pytest.raises(UserError, match='1 of 4 partners were no queries of the step before.*Over'):
        step(logits, [1, 0, 3, 2, 5, 4, 7, 25])


def test_refuses_images_without_a_number_and_larger_batches():
    _, runner, step = start()
    with pytest.raises(UserError, match='remembers 4 images, but got 5 pairs'):
        step(torch.randn(10, CLASSES), list(range(10)))
    with pytest.raises(UserError, match='the batch has no sample_idx'):
        runner.model.distill(Step(torch.randn(8, CLASSES), torch.zeros(8)))
    with pytest.raises(ValueError, match='temperature must be positive'):
        LastBatchLoss(temperature=0)


def test_after_a_smaller_batch_what_came_before_it_is_forgotten():
    _, _, step = start(scale_by_t2=False)
    logits = torch.randn(8, CLASSES, dtype=torch.float64)
    step(logits, [0, 20, 1, 21, 2, 22, 3, 23])
    step(logits[:4], [4, 0, 5, 1])
    before = dict(zip([4, 5], logits[:4:2]))
    found = step(2 * logits, numbers := [6, 4, 7, 5, 8, 2, 9, 3])
    assert found.item() == pytest.approx(
        reference(2 * logits, numbers, before, 3.).item() / 9, rel=1e-10)
