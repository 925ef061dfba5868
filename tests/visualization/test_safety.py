"""Reliability and risk-coverage pictures show the numbers that they are given."""
import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.image import imread

from mmips.functional import safety
from mmips.visualization import safety as draw_safety
from mmips.visualization.safety import RiskCoverage, draw_reliability, draw_risk_coverage


@pytest.fixture
def figures(monkeypatch):
    """The figures that are drawn, beside their files."""
    kept, save = [], draw_safety._save
    monkeypatch.setattr(draw_safety, '_save', lambda figure, *args: (
        kept.append(figure), save(figure, *args))[1])
    return kept


def make_bins():
    """Bins too sure, empty, not sure enough and right."""
    return safety.ReliabilityBins(
        np.linspace(0, 1, 5), np.array([6, 0, 3, 1]), np.array([0.1, np.nan, 0.8, 0.9]),
        np.array([0.2, np.nan, 0.7, 0.9]))


def bars(axes):
    """Left end, bottom, height and whether hatched of each bar that can be seen."""
    return sorted((round(bar.get_x(), 6), round(bar.get_y(), 6), round(bar.get_height(), 6),
                   bool(bar.get_hatch())) for bar in axes.patches if bar.get_height() > 1e-9)


def test_reliability_bars_reach_from_accuracy_to_confidence(figures, tmp_path):
    path = draw_reliability({'a': make_bins()}, {'a': 12.344}, str(tmp_path / 'x' / 'r.png'))
    lower, upper = figures[0].axes
    assert bars(upper) == [(0, 0, 0.1, False), (0, 0.1, 0.1, True), (0.5, 0, 0.7, False),
                           (0.5, 0.7, 0.1, True), (0.75, 0, 0.9, False)]
    colours = {bar.get_x(): bar.get_edgecolor() for bar in upper.patches if bar.get_hatch()}
    assert colours[0] == to_rgba(draw_safety.ORANGE) and colours[0.5] == to_rgba(draw_safety.BLUE)
    assert upper.get_title() == 'a\nECE 12.34 %'
    assert [bar[2] for bar in bars(lower)] == [0.6, 0.3, 0.1]
    means = [line.get_xdata()[0] for line in lower.lines]
    assert means == pytest.approx([0.06 + 0.24 + 0.09, 0.12 + 0.21 + 0.09])
    assert imread(path).shape[2] == 4 and [file.name for file in (tmp_path / 'x').iterdir()] == [
        'r.png']


@pytest.mark.parametrize('count', [1, 4, 6, 9])
def test_panels_stand_beside_each_other(count, figures, tmp_path):
    names = [f'network {number}' for number in range(count)]
    draw_reliability(dict.fromkeys(names, make_bins()), dict.fromkeys(names, 1.), str(
        tmp_path / 'r.png'))
    figures[0].canvas.draw()
    boxes = [axes.get_tightbbox() for axes in figures[0].axes]
    assert len(boxes) == 2 * count
    for place, box in enumerate(boxes):
        assert 0 <= box.x0 and box.x1 <= figures[0].bbox.width and box.y0 >= 0
        # Beside its own histogram's ticks, nothing overlaps.
        assert not any(box.overlaps(other) for other in boxes[place - place % 2 + 2:])


def test_risk_coverage_lines(figures, tmp_path):
    curve = RiskCoverage(np.array([0.5, 1]), np.array([0.2, 0.3]), np.array([0, 0.3]), 123.44)
    grouped = RiskCoverage(curve.coverage, 2 * curve.risk, curve.best, 50., 'seeds')
    draw_risk_coverage({'a': curve, 'b': grouped, 'c': grouped}, str(tmp_path / 'c.png'))
    axes, = figures[0].axes
    best, risk = axes.lines[:6:2], axes.lines[1:6:2]
    assert [line.get_ydata().tolist() for line in best] == [[0, 30]] * 3
    assert [line.get_ydata().tolist() for line in risk] == [[20, 30], [40, 60], [40, 60]]
    assert all(line.get_xdata().tolist() == [0.5, 1] for line in [*best, *risk])
    assert best[0].get_linewidth() < risk[0].get_linewidth()
    colours, styles = ([getattr(line, f'get_{what}')() for line in risk]
                       for what in ('color', 'linestyle'))
    assert colours[0] != colours[1] == colours[2] and styles[1] != styles[2]
    labels = [text.get_text() for text in axes.get_legend().texts]
    assert labels[:3] == ['a: AURC 123.4', 'b: AURC 50.0', 'c: AURC 50.0']
    assert imread(tmp_path / 'c.png').ndim == 3


def test_long_names_keep_their_end(figures, tmp_path):
    name = 'a/' * 30 + 'epoch_60'
    curve = RiskCoverage(np.array([1.]), np.array([0.2]), np.array([0.2]), 1.)
    draw_risk_coverage({name: curve}, str(tmp_path / 'c.png'))
    legend = figures[0].axes[0].get_legend()
    assert legend.texts[0].get_text().split(':')[0].endswith('epoch_60')
    figures[0].canvas.draw()
    assert legend.get_window_extent().x1 <= figures[0].bbox.width


def test_what_cannot_be_drawn_is_refused(tmp_path):
    with pytest.raises(ValueError, match='no curve'):
        draw_risk_coverage({}, str(tmp_path / 'c.png'))
    with pytest.raises(ValueError, match=r"\['a'\] and \['b'\]"):
        draw_reliability({'a': make_bins()}, {'b': 1.}, str(tmp_path / 'r.png'))
