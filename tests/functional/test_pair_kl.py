"""The pair KL against sums written out by hand in float64."""
import itertools
import math
from importlib import import_module

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmips.functional import pair_kl


def softmax(z: np.ndarray, temperature: float) -> np.ndarray:
    e = np.exp(z / temperature - (z / temperature).max())
    return e / e.sum()


def kl(p: np.ndarray, q: np.ndarray) -> float:
    return sum(float(a) * math.log(float(a) / float(b)) for a, b in zip(p, q))


def reference(z1, z2, temperature=4.0, scale_by_t2=True, symmetric=True, valid=None) -> float:
    """Eq. 2 of the paper, pair by pair and class by class."""
    kept = range(len(z1)) if valid is None else [i for i, v in enumerate(valid) if v]
    total = 0.0
    for i in kept:
        p1, p2 = softmax(z1[i], temperature), softmax(z2[i], temperature)
        total += (kl(p1, p2) + kl(p2, p1)) / 2 if symmetric else kl(p2, p1)
    total = total / max(len(kept), 1)
    return total * temperature**2 if scale_by_t2 else total


def reference_gradients(z1, z2, temperature, scale_by_t2, detach, symmetric):
    """Derivatives by hand: with s(p, r) = p * (r - sum(p * r)), d KL(p||q) / d p's logits is
    s(p, log(p / q)) / T, and d KL(p||q) / d q's logits is (q - p) / T."""
    first, second = np.zeros_like(z1), np.zeros_like(z2)
    for i in range(len(z1)):
        p1, p2 = softmax(z1[i], temperature), softmax(z2[i], temperature)
        ratio = np.log(p1) - np.log(p2)
        to_first = p1 - p2
        to_second = -p2 * (ratio - (p2 * ratio).sum())
        if symmetric:
            to_first = (to_first + p1 * (ratio - (p1 * ratio).sum())) / 2
            to_second = (to_second + p2 - p1) / 2
        first[i], second[i] = to_first, to_second
    scale = (temperature if scale_by_t2 else 1 / temperature) / len(z1)
    return (first * scale * (detach != 'query'), second * scale * (detach != 'partner'))


def logits(*shape, scale=3.0, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, scale, shape), rng.normal(0, scale, shape)


def leaves(*arrays):
    return [torch.tensor(a, requires_grad=True) for a in arrays]


SETTINGS = list(itertools.product(
    [1.0, 4.0, 0.5], [True, False], ['none', 'query', 'partner'], [True, False]))


@pytest.mark.parametrize(('temperature', 'scale_by_t2', 'detach', 'symmetric'), SETTINGS)
def test_value_and_gradient(temperature, scale_by_t2, detach, symmetric):
    arrays = logits(5, 7)
    query, partner = leaves(*arrays)
    loss = pair_kl(query, partner, temperature, scale_by_t2, detach, symmetric)
    expected = reference(*arrays, temperature, scale_by_t2, symmetric)
    assert loss.dtype == torch.float64 and loss.shape == ()
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    loss.backward()
    gradients = reference_gradients(*arrays, temperature, scale_by_t2, detach, symmetric)
    for leaf, gradient in zip((query, partner), gradients):
        found = np.zeros_like(gradient) if leaf.grad is None else leaf.grad.numpy()
        np.testing.assert_allclose(found, gradient, rtol=1e-10, atol=1e-14)


def test_defaults_are_the_paper_s():
    arrays = logits(4, 6, seed=1)
    loss = pair_kl(*map(torch.tensor, arrays))
    assert loss.item() == pytest.approx(reference(*arrays, 4.0, True, True), rel=1e-12)


@given(st.integers(1, 4), st.integers(2, 6), st.floats(0.5, 10), st.booleans(),
       st.integers(0, 2**32 - 1))
def test_value_for_any_shape_and_temperature(pairs, classes, temperature, symmetric, seed):
    arrays = logits(pairs, classes, seed=seed)
    loss = pair_kl(*map(torch.tensor, arrays), temperature, symmetric=symmetric)
    assert loss.item() == pytest.approx(
        reference(*arrays, temperature, symmetric=symmetric), rel=1e-9, abs=1e-13)
    assert loss >= 0


def test_reference_gradients_agree_with_finite_differences():
    """The hand-written derivative is itself checked, by values alone."""
    z1, z2 = logits(2, 3, scale=1., seed=2)
    for symmetric in (True, False):
        hand = reference_gradients(z1, z2, 4.0, True, 'none', symmetric)
        for side, position in itertools.product((0, 1), np.ndindex(2, 3)):
            step = np.zeros_like(z1)
            step[position] = 1e-5
            values = [reference(z1 + s * step * (side == 0), z2 + s * step * (side == 1),
                                symmetric=symmetric) for s in (1, -1)]
            slope = (values[0] - values[1]) / 2e-5
            assert hand[side][position] == pytest.approx(slope, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize('symmetric', [True, False])
def test_zero_with_zero_gradient_for_equal_predictions(symmetric):
    z = logits(3, 5)[0]
    # Adding a constant to all logits of an image does not change its prediction.
    query, partner = leaves(z, z + 2.5)
    loss = pair_kl(query, partner, symmetric=symmetric)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-14)
    for leaf in (query, partner):
        assert leaf.grad.abs().max() < 1e-14


