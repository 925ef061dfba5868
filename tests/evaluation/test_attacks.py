"""Attacks on checkpoints: settings, tables, what is written, kept and computed again."""
import csv
import json
import os
from pathlib import Path

import pandas as pd
import pytest
from helpers.tiny_classifier import request

from mmips.errors import UserError
from mmips.evaluation import predictions
from mmips.evaluation.attack_settings import AttackSettings
from mmips.evaluation.attacked_classifier import AttackedClassifier
from mmips.evaluation.attacks import evaluate_attacks, to_text

ALL = ('fgsm', 'i-fgsm', 'pgd')


@pytest.mark.parametrize('settings, radii, words', [
    (dict(step_size=0.), [], 'positive number, got 0'),
    (dict(rel_step_size=float('nan')), [], 'positive number, got nan'),
    (dict(image_range=(1., 0.)), [], r'a higher value, got \(1.0, 0.0\)'),
    ({}, [0, 8.], 'within 0 to 1 .* got 8'),
    (dict(space='normalized'), [-0.1], '0 or more, got -0.1'),
    (dict(space='normalized'), [3., float('inf')], 'got inf')])
def test_settings_and_radii_that_cannot_be(settings, radii, words):
    with pytest.raises(UserError, match=words):
        AttackSettings(**settings).check(radii)


def test_step_sizes():
    assert AttackSettings(steps=20).step(0.08) == pytest.approx(2.5 / 20 * 0.08)
    assert AttackSettings(rel_step_size=0.2).step(0.1) == pytest.approx(0.02)
    assert AttackSettings(step_size=0.003).step(0.1) == 0.003


def text_of(tables, settings, unmoved=0):
    scores = pd.DataFrame(dict(attack='fgsm', checkpoint='hard', images=8, unmoved=[unmoved]))
    return to_text(scores, tables, settings, 'val images')


def test_the_table_has_the_layout_of_the_paper():
    table = pd.DataFrame({'hard': [87.5, 12.5], 'a|b': [75., float('nan')]}, [0., 0.01])
    text = text_of(dict(fgsm=table, pgd=table[:0]),
                   AttackSettings('normalized', 20, quantize=True, seed=3), unmoved=1)
    for words in ('8 val images', 'higher is better', '`--space normalized`',
                  ' PGD: 20 steps, step size 0.125 eps; PGD: random start, seed 3; ',
                  '256 levels.', 'hard: 1 (FGSM)'):
        assert words in text
    assert """
## FGSM

| eps | hard | a\\|b |
|---|---|---|
| 0 | 87.50 | 75.00 |
| 0.01 | 12.50 |  |

## PGD
""" in text
    plain = text_of({'i-fgsm': table}, AttackSettings(step_size=0.002))
    assert ' I-FGSM: 10 steps, step size 0.002.\n' in plain
    assert all(word not in plain for word in ('PGD', 'start', 'levels', 'floating'))
    assert 'is no attack.\n' in text_of(dict(fgsm=table), AttackSettings())


@pytest.fixture
def calls(monkeypatch):
    """Attack and radius of every pass; without the attacks themselves, and without pictures."""
    made = []

    def score(self, batches, name, eps):
        made.append((name, eps))
        return dict(eps=eps, images=8, correct=len(made) % 8, unmoved=0)

    monkeypatch.setattr(AttackedClassifier, 'score', score)
    monkeypatch.setattr('mmips.runs.files.write_picture', lambda *args: None)
    return made


@pytest.fixture
def evaluate(tiny):
    def run(attacks=ALL, eps=(0., 0.003, 0.1), **change):
        settings = dict(space='pixel', steps=2, step_size=None, rel_step_size=None,
                        image_range=None, quantize=False, seed=0)
        return evaluate_attacks(request(**{**settings, **change}, attacks=attacks, eps=eps))
    return run


