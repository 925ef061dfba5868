"""The pair KL against torch's own divergence of distributions, in float64."""
import itertools
import math

import pytest
import torch
from torch.distributions import Bernoulli, Categorical, Independent, kl_divergence

from mmips.functional import pair_kl

VALID = torch.tensor([True, False, True, False])


def reference(query, partner, temperature=4.0, scale_by_t2=True, detach='none', symmetric=True,
              valid=None, activation='softmax'):
    """Eq. 2 of the paper, pair by pair."""
    kinds = dict(softmax=lambda z: Categorical(logits=z),
                 sigmoid=lambda z: Independent(Bernoulli(logits=z), 1))
    q, p = (kinds[activation]((z.detach() if detach == side else z) / temperature)
            for z, side in ((query, 'query'), (partner, 'partner')))
    each = kl_divergence(p, q)
    each = (each + kl_divergence(q, p)) / 2 if symmetric else each
    each = each if valid is None else each[valid]
    return each.mean() * (temperature**2 if scale_by_t2 else 1)


def logits(*shape, scale=3.0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return [(scale * torch.randn(shape, generator=generator, dtype=torch.float64)).to(dtype)
            .requires_grad_() for _ in range(2)]


def value_and_gradients(function, pair, **options):
    loss = function(*pair, **options)
    return loss.detach(), *torch.autograd.grad(loss, pair, materialize_grads=True)


def check(pair, **options):
    """Value and gradients are the reference's; returns them."""
    found = value_and_gradients(pair_kl, pair, **options)
    expected = value_and_gradients(reference, pair, **options)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-14)
    return found


@pytest.mark.parametrize(
    ('temperature', 'scale_by_t2', 'detach', 'symmetric', 'activation'), itertools.product(
        [4.0, 0.5], [True, False], ['none', 'query', 'partner'], [True, False],
        ['softmax', 'sigmoid']))
def test_value_and_gradient(temperature, scale_by_t2, detach, symmetric, activation):
    loss, *gradients = check(logits(5, 7), temperature=temperature, scale_by_t2=scale_by_t2,
                             detach=detach, symmetric=symmetric, activation=activation)
    assert loss.dtype == torch.float64 and loss.shape == ()
    assert [bool(gradient.any()) for gradient in gradients] == [
        detach != side for side in ('query', 'partner')]


def test_one_sided_form_is_cs_kd_s_and_defaults_are_the_paper_s():
    """CS-KD, Eq. 1: KL(partner, constant || query) * T^2, as torch's kl_div has it."""
    query, partner = logits(6, 9)
    theirs = torch.nn.functional.kl_div((query / 4).log_softmax(1), (partner / 4).softmax(1),
                                        reduction='batchmean') * 16
    torch.testing.assert_close(pair_kl(query, partner, detach='partner', symmetric=False), theirs)
    check([query, partner])


@pytest.mark.parametrize('symmetric', [True, False])
def test_sigmoid_is_the_kl_of_the_product_and_softmax_that_of_one_true_class(symmetric):
    """Over all 2^4 label vectors: with sigmoid of all of them, with softmax of the one-hot ones."""
    labels = torch.tensor(list(itertools.product([0., 1.], repeat=4)), dtype=torch.float64)
    one_hot = labels.sum(1) == 1

    def over_vectors(query, partner, only, temperature=4.0, symmetric=True):
        q, p = (((2 * labels - 1) * z[:, None] / temperature).sigmoid().prod(2)[:, only]
                for z in (query, partner))
        q, p = q / q.sum(1, keepdim=True), p / p.sum(1, keepdim=True)
        each = (p * (p / q).log()).sum(1)
        each = (each + (q * (q / p).log()).sum(1)) / 2 if symmetric else each
        return each.mean() * temperature**2

    pair = logits(5, 4)
    for activation, only in (('sigmoid', slice(None)), ('softmax', one_hot)):
        options = dict(activation=activation, symmetric=symmetric)
        torch.testing.assert_close(
            value_and_gradients(pair_kl, pair, **options),
            value_and_gradients(over_vectors, pair, only=only, symmetric=symmetric))


