"""Attacks on checkpoints: settings, tables, what is written, kept and computed again."""
import csv
import json
import os
from pathlib import Path

import pandas as pd
import pytest
from helpers.tiny_classifier import request

from mmips.errors import UserError
from mmips.evaluation import attacked_classifier, predictions
from mmips.evaluation.attacks import AttackSettings, evaluate_attacks, make_tables, to_text

ALL = ('fgsm', 'i-fgsm', 'pgd')


@pytest.mark.parametrize('settings, words', [
    (dict(steps=0), 'at least 1, got 0'),
    (dict(step_size=0.), 'positive number, got 0'),
    (dict(rel_step_size=float('nan')), 'positive number, got nan'),
    (dict(image_range=(1., 0.)), r'a higher value, got \(1.0, 0.0\)'),
])
def test_settings_that_cannot_be(settings, words):
    with pytest.raises(UserError, match=words):
        AttackSettings(**settings)


@pytest.mark.parametrize('radii, space, words', [
    ([0, 8.], 'pixel', 'within 0 to 1 .* got 8'), ([-0.1], 'normalized', '0 or more, got -0.1'),
    ([float('inf')], 'normalized', 'got inf')])
def test_radii_that_cannot_be(radii, space, words):
    with pytest.raises(UserError, match=words):
        AttackSettings(space).check(radii)


def test_step_sizes():
    assert AttackSettings(steps=20).step(0.08) == pytest.approx(2.5 / 20 * 0.08)
    assert AttackSettings(rel_step_size=0.2).step(0.1) == pytest.approx(0.02)
    assert AttackSettings(step_size=0.003).step(0.1) == 0.003
    AttackSettings('normalized').check([0., 3.])


def test_the_table_has_the_layout_of_the_paper():
    def text_of(rows, attacks, about, settings):
        scores = pd.DataFrame(rows, columns=['attack', 'checkpoint', 'eps', 'accuracy', 'unmoved'])
        tables = make_tables(scores, attacks, ['hard', 'a|b'])
        return to_text(scores.assign(images=8), tables, settings, about)

    text = text_of([('fgsm', 'hard', 0., 87.5, 0), ('fgsm', 'hard', 0.01, 12.5, 1),
                    ('fgsm', 'a|b', 0., 75., 0)], ['fgsm', 'pgd'], 'val images',
                   AttackSettings('normalized', 20, quantize=True, seed=3))
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
    plain = text_of([('i-fgsm', 'hard', 0., 87.5, 0)], ['i-fgsm'], 'images',
                    AttackSettings(step_size=0.002))
    assert ' I-FGSM: 10 steps, step size 0.002.\n' in plain
    assert all(word not in plain for word in ('PGD', 'start', 'levels', 'floating'))
    single = text_of([('fgsm', 'hard', 0., 87.5, 0)], ['fgsm'], 'images', AttackSettings())
    assert 'is no attack.\n' in single and 'steps' not in single


@pytest.fixture
def calls(monkeypatch):
    """What was computed, attack and radii of every pass; without the attacks themselves."""
    made = []

    def score(model, batches, name, radii, settings):
        made.append((name, list(radii)))
        return [dict(eps=eps, images=8, correct=len(made) % 8, unmoved=0) for eps in radii]

    monkeypatch.setattr(attacked_classifier, 'score_attack', score)
    return made


@pytest.fixture
def evaluate(tiny):
    def run(attacks=ALL, radii=(0., 0.003, 0.1), split='test', max_images=None, **settings):
        return evaluate_attacks(request(split=split, max_images=max_images), attacks, radii,
                                AttackSettings(**{'steps': 2, **settings}))
    return run


