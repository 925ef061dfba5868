"""Class distributions and how they are split, by hand; which images and classes are drawn."""
import csv
import json
from pathlib import Path

import numpy as np
import pytest
from helpers.tiny_classifier import request

from mmips.errors import UserError
from mmips.evaluation import distributions
from mmips.evaluation.distributions import Compared, make_bars, mass_table, pick_images

NAMES = ['baby', 'ray', 'girl', 'trout']

# Two images of class 0 and three of class 2.
PROBS = np.array([[0.6, 0.3, 0.1, 0.0], [0.2, 0.5, 0.3, 0.0],
                  [0.1, 0.1, 0.7, 0.1], [0.4, 0.4, 0.1, 0.1], [0.0, 0.0, 0.2, 0.8]], np.float32)
LABELS = np.array([0, 0, 2, 2, 2])


def test_the_largest_probabilities_from_the_top():
    found = Compared({}, LABELS, range(5), NAMES)
    note, bars = make_bars(found, np.array([0.3, 0.1, 0.1, 0.5]), 0, 3)
    assert bars.values.tolist() == [
        ['trout', 'other', 0.5], ['baby', 'true', 0.3], ['ray', 'other', 0.1]]
    assert note == 'true 30.0\u2009%, rank 2; superclass 40.0\u2009%'
    found = Compared({}, LABELS, range(5), ['w', 'x', 'y', 'z'])
    note, bars = make_bars(found, PROBS[0].astype(float), 0, 9)
    assert note == 'true 60.0\u2009%, rank 1' and len(bars) == 4


def test_tables():
    table = mass_table(Compared({'a': PROBS, 'c': PROBS[:, [2, 1, 0, 3]]}, LABELS, range(5), NAMES),
                       [2])
    assert table.title.startswith('Mean predicted distribution')
    assert table.header[4] == 'rest of its superclass'
    # Girl: 1/3 girl, 1/6 baby. All: baby's 0.4, 0.2 count twice, girl's three times.
    assert table.rows == [['girl', '3', 'a', '33.33', '16.67', '50.00'],
                          ['girl', '3', 'c', '16.67', '33.33', '50.00'],
                          ['all', '5', 'a', '36.00', '18.00', '46.00'],
                          ['all', '5', 'c', '18.00', '36.00', '46.00']]
    table = mass_table(Compared({'a': PROBS}, LABELS, range(5), ['w', 'x', 'y', 'z']), [0], 'top1')
    assert table.title.startswith('Share of top-1 predictions') and len(table.header) == 5
    assert table.rows == [['w', '2', 'a', '50.00', '50.00'], ['all', '5', 'a', '40.00', '60.00']]


def some_predictions():
    """Two networks over ten images; the first is wrong at 1, 3, 4, 6, 8, the surest at 6."""
    probs = {}
    for name, right in (('a', [1, 0, 1, 0, 0, 1, 0, 1, 0, 1]),
                        ('b', [1, 0, 0, 0, 0, 1, 0, 1, 1, 1])):
        sure = np.array([0.9, 0.6, 0.9, 0.7, 0.6, 0.9, 0.8, 0.9, 0.7, 0.9])
        first = np.where(right, sure, 1 - sure)
        probs[name] = np.stack([first, 1 - first], 1)
    return Compared(probs, np.zeros(10, int), range(10), ['x', 'y'])


@pytest.mark.parametrize('pick, num, places', [
    ('misclassified', 9, [1, 3, 4, 6, 8]), ('misclassified', 2, [3, 6]), ('misclassified', 1, [4]),
    ('confident-wrong', 3, [6, 3, 8]), ('disagree', 5, [2, 8])])
def test_picks(pick, num, places):
    found = some_predictions()
    assert pick_images(found, pick, num) == places
    first, again, other = (pick_images(found, 'random', 5, seed) for seed in (0, 0, 1))
    assert first == again != other and len(set(first)) == 5 and first == sorted(first)
    found.labels[:] = found.probs['a'].argmax(1)
    with pytest.raises(UserError, match='--pick misclassified: of 10 images there is none'):
        pick_images(found, 'misclassified', 4)


