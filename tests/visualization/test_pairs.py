import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from mmips.visualization import pairs as draw_pairs
from mmips.visualization.pairs import PARTNER, QUERY, Confidence, fit_text


def make(pairs=2, size=(16, 16), grid=(4, 4)):
    images = np.zeros((2 * pairs, *size, 3), np.uint8)
    images[0::2], images[1::2] = 60, 200
    return images, np.zeros((pairs, *grid), bool)


def share(path, colour):
    """Share of the picture that has a colour."""
    distance = np.abs(imread(path)[..., :3] - np.array(to_rgb(colour))).max(-1)
    return (distance < 0.02).mean()


def test_swapped_cells_are_outlined_in_the_other_colour(tmp_path):
    images, mask = make()
    path = str(tmp_path / 'new' / 'folder' / 'plain.png')
    assert draw_pairs(images, images, mask, ['cat', 'dog'], 0.5, path) == path
    plain = {colour: share(path, colour) for colour in (QUERY, PARTNER)}
    mask[0, 1, 2] = mask[0, 0, 0] = True
    draw_pairs(images, images, mask, ['cat', 'dog'], 0.5, path)
    for colour in (QUERY, PARTNER):
        assert share(path, colour) > plain[colour] > 0


def test_pixels_of_small_images_stay_sharp(tmp_path):
    images, mask = make(pairs=1)
    images[:, ::2] = 255
    path = draw_pairs(images, images, None, ['x'], None, str(tmp_path / 'a.png'))
    grey = (imread(path)[..., 0] * 255).round().astype(int)
    # No value between the two of the image beyond frames and letters.
    middle = ((grey > 90) & (grey < 170)).mean()
    assert middle < 0.02


@pytest.mark.parametrize('pairs, size, grid', [(1, (7, 9), (2, 3)), (5, (224, 224), (2, 2)),
                                               (3, (32, 32), (4, 4))])
def test_any_size_and_number(tmp_path, pairs, size, grid):
    images, mask = make(pairs, size, grid)
    mask[:, -1] = True
    path = draw_pairs(images, images, mask, ['a'] * pairs, 0.3, str(tmp_path / 'a.png'))
    height, width = imread(path).shape[:2]
    assert width > 500 and height > 300


def test_columns(tmp_path):
    images, mask = make(4)
    shapes = [imread(draw_pairs(images, images, mask, list('abcd'), 1, str(tmp_path / 'a.png'),
                                columns=columns)).shape for columns in (1, 2)]
    assert shapes[1][1] == 2 * shapes[0][1] and shapes[0][0] > shapes[1][0]


@pytest.mark.parametrize('change, words', [
    (dict(before=np.zeros((3, 4, 4, 3), np.uint8)), 'must hold pairs'),
    (dict(before=np.zeros((4, 3, 16, 16), np.uint8)), 'must hold pairs'),
    (dict(after=np.zeros((2, 16, 16, 3), np.uint8)), 'after has the shape'),
    (dict(labels=['a']), 'Expected 2 labels'), (dict(mask=np.zeros((4, 4), bool)), 'mask must')])
def test_refuses_what_does_not_fit(change, words, tmp_path):
    images, mask = make()
    given = {**dict(before=images, after=images, mask=mask, labels=['a', 'b']), **change}
    with pytest.raises(ValueError, match=words):
        draw_pairs(**given, prob=0.5, path=str(tmp_path / 'a.png'))


def confidence(name, before, after, note=''):
    return Confidence(name, np.array(before), np.array(after), note)


def draw_confident(path, *confidences, pairs=1):
    images, _ = make(pairs)
    return draw_pairs(images, images, None, ['x'] * pairs, None, str(path),
                      confidences=confidences)


def test_bars_are_as_long_as_the_probability(tmp_path):
    """Query and partner, before and after: the share of each bar that has its colour."""
    probs = {'before': (0.25, 1.0), 'after': (0.75, 0.5)}
    drawn = imread(draw_confident(tmp_path / 'a.png', confidence('a', *probs.values())))
    # Below the pictures there are only bars.
    lower = drawn[round(-0.42 * 110):, ..., :3]

    def width(colour):
        return (np.abs(lower - np.array(to_rgb(colour))).max(-1) < 0.02).any(0).sum()

    bar = 0.8 * 110
    # The mark hides a few columns of what it stands in.
    assert width(QUERY) == pytest.approx((0.25 + 0.75) * bar, abs=8)
    assert width(PARTNER) == pytest.approx((1 + 0.5) * bar, abs=8)


def texts(monkeypatch, path, *confidences, pairs=1):
    """All that is written into the picture."""
    from matplotlib.figure import Figure
    kept = []
    monkeypatch.setattr(Figure, 'savefig', lambda self, *args, **kwargs: kept.extend(
        text.get_text() for text in self.texts))
    draw_confident(path, *confidences, pairs=pairs)
    return kept


def test_each_picture_bears_its_own_numbers(tmp_path, monkeypatch):
    found = texts(monkeypatch, tmp_path / 'a.png', confidence(
        'early', (0.11, 0.12, 0.13, 0.14), (0.21, 0.12, 0.03, 0.141), 'gap 0.5'), pairs=2)
    assert [text for text in found if text.startswith('p = ')] == [
        'p = 0.11', 'p = 0.12', 'p = 0.21 \u25b2', 'p = 0.12',
        'p = 0.13', 'p = 0.14', 'p = 0.03 \u25bc', 'p = 0.14']
    # One network is named in the caption alone.
    assert 'early: gap 0.5' in found and 'early' not in found


def test_several_networks_are_named_beside_their_bars(tmp_path, monkeypatch):
    networks = [confidence(name, (0.1, 0.2), (0.3, 0.4)) for name in ('one', 'a/very/long/name/b')]
    heights = [imread(draw_confident(tmp_path / 'b.png', *networks[:number])).shape[0]
               for number in range(3)]
    assert heights[0] < heights[1] < heights[2]
    found = texts(monkeypatch, tmp_path / 'a.png', *networks)
    assert found.count('one') == 2 and sum(text.startswith('p = ') for text in found) == 8
    assert any(text.startswith('\u2026') and text.endswith('/b') for text in found)


@pytest.mark.parametrize('before', [(0.1, 0.2, 0.3), (0.1, 1.2), (0.1, float('nan'))])
def test_refuses_what_are_no_probabilities(tmp_path, before):
    with pytest.raises(ValueError, match="before of 'a' must hold 2 probabilities"):
        draw_confident(tmp_path / 'a.png', confidence('a', before, (0.1, 0.2)))


@pytest.mark.parametrize('keep, text', [('start', 'abc'), ('end', 'xyz')])
def test_long_texts_are_shortened(keep, text):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    figure = Figure(figsize=(4, 1))
    FigureCanvasAgg(figure)
    fit_text(figure, (0.5, 0.5), 'abc' + 50 * 'm' + 'xyz', 1.0, keep, fontsize=8)
    fit_text(figure, (0.5, 0.5), 'short', 1.0, keep, fontsize=8)
    long, short = figure.texts
    assert long.get_window_extent().width <= figure.dpi and '\u2026' in long.get_text()
    assert getattr(long.get_text(), f'{keep}swith')(text)
    assert short.get_text() == 'short'