def read_csv():
    with open('out/attacks.csv', newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def test_everything_is_written(evaluate, calls):
    scores = evaluate()
    assert calls == 2 * [('fgsm', [0.003, 0.1]), ('i-fgsm', [0.003]), ('i-fgsm', [0.1]),
                         ('pgd', [0.003]), ('pgd', [0.1])]
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
    assert {path.name for path in Path('out').iterdir()} == {
        'attacks.csv', 'attacks.json', 'attacks.md', 'attacks.png', 'attacks_done.json'}
    # Without attack it is the accuracy of the predictions.
    cfg = predictions.load_classifier_config(request())
    for name, part in request().predict(cfg).items():
        right = 100 * (part.probs.argmax(1) == part.labels).mean()
        assert float(found[name, 'pgd', 0.]['accuracy']) == right


def test_only_what_is_new_is_computed(evaluate, calls, monkeypatch):
    monkeypatch.setattr('mmips.runs.files.write_picture', lambda *args: None)
    monkeypatch.setattr('mmips.runs.loaders.build_loader', lambda *args: None)
    monkeypatch.setattr(predictions, 'iter_batches', lambda *args: None)
    attack = dict(radii=(0.003, 0.1))
    first = evaluate(**attack)
    calls.clear()
    assert evaluate(**attack).equals(first) and calls == []
    evaluate(radii=(0.003, 0.1, 0.2))
    assert calls == 2 * [('fgsm', [0.2]), ('i-fgsm', [0.2]), ('pgd', [0.2])]
    iterated = ['i-fgsm', 'i-fgsm', 'pgd', 'pgd']
    for options, expected in [
            (dict(seed=1), ['pgd', 'pgd']), (dict(rel_step_size=0.5), iterated),
            (dict(step_size=0.01), iterated), (dict(steps=3), iterated),
            (dict(quantize=True), ['fgsm', *iterated]), (dict(max_images=4), ['fgsm', *iterated]),
            (dict(split='train'), ['fgsm', *iterated]),
            (dict(image_range=(-1, 256)), ['fgsm', *iterated]),
            (dict(space='normalized'), ['fgsm', *iterated])]:
        calls.clear()
        evaluate(**attack, **options)
        assert [name for name, _ in calls] == 2 * expected, options
    # Another file of the same name, or other data.
    for path, passes in (('1.pth', 5), ('tiny.npz', 10)):
        calls.clear()
        os.utime(path, (1, 1))
        evaluate(**attack)
        assert len(calls) == passes


def test_results_of_an_earlier_layout_are_read(evaluate, calls):
    first = evaluate(['fgsm'])
    done = Path('out/attacks_done.json')
    Path('out/cells').mkdir()
    for key, score in json.loads(done.read_text()).items():
        Path('out/cells', f'{key}.json').write_text(json.dumps(score))
    done.unlink()
    calls.clear()
    assert evaluate(['fgsm']).equals(first) and calls == []


def test_what_is_finished_survives(evaluate, calls, monkeypatch):
    counted = attacked_classifier.score_attack

    def score(*args):
        if len(calls) == 6:
            raise KeyboardInterrupt
        return counted(*args)

    with monkeypatch.context() as patch:
        patch.setattr(attacked_classifier, 'score_attack', score)
        with pytest.raises(KeyboardInterrupt):
            evaluate()
    # All of the first checkpoint, and one pass of the second.
    assert len(read_csv()) == 9 + 3 + 2
    calls.clear()
    evaluate()
    assert [name for name, _ in calls] == ['i-fgsm', 'i-fgsm', 'pgd', 'pgd']
    assert len(read_csv()) == 18


def test_a_refusal_leaves_files_as_they_are(evaluate, calls):
    evaluate(['fgsm'])
    before = {path: path.read_bytes() for path in Path('out').iterdir()}
    other = request(cfg_options={'model.head.num_classes': 7})
    with pytest.raises(ValueError, match='another number of classes'):
        evaluate_attacks(other, ['fgsm'], [0.1], AttackSettings())
    with pytest.raises(UserError, match='within 0 to 1'):
        evaluate(['fgsm'], [8.])
    assert before == {path: path.read_bytes() for path in Path('out').iterdir()}