@pytest.fixture
def data(tiny):
    """The tiny data set with four of CIFAR-100's class names."""
    arrays = {**np.load('tiny.npz'), 'classes': np.array(NAMES)}
    np.savez('tiny.npz', **arrays)
    return arrays


@pytest.fixture
def compare(data, monkeypatch):
    """Without drawing; returns the predictions, and rows and images of both pictures."""
    monkeypatch.setattr('mmips.runs.files.write_picture', lambda *args: None)

    def run(**change):
        drawn = []
        monkeypatch.setattr('mmips.visualization.distributions.draw_distributions',
                            lambda rows, names, images, *args: drawn.append((rows, images)))
        options = dict(images=(), pick='misclassified', num=4, seed=0, class_names=(), of='mean',
                       topk=None)
        return distributions.compare_distributions(request(**{**options, **change})), *drawn

    return run


def stored():
    return json.loads(Path('out/distributions.json').read_text())


def rows():
    with open('out/distributions.csv', newline='') as file:
        return list(csv.DictReader(file))


def test_images_with_their_pixels_and_probabilities(compare, data):
    found, (images, pictures), (classes, none) = compare(images=(5, 2, 5))
    assert list(images) == ['5: girl (people)', '2: ray (fish)']
    for panels, picture, number in zip(images.values(), pictures, (5, 2)):
        assert np.abs(picture.astype(int) - data['images_test'][number]).max() <= 1
        for (_, bars), probs in zip(panels, found.probs.values()):
            order = np.argsort(-probs[number]).tolist()
            assert bars['class'].tolist() == [NAMES[k] for k in order]
            assert bars.probability.tolist() == pytest.approx(probs[number][order].tolist())
    # Without classes, those of the images.
    assert list(classes) == ['girl (people), 2 images', 'ray (fish), 2 images'] and not none


@pytest.mark.parametrize('of', ['mean', 'top1'])
def test_classes(compare, of):
    found, _, (classes, _) = compare(class_names=('trout', 'baby'), of=of, topk=2)
    assert list(classes) == ['trout (fish), 2 images', 'baby (people), 2 images']
    probs = found.probs['b'][6:8].astype(float)
    expected = probs.mean(0) if of == 'mean' else (
        probs.argmax(1)[:, None] == np.arange(4)).mean(0)
    row = stored()['class_distributions'][0]
    assert row['distributions']['b'] == pytest.approx(expected, abs=1e-6)
    assert (row['class'], row['images'], stored()['of']) == ('trout', 2, of)
    bars = classes['trout (fish), 2 images'][1][1]
    assert bars.probability.tolist() == pytest.approx(sorted(expected, reverse=True)[:2])
    lines = [line for line in rows() if line['of'] == '2 images'
             and line['true class'] == 'trout' and line['checkpoint'] == 'b']
    assert [[line['class'], line['kind'], float(line['percent'])] for line in lines] == [
        [*bar[:2], pytest.approx(100 * bar[2], abs=1e-3)] for bar in bars.values.tolist()]
    assert f'| trout | 2 | b | {100 * expected[3]:.2f} | {100 * expected[1]:.2f} |' in Path(
        'out/distributions.md').read_text()


def test_what_is_not_there_is_refused(compare):
    for options, message in [
            (dict(images=(3, 8)), r'the test split has 8 images, 0 to 7, but got \[8\]'),
            (dict(max_images=4, images=(2, )), r'has 4 images, 1 to 7, but got \[2\]. \(--max-im'),
            (dict(class_names=('babby', )), "of a class 'babby'. Did you mean baby"),
            (dict(class_names=('zzz', )), 'Some are baby, ray, girl, trout'),
            (dict(max_images=2, class_names=('baby', )), "none of the 2 images is .* 'baby'")]:
        with pytest.raises(UserError, match=message):
            compare(**options)
        assert not Path('out').exists()
