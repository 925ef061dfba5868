"""Candidates beside IPS: each part is what its docstring says, and every recipe trains."""
import pytest
import torch
from helpers.configs import ROOT
from helpers.two_steps import check_two_steps, write_npz

from mmips.functional import pair_kl
from mmips.runs import sweep_checks
from mmips.runs.sweep_file import read_sweep
from mmips.structures import Step, split_pairs

pytest.importorskip('mmpretrain')
from benchmarks import candidates  # noqa: E402

SWEEP = ROOT / 'benchmarks/candidates/next_npz.yml'
#: What no test of another sweep trains.
OWN = ('hard label, EMA', 'grids 2x2 to 8x8', 'centre kept', 'partner at half resolution',
       'two crops of one image', 'pairs mined in the batch', 'T from 4 to 1', 'standardised logits',
       'with MaxSup', 'remembered partner', 'class means', 'all of a class in the batch')
LABELS = torch.tensor([0, 0, 1, 1, 0, 0, 2, 1])


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('candidates')
    (folder / 'data').mkdir()
    write_npz(folder / 'data/cifar100.npz')
    return folder


@pytest.fixture
def sweep(folder, monkeypatch):
    monkeypatch.chdir(folder)
    for name in ('MMIPS_NPZ', 'MMIPS_MAX_CLASSES', 'MMIPS_PER_CLASS'):
        monkeypatch.delenv(name, raising=False)
    return read_sweep(SWEEP)


def step(epoch=0, numbers=range(8), **options):
    logits = 3 * torch.randn(8, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return Step(logits, LABELS, sample_idx=torch.tensor(list(numbers)), epoch=epoch, max_epochs=5,
                **options)


def kl(goal, logits):
    """KL(goal || softmax(logits / 4)) of each row, times 16."""
    goal, own = (torch.distributions.Categorical(probs=each.double())
                 for each in (goal, (logits / 4).softmax(1)))
    return 16 * torch.distributions.kl_divergence(goal, own)


@pytest.mark.parametrize('name', OWN)
def test_recipe_takes_two_steps(sweep, name, tmp_path):
    if not torch.cpu._is_avx512_bf16_supported():
        pytest.skip('this CPU has no bfloat16 arithmetic')
    recipe, = (each for each in sweep.recipes if each.name == name)
    check_two_steps(name, sweep_checks.load_recipe(sweep, recipe), tmp_path)


def test_all_recipes_differ_and_pass_the_checks(sweep):
    configs = sweep_checks.check_recipes(sweep, sweep.recipes)
    texts = {sweep_checks.load_recipe(sweep, each, configs[each.config]).pretty_text
             for each in sweep.recipes}
    assert len(texts) == len(sweep.recipes)


def test_centre_is_kept():
    swap = candidates.CentreKeepingSwap(grid_size=4, prob=1, min_patches=15, seed=0)
    outer = swap.draw_mask(100).float().mean(0)
    assert not outer[1:3, 1:3].any() and outer.sum() == pytest.approx(11.25, abs=0.5)


def test_partner_alone_loses_resolution():
    images = torch.rand(4, 3, 8, 8)
    new, _ = candidates.LowResolutionPartner()(images, torch.eye(4))
    assert torch.equal(new[::2], images[::2]) and not torch.equal(new[1::2], images[1::2])
    flat = torch.ones(2, 3, 8, 8)
    torch.testing.assert_close(candidates.LowResolutionPartner()(flat, torch.eye(2))[0], flat)


def test_mined_pairs_are_of_one_class_and_the_odd_ones_come_last():
    images = torch.arange(8.).view(8, 1, 1, 1)
    new, scores = candidates.MinedPairs()(images, torch.eye(3)[LABELS])
    found = scores.argmax(1)
    assert torch.equal(LABELS[new.flatten().long()], found) and len(new.unique()) == 8
    query, partner = split_pairs(found)
    assert (query == partner).tolist() == [True, True, True, False]


def test_standardised_logits_forget_scale_and_shift():
    loss, one = candidates.StandardizedPairKLLoss(), step()
    scaled = Step(one.logits * 7 + 3, LABELS)
    torch.testing.assert_close(loss(one), loss(scaled), rtol=1e-5, atol=0)
    z = one.logits - one.logits.mean(1, keepdim=True)
    z = z / z.square().mean(1, keepdim=True).sqrt()
    expected = pair_kl(*split_pairs(z), 2.0, valid=one.matched)
    torch.testing.assert_close(loss(one).double(), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize('epoch, temperature', [(0, 4.0), (2, 2.5), (4, 1.0)])
def test_temperature_goes_from_start_to_end(epoch, temperature):
    one = step(epoch)
    assert torch.equal(candidates.ScheduledPairKLLoss(4, 1)(one),
                       pair_kl(*one.pairs, temperature, valid=one.matched))


def test_sum_adds_its_losses():
    one, kinds = step(), [dict(type='mmips.PairKLLoss'), dict(type='mmips.MaxSupLoss')]
    each = [candidates.SumLoss([kind])(one) for kind in kinds]
    torch.testing.assert_close(candidates.SumLoss(kinds)(one), sum(each))


def test_all_pairs_of_the_batch():
    one = step()
    pairs = [(i, j) for i in range(8) for j in range(i) if LABELS[i] == LABELS[j]]
    rows = [one.logits[list(side)] for side in zip(*pairs)]
    torch.testing.assert_close(candidates.BatchClassKLLoss()(one).double(), pair_kl(*rows))


def test_class_means_are_those_of_the_last_epoch():
    loss, one = candidates.ClassMeanKLLoss(), step()
    loss.allocate(loss.plan(8, 5, 8), torch.device('cpu'))
    assert loss(one) == 0
    loss.update(one)
    assert loss(one) == 0
    loss.end_epoch()
    soft = (one.logits / 4).softmax(1)
    means = torch.stack([soft[LABELS == label].mean(0) for label in LABELS])
    torch.testing.assert_close(loss(one).double(), kl(means, one.logits).mean(), rtol=1e-5, atol=0)
    assert not loss.sums.any() and not loss.counts.any()


def test_partner_is_remembered_by_its_number():
    loss, one = candidates.PartnerMemoryKLLoss(momentum=0.5), step()
    loss.allocate(loss.plan(8, 5, 8), torch.device('cpu'))
    assert loss(one) == 0
    loss.update(one)
    first, later = (one.logits / 4).softmax(1), Step(one.logits.flip(0), LABELS,
                                                     sample_idx=torch.arange(8))
    loss.update(later)
    kept = (first + first.flip(0)) / 2
    torch.testing.assert_close(loss.soft.double(), kept, rtol=1e-5, atol=1e-7)
    partner = kept[[1, 0, 3, 2, 5, 4, 7, 6]]
    # The last pair has two labels.
    expected = kl(partner, one.logits)[:6].sum() / 8
    torch.testing.assert_close(loss(one).double(), expected, rtol=1e-5, atol=0)
