"""Contrastive distillation: the formula and the memories, slowly; whom images are compared with."""
import math
import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.labels import Labels
from helpers.taught import check, random, taught
from helpers.two_processes import in_two_processes
from torch import nn

from mmips.datasets.whole_batch_dataset import WholeBatchDataset
from mmips.engine.hooks import MemoryHook
from mmips.errors import UserError
from mmips.models.losses import ContrastiveDistillLoss

LABELS = [0, 1, 2, 2, 1, 0, 2, 1]
IMAGES = torch.tensor([1, 6, 3])


def make(labels=LABELS, **options):
    """Ready to be called, in float64."""
    torch.manual_seed(3)
    loss = ContrastiveDistillLoss(3, 5, **{'channels': 4, **options})
    loss.allocate(loss.plan(len(labels), 3, 2), torch.device('cpu'))
    loss.know(Labels(labels))
    return loss.double()


def step_of(ours, theirs, images=IMAGES):
    return taught(dict(features=(ours, ), sample_idx=images), dict(features=(theirs, )))


def embedding(layer, features):
    values = [sum(w * f for w, f in zip(row, features)) + b
              for row, b in zip(layer.weight, layer.bias)]
    length = sum(value ** 2 for value in values) ** 0.5
    return [value / length for value in values]


def slow(loss, ours, theirs, chosen, constant=None):
    """``chosen``: numbers of the others of each image; ``constant``: Z, or that of this batch."""
    total = 0
    for layer, features, rows in ((loss.student_embedding, ours, loss.teacher),
                                  (loss.teacher_embedding, theirs, loss.student)):
        power = [[(sum(a * b for a, b in zip(embedding(layer, feature), rows[n])) / loss.temperature
                   ).exp() for n in [own, *others]]
                 for feature, own, others in zip(features, IMAGES.tolist(), chosen)]
        every = [value for row in power for value in row]
        z = constant or float(sum(every).detach() / len(every)) * len(LABELS)
        for own, *others in power:
            m = len(others) / len(LABELS)
            total = total - (own / z / (own / z + m)).log() - sum(
                (1 - other / z / (other / z + m)).log() for other in others)
    return total / len(IMAGES)


@pytest.mark.parametrize('negatives', [3, 100])
@pytest.mark.parametrize('z', [True, False])
def test_is_the_formula(negatives, z):
    loss = make(negatives=negatives, first_batch_constant=z)
    ours, theirs = random(3, 3), random(3, 5, seed=1)
    state = torch.get_rng_state()
    chosen, present = loss._choose(IMAGES)
    chosen = [row[there].tolist() for row, there in zip(chosen, present)]
    assert {len(row) for row in chosen} == ({3} if negatives == 3 else {5})
    torch.set_rng_state(state)

    def fast(f, t):
        torch.set_rng_state(state)
        return loss(step_of(f, t.detach()))

    check(fast, lambda f, t: slow(loss, f, t.detach(), chosen, None if z else 1), ours, theirs)
    layers = list(loss.parameters())
    for one, other in zip(*(torch.autograd.grad(value, layers) for value in (
            fast(ours, theirs), slow(loss, ours, theirs, chosen, None if z else 1)))):
        assert torch.allclose(one, other, rtol=1e-6, atol=1e-10) and one.abs().max() > 1e-6
    # From the second batch on Z stays.
    loss.update(step_of(ours, theirs))
    first = loss.constants[:, 0] * len(LABELS)
    assert (loss.constants[:, 1] == 1).all()
    fast(2 - ours, theirs)
    loss.update(step_of(ours, theirs))
    assert torch.equal(loss.constants[:, 0] * len(LABELS), first)
    if z:
        # The sum over two ranks, and their number.
        loss.constants.copy_(torch.tensor([2 * 7 / len(LABELS), 2.]))
        assert torch.allclose(fast(ours, theirs), slow(loss, ours, theirs, chosen, 7))


def test_others_are_of_other_classes_and_equally_likely():
    loss = make(negatives=7)
    chosen, present = loss._choose(torch.arange(8).repeat(1000))
    assert present.all() and chosen.shape == (8000, 7)
    for image, label in enumerate(LABELS):
        counts = chosen[image::8].flatten().bincount(minlength=8)
        others = [n for n in range(8) if LABELS[n] != label]
        assert counts.nonzero().flatten().tolist() == others
        assert (counts[others] / 7000 * len(others)).tolist() == pytest.approx(
            [1] * len(others), abs=0.12)
    # No more images than others wanted: each once.
    chosen, present = make(negatives=8)._choose(torch.tensor([2]))
    assert sorted(chosen[present].tolist()) == [0, 1, 4, 5, 7]


def test_images_that_are_not_trained_on_are_no_others():
    loss = make()
    subset = torch.utils.data.Subset(Labels(LABELS), [0, 3, 4, 3])
    loss.know(subset)
    chosen, present = loss._choose(torch.tensor([3]))
    assert sorted(chosen[present].tolist()) == [0, 4]
    assert loss._labels.tolist() == [0, -1, -1, 2, 1, -1, -1, -1]


