import numpy as np
from helpers.pictures import check_layout, texts
from matplotlib.colors import same_color

from mmips.visualization import draw_pairs
from mmips.visualization.pairs import PARTNER, QUERY


def make(pairs=2, size=(16, 16), grid=(4, 4)):
    images = np.zeros((2 * pairs, *size, 3), np.uint8)
    images[0::2], images[1::2] = 60, 200
    return images, np.zeros((pairs, *grid), bool)


def test_swapped_cells_are_outlined_in_the_other_colour():
    images, mask = make()
    mask[0, 1, 2] = mask[0, 0, 0] = True
    figure = draw_pairs(images, images, mask, ['cat', 'dog'], ['a', 'b'])
    first, second = np.array(figure.axes, object).reshape(2, 6)
    for number, (axes, colour) in enumerate(zip(first[[0, 1, 3, 4]], (QUERY, PARTNER) * 2)):
        assert same_color(axes.spines['left'].get_edgecolor(), colour)
        # Three lines between four cells each way, dark below light.
        assert [len(lines.get_segments()) for lines in axes.collections] == [3] * 4
        assert [(round(cell.get_y()), round(cell.get_x())) for cell in axes.patches] == (
            [(0, 0), (4, 8)] if number > 1 else [])
        assert all(same_color(cell.get_edgecolor(), (PARTNER, QUERY)[number % 2])
                   for cell in axes.patches)
    assert texts(first[2].texts) == ['cat', '\u2192', '2 of 16 cells']
    assert texts(second[2].texts) == ['dog', '=', 'not swapped']
    assert figure.get_suptitle().splitlines()[1:] == ['a', 'b']


def test_changes_without_a_swap_are_named():
    images, _ = make(1)
    figure = draw_pairs(images, images[::-1], None, ['great white shark, ' * 4])
    name, arrow, words = texts(figure.axes[2].texts)
    assert (arrow, words) == ('\u2192', 'changed') and name.startswith('great white shark,\n')
    assert name.endswith('\u2026') and not figure.axes[0].collections


def test_many_pairs_stand_in_two_columns():
    images, mask = make(5, (7, 9), (2, 3))
    mask[:, -1] = True
    figure = draw_pairs(images, images, mask, ['a'] * 5)
    assert len(figure.axes) == 3 * 2 * 6
    check_layout(figure)


def test_bars_are_as_long_as_the_probability():
    """Query and partner, before and after, with marks of before and arrows for changes."""
    images, _ = make(2)
    values = (np.array([.11, .12, .13, .14]), np.array([.21, .12, .03, .141]))
    figure = draw_pairs(images, images, None, ['x', 'y'], confidences={'early': values})
    places = np.array(figure.axes[:12], object).reshape(2, 6)
    for row, first in zip(places, (0, 2)):
        pair = slice(first, first + 2)
        for axes, value, mark, colour in zip(
                row[[0, 1, 3, 4]], (*values[0][pair], *values[1][pair]),
                (None, None, *values[0][pair]), (QUERY, PARTNER) * 2):
            bar, = axes.child_axes
            assert [patch.get_width() for patch in bar.patches] == [1, value]
            assert same_color(bar.patches[1].get_facecolor(), colour)
            assert [line.get_xdata()[0] for line in bar.lines] == [mark] * (mark is not None)
    assert [texts(axes.texts)[-1] for axes in places[:, [0, 1, 3, 4]].flat] == [
        'p = 0.11', 'p = 0.12', 'p = 0.21 \u25b2', 'p = 0.12',
        'p = 0.13', 'p = 0.14', 'p = 0.03 \u25bc', 'p = 0.14']
    # One network is named in the caption alone, several beside their bars.
    assert 'early' not in texts(places[0, 2].texts)
    figure = draw_pairs(images, images, None, ['x', 'y'], confidences={
        'early': values, 'work_dirs/a/very/long/name/b': values})
    early, late = texts(figure.axes[2].texts)[-2:]
    assert early == 'early' and late.startswith('\u2026') and late.endswith('/b')
