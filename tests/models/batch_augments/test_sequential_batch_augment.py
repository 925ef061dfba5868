"""Augments one after the other, in the order given: mixing before and after the swap."""
import numpy as np
import pytest
import torch
from mmpretrain.models import ClsDataPreprocessor

from mmips.functional import swap_patches
from mmips.models.batch_augments import (
    IntraClassPatchSwap,
    PairwiseBatchAugment,
    SequentialBatchAugment,
    find_patch_swaps,
)
from mmips.structures import pairs_match

PAIRS = 6
SWAP = dict(type='mmips.IntraClassPatchSwap', grid_size=2, prob=1.)


def mix(name='CutMix'):
    inner = dict(type='mmips.CutOut') if name == 'CutOut' else dict(type=name, alpha=1.0)
    return dict(type='mmips.PairwiseBatchAugment', augment=inner)


@pytest.fixture
def batch():
    labels = torch.arange(PAIRS).repeat_interleave(2)
    return torch.randn(2 * PAIRS, 3, 8, 8), torch.nn.functional.one_hot(labels, PAIRS)


def seeded(function, batch, seed):
    torch.manual_seed(seed)
    np.random.seed(seed)
    return function(batch[0].clone(), batch[1].clone())


def test_in_order(batch):
    steps = []
    augments = [lambda x, y, step=step: steps.append(step) or (x + step, y) for step in (1, 2, 3)]
    out, _ = SequentialBatchAugment(augments)(torch.zeros(2), None)
    assert steps == [1, 2, 3] and out.tolist() == [6, 6]


@pytest.mark.parametrize('name', ['CutMix', 'Mixup', 'ResizeMix', 'CutOut'])
@pytest.mark.parametrize('seed', range(1, 4))
def test_mixing_before_the_swap(batch, name, seed):
    both = SequentialBatchAugment([mix(name), SWAP])
    out, scores = seeded(both, batch, seed)
    mixed, mixed_scores = seeded(SequentialBatchAugment([mix(name)]), batch, seed)
    torch.manual_seed(seed)
    mask = IntraClassPatchSwap(2, 1.).draw_mask(PAIRS)
    assert torch.equal(out, swap_patches(mixed, mask))
    assert torch.equal(scores, mixed_scores) and pairs_match(scores).all()
    assert find_swap(both).last_mask.flatten(1).any(1).sum() == PAIRS


@pytest.mark.parametrize('name', ['CutMix', 'Mixup', 'ResizeMix', 'CutOut'])
@pytest.mark.parametrize('seed', range(1, 4))
def test_mixing_after_the_swap(batch, name, seed):
    both = SequentialBatchAugment([SWAP, mix(name)])
    out, scores = seeded(both, batch, seed)
    torch.manual_seed(seed)
    swapped = swap_patches(batch[0], IntraClassPatchSwap(2, 1.).draw_mask(PAIRS))
    expected, expected_scores = seeded(PairwiseBatchAugment(mix(name)['augment']),
                                       (swapped, batch[1]), seed)
    assert torch.equal(out, expected) and torch.equal(scores, expected_scores)
    assert pairs_match(scores).all()
    assert find_swap(both).last_mask.flatten(1).any(1).sum() == PAIRS


def find_swap(sequence):
    return next(a for a in sequence.augments if isinstance(a, IntraClassPatchSwap))


def test_as_one_augment_of_mmpretrain_s_preprocessor(batch):
    from mmpretrain.structures import DataSample
    config = dict(type='mmips.SequentialBatchAugment', augments=[mix(), SWAP])
    preprocessor = ClsDataPreprocessor(num_classes=PAIRS, batch_augments=dict(augments=[config]))
    labels = torch.arange(PAIRS).repeat_interleave(2).tolist()
    data = dict(inputs=list(batch[0]),
                data_samples=[DataSample().set_gt_label(label) for label in labels])
    out = preprocessor(data, training=True)
    assert out['inputs'].shape == batch[0].shape
    assert not torch.equal(out['inputs'], batch[0])
    assert pairs_match(torch.stack([s.gt_score for s in out['data_samples']])).all()
    model = torch.nn.Module()
    model.data_preprocessor = preprocessor
    assert len(find_patch_swaps(model)) == 1


@pytest.mark.parametrize('augments, error, message', [
    (SWAP, TypeError, r'must be a list of batch augments, augments=\[dict'),
    (['CutMix'], TypeError, r"config like dict\(type='CutMix'.*but got 'CutMix'"),
    ([], ValueError, 'at least one augment, but got')])
def test_refuses(augments, error, message):
    with pytest.raises(error, match=message):
        SequentialBatchAugment(augments)


def test_two_equal_swaps_do_not_undo_each_other():
    images = torch.rand(64, 3, 8, 8)
    swap = dict(type='mmips.IntraClassPatchSwap', grid_size=4, prob=1.0)
    augment = SequentialBatchAugment([swap, dict(swap)])
    scores = torch.eye(2).repeat_interleave(32, 0)
    swapped, _ = augment(images.clone(), scores)
    changed = (swapped != images).flatten(1).any(1)
    assert changed.float().mean() > 0.9
