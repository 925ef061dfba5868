import numpy as np
import pandas as pd
import pytest
from helpers.pictures import texts

from mmips.visualization.corruptions import draw_accuracies, draw_examples


def test_bars_are_as_high_as_the_accuracies_and_lines_span_the_severities():
    index = [('clean', 0), ('fog', 1), ('fog', 5), ('snow', 1), ('snow', 5)]
    scores = pd.DataFrame(dict(a=(80., 50, 30, 20, 20), b=(60., 60, 60, 70, 10)),
                          index=pd.MultiIndex.from_tuples(index))
    figure = draw_accuracies(scores, 'note')
    axes, = figure.axes
    assert texts(axes.get_xticklabels()) == ['clean', 'fog', 'snow', 'mean']
    for bars, means in zip(axes.containers, ([80, 40, 20, 30], [60, 60, 40, 50])):
        assert [bar.get_height() for bar in bars] == pytest.approx(means)
    middles = [[bar.get_x() + bar.get_width() / 2 for bar in bars] for bars in axes.containers]
    for line, places, ranges in zip(axes.collections, middles, ([(30, 50), (20, 20)],
                                                                [(60, 60), (10, 70)])):
        for (start, end), place, (low, high) in zip(line.get_segments(), places[1:3], ranges):
            assert (start[0], start[1], end[1]) == pytest.approx((place, low, high))
    assert texts(figure.legends[0].texts) == ['a', 'b']


def test_every_example_has_its_place():
    examples = {name: {severity: np.full((32, 32, 3), 10 * severity + place, np.uint8)
                       for severity in (1, 5)} for place, name in enumerate(('fog', 'zoom_blur'))}
    figure = draw_examples(np.full((40, 32, 3), 200, np.uint8), examples, 'note')
    shown = [int(axes.images[0].get_array()[0, 0, 0]) if axes.images else None
             for axes in figure.axes]
    assert shown == [200, 10, 11, None, 50, 51]
    assert [axes.get_title() for axes in figure.axes[:3]] == ['clean', 'fog', 'zoom\nblur']
    assert [axes.get_ylabel() for axes in figure.axes[::3]] == ['severity 1', 'severity 5']
