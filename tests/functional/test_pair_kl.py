"""The pair KL against sums written out by hand in float64."""
import itertools
import math

import numpy as np
import pytest
import torch

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


@pytest.mark.parametrize(('temperature', 'scale_by_t2', 'detach', 'symmetric'), itertools.product(
    [4.0, 0.5], [True, False], ['none', 'query', 'partner'], [True, False]))
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


VALID = torch.tensor([True, False, True, False])


@pytest.mark.parametrize('symmetric', [True, False])
def test_mean_over_the_valid_pairs(symmetric):
    arrays = logits(4, 5)
    query, partner = leaves(*arrays)
    loss = pair_kl(query, partner, symmetric=symmetric, valid=VALID)
    expected = reference(*arrays, symmetric=symmetric, valid=VALID.tolist())
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    loss.backward()
    kept = [a[VALID.numpy()] for a in arrays]
    gradients = reference_gradients(*kept, 4.0, True, 'none', symmetric)
    for leaf, gradient in zip((query, partner), gradients):
        assert not leaf.grad[~VALID].any()
        np.testing.assert_allclose(leaf.grad[VALID].numpy(), gradient, rtol=1e-10)


@pytest.mark.parametrize('bad', [math.inf, math.nan])
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize('symmetric', [True, False])
def test_what_is_excluded_cannot_poison_the_rest(bad, dtype, symmetric):
    query, partner = (torch.tensor(a).to(dtype) for a in logits(4, 5))
    clean = pair_kl(query, partner, symmetric=symmetric, valid=VALID)
    query[1], partner[3, 2] = bad, -bad
    query.requires_grad_(), partner.requires_grad_()
    loss = pair_kl(query, partner, symmetric=symmetric, valid=VALID)
    assert torch.equal(loss, clean)
    loss.backward()
    for leaf in (query, partner):
        assert leaf.grad.isfinite().all() and not leaf.grad[~VALID].any()
        assert leaf.grad[VALID].any()


def test_no_valid_pair_is_zero_with_zero_gradient():
    query, partner = leaves(*logits(4, 5))
    loss = pair_kl(query, partner, valid=torch.zeros(4, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0
    assert not query.grad.any() and not partner.grad.any()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    query, partner = (torch.tensor(a).to(dtype) for a in logits(6, 50, scale=2.))
    doubles = query.double().numpy(), partner.double().numpy()
    query.requires_grad_()
    loss = pair_kl(query, partner)
    assert loss.dtype == torch.float32
    # Half precision would be off by 1e-3, bfloat16 by 1e-2.
    assert loss.item() == pytest.approx(reference(*doubles), rel=1e-5)
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(pair_kl(query, partner), loss)
    loss.backward()
    assert query.grad.dtype == dtype
    gradient, _ = reference_gradients(*doubles, 4.0, True, 'none', True)
    rounding = torch.finfo(dtype).eps
    np.testing.assert_allclose(query.grad.double().numpy(), gradient, rtol=rounding, atol=1e-6)


def test_large_half_logits_do_not_overflow():
    query = torch.tensor([[60000., 0.], [0., 0.]], dtype=torch.float16, requires_grad=True)
    loss = pair_kl(query, torch.zeros(2, 2, dtype=torch.float16))
    loss.backward()
    assert loss.isfinite() and query.grad.isfinite().all()


Z = torch.zeros(3, 4)


@pytest.mark.parametrize('partner, options, message', [
    (torch.zeros(3, 5), {}, r'one shape \(P, K\), but got \(3, 4\) and \(3, 5\)'),
    (Z, dict(detach='both'), "'none', 'query', 'partner'.*got 'both'"),
    (Z, dict(valid=torch.ones(3, dtype=torch.int64)), r'bool tensor.*got torch.int64 \(3,\)'),
    *((Z, dict(temperature=value), f'positive and finite, but got {value}')
      for value in (0, -1.0, math.nan, math.inf)),
    # These would broadcast.
    *((Z, dict(valid=torch.ones(shape, dtype=torch.bool)), r'shape \(3,\), one value a pair')
      for shape in ((1, ), (3, 1), (4, ), ()))])
def test_refuses(partner, options, message):
    with pytest.raises(ValueError, match=message):
        pair_kl(Z, partner, **options)
