"""The picture of predictive distributions shows the bars, colours and numbers given."""
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import imread

from mmips.visualization.distributions import (
    COLOURS,
    Bars,
    DistributionRow,
    draw_distributions,
    top_bars,
)

CLASSES = ['baby', 'girl', 'ray', 'keyboard']
PROBS = np.array([0.3, 0.1, 0.5, 0.1])


@pytest.fixture
def figures(monkeypatch):
    """The figures that are drawn, beside their files."""
    kept, save = [], Figure.savefig
    monkeypatch.setattr(Figure, 'savefig', lambda figure, *args, **options: (
        kept.append(figure), save(figure, *args, **options))[1])
    return kept


def bars():
    return top_bars(PROBS, 3, 0, [1], CLASSES, 'note')


def test_the_largest_probabilities_from_the_top():
    assert bars() == Bars(['ray', 'baby', 'girl'], [0.5, 0.3, 0.1], ['other', 'true', 'near'],
                          'note')
    assert len(top_bars(PROBS, 9, 0, [], CLASSES).values) == 4


def test_bars_numbers_and_colours(figures, tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    small = top_bars(PROBS / 2, 3, 0, [1], CLASSES)
    path = draw_distributions([DistributionRow('7: baby', [bars(), small], picture)],
                              ['first', 'second'], str(tmp_path / 'x' / 'd.png'), 'a title', 'kin')
    image, first, second = figures[0].axes
    assert np.array_equal(image.images[0].get_array(), picture)
    assert [bar.get_width() for bar in first.patches] == [0.5, 0.3, 0.1]
    assert [to_hex(bar.get_facecolor()) for bar in first.patches] == [
        COLOURS[kind] for kind in ('other', 'true', 'near')]
    assert [label.get_text() for label in first.get_yticklabels()] == ['ray', 'baby', 'girl']
    assert [text.get_text() for text in first.texts] == [
        '50.0\u2009%', '30.0\u2009%', '10.0\u2009%']
    # The first bar is at the top; both share one scale.
    assert first.get_ylim()[0] > first.get_ylim()[1]
    assert first.get_xlim() == second.get_xlim() == (0, 0.5)
    texts = [text.get_text() for text in figures[0].texts]
    for text in ('a title', 'first', 'second', '7: baby', 'note', '\u25a0 kin'):
        assert text in texts
    assert imread(path).ndim == 3 and len(list((tmp_path / 'x').iterdir())) == 1


@pytest.mark.parametrize('with_image', [True, False])
@pytest.mark.parametrize('networks', [1, 3])
def test_nothing_overlaps_or_is_cut_off(figures, tmp_path, networks, with_image):
    image = np.zeros((224, 224, 3), np.uint8) if with_image else None
    long = top_bars(np.array([0.99999, 1e-5]), 2, 0, [], ['a very long name of a class', 'b'],
                    'true 100.0 %, rank 1; superclass 100.0 %')
    rows = [DistributionRow('12345: sweet_pepper (large_omnivores_and_herbivores)',
                            [long] * networks, image),
            DistributionRow('2', [bars()] * networks, image)]
    names = ['n' * 60 + '/epoch_60'] * networks
    draw_distributions(rows, names, str(tmp_path / 'd.png'), 'title', 'kin')
    figure, = figures
    assert sum(text.get_text().endswith('/epoch_60') for text in figure.texts) == networks
    figure.canvas.draw()
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    boxes += [text.get_window_extent() for text in figure.texts]
    for place, box in enumerate(boxes):
        assert 0 <= box.x0 and 0 <= box.y0
        assert box.x1 <= figure.bbox.width and box.y1 <= figure.bbox.height
        assert not any(box.overlaps(other) for other in boxes[place + 1:])


@pytest.mark.parametrize('rows, message', [
    ([], 'no distribution'),
    ([DistributionRow('cap', [bars()])], r"cap: expected 2 .* of \['a', 'b'\], got 1"),
    ([DistributionRow('cap', [bars(), Bars(['x'], [1.], [])])], 'cap: .* got 1, 0 and 1'),
])
def test_what_does_not_fit_is_refused(rows, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        draw_distributions(rows, ['a', 'b'], str(tmp_path / 'd.png'))
