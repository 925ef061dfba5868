import numpy as np
import pytest
from helpers.pictures import check_layout, texts
from matplotlib.colors import to_rgba

from mmips.visualization.safety import draw_reliability, draw_risk_coverage
from mmips.visualization.style import BLUE, ORANGE

#: Bins too sure, empty, not sure enough and right.
BINS = dict(edges=np.linspace(0, 1, 5), counts=np.array([6, 0, 3, 1]),
            accuracy=np.array([0.1, np.nan, 0.8, 0.9]),
            confidence=np.array([0.2, np.nan, 0.7, 0.9]))


def bars(axes):
    """Left end, bottom, height and whether hatched of each bar that can be seen."""
    return sorted((round(bar.get_x(), 6), round(bar.get_y(), 6), round(bar.get_height(), 6),
                   bool(bar.get_hatch())) for bar in axes.patches if bar.get_height() > 1e-9)


def test_reliability_bars_reach_from_accuracy_to_confidence():
    upper, lower = draw_reliability({'a': BINS}, {'a': dict(ece=12.344)}).axes
    assert bars(upper) == [(0, 0, 0.1, False), (0, 0.1, 0.1, True), (0.5, 0, 0.7, False),
                           (0.5, 0.7, 0.1, True), (0.75, 0, 0.9, False)]
    colours = {bar.get_x(): bar.get_edgecolor() for bar in upper.patches if bar.get_hatch()}
    assert colours[0] == to_rgba(ORANGE) and colours[0.5] == to_rgba(BLUE)
    assert upper.get_title() == 'a\nECE 12.34 %'
    assert [bar[2] for bar in bars(lower)] == [0.6, 0.3, 0.1]
    means = [line.get_xdata()[0] for line in lower.lines]
    assert means == pytest.approx([0.06 + 0.24 + 0.09, 0.12 + 0.21 + 0.09])


@pytest.mark.parametrize('count', [1, 5])
def test_panels_stand_beside_each_other(count):
    names = [f'network {number}' for number in range(count)]
    figure = draw_reliability(dict.fromkeys(names, BINS), dict.fromkeys(names, dict(ece=1.)))
    assert sum(axes.axison for axes in figure.axes) == 2 * count
    check_layout(figure)


def test_risk_coverage_lines():
    curve = dict(coverage=np.array([0.5, 1]), risk=np.array([0.2, 0.3]), best=np.array([0, 0.3]))
    long = 'a/' * 30 + 'epoch_60'
    worse = {**curve, 'risk': 2 * curve['risk']}
    figure = draw_risk_coverage({'a': curve, 'b': worse, long: curve},
                                {'a': dict(aurc=123.44), 'b': dict(aurc=50.), long: dict(aurc=50.)},
                                {'a': 'x', 'b': 'seeds', long: 'seeds'})
    axes, = figure.axes
    best, risk = axes.lines[:6:2], axes.lines[1:6:2]
    assert [line.get_ydata().tolist() for line in best] == [[0, 30]] * 3
    assert [line.get_ydata().tolist() for line in risk] == [[20, 30], [40, 60], [20, 30]]
    assert all(line.get_xdata().tolist() == [0.5, 1] for line in [*best, *risk])
    assert best[0].get_linewidth() < risk[0].get_linewidth()
    colours, styles = ([getattr(line, f'get_{key}')() for line in risk]
                       for key in ('color', 'linestyle'))
    assert colours[0] != colours[1] == colours[2] and styles[1] != styles[2]
    labels = texts(axes.get_legend().texts)
    assert labels[:2] == ['a: AURC 123.4', 'b: AURC 50.0']
    assert labels[2].endswith('epoch_60: AURC 50.0')
    check_layout(figure)
