"""Safety of checkpoints: scores from probabilities, groups, tables and files."""
import csv
import json
import statistics
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.tiny_classifier import request

from mmips.errors import UserError
from mmips.evaluation import safety
from mmips.functional.safety import safety_scores
from mmips.runs.tables import to_markdown


def random_scores(seed, samples=1300, classes=7):
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(classes), samples).astype(np.float32)
    labels = rng.integers(0, classes, samples)
    return probs, labels, safety.score(probs, labels)


def test_accuracies_bins_and_a_thinned_curve():
    probs, labels, result = random_scores(0)
    metrics, bins, curve = result['metrics'], result['bins'], result['curve']
    order = [sorted(range(7), key=lambda k, row=row: -row[k]) for row in probs]
    for rank in (1, 5):
        assert metrics[f'top{rank}'] == pytest.approx(100 * np.mean(
            [label in row[:rank] for row, label in zip(order, labels)]), abs=1e-3)
    assert safety_scores(probs, labels).items() <= metrics.items()
    gaps = bins['counts'] * np.abs(bins['accuracy'] - bins['confidence'])
    assert 100 * np.nansum(gaps) / 1300 == pytest.approx(metrics['ece'])
    steps = np.diff(curve['coverage'])
    assert len(curve['risk']) == safety.POINTS and steps.max() <= steps.min() + 1.01 / 1300
    assert curve['coverage'][-1] == 1
    assert curve['risk'][-1] == pytest.approx(1 - metrics['top1'] / 100)
    # A short curve is whole.
    _, _, result = random_scores(1, samples=8, classes=4)
    metrics, curve = result['metrics'], result['curve']
    assert 'top5' not in metrics
    assert curve['coverage'] == pytest.approx(np.arange(1, 9) / 8)
    assert 1000 * np.mean(curve['risk']) == pytest.approx(metrics['aurc'])
    assert 1000 * np.mean(curve['best']) == pytest.approx(metrics['aurc'] - metrics['e_aurc'])


def test_groups_and_table():
    results = {name: random_scores(seed)[2] for seed, name in enumerate(('a|b', 'c', 'd'))}
    groups = safety.group_scores(results, {'a|b': 'hard', 'c': 'hard', 'd': 'ips'})
    pair = [results[name]['metrics']['ece'] for name in ('a|b', 'c')]
    assert [group['checkpoints'] for group in groups.values()] == [2, 1]
    assert groups['hard']['mean']['ece'] == statistics.fmean(pair)
    assert groups['hard']['std']['ece'] == statistics.stdev(pair)
    assert groups['ips']['mean'] == results['d']['metrics']
    assert np.isnan(groups['ips']['std']['ece'])
    lines = to_markdown('x', [safety.to_table(results, groups)]).splitlines()
    assert lines[2].startswith('| checkpoint | top-1 % \u2191 | top-5 % \u2191 | AURC x1000 ')
    assert lines[4].startswith('| a\\|b | ')
    assert lines[7].startswith('| **hard, mean of 2** |')
    assert f'| {statistics.mean(pair):.2f} \u00b1 {statistics.stdev(pair):.2f} |' in lines[7]
    assert '\u00b1' not in lines[8]


def read(name):
    with open(name, newline='') as file:
        return list(csv.DictReader(file))


def test_files_and_kept_probabilities(tiny):
    found = safety.evaluate_safety(request(split='train', groups=('x', 'x'), num_bins=15,
                                           save_probs=True))
    stored = json.loads(Path('out/safety.json').read_text())
    assert stored['images'] == 24 and stored['groups']['x']['checkpoints'] == 2
    for (name, result), row in zip(stored['checkpoints'].items(), read('out/safety.csv')):
        kept = np.load(Path('out') / result['probs'])
        assert kept['labels'].tolist() == np.repeat(np.arange(4), 6).tolist()
        assert kept['probs'].shape == (24, 4) and kept['probs'].dtype == np.float32
        scores = safety_scores(kept['probs'], kept['labels'])
        assert {key: found[name][key] for key in scores} == scores
        assert {**row, 'checkpoint': name, 'group': 'x'} == row
        for key, value in found[name].items():
            assert float(row[key]) == pytest.approx(value, rel=1e-5)
    row, = (row for row in read('out/safety_groups.csv') if row['metric'] == 'ece')
    assert float(row['mean']) == pytest.approx(statistics.mean(
        [found['a']['ece'], found['b']['ece']]), rel=1e-5)
    # A diverged checkpoint is named, and the others stay.
    content = torch.load('1.pth')
    content['state_dict']['head.fc.weight'].fill_(3e38)
    torch.save(content, '1.pth')
    with pytest.raises(UserError, match=r'b \(1.pth\): .* NaN'):
        safety.evaluate_safety(request(groups=(), num_bins=15, save_probs=False))
    assert list(json.loads(Path('out/safety.json').read_text())['checkpoints']) == ['a']
    assert len(read('out/safety.csv')) == 1
