"""The attacks against foolbox's, and against their definitions."""
import copy

import eagerpy
import foolbox
import pytest
import torch
from torch import nn

from mmips.functional.attacks import fgsm, i_fgsm, loss_gradient, pgd

EPS = (0.001, 0.05, 0.3)
SIZES = dict(step_size=0.004, steps=7)


@pytest.fixture
def network():
    """Float64, with statistics that matter, and kinks."""
    torch.manual_seed(3)
    net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
                        nn.Flatten(), nn.Linear(6 * 9, 5)).double().eval()
    net[1].running_mean.uniform_(-.5, .5)
    net[1].running_var.uniform_(.5, 2)
    return net


@pytest.fixture
def images():
    torch.manual_seed(4)
    pixels = torch.rand(9, 3, 8, 8, dtype=torch.float64)
    # Pixels at the ends of the range, where clipping matters.
    pixels[0], pixels[1] = 0, 1
    return pixels


@pytest.fixture
def labels():
    return torch.arange(9) % 5


def oracle(attack, network, images, labels, eps, monkeypatch=None, noise=None):
    model = foolbox.PyTorchModel(network, bounds=(0, 1), device='cpu')
    if noise is not None:
        monkeypatch.setattr(eagerpy, 'uniform', lambda x, shape, low, high: eagerpy.astensor(
            low + (high - low) * noise))
    return attack.run(model, images, labels, epsilon=eps)


@pytest.mark.parametrize('eps', EPS)
def test_fgsm_is_foolboxs(network, images, labels, eps):
    expected = oracle(foolbox.attacks.LinfFastGradientAttack(), network, images, labels, eps)
    torch.testing.assert_close(fgsm(network, images, labels, eps), expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize('eps', EPS)
def test_i_fgsm_is_foolboxs(network, images, labels, eps):
    attack = foolbox.attacks.LinfBasicIterativeAttack(abs_stepsize=0.004, steps=7)
    expected = oracle(attack, network, images, labels, eps)
    result = i_fgsm(network, images, labels, eps, **SIZES)
    torch.testing.assert_close(result, expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize('eps', EPS)
def test_pgd_is_foolboxs_from_the_same_start(network, images, labels, eps, monkeypatch):
    # torch.rand draws float32, as the attack does.
    noise = torch.rand(images.shape, generator=torch.Generator().manual_seed(7)).double()
    attack = foolbox.attacks.LinfProjectedGradientDescentAttack(
        abs_stepsize=0.004, steps=7, random_start=True)
    expected = oracle(attack, network, images, labels, eps, monkeypatch, noise)
    result = pgd(network, images, labels, eps, **SIZES,
                 generator=torch.Generator().manual_seed(7))
    torch.testing.assert_close(result, expected, atol=1e-9, rtol=0)
    # The start has mattered.
    plain = i_fgsm(network, images, labels, eps, **SIZES)
    assert (result - plain).abs().max() > eps / 10


def test_fgsm_by_hand():
    """Logits (x, -x) for one pixel x: the loss of class 0 falls with x, that of class 1 rises."""

    def predict(x):
        return torch.cat([x.flatten(1), -x.flatten(1)], 1)

    images = torch.tensor([0.5, 0.5, 0.05, 0.98]).view(4, 1, 1, 1)
    moved = fgsm(predict, images, torch.tensor([0, 1, 0, 1]), 0.1)
    torch.testing.assert_close(moved.flatten(), torch.tensor([0.4, 0.6, 0., 1.]))
    moved = fgsm(lambda x: predict(x / 255), images * 255, torch.tensor([0, 1, 0, 1]), 10,
                 bounds=(0, 255))
    torch.testing.assert_close(moved.flatten(), torch.tensor([117.5, 137.5, 2.75, 255.]))


@pytest.mark.parametrize('eps', [0.02, torch.tensor([0.01, 0.02, 0.03]).view(3, 1, 1)])
def test_the_ball_and_the_range_are_kept(network, images, labels, eps):
    # Steps that lead far out of the ball, for each channel on its own.
    results = [i_fgsm(network, images, labels, eps, 10 * eps, 3),
               pgd(network, images, labels, eps, 10 * eps, 3), fgsm(network, images, labels, eps)]
    limit = torch.as_tensor(eps, dtype=torch.float64).expand(3, 8, 8)
    for moved in results:
        assert ((moved - images).abs() <= limit + 1e-12).all()
        assert moved.min() >= 0 and moved.max() <= 1
        # Gradients are hardly ever zero, so the ball is used to its border.
        inside = moved[2:].clamp(0.05, 0.95) == moved[2:]
        assert ((moved - images)[2:].abs() > 0.9 * limit)[inside].float().mean() > 0.7


def test_one_gradient_serves_all_eps(network, images, labels):
    gradient = loss_gradient(network, images, labels)
    for eps in EPS:
        given = fgsm(None, images, labels, eps, gradient=gradient)
        assert torch.equal(given, fgsm(network, images, labels, eps))


def test_starts_do_not_depend_on_the_batch(network, images, labels):
    generator = torch.Generator().manual_seed(0)
    parts = torch.cat([pgd(network, images[part], labels[part], 0.1, 0.01, 2, generator=generator)
                       for part in (slice(0, 2), slice(2, 9))])
    whole = pgd(network, images, labels, 0.1, 0.01, 2,
                generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(whole, parts)


def test_nothing_but_the_result_changes(network, images, labels):
    before, pixels = copy.deepcopy(network.state_dict()), images.clone()
    state = torch.random.get_rng_state()
    with torch.no_grad():
        for result in (fgsm(network, images, labels, 0.1),
                       i_fgsm(network, images, labels, 0.1, 0.05, 2),
                       pgd(network, images, labels, 0.1, 0.05, 2,
                           generator=torch.Generator().manual_seed(0))):
            assert not result.requires_grad and result.dtype == torch.float64
    assert torch.equal(images, pixels) and not images.requires_grad
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(p.grad is None and p.requires_grad for p in network.parameters())
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key])


@pytest.mark.parametrize('attack', [
    lambda *args: fgsm(*args, 0.1), lambda *args: i_fgsm(*args, 0.1, 0.1),
    lambda *args: pgd(*args, 0.1, 0.1)])
def test_images_outside_the_range_are_refused(network, images, labels, attack):
    with pytest.raises(ValueError, match=r'within 0 to 1, .* from 0 to 255'):
        attack(network, images * 255, labels)
    with pytest.raises(ValueError, match='from nan'):
        attack(network, images / 0, labels)


def test_no_step_and_no_gradient_are_refused(network, images, labels):
    for attack in (i_fgsm, pgd):
        with pytest.raises(ValueError, match='at least 1, got 0'):
            attack(network, images, labels, 0.1, 0.1, 0)
    network[-1].weight.data[0] = float('nan')
    with pytest.raises(ValueError, match='NaN or infinite'):
        fgsm(network, images, labels, 0.1)


@pytest.mark.gpu
def test_a_gpu_gets_the_same_starts(network, images, labels):
    results = [pgd(network.to(device), images.to(device), labels.to(device), 0.1, 0.01, 3,
                   generator=torch.Generator().manual_seed(0)).cpu()
               for device in ('cpu', 'cuda')]
    torch.testing.assert_close(*results)
