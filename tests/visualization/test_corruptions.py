"""Bars as high as the accuracies, and one picture for each corruption."""
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from mmips.evaluation.corruptions import CorruptionScores
from mmips.visualization.corruptions import COLOURS, draw_accuracies, draw_examples


def pixels(path, colour):
    """How many pixels of each column have a colour."""
    distance = np.abs(imread(path)[..., :3] - np.array(to_rgb(colour))).max(-1)
    return (distance < 0.02).sum(0)


def test_bars_are_as_high_as_the_accuracies(tmp_path):
    scores = {'a': CorruptionScores(80., np.array([[40.], [20.]])),
              'b': CorruptionScores(60., np.array([[60.], [40.]]))}
    path = draw_accuracies(scores, ['fog', 'snow'], str(tmp_path / 'new' / 'bars.png'))
    heights = {}
    for name, colour in zip(scores, COLOURS):
        columns = pixels(path, colour)
        # The legend's patch is low; a bar begins where columns become high.
        starts = np.flatnonzero((columns[1:] > 50) & (columns[:-1] <= 50))
        heights[name] = [int(np.median(columns[start + 3:start + 15])) for start in starts]
    # clean, fog, snow, mean.
    unit = heights['a'][0] / 80
    assert np.array(heights['a']) / unit == pytest.approx([80, 40, 20, 30], abs=2.5)
    assert np.array(heights['b']) / unit == pytest.approx([60, 60, 40, 50], abs=2.5)
    assert list((tmp_path / 'new').iterdir()) == [tmp_path / 'new' / 'bars.png']


def test_the_range_of_severities_is_marked(tmp_path):
    one, five = (draw_accuracies({'a': CorruptionScores(80., values)}, ['fog'],
                                 str(tmp_path / f'{number}.png'))
                 for number, values in enumerate((np.array([[40.]]), np.array([[10., 70.]]))))
    black = [(imread(path)[..., :3] < 0.3).all(-1).sum() for path in (one, five)]
    assert black[1] > black[0] + 50


def test_scores_must_fit():
    with pytest.raises(ValueError, match='for 2 corruptions'):
        draw_accuracies({'a': CorruptionScores(80., np.ones((1, 5)))}, ['fog', 'snow'], 'x.png')
    with pytest.raises(ValueError, match='at least one network'):
        draw_accuracies({}, [], 'x.png')


def test_every_example_has_its_place(tmp_path):
    colours = {('fog', 1): (200, 10, 10), ('fog', 5): (10, 200, 10), ('snow', 1): (10, 10, 200),
               ('snow', 5): (200, 200, 10)}
    examples = {name: {severity: np.full((32, 32, 3), colours[name, severity], np.uint8)
                       for severity in (1, 5)} for name in ('fog', 'snow')}
    path = draw_examples(np.full((40, 32, 3), (200, 10, 200), np.uint8), examples,
                         str(tmp_path / 'strip.png'))
    picture = (imread(path)[..., :3] * 255).round().astype(int)

    def middle(colour):
        found = np.argwhere((picture == colour).all(-1))
        assert len(found) > 1000
        return found.mean(0)

    clean = middle((200, 10, 200))
    places = {key: middle(colour) for key, colour in colours.items()}
    assert clean[1] < places['fog', 1][1] < places['snow', 1][1]
    assert places['fog', 1][0] == pytest.approx(places['snow', 1][0], abs=2)
    assert places['fog', 1][0] < places['fog', 5][0]
    assert places['fog', 1][1] == pytest.approx(places['fog', 5][1], abs=2)
