"""DisturbLabel: how many labels change, to what, and that draws repeat."""
import pytest
import torch
import torch.nn.functional as F

from mmips.models.batch_augments import DisturbLabel


def disturbed(labels, classes, **kwargs):
    images = torch.ones(1)
    out, scores = DisturbLabel(**kwargs)(images, F.one_hot(labels, classes))
    assert out is images and scores.dtype == torch.float32
    assert torch.equal(scores.sum(1), torch.ones(len(labels)))
    assert scores.unique().tolist() == [0, 1]
    return scores.argmax(1)


@pytest.mark.parametrize('alpha', [0.1, 0.5, 1.0])
def test_another_class_with_the_papers_probability(alpha):
    number, classes = 60_000, 5
    labels = torch.arange(number) % classes
    found = disturbed(labels, classes, alpha=alpha, seed=0)
    joint = torch.zeros(classes, classes).index_put_(
        (labels, found), torch.ones(number), accumulate=True) / number
    expected = torch.full((classes, classes), alpha / classes / classes)
    expected += torch.eye(classes) * (1 - alpha) / classes
    # Four standard deviations of a count of this size.
    torch.testing.assert_close(joint, expected, rtol=0, atol=4 * (.2 * .8 / number)**.5)
    share = (found != labels).double().mean()
    assert share == pytest.approx(alpha * (classes - 1) / classes, abs=0.008)


def test_soft_labels_stay_or_go_as_a_whole():
    scores = torch.rand(500, 4).softmax(1)
    _, out = DisturbLabel(0.5)(torch.ones(1), scores)
    kept = (out == scores).all(1)
    assert 0 < kept.sum() < 500
    assert set(out[~kept].flatten().tolist()) == {0, 1}
    assert torch.equal(DisturbLabel(0)(torch.ones(1), scores)[1], scores)


def test_draws_follow_torchs_seed_and_the_rank(monkeypatch):
    labels = torch.arange(200) % 7
    augment = DisturbLabel(0.5)

    def draw(seed):
        torch.manual_seed(seed)
        return augment(torch.ones(1), F.one_hot(labels, 7))[1]

    first, other = draw(1), draw(2)
    assert torch.equal(draw(1), first) and not torch.equal(first, other)
    monkeypatch.setattr('mmips.models.batch_augments.rank_rng.get_rank', lambda: 1)
    assert not torch.equal(draw(1), first)


@pytest.mark.parametrize('alpha', [-0.1, 1.5, '0.1', None])
def test_share_that_cannot_be(alpha):
    with pytest.raises(ValueError, match='alpha must be a share'):
        DisturbLabel(alpha)
