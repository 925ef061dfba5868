"""Label smoothing over the other classes, with mmpretrain's loss over all of them."""
import math

import pytest
import torch
from helpers.configs import load
from mmpretrain.registry import MODELS


@pytest.mark.parametrize('name', ['ls/resnet18_ls_cub', 'ls/resnet50_ls_in1k',
                                  'ls/resnet18-s_ls_npz'])
def test_a_tenth_is_shared_over_the_other_classes(npz, name):
    head = load(f'baselines/{name}.py').model.head
    classes = head.num_classes
    logits = torch.randn(3, classes, dtype=torch.float64)
    expected = 0.
    for row, label in zip(logits.tolist(), (0, 2, classes - 1)):
        total = math.log(sum(map(math.exp, row)))
        for number, value in enumerate(row):
            expected -= (0.9 if number == label else 0.1 / (classes - 1)) * (value - total) / 3
    loss = MODELS.build(head.loss)(logits, torch.tensor([0, 2, classes - 1]))
    assert loss.item() == pytest.approx(expected, abs=1e-6)
