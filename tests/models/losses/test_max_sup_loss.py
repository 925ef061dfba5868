"""MaxSup's term against loops."""
import pytest
import torch
from helpers.alike import check_loss

from mmips.models.losses import MaxSupLoss
from mmips.structures import Step

LABELS = torch.tensor([0, 2, 1])
LOGITS = torch.randn(3, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize('epoch, weight', [(0, 0.1), (1, 0.125), (3, 0.175)])
def test_value_and_gradient_of_the_formula(epoch, weight):
    def reference(logits):
        return sum(weight * (row[row.argmax()] - sum(row) / 5) for row in logits) / 3

    check_loss(lambda z: MaxSupLoss()(Step(z, LABELS, epoch=epoch, max_epochs=4)), reference,
               LOGITS)


def test_a_run_without_epochs_has_one_weight():
    expected = 0.3 * (LOGITS.max(1)[0] - LOGITS.mean(1)).mean()
    torch.testing.assert_close(MaxSupLoss(0.3, 0.3)(Step(LOGITS, LABELS)), expected)


def test_a_negative_weight():
    with pytest.raises(ValueError, match='cannot be negative, but got start=-1'):
        MaxSupLoss(-1)
