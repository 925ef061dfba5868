"""Losses, targets and memories never read a tensor on the host: none has a value here."""
import pytest
import torch
from torch import nn

from mmips.models.losses import FERLoss, MaxSupLoss, USKDLoss, VirtualTeacherLoss, ZipfLoss
from mmips.models.memory import Memory
from mmips.models.targets import OnlineLabelSmoothing, ProgressiveTarget
from mmips.structures import Step

NUMBER, CLASSES, WIDTH = 4, 5, 6


@pytest.mark.parametrize('part', [
    VirtualTeacherLoss(), MaxSupLoss(), ZipfLoss(2), FERLoss(), USKDLoss(WIDTH, CLASSES),
    USKDLoss(WIDTH, CLASSES, ranking='code'), OnlineLabelSmoothing(), ProgressiveTarget()],
    ids=lambda part: type(part).__name__)
def test_works_on_tensors_without_values(part):
    with torch.device('meta'):
        maps = (torch.zeros(NUMBER, WIDTH, 3, 3), torch.zeros(NUMBER, WIDTH, 2, 2))
        logits, head = torch.zeros(NUMBER, CLASSES), nn.Linear(WIDTH, CLASSES)
        labels = torch.zeros(NUMBER, dtype=torch.int64)
    step = Step(logits, labels, maps=maps, classify=head, epoch=1, max_epochs=3,
                sample_idx=torch.arange(NUMBER))
    part = part.to('meta')
    if isinstance(part, Memory):
        part.allocate(part.plan(8, CLASSES, NUMBER), torch.device('meta'))
        part.update(step.detach())
        part.end_epoch()
    assert part(step).shape in ((), (NUMBER, CLASSES))