@pytest.mark.parametrize('symmetric', [True, False])
def test_two_classes_of_a_softmax_are_one_sigmoid_of_their_difference(symmetric):
    pair = logits(5, 2)
    options = dict(temperature=3.0, symmetric=symmetric)
    torch.testing.assert_close(
        value_and_gradients(pair_kl, pair, **options),
        value_and_gradients(lambda *both, **kw: pair_kl(
            *(z[:, :1] - z[:, 1:] for z in both), activation='sigmoid', **kw), pair, **options))


@pytest.mark.parametrize('activation', ['softmax', 'sigmoid'])
@pytest.mark.parametrize('symmetric', [True, False])
def test_mean_over_the_valid_pairs(symmetric, activation):
    for gradient in check(logits(4, 5), symmetric=symmetric, valid=VALID,
                          activation=activation)[1:]:
        assert gradient[VALID].any() and not gradient[~VALID].any()


@pytest.mark.parametrize('bad', [math.inf, math.nan])
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize('symmetric', [True, False])
def test_what_is_excluded_cannot_poison_the_rest(bad, dtype, symmetric):
    pair = logits(4, 5, dtype=dtype)
    clean = value_and_gradients(pair_kl, pair, symmetric=symmetric, valid=VALID)
    with torch.no_grad():
        pair[0][1], pair[1][3, 2] = bad, -bad
    found = value_and_gradients(pair_kl, pair, symmetric=symmetric, valid=VALID)
    assert all(torch.equal(one, other) for one, other in zip(found, clean))


def test_no_valid_pair_is_zero_with_zero_gradient():
    found = value_and_gradients(pair_kl, logits(4, 5), valid=torch.zeros(4, dtype=torch.bool))
    assert not any(part.any() for part in found)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    pair = logits(6, 50, scale=2., dtype=dtype)
    doubles = [z.detach().double().requires_grad_() for z in pair]
    loss, *gradients = value_and_gradients(pair_kl, pair)
    expected, *exact = value_and_gradients(reference, doubles)
    # Half precision would be off by 1e-3, bfloat16 by 1e-2.
    assert loss.dtype == torch.float32 and loss.item() == pytest.approx(float(expected), rel=1e-5)
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(pair_kl(*pair), loss)
    for found, gradient in zip(gradients, exact):
        assert found.dtype == dtype
        torch.testing.assert_close(found.double(), gradient, rtol=torch.finfo(dtype).eps, atol=1e-6)


def test_large_half_logits_do_not_overflow():
    query = torch.tensor([[60000., 0.], [0., 0.]], dtype=torch.float16, requires_grad=True)
    pair = [query, torch.zeros_like(query, requires_grad=True)]
    found = [part for activation in ('softmax', 'sigmoid')
             for part in value_and_gradients(pair_kl, pair, activation=activation)]
    assert all(part.isfinite().all() for part in found)


Z = torch.zeros(3, 4)


@pytest.mark.parametrize('partner, options, message', [
    (torch.zeros(3, 5), {}, r'one shape \(P, K\), but got \(3, 4\) and \(3, 5\)'),
    (Z, dict(detach='both'), "'none', 'query', 'partner'.*got 'both'"),
    (Z, dict(activation='relu'), "'softmax', 'sigmoid'.*got 'relu'"),
    (Z, dict(valid=torch.ones(3, dtype=torch.int64)), r'bool tensor.*got torch.int64 \(3,\)'),
    *((Z, dict(temperature=value), f'positive and finite, but got {value}')
      for value in (0, -1.0, math.nan, math.inf)),
    # These would broadcast.
    *((Z, dict(valid=torch.ones(shape, dtype=torch.bool)), r'shape \(3,\), one value a pair')
      for shape in ((1, ), (3, 1), (4, ), ()))])
def test_refuses(partner, options, message):
    with pytest.raises(ValueError, match=message):
        pair_kl(Z, partner, **options)
