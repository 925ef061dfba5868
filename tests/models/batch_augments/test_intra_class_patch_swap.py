"""The swap augment, alone and where mmpretrain calls it."""
import copy
import pickle
import subprocess
import sys

import pytest
import torch
from mmengine.registry import MODEL_WRAPPERS
from mmpretrain.models import ClsDataPreprocessor, RandomBatchAugment
from mmpretrain.structures import DataSample

from mmips.functional import swap_patches
from mmips.models.batch_augments import (
    IntraClassPatchSwap,
    PairwiseBatchAugment,
    SequentialBatchAugment,
    find_patch_swaps,
    rank_rng,
)

PAIRS = 8


@pytest.fixture
def batch():
    """Images whose values are all different, in pairs of one class each."""
    images = torch.arange(2. * PAIRS * 3 * 8 * 8).view(2 * PAIRS, 3, 8, 8)
    labels = torch.arange(PAIRS).repeat_interleave(2)
    return images, torch.nn.functional.one_hot(labels, PAIRS)


def swapped_pairs(before: torch.Tensor, after: torch.Tensor) -> list:
    """Whether each pair has changed."""
    return (before != after).view(PAIRS, -1).any(1).tolist()


def test_writes_into_the_batch_and_makes_scores_floats(batch):
    images, scores = batch
    before, scores_before = images.clone(), scores.clone()
    out, out_scores = IntraClassPatchSwap(grid_size=2, prob=1.)(images, scores)
    assert out is images
    assert all(swapped_pairs(before, images))
    assert out_scores.dtype == torch.float32 and torch.equal(out_scores, scores_before.float())
    assert scores.dtype == torch.int64, "the caller's labels stay as they are"


def test_is_the_functional_swap_by_the_mask_it_draws(batch):
    images, scores = batch
    augment = IntraClassPatchSwap(grid_size=(4, 2), prob=.7)
    mask = copy.deepcopy(augment).draw_mask(PAIRS)
    assert mask.shape == (PAIRS, 4, 2)
    expected = swap_patches(images, mask)
    assert torch.equal(augment(images, scores)[0], expected)


@pytest.mark.parametrize('dtype', [torch.float16, torch.float32, torch.float64])
def test_float_scores_keep_their_values_and_dtype(batch, dtype):
    images, scores = batch
    soft = (scores * .9 + .1 / PAIRS).to(dtype)
    out = IntraClassPatchSwap()(images, soft)[1]
    assert out.dtype == dtype and torch.equal(out, soft)


def test_pairs_of_different_labels_are_left_alone(batch):
    images, scores = batch
    scores[3] = scores[15]  # breaks pair 1
    scores = scores.float()
    scores[6] = scores[7] * .9 + .1 / PAIRS  # and, softly, pair 3
    before = images.clone()
    IntraClassPatchSwap(prob=1.)(images, scores)
    changed = swapped_pairs(before, images)
    assert changed == [i not in (1, 3) for i in range(PAIRS)]


def test_a_mismatch_does_not_shift_the_masks_of_the_others(batch):
    images, scores = batch
    other, other_scores = images.clone(), scores.clone()
    other_scores[0] = other_scores[15]
    IntraClassPatchSwap(prob=.5)(images, scores)
    IntraClassPatchSwap(prob=.5)(other, other_scores)
    assert torch.equal(images[2:], other[2:])


def test_number_of_cells_lies_in_the_range(batch):
    images, scores = batch
    before = images.clone()
    IntraClassPatchSwap(grid_size=4, prob=1., min_patches=3, max_patches=3)(images, scores)
    # A cell of the 8 x 8 image is 2 x 2.
    moved = (before != images)[::2, 0].sum((1, 2))
    assert (moved == 3 * 4).all()


def test_prob_zero_swaps_nothing_but_still_makes_floats(batch):
    images, scores = batch
    before = images.clone()
    out, out_scores = IntraClassPatchSwap(prob=0)(images, scores)
    assert torch.equal(out, before) and out_scores.is_floating_point()


def masks(augment, steps=4) -> list:
    return torch.stack([augment.draw_mask(16) for _ in range(steps)]).tolist()


class TestRandomness:

    def test_same_torch_seed_same_masks(self):
        torch.manual_seed(1)
        first = masks(IntraClassPatchSwap())
        torch.manual_seed(1)
        again = masks(IntraClassPatchSwap())
        torch.manual_seed(2)
        assert again == first != masks(IntraClassPatchSwap())

    def test_ranks_draw_differently_although_they_share_the_seed(self, monkeypatch):
        drawn = []
        for rank in (0, 1, 2):
            monkeypatch.setattr(rank_rng, 'get_rank', lambda rank=rank: rank)
            drawn.append((masks(IntraClassPatchSwap()), masks(IntraClassPatchSwap(seed=5))))
        for i, j in ((0, 1), (0, 2), (1, 2)):
            assert drawn[i][0] != drawn[j][0] and drawn[i][1] != drawn[j][1]

    def test_starts_anew_when_torch_is_seeded_anew(self):
        torch.manual_seed(7)
        expected = masks(IntraClassPatchSwap())
        torch.manual_seed(6)
        augment = IntraClassPatchSwap()
        masks(augment)
        torch.manual_seed(7)  # as the epoch hook does
        assert masks(augment) == expected

    def test_own_seed_does_not_listen_to_torch_s(self):
        torch.manual_seed(1)
        first = masks(IntraClassPatchSwap(seed=3))
        torch.manual_seed(2)
        assert masks(IntraClassPatchSwap(seed=3)) == first
        assert masks(IntraClassPatchSwap(seed=4)) != first

    def test_changing_prob_halfway_keeps_the_later_masks(self):
        """A schedule of prob must not make two runs incomparable."""
        one, two = IntraClassPatchSwap(prob=1.), IntraClassPatchSwap(prob=0.)
        masks(one), masks(two)
        two.prob = 1.
        assert masks(one) == masks(two)

