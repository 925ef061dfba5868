"""The swap augment, alone and where mmpretrain calls it."""
import copy
import pickle

import pytest
import torch
from mmpretrain.models import ClsDataPreprocessor
from mmpretrain.structures import DataSample
from torch import nn

from mmips.functional import swap_patches
from mmips.models.batch_augments import (
    IntraClassPatchSwap,
    SequentialBatchAugment,
    find_patch_swaps,
    rank_rng,
)

PAIRS = 8
LABELS = torch.arange(PAIRS).repeat_interleave(2)
CONFIG = dict(type='mmips.IntraClassPatchSwap', grid_size=2, prob=1.)


@pytest.fixture
def batch():
    """Images whose values are all different, in pairs of one class each."""
    images = torch.arange(2. * PAIRS * 3 * 8 * 8).view(2 * PAIRS, 3, 8, 8)
    return images, nn.functional.one_hot(LABELS, PAIRS)


def swapped_pairs(before, after):
    """Whether each pair has changed."""
    return (before != after).view(PAIRS, -1).any(1).tolist()


@pytest.mark.parametrize('options', [
    dict(grid_size=2, prob=1.), dict(grid_size=(4, 2), prob=.7), dict(prob=0),
    dict(prob=1., min_patches=3, max_patches=3)])
def test_is_the_functional_swap_by_the_mask_it_draws(batch, options):
    images, scores = batch
    before, scores_before = images.clone(), scores.clone()
    augment = IntraClassPatchSwap(**options)
    mask = copy.deepcopy(augment).draw_mask(PAIRS)
    assert mask.shape == (PAIRS, *augment.grid_size)
    out, out_scores = augment(images, scores)
    assert out is images and torch.equal(images, swap_patches(before, mask))
    assert sum(swapped_pairs(before, images)) in {1.: [8], .7: range(1, 8), 0: [0]}[options['prob']]
    if 'min_patches' in options:
        assert (mask.flatten(1).sum(1) == 3).all()
    assert out_scores.dtype == torch.float32 and torch.equal(out_scores, scores_before.float())
    assert scores.dtype == torch.int64, "the caller's labels stay as they are"


@pytest.mark.parametrize('dtype', [torch.float16, torch.float64])
def test_float_scores_keep_their_values_and_dtype(batch, dtype):
    images, scores = batch
    soft = (scores * .9 + .1 / PAIRS).to(dtype)
    out = IntraClassPatchSwap()(images, soft)[1]
    assert out.dtype == dtype and torch.equal(out, soft)


def test_pairs_of_different_labels_are_left_alone_and_shift_no_mask(batch):
    images, scores = batch
    other, whole = images.clone(), scores.clone()
    scores[3] = scores[15]  # breaks pair 1
    scores = scores.float()
    scores[6] = scores[7] * .9 + .1 / PAIRS  # and, softly, pair 3
    before = images.clone()
    augment = IntraClassPatchSwap(prob=1.)
    assert augment.last_mask is None
    augment(images, scores)
    IntraClassPatchSwap(prob=1.)(other, whole)
    left = [number in (1, 3) for number in range(PAIRS)]
    assert swapped_pairs(before, images) == [not alone for alone in left]
    assert augment.last_mask.flatten(1).any(1).tolist() == swapped_pairs(before, images)
    assert swapped_pairs(other, images) == left


def masks(augment, steps=4):
    return torch.stack([augment.draw_mask(16) for _ in range(steps)]).tolist()


def test_masks_follow_torch_s_seed_and_rank_unless_they_have_their_own_seed(monkeypatch):
    drawn = []
    for seed, rank in ((1, 0), (1, 0), (2, 0), (1, 1)):
        monkeypatch.setattr(rank_rng, 'get_rank', lambda rank=rank: rank)
        torch.manual_seed(seed)
        drawn.append((masks(IntraClassPatchSwap()), masks(IntraClassPatchSwap(seed=3))))
    first, again, other, elsewhere = drawn
    assert first == again and first[0] != other[0] and first[1] == other[1]
    assert first[0] != elsewhere[0] and first[1] != elsewhere[1]