def read_csv():
    with open('out/attacks.csv', newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def test_everything_is_written(evaluate, calls):
    scores = evaluate()
    assert calls == 2 * [(name, eps) for name in ALL for eps in (0.003, 0.1)]
    rows = read_csv()
    assert list(rows[0]) == ['checkpoint', 'attack', 'eps', 'space', 'steps', 'step_size',
                             'images', 'accuracy', 'unmoved']
    found = {(row['checkpoint'], row['attack'], float(row['eps'])): row for row in rows}
    assert len(rows) == len(found) == len(scores) == 2 * 3 * 3
    assert found['a', 'fgsm', 0.1]['steps'] == '1' and found['a', 'pgd', 0.1]['steps'] == '2'
    assert float(found['a', 'fgsm', 0.1]['step_size']) == 0.1
    assert float(found['b', 'pgd', 0.1]['step_size']) == pytest.approx(0.125)
    for score in scores.itertuples():
        row = found[score.checkpoint, score.attack, score.eps]
        assert float(row['accuracy']) == score.accuracy and row['images'] == '8'
    content = json.loads(Path('out/attacks.json').read_text())
    assert [{key: str(value) for key, value in row.items()} for row in content['results']] == rows
    assert content['settings']['space'] == 'pixel' and content['split'] == 'test'
    assert content['metrics'] == {name: {
        f'{attack}/{eps:g}': float(row['accuracy'])
        for (other, attack, eps), row in found.items() if other == name} for name in 'ab'}
    # Without attack it is the accuracy of the predictions.
    cfg = predictions.load_classifier_config(request())
    for name, part in request().predict(cfg).items():
        assert float(found[name, 'pgd', 0.]['accuracy']) == 100 * part.right.mean()


def test_only_what_is_new_is_computed(evaluate, calls, monkeypatch):
    monkeypatch.setattr('mmips.runs.loaders.build_loader', lambda *args: None)
    attack = dict(eps=(0.003, 0.1))
    first = evaluate(**attack)
    calls.clear()
    assert evaluate(**attack).equals(first) and calls == []
    evaluate(eps=(0.003, 0.1, 0.2))
    assert calls == 2 * [('fgsm', 0.2), ('i-fgsm', 0.2), ('pgd', 0.2)]
    for options, attacks in [
            (dict(seed=1), ALL[2:]), (dict(rel_step_size=0.5), ALL[1:]),
            (dict(step_size=0.01), ALL[1:]), (dict(steps=3), ALL[1:]), (dict(quantize=True), ALL),
            (dict(max_images=4), ALL), (dict(split='train'), ALL),
            (dict(image_range=(-1, 256)), ALL), (dict(space='normalized'), ALL)]:
        calls.clear()
        evaluate(**attack, **options)
        assert [name for name, _ in calls] == 2 * [name for name in attacks for _ in range(2)]
    # Another file of the same name, or other data.
    for path, passes in (('1.pth', 6), ('tiny.npz', 12)):
        calls.clear()
        os.utime(path, (1, 1))
        evaluate(**attack)
        assert len(calls) == passes


def test_results_of_an_earlier_layout_are_read(evaluate, calls):
    first = evaluate(attacks=['fgsm'])
    done = Path('out/attacks_done.json')
    Path('out/cells').mkdir()
    for key, score in json.loads(done.read_text()).items():
        Path('out/cells', f'{key}.json').write_text(json.dumps(score))
    done.unlink()
    calls.clear()
    assert evaluate(attacks=['fgsm']).equals(first) and calls == []


def test_what_is_finished_survives(evaluate, calls, monkeypatch):
    counted = AttackedClassifier.score

    def score(*args):
        if len(calls) == 7:
            raise KeyboardInterrupt
        return counted(*args)

    with monkeypatch.context() as patch:
        patch.setattr(AttackedClassifier, 'score', score)
        with pytest.raises(KeyboardInterrupt):
            evaluate()
    # All of the first checkpoint, and one pass of the second.
    assert len(read_csv()) == 9 + 3 + 1
    calls.clear()
    evaluate()
    assert [name for name, _ in calls] == ['fgsm', 'i-fgsm', 'i-fgsm', 'pgd', 'pgd']
    assert len(read_csv()) == 18
