"""PS-KD against the paper's formula in loops; configs that cannot be are refused at the start."""
import math

import pytest
import torch
from helpers.configs import load
from helpers.methods import METHODS
from helpers.remembering import CLASSES, EPOCHS, LABELS, LOGITS, of_each_rank, step_of

from mmips.errors import UserError
from mmips.models.targets import ProgressiveTarget
from mmips.structures import Step


def softmax(row):
    total = sum(math.exp(value) for value in row)
    return [math.exp(value) / total for value in row]


@pytest.mark.parametrize('ranks', [1, 2])
def test_state_and_targets_of_three_epochs(tmp_path, ranks):
    for rank in of_each_rank(ranks, tmp_path, ProgressiveTarget()):
        before = None
        for epoch in range(EPOCHS):
            buffers, outputs = rank[epoch]
            weight = 0.8 * (epoch + 1) / EPOCHS if epoch else 0
            for images, target in outputs.items():
                for image, row in zip(images, target):
                    expected = [(1 - weight) * float(c == LABELS[image]) + weight * (
                        before[image][c] if before else 0) for c in range(CLASSES)]
                    torch.testing.assert_close(row, torch.tensor(expected), rtol=0, atol=1e-6)
            before = [softmax(row.tolist()) for row in LOGITS[epoch]]
            torch.testing.assert_close(buffers['predicted'], torch.tensor(before), rtol=0,
                                       atol=1e-6)


@pytest.fixture
def memory():
    memory = ProgressiveTarget(0.6)
    memory.allocate(memory.plan(8, CLASSES, 4), torch.device('cpu'))
    return memory


def test_an_image_never_seen_keeps_its_label(memory):
    memory.update(step_of(0, torch.tensor([1])))
    memory.end_epoch()
    target = memory(step_of(1, torch.tensor([0, 1])))
    assert target[0].tolist() == [1, 0, 0, 0]
    expected = [.6 * (c == 1) + .4 * p for c, p in enumerate(softmax(LOGITS[0, 1].tolist()))]
    assert target[1].tolist() == pytest.approx(expected, abs=1e-6)


def test_what_two_ranks_added_up_is_a_distribution_again(memory):
    first, second = LOGITS[0, 3].softmax(0), LOGITS[1, 3].softmax(0)
    memory.predicted[3] = first + second
    memory.predicted[4] = torch.tensor([1.2, -.2, 0, 0])
    memory.end_epoch()
    torch.testing.assert_close(memory.predicted[3], (first + second) / 2)
    assert memory.predicted[4].tolist() == [1, 0, 0, 0]
    assert not memory.predicted[5].any()


def test_what_cannot_be(memory):
    with pytest.raises(ValueError, match='alpha must be in .*, but got 1.5'):
        ProgressiveTarget(1.5)
    with pytest.raises(UserError, match='remembers single images, but the batch has no sample_idx'):
        memory.update(Step(torch.zeros(1, CLASSES), torch.zeros(1, dtype=torch.int64)))


@pytest.mark.parametrize('change, told', [
    ('two sets', 'ConcatDataset numbers the images of each of its 2 parts from 0'),
    ('little memory', r'target.predicted \(24, 4\); 0.0 MiB a process, but 0.0 MiB are there'),
    ('no hook', 'ProgressiveTarget remembers, but nothing keeps its memory')])
def test_a_config_that_cannot_remember_ends_before_the_first_step(
        make_runner, monkeypatch, change, told):
    name, settings = METHODS['PS-KD']
    if change == 'two sets':
        dataset = load('ips/resnet-s_hard_npz.py').train_dataloader.dataset.to_dict()
        settings = {**settings, 'train_dataloader.dataset': dict(
            _delete_=True, type='ConcatDataset', datasets=[dataset, dataset])}
    elif change == 'little memory':
        monkeypatch.setattr('mmips.engine.hooks.memory_hook.free_bytes', lambda device: 99)
    else:
        settings = {**settings, 'custom_hooks': [dict(type='mmips.EpochSeedHook')]}
    runner = make_runner(name, **settings)
    with pytest.raises(UserError, match=told):
        runner.train()
    assert runner.iter == 0