def test_symmetric_form_does_not_care_about_the_order_and_the_other_does():
    z1, z2 = map(torch.tensor, logits(3, 5))
    assert pair_kl(z1, z2).item() == pytest.approx(pair_kl(z2, z1).item(), rel=1e-14)
    assert abs(pair_kl(z1, z2, symmetric=False) - pair_kl(z2, z1, symmetric=False)) > 1e-3


def test_t2_multiplies_value_and_gradient_and_nothing_else():
    arrays = logits(3, 5)
    (a, b), (c, d) = leaves(*arrays), leaves(*arrays)
    scaled, plain = pair_kl(a, b, 3.0, True), pair_kl(c, d, 3.0, False)
    scaled.backward()
    plain.backward()
    assert scaled.item() == pytest.approx(9 * plain.item(), rel=1e-14)
    torch.testing.assert_close(a.grad, 9 * c.grad)


def test_t2_keeps_the_gradient_s_size():
    arrays = logits(8, 10, scale=.1)
    sizes = []
    for temperature in (4.0, 40.0):
        query, partner = leaves(*arrays)
        pair_kl(query, partner, temperature).backward()
        sizes.append(query.grad.norm().item())
    assert sizes[0] == pytest.approx(sizes[1], rel=.05)


@pytest.mark.parametrize(('detach', 'learns'), [
    ('none', (True, True)), ('query', (False, True)), ('partner', (True, False))])
@pytest.mark.parametrize('symmetric', [True, False])
def test_only_the_side_that_is_not_detached_learns(detach, learns, symmetric):
    query, partner = leaves(*logits(3, 5))
    pair_kl(query, partner, detach=detach, symmetric=symmetric).backward()
    assert tuple(z.grad is not None and bool(z.grad.any()) for z in (query, partner)) == learns


def test_one_sided_form_is_cs_kd_s():
    """CS-KD, Eq. 1: KL(partner, constant || query) * T^2, as torch's kl_div has it."""
    query, partner = leaves(*logits(6, 9))
    ours = pair_kl(query, partner, 4.0, detach='partner', symmetric=False)
    theirs = torch.nn.functional.kl_div(
        (query / 4).log_softmax(1), (partner / 4).softmax(1).detach(), reduction='batchmean') * 16
    torch.testing.assert_close(ours, theirs)
    (gradient, ) = torch.autograd.grad(ours, query)
    torch.testing.assert_close(gradient, torch.autograd.grad(theirs, query)[0])
    # The student follows its teacher: it gains where the teacher is more certain.
    gain = (partner / 4).softmax(1) > (query / 4).softmax(1)
    assert (gradient[gain] < 0).all() and (gradient[~gain] > 0).all()


