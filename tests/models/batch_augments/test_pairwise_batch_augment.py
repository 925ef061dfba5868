"""mmpretrain's mixing augments on whole pairs, judged by where every pixel came from."""

import numpy as np
import pytest
import torch

from mmips.models.batch_augments import PairwiseBatchAugment
from mmips.structures import pairs_match, split_pairs

PAIRS, SIZE = 4, 16
IMAGES = 2 * PAIRS
AUGMENTS = {
    'CutMix': dict(type='CutMix', alpha=1.0),
    'CutMix-minmax': dict(type='CutMix', alpha=1.0, cutmix_minmax=[.3, .8]),
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


def shares(images: torch.Tensor) -> tuple:
    """Share of every query in the queries, and of every partner in the partners, each
    (P, P, H, W); fails if a query holds anything of a partner or the other way round."""
    query, partner = split_pairs(images)
    assert not query[:, 1::2].any() and not partner[:, 0::2].any()
    return query[:, 0::2], partner[:, 1::2]


def mixed(name, batch, seed):
    torch.manual_seed(seed)
    np.random.seed(seed)
    images, scores = batch
    return PairwiseBatchAugment(AUGMENTS[name])(images.clone(), scores.clone())


@pytest.mark.parametrize('name', AUGMENTS)
@pytest.mark.parametrize('channels_last', [False, True])
def test_both_members_are_mixed_alike_with_the_same_pair(batch, name, channels_last):
    if channels_last:
        batch = batch[0].contiguous(memory_format=torch.channels_last), batch[1]
    changed = 0
    for seed in range(10):
        images, scores = mixed(name, batch, seed)
        assert images.shape == batch[0].shape and scores.shape == batch[1].shape
        of_query, of_partner = shares(images)
        assert torch.equal(of_query, of_partner)
        assert scores.dtype == torch.float32
        assert pairs_match(scores).all(), 'a mixed pair must still count as a pair'
        changed += not torch.equal(images, batch[0])
    assert changed > 5


@pytest.mark.parametrize('name', ['CutMix', 'CutMix-minmax'])
def test_one_box_of_another_pair_and_labels_by_its_area(batch, name):
    boxes = 0
    for seed in range(10):
        images, scores = mixed(name, batch, seed)
        of_query, _ = shares(images)
        assert set(of_query.unique().tolist()) <= {0., 1.}
        foreign = of_query.argmax(1) != torch.arange(PAIRS)[:, None, None]
        for pair in foreign[foreign.flatten(1).any(1)]:
            rows, columns = pair.any(1), pair.any(0)
            assert torch.equal(pair, rows[:, None] & columns[None]), 'not a box'
            boxes += 1
        torch.testing.assert_close(of_query.mean((2, 3)), scores[0::2])
    assert boxes > 5


def test_one_lambda_and_permutation(batch):
    for seed in range(10):
        images, scores = mixed('Mixup', batch, seed)
        of_query, _ = shares(images)
        torch.testing.assert_close(of_query[:, :, 0, 0], scores[0::2])
        assert (of_query == of_query[:, :, :1, :1]).all()
        # One lambda for the whole batch, and one permutation: every pair is given once.
        values = of_query[:, :, 0, 0]
        torch.testing.assert_close(values.sum(0), torch.ones(PAIRS))
        given = values[(values > 1e-6) & (values < 1 - 1e-6)]
        assert len({round(share, 5) for share in given.tolist()}) <= 2


def test_resize_mix_pastes_the_whole_image_of_a_pair(batch):
    images, scores = mixed('ResizeMix', batch, 1)
    torch.testing.assert_close(shares(images)[0].mean((2, 3)), scores[0::2])


def test_cut_out_blanks_one_square_for_both_and_another_for_each_pair(batch):
    images, scores = mixed('CutOut', batch, 0)
    blank = ~shares(images)[0].any(1)
    assert torch.equal(scores, batch[1].float())
    assert blank.flatten(1).any(1).all()
    assert len({tuple(b.flatten().tolist()) for b in blank}) > 1


def test_is_mmpretrain_s_augment_on_the_folded_batch(batch):
    """Same random numbers as the plain augment: whatever mmpretrain does, is done to pairs."""
    from mmpretrain.models.utils.batch_augments import CutMix
    images, scores = mixed('CutMix', batch, 3)
    torch.manual_seed(3)
    np.random.seed(3)
    queries, their_scores = CutMix(1.0)(batch[0][0::2].clone(), batch[1][0::2])
    assert torch.equal(images[0::2], queries) and torch.equal(scores[0::2], their_scores)


def test_takes_an_augment_that_is_built_already(batch):
    seen = []

    def augment(images, scores):
        seen.append((images.shape, scores.shape))
        return images, scores

    out, scores = PairwiseBatchAugment(augment)(*batch)
    assert seen == [((PAIRS, 2 * IMAGES, SIZE, SIZE), (PAIRS, 2 * PAIRS))]
    assert torch.equal(out, batch[0]) and scores.is_floating_point()


def test_odd_batch(batch):
    with pytest.raises(ValueError, match='even number.*got 7.*PairedClassSampler'):
        PairwiseBatchAugment(AUGMENTS['Mixup'])(batch[0][:7], batch[1][:7])


def test_the_swap_itself_does_not_belong_inside():
    with pytest.raises(ValueError, match='between different pairs.*SequentialBatchAugment'):
        PairwiseBatchAugment(dict(type='mmips.IntraClassPatchSwap'))


@pytest.mark.parametrize('augment', ['CutMix', [dict(type='CutMix', alpha=1.0)], None])
def test_what_is_no_augment(augment):
    with pytest.raises(TypeError, match=r"config like dict\(type='CutMix'.*callable, but got"):
        PairwiseBatchAugment(augment)