class Numbered(WholeBatchDataset):
    """Numbered images of these classes."""

    def __init__(self, labels):
        self._labels = np.array(labels)


def features(epoch, images, channels):
    return torch.stack([random(channels, seed=100 * epoch + int(n)) for n in images])


def train(_folder, orders, rank=None):
    """Three epochs of MemoryHook with the images of this rank; initial and final memory."""
    rank = int(os.environ.get('RANK', 0)) if rank is None else rank
    torch.manual_seed(3)
    model = nn.Module()
    model.weight, model.head = nn.Parameter(torch.zeros(1)), SimpleNamespace(num_classes=3)
    model.loss = ContrastiveDistillLoss(3, 5, channels=4)
    torch.manual_seed(11 + rank)  # The memories start alike nonetheless.
    hook = MemoryHook()
    hook.before_run(runner := SimpleNamespace(
        model=model, hooks=[hook], logger=SimpleNamespace(info=str), train_dataloader=(
            SimpleNamespace(dataset=Numbered(LABELS), batch_sampler=SimpleNamespace(
                batch_size=2)))))
    model.double()
    first = {name: value.clone() for name, value in model.loss.remembered().items()}
    hook.before_train(runner)
    for epoch in range(3):
        for images in torch.tensor(orders[rank]).split(2):
            step = step_of(features(epoch, images, 3), features(epoch + 10, images, 5), images)
            model.loss(step)
            model.last_step = step.detach()
            hook.after_train_iter(runner)
        hook.after_train_epoch(runner)
    return first, model.loss.remembered(), model.loss.state_dict()


@pytest.mark.parametrize('orders', [
    [[5, 0, 7, 2, 1, 3]],
    # The last rank's last image fills up: the first has seen it, too.
    [[5, 0, 7, 2], [1, 3, 6, 5]]])
def test_memories_are_those_of_a_slow_loop_over_three_epochs(orders, tmp_path):
    ranks = in_two_processes(train, tmp_path, orders) if len(orders) == 2 else [
        train(None, orders, 0)]
    for name in ('student', 'teacher'):
        first, last, layers = ranks[0]
        layer = nn.Linear(3 if name == 'student' else 5, 4).double()
        layer.load_state_dict({key: layers[f'{name}_embedding.{key}']
                               for key in ('weight', 'bias')})
        rows = first[name].tolist()
        assert [math.hypot(*row) for row in rows] == pytest.approx([1] * 8)
        for epoch in range(3):
            moves = [[0.0] * 4 for _ in rows]
            for order in orders:
                for n in order:
                    new = embedding(layer, features(epoch + 10 * (name == 'teacher'), [n],
                                                    layer.in_features)[0])
                    mixed = [0.5 * old + 0.5 * part.item() for old, part in zip(rows[n], new)]
                    moves[n] = [move + part / math.hypot(*mixed) - old
                                for move, part, old in zip(moves[n], mixed, rows[n])]
            rows = [[old + move for old, move in zip(*pair)] for pair in zip(rows, moves)]
            rows = [[value / math.hypot(*row) for value in row] for row in rows]
        for _, last, _ in ranks:
            assert torch.allclose(last[name], torch.tensor(rows, dtype=torch.float64), atol=1e-6)
        assert not torch.allclose(last[name], first[name], atol=0.1)
    for first, last, _ in ranks:
        assert (last['constants'][:, 1] == len(orders)).all()
        assert all(torch.equal(value, ranks[0][0][key]) for key, value in first.items())
        assert all(torch.equal(value, ranks[0][1][key]) for key, value in last.items())


def test_refuses_images_without_a_number():
    step = step_of(torch.randn(3, 3), torch.randn(3, 5), images=None)
    with pytest.raises(UserError, match='the batch has no sample_idx'):
        make()(step)


def test_a_new_memory_leaves_torchs_draws_alone():
    state = torch.get_rng_state()
    loss = ContrastiveDistillLoss(3, 5)
    torch.set_rng_state(state)
    loss.allocate(loss.plan(5, 2, 2), torch.device('cpu'))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize('wrong', [dict(temperature=0), dict(momentum=1), dict(negatives=0)])
def test_refuses_other_arguments(wrong):
    with pytest.raises(ValueError, match=r'must be positive and momentum in \[0, 1\), but got'):
        ContrastiveDistillLoss(3, 5, **wrong)


def test_refuses_one_class_and_other_features():
    with pytest.raises(UserError, match='different classes, but all .* are of one'):
        make([1, 1, 1])
    for shape, name in (((3, 4), 'in_channels=3'), ((3, 3, 2, 2), 'in_channels=3')):
        with pytest.raises(UserError, match=rf'{name}\).*but it takes pooled ones'):
            make()(step_of(random(*shape), random(3, 5)))
    with pytest.raises(UserError, match=r'teacher_channels=5\).*features are \(3, 6\)'):
        make()(step_of(random(3, 3), random(3, 6)))
