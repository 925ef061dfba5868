"""Zipf's labels and the softmax beside the label, against loops."""
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmips.functional.zipf import non_target_log_softmax, zipf_labels


def reference(scores, label):
    others = [score for c, score in enumerate(scores) if c != label]
    weights = [0 if c == label else 1 / (1 + sum(other > score for other in others))
               for c, score in enumerate(scores)]
    return [weight / sum(weights) for weight in weights]


@given(st.integers(2, 12).flatmap(lambda classes: st.lists(
    st.tuples(st.lists(st.integers(0, 5), min_size=classes, max_size=classes),
              st.integers(0, classes - 1)), min_size=1, max_size=5)))
def test_ranks_ties_and_the_label(rows):
    scores, labels = zip(*rows)
    found = zipf_labels(torch.tensor(scores, dtype=torch.float64), torch.tensor(labels))
    for row, *given_row in zip(found, scores, labels):
        assert row.tolist() == pytest.approx(reference(*given_row), abs=1e-12)


def test_example():
    # Votes 3, 1, 1, 0, 9 of label 4: ranks 1, 2, 2, 4, none.
    found = zipf_labels(torch.tensor([[3., 1, 1, 0, 9]]), torch.tensor([4]))
    assert found[0].tolist() == pytest.approx([4 / 9, 2 / 9, 2 / 9, 1 / 9, 0])
    # With the label before them ranks 2, 3, 3, 5.
    found = zipf_labels(torch.tensor([[3., 1, 1, 0, 9]]), torch.tensor([4]), count_label=True)
    assert found[0].tolist() == pytest.approx([15 / 41, 10 / 41, 10 / 41, 6 / 41, 0])


def test_softmax_beside_the_label():
    logits, labels = torch.randn(6, 5, dtype=torch.float64), torch.arange(6) % 5
    found = non_target_log_softmax(logits, labels)
    for row, whole, label in zip(found, logits.softmax(1), labels):
        beside = [value / (1 - whole[label]) for value in whole]
        for c in range(5):
            if c != label:
                assert row[c].exp().item() == pytest.approx(beside[c].item(), abs=1e-9)
