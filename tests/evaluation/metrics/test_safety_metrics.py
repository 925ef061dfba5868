"""SafetyMetrics in mmengine's evaluator, in a shipped config and in two processes."""
import pickle

import numpy as np
import pytest
import torch
from helpers.two_processes import in_two_processes
from mmengine.dataset import DefaultSampler
from mmengine.evaluator import Evaluator
from mmengine.registry import METRICS as ROOT
from mmengine.structures import BaseDataElement

from mmips.functional.safety import SAFETY_METRICS, safety_scores

SAMPLES, CLASSES = 37, 4


def make_scores(case='mixed'):
    """Scores with ties, and labels; the first sample is wrong and sure, so it counts."""
    if case != 'mixed':
        labels = torch.full((SAMPLES, ), 3 if case == 'all wrong' else 0)
        scores = torch.tensor([[0.7, 0.3, 0, 0], [0.9, 0, 0.1, 0]])[torch.arange(SAMPLES) % 2]
        return scores, labels
    generator = torch.Generator().manual_seed(3)
    logits = torch.randint(-3, 4, (SAMPLES, CLASSES), generator=generator).float()
    labels = torch.randint(0, CLASSES, (SAMPLES, ), generator=generator)
    labels[::2] = logits.argmax(1)[::2]
    logits[1::2] *= 0.5
    logits[0], labels[0] = torch.tensor([9., 0, 0, 0]), 1
    return logits.softmax(1), labels


def samples(indices, case='mixed'):
    scores, labels = make_scores(case)
    return [BaseDataElement(pred_score=scores[i], gt_label=labels[i:i + 1]) for i in indices]


def evaluate(indices, batch_size, size=None, case='mixed', **options):
    evaluator = Evaluator(dict(type='mmips.SafetyMetrics', **options))
    for start in range(0, len(indices), batch_size):
        evaluator.process(samples(indices[start:start + batch_size], case))
    return evaluator.evaluate(size or len(indices))


def expected(case='mixed', **options):
    scores, labels = make_scores(case)
    found = safety_scores(scores.numpy(), labels.numpy(), **options)
    return {f'safety/{name}': value for name, value in found.items()}


def test_batches_and_options():
    found = evaluate(range(SAMPLES), 7)
    assert found == expected() == evaluate(range(SAMPLES), 1)
    assert list(found) == [f'safety/{name}' for name in SAFETY_METRICS]
    assert all(np.isfinite(value) for value in found.values())
    other = evaluate(range(SAMPLES), 8, metrics=['ece', 'brier'], num_bins=4)
    assert other == expected(metrics=['ece', 'brier'], num_bins=4)
    assert other['safety/ece'] != found['safety/ece']
    assert list(evaluate(range(SAMPLES), 8, metrics='aurc', prefix='x')) == ['x/aurc']


def test_a_sample_takes_only_its_own_scores_along():
    metric = ROOT.build(dict(type='mmips.SafetyMetrics', metrics='brier'))
    # NumPy has no bfloat16. A power of two keeps the sum of rounded probabilities at 1.
    big = torch.full((500, 4), 0.25, dtype=torch.bfloat16)
    metric.process(None, [dict(pred_score=s, gt_label=torch.tensor([0])) for s in big])
    assert len(pickle.dumps(metric.results[0])) < 1000
    big.zero_()
    assert metric.evaluate(500) == {'safety/brier': 100 * 0.75}


CASES = ('mixed', 'one class, all right', 'all wrong')


def work(folder):
    indices = list(DefaultSampler(range(SAMPLES), shuffle=False))
    found = [evaluate(indices, 5, SAMPLES, case, collect_dir=f'{folder}/collect{number}')
             for number, case in enumerate(CASES)]
    return indices, found


def test_padded_samples_of_several_processes_do_not_count(tmp_path):
    shares = in_two_processes(work, tmp_path)
    # Two shares of 19, of 37 images: the first one is there twice.
    seen = sorted(i for indices, _ in shares for i in indices)
    assert seen == sorted([*range(SAMPLES), 0])
    twice = evaluate(seen, 5)
    assert all(abs(twice[key] - value) > 1e-4 for key, value in expected().items())
    for _, found in shares:
        assert found[0] == expected()
        for scores, case in zip(found, CASES):
            assert scores == pytest.approx(expected(case), abs=0, nan_ok=True)


@pytest.mark.parametrize('change, message', [
    (dict(gt_label=torch.tensor([0, 2])), r'exactly one class .* gt_label=\[0, 2\]. Multi-label'),
    (dict(gt_label=None), 'exactly one class'),
    (dict(gt_label=torch.tensor([4])), 'Label 4 is not one of the 4 classes'),
    (dict(pred_score=None), 'no pred_score, only gt_label, pred_label'),
    (dict(pred_score=torch.tensor([0.5, 0.5, 0.0, torch.nan])), '1 of 2 samples .* NaN'),
])
def test_bad_samples_are_refused_in_their_batch(change, message):
    good = dict(pred_score=torch.tensor([0.7, 0.1, 0.1, 0.1]), gt_label=torch.tensor([0]))
    bad = {**good, 'pred_label': torch.tensor([0]), **change}
    metric = ROOT.build(dict(type='mmips.SafetyMetrics'))
    metric.process(None, [good])
    with pytest.raises(ValueError, match=message):
        metric.process(None, [good, {k: v for k, v in bad.items() if v is not None}])
    assert len(metric.results) == 1
    with pytest.raises(ValueError, match="aurc, e_aurc, .* 'eceX'"):
        ROOT.build(dict(type='mmips.SafetyMetrics', metrics=['ece', 'eceX']))