@pytest.mark.parametrize('clone', [copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))],
                         ids=['deepcopy', 'pickle'])
def test_copies_go_on_from_the_same_place_and_apart(batch, clone):
    augment = IntraClassPatchSwap(grid_size=(2, 3), prob=.4, max_patches=4)
    augment(*batch)
    other = clone(augment)
    assert repr(other) == repr(augment)
    assert torch.equal(other.last_mask, augment.last_mask)
    assert masks(other) == masks(augment)
    other.prob = 1.
    assert augment.prob == .4


def test_repr_names_what_was_configured():
    assert repr(IntraClassPatchSwap(2)) == (
        'IntraClassPatchSwap(grid_size=(2, 2), prob=0.5, min_patches=1, max_patches=3)')


class TestMessages:

    @pytest.mark.parametrize(('kwargs', 'error', 'message'), [
        *((dict(grid_size=grid), ValueError, 'at least two cells to swap, but got')
          for grid in (0, 1, (1, 1), (0, 4), (-2, -2))),
        *((dict(prob=prob), TypeError, 'prob must be a number in') for prob in ('0.5', True)),
        *((dict(grid_size=2, min_patches=value), TypeError, 'min_patches must be a number of cells')
          for value in (1.5, True)),
        (dict(grid_size=2, max_patches='2'), TypeError, 'max_patches must be a number of cells'),
        (dict(grid_size=2, min_patches=4), ValueError, r'max_patches=None \(all but one\)')])
    def test_settings_that_cannot_be(self, kwargs, error, message):
        with pytest.raises(error, match=message):
            IntraClassPatchSwap(**kwargs)

    @pytest.mark.parametrize('grid', [2.0, '4', None, True, (2, ), (2, 2, 2), (2, 1.5), (2, True)])
    def test_grid_of_another_kind(self, grid):
        with pytest.raises(TypeError, match=r'cells as an int or \(rows, cols\), but got'):
            IntraClassPatchSwap(grid_size=grid)

    @pytest.mark.parametrize('prob', [-.1, 1.1, float('nan'), float('inf')])
    def test_prob_out_of_range(self, prob):
        with pytest.raises(ValueError, match=rf'prob must be in \[0, 1\], but got {prob}'):
            IntraClassPatchSwap(prob=prob)

    def test_prob_is_checked_when_it_is_set_later_too(self):
        augment = IntraClassPatchSwap(prob=.3)
        with pytest.raises(ValueError, match='but got 2'):
            augment.prob = 2
        assert augment.prob == .3

    @pytest.mark.parametrize(('least', 'most'), [(0, 3), (3, 2), (1, 5), (5, None), (-1, 2)])
    def test_range_of_patches(self, least, most):
        with pytest.raises(ValueError, match=rf'1 <= min_patches <= max_patches <= 4 .*\(2, 2\).*'
                                             f'min_patches={least}, max_patches={most}|'
                                             f'min_patches={least}, max_patches=None'):
            IntraClassPatchSwap(grid_size=2, min_patches=least, max_patches=most)

    def test_scores_of_another_batch(self, batch):
        with pytest.raises(ValueError, match='Got 16 images but 14 scores'):
            IntraClassPatchSwap()(batch[0], batch[1][:14])

CONFIG = dict(type='mmips.IntraClassPatchSwap', grid_size=2, prob=1.)


def samples(labels):
    return [DataSample().set_gt_label(int(label)) for label in labels]