class TestValid:
    mask = torch.tensor([True, False, True, False])

    @pytest.mark.parametrize('symmetric', [True, False])
    def test_mean_over_the_valid_pairs(self, symmetric):
        arrays = logits(4, 5)
        query, partner = leaves(*arrays)
        loss = pair_kl(query, partner, symmetric=symmetric, valid=self.mask)
        expected = reference(*arrays, symmetric=symmetric, valid=self.mask.tolist())
        assert loss.item() == pytest.approx(expected, rel=1e-12)
        loss.backward()
        kept = [a[self.mask.numpy()] for a in arrays]
        gradients = reference_gradients(*kept, 4.0, True, 'none', symmetric)
        for leaf, gradient in zip((query, partner), gradients):
            assert not leaf.grad[~self.mask].any()
            np.testing.assert_allclose(leaf.grad[self.mask].numpy(), gradient, rtol=1e-10)

    @pytest.mark.parametrize('bad', [math.inf, -math.inf, math.nan])
    @pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32])
    @pytest.mark.parametrize('symmetric', [True, False])
    def test_what_is_excluded_cannot_poison_the_rest(self, bad, dtype, symmetric):
        arrays = logits(4, 5)
        clean = pair_kl(*(torch.tensor(a).to(dtype) for a in arrays), symmetric=symmetric,
                        valid=self.mask)
        query, partner = (torch.tensor(a).to(dtype) for a in arrays)
        query[1], partner[3, 2] = bad, bad
        query.requires_grad_(), partner.requires_grad_()
        loss = pair_kl(query, partner, symmetric=symmetric, valid=self.mask)
        assert torch.equal(loss, clean)
        loss.backward()
        for leaf in (query, partner):
            assert leaf.grad.isfinite().all() and not leaf.grad[~self.mask].any()
            assert leaf.grad[self.mask].any()

    def test_no_valid_pair_is_zero_with_zero_gradient(self):
        query, partner = leaves(*logits(4, 5))
        loss = pair_kl(query, partner, valid=torch.zeros(4, dtype=torch.bool))
        loss.backward()
        assert loss.item() == 0
        assert not query.grad.any() and not partner.grad.any()

    def test_all_valid_is_the_same_as_none_given(self):
        z = [torch.tensor(a) for a in logits(4, 5)]
        assert torch.equal(pair_kl(*z, valid=torch.ones(4, dtype=torch.bool)), pair_kl(*z))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    query, partner = (torch.tensor(a).to(dtype) for a in logits(6, 50, scale=2.))
    expected = reference(query.double().numpy(), partner.double().numpy())
    query.requires_grad_()
    loss = pair_kl(query, partner)
    assert loss.dtype == torch.float32
    # Half precision would be off by 1e-3, bfloat16 by 1e-2.
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert query.grad.dtype == dtype
    gradient, _ = reference_gradients(query.detach().double().numpy(), partner.double().numpy(),
                                      4.0, True, 'none', True)
    rounding = torch.finfo(dtype).eps
    np.testing.assert_allclose(query.grad.double().numpy(), gradient, rtol=rounding, atol=1e-6)


def test_large_half_logits_do_not_overflow():
    query = torch.tensor([[60000., 0.], [0., 0.]], dtype=torch.float16, requires_grad=True)
    loss = pair_kl(query, torch.zeros(2, 2, dtype=torch.float16))
    loss.backward()
    assert loss.isfinite() and query.grad.isfinite().all()


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('symmetric', [True, False])
def test_autocast_changes_nothing(dtype, symmetric):
    z = [torch.tensor(a).to(dtype) for a in logits(6, 50)]
    plain = pair_kl(*z, symmetric=symmetric)
    with torch.autocast('cpu', torch.bfloat16):
        mixed = pair_kl(*z, symmetric=symmetric)
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, plain)


def test_logits_of_an_autocast_layer():
    """As in training: the head's output under autocast is bfloat16 and needs a gradient."""
    layer, x = torch.nn.Linear(8, 20), torch.randn(6, 8)
    with torch.autocast('cpu', torch.bfloat16):
        out = layer(x)
        assert out.dtype == torch.bfloat16
        loss = pair_kl(out[0::2], out[1::2])
    loss.backward()
    expected = reference(*(out[i::2].detach().double().numpy() for i in (0, 1)))
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert layer.weight.grad.isfinite().all() and layer.weight.grad.any()


def test_inputs_are_left_alone():
    query, partner = map(torch.tensor, logits(4, 5))
    before = query.clone(), partner.clone()
    pair_kl(query, partner, valid=torch.tensor([True, False, True, True]))
    assert torch.equal(query, before[0]) and torch.equal(partner, before[1])


class TestMessages:
    query = partner = torch.zeros(3, 4)

    @pytest.mark.parametrize(('first', 'second'), [((3, 4), (3, 5)), ((4, ), (4, )),
                                                   ((3, 4), (1, 4)), ((3, 4, 2), (3, 4, 2))])
    def test_shapes(self, first, second):
        with pytest.raises(ValueError, match=r'one shape \(P, K\), but got \('):
            pair_kl(torch.zeros(first), torch.zeros(second))

    @pytest.mark.parametrize('temperature', [0, -1.0, math.nan, math.inf])
    def test_temperature(self, temperature):
        with pytest.raises(ValueError, match=f'positive and finite, but got {temperature}'):
            pair_kl(self.query, self.partner, temperature)

    def test_detach(self):
        with pytest.raises(ValueError, match="one of .'none', 'query', 'partner'., but got 'both'"):
            pair_kl(self.query, self.partner, detach='both')

    @pytest.mark.parametrize('shape', [(1, ), (3, 1), (4, ), ()])
    def test_valid_that_would_broadcast(self, shape):
        with pytest.raises(ValueError, match=r'shape \(3,\), one value a pair, but got \('):
            pair_kl(self.query, self.partner, valid=torch.ones(shape, dtype=torch.bool))

    def test_valid_of_numbers(self):
        with pytest.raises(TypeError, match='bool tensor, but got torch.int64'):
            pair_kl(self.query, self.partner, valid=torch.ones(3, dtype=torch.int64))


def test_names_of_the_detach_switch():
    assert import_module('mmips.functional.pair_kl').DETACH == ('none', 'query', 'partner')
