import math

import pandas as pd
import pytest
from helpers.pictures import check_layout, texts

from mmips.visualization.monitor import draw_curves, draw_gradients

NAN = float('nan')
SPLIT = {'kd': [.5, .4], 'kd_swapped': [.3, .2], 'kd_raw': [.7, .6]}


def frame(**runs):
    """Curves over epochs from 1."""
    rows = [(run, key, epoch, value) for run, curves in runs.items()
            for key, values in curves.items() for epoch, value in enumerate(values, 1)]
    return pd.DataFrame(rows, columns=['run', 'quantity', 'epoch', 'value'])


def test_gradients_are_one_line_a_run_over_the_layers_in_order():
    layers = pd.DataFrame({'no swap': [1e-2, 1e-3, 0., NAN], 'hard': NAN,
                           'IPS': [.1, NAN, NAN, .2]},
                          ['backbone.conv1', 'backbone.layer1.0.conv1', 'backbone.layer1.1.conv1',
                           'backbone.other'])
    figure = draw_gradients(layers, 'epochs 1 to 3')
    axes, = figure.axes
    assert texts(axes.get_xticklabels()) == ['conv1', 'layer1.0.conv1', 'layer1.1.conv1', 'other']
    assert axes.get_yscale() == 'log' and 'epochs 1 to 3' in figure.get_suptitle()
    drawn = {line.get_label(): line for line in axes.get_lines()}
    assert list(drawn) == ['no swap', 'IPS']
    assert list(drawn['IPS'].get_xdata()) == [0, 3] and list(drawn['IPS'].get_ydata()) == [.1, .2]
    # Zero has no logarithm.
    assert math.isnan(drawn['no swap'].get_ydata()[2])
    assert len({line.get_color() for line in drawn.values()}) == 2


@pytest.mark.parametrize('number, named', [(110, 110), (111, 56)])
def test_names_of_layers_have_room(number, named):
    figure = draw_gradients(pd.DataFrame({'a': 1.}, [f'net.layer{k}' for k in range(number)]))
    check_layout(figure)
    axes, = figure.axes
    assert len(axes.get_xticks()) == named and len(axes.get_lines()[0].get_xdata()) == number
    boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
    assert all(left.x1 <= right.x0 for left, right in zip(boxes, boxes[1:]))


def test_curves_of_swapped_and_raw_pairs():
    curves = frame(**{'no swap': {'kd': [.1], 'kd_raw': [.1]}, 'IPS': SPLIT,
                      'hard': {'loss': [2.]}})
    figure = draw_curves(curves, {'gradient': ['kd'], 'nothing': ['none'],
                                  'loss': ['loss_ce', 'loss']}, split=True)
    first, second = figure.axes
    assert (first.get_title(), second.get_title()) == ('gradient', 'loss')
    drawn = first.get_lines()
    # The run without a swap has one line, since all its pairs are raw.
    assert [list(line.get_ydata()) for line in drawn] == [[.1], [.5, .4], [.3, .2], [.7, .6]]
    assert len({str(line._dash_pattern) for line in drawn[1:]}) == 3
    assert len({line.get_color() for line in drawn}) == 2
    assert texts(figure.legends[0].texts) == [
        'no swap', 'IPS', 'IPS, swapped pairs', 'IPS, raw pairs', 'hard']
    assert list(second.get_lines()[0].get_ydata()) == [2.] and second.get_xlabel() == 'epoch'
    # Without split, and the first quantity that is there.
    figure = draw_curves(curves.rename(columns={'epoch': 'iter'}), {
        'a': ['kd', 'kd_raw'], 'b': ['loss_ce', 'loss']}, 'iter')
    assert [len(axes.get_lines()) for axes in figure.axes] == [2, 1]
    assert figure.axes[1].get_xlabel() == 'iteration'