class TestInMmpretrain:

    def test_data_preprocessor(self):
        labels = torch.arange(PAIRS).repeat_interleave(2)
        images = torch.randint(0, 255, (2 * PAIRS, 3, 8, 8), dtype=torch.uint8)
        preprocessor = ClsDataPreprocessor(
            mean=[100., 110., 120.], std=[50., 60., 70.], num_classes=PAIRS, to_rgb=True,
            batch_augments=dict(augments=[CONFIG]))
        data = dict(inputs=list(images), data_samples=samples(labels))
        plain = ClsDataPreprocessor(
            mean=[100., 110., 120.], std=[50., 60., 70.], to_rgb=True)(
                dict(inputs=list(images), data_samples=samples(labels)))
        given = images.clone()
        expected = swap_patches(plain['inputs'], IntraClassPatchSwap(2, 1.).draw_mask(PAIRS))
        out = preprocessor(data, training=True)
        assert torch.equal(out['inputs'], expected)
        assert all(swapped_pairs(plain['inputs'], out['inputs']))
        assert torch.equal(images, given), "the loader's own images are not written to"
        assert len(out['inputs']) == len(out['data_samples']) == 2 * PAIRS
        for sample, label in zip(out['data_samples'], labels):
            assert sample.gt_label.item() == label
            assert sample.gt_score.dtype == torch.float32
            assert sample.gt_score.argmax() == label and sample.gt_score.sum() == 1

    def test_evaluation_is_untouched(self):
        images = torch.randint(0, 255, (4, 3, 8, 8), dtype=torch.uint8)
        preprocessor = ClsDataPreprocessor(num_classes=2, batch_augments=dict(augments=[CONFIG]))
        data = dict(inputs=list(images), data_samples=samples([0, 0, 1, 1]))
        assert torch.equal(preprocessor(data, training=False)['inputs'], images.float())

    def test_name_is_found_in_a_fresh_interpreter_that_knows_only_mmpretrain(self):
        code = ('import mmpretrain, sys\n'
                'from mmengine.registry import init_default_scope\n'
                'init_default_scope("mmpretrain")\n'
                'from mmpretrain.registry import BATCH_AUGMENTS\n'
                'assert "mmips" not in sys.modules\n'
                'built = BATCH_AUGMENTS.build(dict(type="mmips.PairwiseBatchAugment",\n'
                '    augment=dict(type="CutMix", alpha=1.0)))\n'
                'print(built.augment)\n'
                'print(BATCH_AUGMENTS.build(dict(type="mmips.IntraClassPatchSwap")))')
        run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        assert 'cutmix.CutMix' in run.stdout and 'IntraClassPatchSwap(grid_size' in run.stdout


class Model(torch.nn.Module):

    def __init__(self, *augments, probs=None):
        super().__init__()
        batch_augments = dict(augments=list(augments), probs=probs) if augments else None
        self.data_preprocessor = ClsDataPreprocessor(num_classes=2, batch_augments=batch_augments)


class Wrapper(torch.nn.Module):

    def __init__(self, module):
        super().__init__()
        self.module = module


def test_the_last_mask_tells_which_pairs_were_swapped(batch):
    images, scores = batch
    scores[0] = scores[15]  # a pair of two labels is left alone
    augment = IntraClassPatchSwap(prob=0.5, seed=0)
    assert augment.last_mask is None
    seen = set()
    for _ in range(4):
        before = images.clone()
        augment(images, scores)
        assert augment.last_mask.shape == (PAIRS, 4, 4)
        told = augment.last_mask.flatten(1).any(1).tolist()
        assert told == swapped_pairs(before, images) and not told[0]
        seen.update(told)
    assert seen == {True, False}


class TestFindPatchSwaps:

    @pytest.fixture
    def wrapper(self):
        MODEL_WRAPPERS.register_module(name='TestWrapper', module=Wrapper)
        yield Wrapper
        MODEL_WRAPPERS.module_dict.pop('TestWrapper')

    def test_none(self):
        assert find_patch_swaps(torch.nn.Linear(1, 1)) == []
        assert find_patch_swaps(Model()) == []
        assert find_patch_swaps(Model(dict(type='CutMix', alpha=1.))) == []

    def test_nested_in_every_way(self):
        swaps = [IntraClassPatchSwap(grid) for grid in (2, 3, 4)]
        inner = SequentialBatchAugment([dict(type='Mixup', alpha=1.), swaps[1]])
        wrapped = PairwiseBatchAugment(RandomBatchAugment([swaps[2]]))
        found = find_patch_swaps(Model(swaps[0], SequentialBatchAugment([inner, wrapped])))
        assert set(map(id, found)) == set(map(id, swaps)) and len(found) == 3

    def test_through_a_ddp_like_wrapper(self, wrapper):
        swap = IntraClassPatchSwap()
        assert find_patch_swaps(wrapper(Model(swap))) == [swap]

    def test_finds_the_swap_that_runs_so_that_a_hook_can_change_it(self, batch):
        model = Model(dict(CONFIG, prob=0.))
        find_patch_swaps(model)[0].prob = 1.
        before = batch[0].clone()
        model.data_preprocessor.batch_augments(*batch)
        assert all(swapped_pairs(before, batch[0]))


@pytest.mark.gpu
def test_cuda_gives_the_cpu_s_result_and_never_waits(batch):
    images, scores = batch
    on_device = images.cuda(), scores.cuda()
    IntraClassPatchSwap(prob=1., seed=0)(images.cuda(), scores.cuda())
    augment, expected = IntraClassPatchSwap(seed=1), IntraClassPatchSwap(seed=1)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode('error')
    try:
        out, out_scores = augment(*on_device)
    finally:
        torch.cuda.set_sync_debug_mode('default')
    assert torch.equal(out.cpu(), expected(images, scores)[0])
    assert out_scores.is_cuda and augment.last_mask.is_cuda