@pytest.mark.parametrize('clone', [copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))])
def test_copies_go_on_from_the_same_place_and_apart(batch, clone):
    augment = IntraClassPatchSwap(grid_size=(2, 3), prob=.4, max_patches=4)
    augment(*batch)
    other = clone(augment)
    assert torch.equal(other.last_mask, augment.last_mask) and masks(other) == masks(augment)
    other.prob = 1.
    assert augment.prob == .4


@pytest.mark.parametrize(('kwargs', 'message'), [
    *((dict(grid_size=grid), r'cells, at least two in all, as an int or \(rows, cols\), but got')
      for grid in (0, 1, (1, 1), (0, 4), (-2, -2), 2.0, '4', None, True, (2, ), (2, 1.5))),
    *((dict(prob=prob), rf'prob must be a number in \[0, 1\], but got {prob!r}')
      for prob in (-.1, 1.1, float('nan'), '0.5')),
    *((dict(grid_size=2, min_patches=least, max_patches=most),
       rf'1 <= min_patches <= max_patches <= 4 .*\(2, 2\), but got min_patches={least!r}, '
       f'max_patches={most!r}') for least, most in ((0, 3), (3, 2), (1, 5), (1.5, 3), (1, '2'))),
    (dict(grid_size=2, min_patches=4), r'max_patches=None \(all but one\)')])
def test_refuses(kwargs, message):
    with pytest.raises(ValueError, match=message):
        IntraClassPatchSwap(**kwargs)


def test_refuses_scores_of_another_batch(batch):
    with pytest.raises(ValueError, match=r'got \(16, 3, 8, 8\) and torch.bool \(7, 4, 4\)'):
        IntraClassPatchSwap()(batch[0], batch[1][:14])


def test_in_mmpretrains_data_preprocessor():
    images = torch.randint(0, 255, (2 * PAIRS, 3, 8, 8), dtype=torch.uint8)
    data = dict(inputs=list(images),
                data_samples=[DataSample().set_gt_label(int(label)) for label in LABELS])
    preprocessor = ClsDataPreprocessor(
        mean=[100., 110., 120.], std=[50., 60., 70.], num_classes=PAIRS, to_rgb=True,
        batch_augments=dict(augments=[CONFIG]))
    given = images.clone()
    plain = preprocessor(copy.deepcopy(data), training=False)['inputs']
    out = preprocessor(data, training=True)
    assert torch.equal(out['inputs'], swap_patches(
        plain, IntraClassPatchSwap(2, 1.).draw_mask(PAIRS)))
    assert all(swapped_pairs(plain, out['inputs']))
    assert torch.equal(images, given), "the loader's own images are not written to"
    for sample, label in zip(out['data_samples'], LABELS):
        assert sample.gt_label.item() == label and sample.gt_score.dtype == torch.float32
        assert sample.gt_score.argmax() == label and sample.gt_score.sum() == 1


def model(*augments):
    """What a swap is looked for in, as a wrapper of distributed training holds it."""
    inner = nn.Module()
    inner.data_preprocessor = ClsDataPreprocessor(
        num_classes=2, batch_augments=dict(augments=list(augments)) if augments else None)
    return nn.Sequential(inner)


def test_swaps_are_found_where_they_run_so_that_a_hook_can_change_them(batch):
    for none in (nn.Linear(1, 1), model(), model(dict(type='CutMix', alpha=1.))):
        assert find_patch_swaps(none) == []
    swaps = [IntraClassPatchSwap(grid) for grid in (2, 3)]
    inner = SequentialBatchAugment([dict(type='Mixup', alpha=1.), swaps[1]])
    assert find_patch_swaps(model(swaps[0], SequentialBatchAugment([inner]))) == swaps
    built = model(dict(CONFIG, prob=0.))
    find_patch_swaps(built)[0].prob = 1.
    before = batch[0].clone()
    built[0].data_preprocessor.batch_augments(*batch)
    assert all(swapped_pairs(before, batch[0]))
