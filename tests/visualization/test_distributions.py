import numpy as np
import pandas as pd
import pytest
from helpers.pictures import check_layout, texts
from matplotlib.colors import to_hex

from mmips.visualization.distributions import KINDS, draw_distributions


def bars(values=(0.5, 0.3, 0.1), names=('ray', 'baby', 'girl'), note='note'):
    kinds = ['other', 'true', 'near'][:len(values)]
    return note, pd.DataFrame({'class': names, 'kind': kinds, 'probability': values})


def test_bars_numbers_and_colours():
    picture = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    figure = draw_distributions({'7: baby': [bars(), bars((0.25, 0.15, 0.05))]},
                                ['first', 'second'], [picture], 'a title', 'kin')
    assert [texts(axes.texts) for axes in figure.axes[:3]] == [['first'], ['second'], ['7: baby']]
    image, first, second = figure.axes[3:]
    assert np.array_equal(image.images[0].get_array(), picture)
    assert [bar.get_width() for bar in first.patches] == [0.5, 0.3, 0.1]
    assert [to_hex(bar.get_facecolor()) for bar in first.patches] == [
        KINDS[kind] for kind in ('other', 'true', 'near')]
    assert texts(first.get_yticklabels()) == ['ray', 'baby', 'girl']
    assert texts(first.texts) == ['50.0\u2009%', '30.0\u2009%', '10.0\u2009%']
    assert first.get_title(loc='left') == 'note'
    # The first bar is at the top; both share one scale.
    assert first.get_ylim()[0] > first.get_ylim()[1]
    assert first.get_xlim() == second.get_xlim()
    assert texts(figure.legends[0].texts) == ['true class', 'kin', 'other classes']


@pytest.mark.parametrize('networks, with_image', [(3, True), (1, False)])
def test_nothing_overlaps_or_is_cut_off(networks, with_image):
    long = bars([0.99999, 1e-5], ['a very long name of a class', 'b'],
                'true 100.0 %, rank 1; superclass 100.0 %')
    rows = {'12345: sweet_pepper (large_omnivores_and_herbivores)': [long] * networks,
            '2': [bars()] * networks}
    images = [np.zeros((224, 224, 3), np.uint8)] * 2 if with_image else []
    figure = draw_distributions(rows, ['n' * 60 + '/epoch_60'] * networks, images, 'title', 'kin')
    check_layout(figure, [text for axes in figure.axes if not axes.axison for text in axes.texts])
