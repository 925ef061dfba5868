"""The loss module: its options reach the function, and it adds nothing to a checkpoint."""
import itertools
import math

import pytest
import torch

from mmips.functional import pair_kl
from mmips.models.losses import PairKLLoss
from mmips.registry import MODELS
from mmips.structures import Step, join_pairs


def step_of(query, partner, mismatched=()):
    target = torch.zeros(2 * len(query))
    target[[2 * pair for pair in mismatched]] = 1
    return Step(join_pairs(query, partner), target)


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(5)
    return [3 * torch.randn(4, 6, generator=generator, dtype=torch.float64) for _ in range(2)]


@pytest.mark.parametrize(('temperature', 'scale_by_t2', 'detach', 'symmetric'), itertools.product(
    [1.0, 3], [True, False], ['none', 'query', 'partner'], [True, False]))
def test_every_option_reaches_the_function(pair, temperature, scale_by_t2, detach, symmetric):
    options = dict(temperature=temperature, scale_by_t2=scale_by_t2, detach=detach,
                   symmetric=symmetric)
    results = []
    for function in (lambda q, p: PairKLLoss(**options)(step_of(q, p)),
                     lambda q, p: pair_kl(q, p, **options)):
        leaves = [z.clone().requires_grad_() for z in pair]
        loss = function(*leaves)
        loss.backward()
        gradients = [torch.zeros_like(z) if z.grad is None else z.grad for z in leaves]
        results.append((loss.detach(), *gradients))
    for ours, expected in zip(*results):
        assert torch.equal(ours, expected)


def test_defaults_are_the_paper_s(pair):
    assert torch.equal(PairKLLoss()(step_of(*pair)), pair_kl(*pair, 4.0, True, 'none', True))


def test_pairs_of_two_labels_are_left_out(pair):
    loss = PairKLLoss()(step_of(*pair, mismatched=[1, 2]))
    assert torch.equal(loss, pair_kl(*pair, valid=torch.tensor([True, False, False, True])))
    torch.testing.assert_close(loss, PairKLLoss()(step_of(*(z[[0, 3]] for z in pair))))
    assert not torch.equal(loss, PairKLLoss()(step_of(*pair)))


def test_is_built_by_name_from_any_scope(pair):
    from mmpretrain.registry import MODELS as PRETRAIN_MODELS
    for registry in (MODELS, PRETRAIN_MODELS):
        built = registry.build(dict(type='mmips.PairKLLoss', temperature=2.0))
        assert type(built) is PairKLLoss and built.temperature == 2.0


def test_has_no_state():
    assert not PairKLLoss().state_dict()


@pytest.mark.parametrize('temperature', [0, -4.0, math.nan, math.inf])
def test_temperature_is_refused_when_built(temperature):
    with pytest.raises(ValueError, match=f'positive and finite, but got {temperature}'):
        PairKLLoss(temperature=temperature)


def test_detach_is_refused_when_built():
    with pytest.raises(ValueError, match="'none', 'query', 'partner'., but got None"):
        PairKLLoss(detach=None)
