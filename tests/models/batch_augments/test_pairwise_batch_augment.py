"""mmpretrain's mixing augments on whole pairs, judged by where every pixel came from."""
import numpy as np
import pytest
import torch
from mmpretrain.models.utils.batch_augments import CutMix

from mmips.models.batch_augments import PairwiseBatchAugment
from mmips.structures import pairs_match, split_pairs

PAIRS, SIZE = 4, 16
IMAGES = 2 * PAIRS
AUGMENTS = {
    'CutMix': dict(type='CutMix', alpha=1.0),
    'Mixup': dict(type='Mixup', alpha=1.0),
    'ResizeMix': dict(type='ResizeMix', alpha=1.0),
    'CutOut': dict(type='mmips.CutOut', length=7),
}


@pytest.fixture
def batch():
    """Image n is 1 in channel n and 0 elsewhere, so a mixed pixel tells how much of which
    image it holds; mixing, resizing and blanking keep constants apart."""
    images = torch.eye(IMAGES)[:, :, None, None].expand(-1, -1, SIZE, SIZE).clone()
    labels = torch.arange(PAIRS).repeat_interleave(2)
    return images, torch.nn.functional.one_hot(labels, PAIRS)


def mixed(name, batch, seed):
    """Share of every query in the queries (P, P, H, W), and their scores (P, K).

    Fails if a query holds anything of a partner, or the partners are mixed in another way.
    """
    torch.manual_seed(seed)
    np.random.seed(seed)
    images, scores = PairwiseBatchAugment(AUGMENTS[name])(*(part.clone() for part in batch))
    assert images.shape == batch[0].shape and scores.dtype == torch.float32
    query, partner = split_pairs(images)
    assert not query[:, 1::2].any() and not partner[:, 0::2].any()
    assert torch.equal(query[:, 0::2], partner[:, 1::2])
    assert pairs_match(scores).all(), 'a mixed pair must still count as a pair'
    return query[:, 0::2], scores[0::2]


@pytest.mark.parametrize('name', AUGMENTS)
@pytest.mark.parametrize('channels_last', [False, True])
def test_both_members_are_mixed_alike_with_the_same_pair(batch, name, channels_last):
    if channels_last:
        batch = batch[0].contiguous(memory_format=torch.channels_last), batch[1]
    changed = 0
    for seed in range(10):
        shares, scores = mixed(name, batch, seed)
        changed += not torch.equal(shares, batch[0][0::2, 0::2])
        if name != 'CutOut':
            torch.testing.assert_close(shares.mean((2, 3)), scores)
    assert changed > 5


def test_is_mmpretrain_s_augment_on_the_folded_batch_whether_built_or_not(batch):
    """Same random numbers as the plain augment: whatever mmpretrain does, is done to pairs."""
    shares, scores = mixed('CutMix', batch, 3)
    for augment, images, labels in (
            (PairwiseBatchAugment(CutMix(1.0)), *batch),
            (CutMix(1.0), batch[0][0::2, 0::2], batch[1][0::2])):
        torch.manual_seed(3)
        np.random.seed(3)
        found, found_scores = augment(images.clone(), labels.clone())
        step = len(found) // PAIRS
        assert torch.equal(found[::step, ::step], shares)
        assert torch.equal(found_scores[::step], scores)


def test_refuses(batch):
    with pytest.raises(ValueError, match='even number.*got 7.*PairedClassSampler'):
        PairwiseBatchAugment(AUGMENTS['Mixup'])(batch[0][:7], batch[1][:7])
    with pytest.raises(ValueError, match='between different pairs.*SequentialBatchAugment'):
        PairwiseBatchAugment(dict(type='mmips.IntraClassPatchSwap'))
    with pytest.raises(ValueError, match='between different pairs.*SequentialBatchAugment'):
        PairwiseBatchAugment(dict(type='mmips.SequentialBatchAugment', augments=[
            dict(type='mmips.IntraClassPatchSwap'), AUGMENTS['CutMix']]))
    with pytest.raises(TypeError, match=r"should be a dict.* got <class 'str'>"):
        PairwiseBatchAugment('CutMix')
