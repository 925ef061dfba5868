"""OLS against the paper's formula in loops."""
import math

import pytest
import torch
from helpers.remembering import CLASSES, EPOCHS, IMAGES, LABELS, LOGITS, of_each_rank, step_of

from mmips.models.targets import OnlineLabelSmoothing


def softmax(row):
    total = sum(math.exp(value) for value in row)
    return [math.exp(value) / total for value in row]


def next_soft(epoch):
    """Rows of S after an epoch."""
    rows = []
    for label in range(CLASSES):
        found = [p for p in (softmax(LOGITS[epoch, i].tolist()) for i in range(IMAGES)
                             if LABELS[i] == label) if p[label] == max(p)]
        rows.append([sum(p[c] for p in found) / len(found) if found else 1 / CLASSES
                     for c in range(CLASSES)])
    return torch.tensor(rows)


@pytest.mark.parametrize('ranks', [1, 2])
def test_state_and_targets_of_three_epochs(tmp_path, ranks):
    soft, seen = torch.zeros(CLASSES, CLASSES), 0
    for rank in of_each_rank(ranks, tmp_path, OnlineLabelSmoothing()):
        soft = torch.zeros(CLASSES, CLASSES)
        for epoch in range(EPOCHS):
            buffers, outputs = rank[epoch]
            for images, target in outputs.items():
                for image, row in zip(images, target):
                    label = LABELS[image]
                    expected = [0.5 * (c == label) + 0.5 * soft[label, c] for c in range(CLASSES)]
                    torch.testing.assert_close(row, torch.tensor(expected), rtol=0, atol=1e-6)
                    seen += 1
            soft = next_soft(epoch)
            torch.testing.assert_close(buffers['soft'], soft, rtol=0, atol=1e-6)
            assert not buffers['sums'].any() and not buffers['counts'].any()
    assert seen == EPOCHS * IMAGES
    assert (soft[-1] == 1 / CLASSES).all() and (soft[0] != 1 / CLASSES).any()


def test_weight_of_the_label_is_an_option():
    memory = OnlineLabelSmoothing(0.8)
    memory.allocate(memory.plan(IMAGES, CLASSES, 4), torch.device('cpu'))
    memory.soft.fill_(0.25)
    target = memory(step_of(0, torch.tensor([2])))
    assert target[0].tolist() == pytest.approx([0.05, 0.05, 0.85, 0.05])
    with pytest.raises(ValueError, match='hard_weight must be in .*, but got 2'):
        OnlineLabelSmoothing(2)
