"""What every attack keeps to; ``tests/evaluation/test_attacked_classifier.py`` has foolbox's."""
import copy

import pytest
import torch
from torch import nn

from mmips.functional.attacks import fgsm, i_fgsm, pgd


@pytest.fixture
def given():
    """A network in float64, with statistics that matter, and kinks; images and labels."""
    torch.manual_seed(3)
    net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
                        nn.Flatten(), nn.Linear(6 * 9, 5)).double().eval()
    net[1].running_mean.uniform_(-.5, .5)
    net[1].running_var.uniform_(.5, 2)
    pixels = torch.rand(9, 3, 8, 8, dtype=torch.float64)
    # Pixels at the ends of the range, where clipping matters.
    pixels[0], pixels[1] = 0, 1
    return net, pixels, torch.arange(9) % 5


@pytest.mark.parametrize('eps', [0.02, torch.tensor([0.01, 0.02, 0.03]).view(3, 1, 1)])
def test_the_ball_and_the_range_are_kept(given, eps):
    # Steps that lead far out of the ball, for each channel on its own.
    results = [i_fgsm(*given, eps, 10 * eps, 3), pgd(*given, eps, 10 * eps, 3), fgsm(*given, eps)]
    images = given[1]
    limit = torch.as_tensor(eps, dtype=torch.float64).expand(3, 8, 8)
    for moved in results:
        assert ((moved - images).abs() <= limit + 1e-12).all()
        assert moved.min() >= 0 and moved.max() <= 1
        # Gradients are hardly ever zero, so the ball is used to its border.
        inside = moved[2:].clamp(0.05, 0.95) == moved[2:]
        assert ((moved - images)[2:].abs() > 0.9 * limit)[inside].float().mean() > 0.7


def test_nothing_but_the_result_changes(given):
    network, images, _ = given
    before, pixels = copy.deepcopy(network.state_dict()), images.clone()
    state = torch.random.get_rng_state()
    with torch.no_grad():
        for result in (fgsm(*given, 0.1), i_fgsm(*given, 0.1, 0.05, 2),
                       pgd(*given, 0.1, 0.05, 2, generator=torch.Generator().manual_seed(0))):
            assert not result.requires_grad and result.dtype == torch.float64
    assert torch.equal(images, pixels) and not images.requires_grad
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(p.grad is None and p.requires_grad for p in network.parameters())
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key])


def test_what_cannot_be_attacked_is_refused(given):
    network, images, labels = given
    for attack, sizes in ((fgsm, (0.1, )), (i_fgsm, (0.1, 0.1)), (pgd, (0.1, 0.1))):
        with pytest.raises(ValueError, match=r'within 0 to 1, .* from 0 to 255'):
            attack(network, images * 255, labels, *sizes)
    with pytest.raises(ValueError, match='from nan'):
        fgsm(network, images / 0, labels, 0.1)
    with pytest.raises(ValueError, match='at least 1, got 0'):
        pgd(*given, 0.1, 0.1, 0)
    network[-1].weight.data[0] = float('nan')
    with pytest.raises(ValueError, match='NaN or infinite'):
        fgsm(*given, 0.1)


@pytest.mark.gpu
def test_a_gpu_gets_the_same_starts(given):
    results = [pgd(*(part.to(device) for part in given), 0.1, 0.01, 3,
                   generator=torch.Generator().manual_seed(0)).cpu()
               for device in ('cpu', 'cuda')]
    torch.testing.assert_close(*results)
