import math

import pytest
from matplotlib.image import imread

from mmips.visualization import monitor as draw_monitor
from mmips.visualization.monitor import MonitoredRun, draw_curves, draw_gradients

LAYERS = {'backbone.conv1': 1e-2, 'backbone.layer1.0.conv1': 1e-3, 'backbone.layer1.1.conv1': 0.}
SPLIT = {'kd': [(1, .5), (2, .4)], 'kd_swapped': [(1, .3), (2, .2)], 'kd_raw': [(1, .7), (2, .6)]}


@pytest.fixture
def figure(monkeypatch):
    """The figure that was drawn last, kept as it is saved."""
    kept = []
    save = draw_monitor._save
    monkeypatch.setattr(draw_monitor, '_save',
                        lambda figure, *args: kept.append(figure) or save(figure, *args))
    return lambda: kept[-1]


def lines(axes):
    return {line.get_label(): line for line in axes.get_lines()}


def test_gradients_are_one_line_a_run_over_the_layers_in_order(tmp_path, figure):
    runs = [MonitoredRun('no swap', LAYERS), MonitoredRun('hard'),
            MonitoredRun('IPS', {'backbone.conv1': .1, 'backbone.other': .2})]
    path = draw_gradients(runs, str(tmp_path / 'new' / 'a.png'), 'epochs 1 to 3')
    assert path == str(tmp_path / 'new' / 'a.png') and imread(path).std() > 0
    assert [file.name for file in (tmp_path / 'new').iterdir()] == ['a.png']
    axes, = figure().axes
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == ['conv1', 'layer1.0.conv1', 'layer1.1.conv1', 'other']
    assert axes.get_yscale() == 'log' and 'epochs 1 to 3' in axes.get_title('left')
    drawn = lines(axes)
    assert list(drawn) == ['no swap', 'IPS']
    assert list(drawn['IPS'].get_xdata()) == [0, 3] and list(drawn['IPS'].get_ydata()) == [.1, .2]
    # Zero has no logarithm.
    assert math.isnan(drawn['no swap'].get_ydata()[2])
    colours = {line.get_color() for line in drawn.values()}
    assert len(colours) == 2


@pytest.mark.parametrize(('number', 'named'), [(20, 20), (110, 110), (111, 56)])
def test_names_of_layers_have_room(tmp_path, figure, number, named):
    run = MonitoredRun('a', {f'net.layer{place}': 1. for place in range(number)})
    draw_gradients([run], str(tmp_path / 'a.png'), dpi=20)
    axes, = figure().axes
    assert len(axes.get_xticks()) == named and len(axes.get_lines()[0].get_xdata()) == number
    boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
    assert all(one.x1 <= other.x0 for one, other in zip(boxes, boxes[1:]))


def test_curves_of_swapped_and_raw_pairs(tmp_path, figure):
    runs = [MonitoredRun('no swap', curves={'kd': [(1, .1)], 'kd_raw': [(1, .1)]}),
            MonitoredRun('IPS', curves=SPLIT), MonitoredRun('hard', curves={'loss': [(1, 2.)]})]
    panels = {'gradient': ['kd'], 'nothing': ['none'], 'loss': ['loss_ce', 'loss']}
    draw_curves(runs, panels, str(tmp_path / 'b.png'), split=True)
    first, second = figure().axes
    assert (first.get_title('left'), second.get_title('left')) == ('gradient', 'loss')
    drawn = first.get_lines()
    # The run without a swap has one line, since all its pairs are raw.
    assert [list(line.get_ydata()) for line in drawn] == [[.1], [.5, .4], [.3, .2], [.7, .6]]
    assert len({str(line._dash_pattern) for line in drawn[1:]}) == 3
    assert len({line.get_color() for line in drawn}) == 2
    legend, = figure().legends
    assert [text.get_text() for text in legend.get_texts()] == [
        'no swap', 'IPS', 'IPS, swapped pairs', 'IPS, raw pairs', 'hard']
    assert list(second.get_lines()[0].get_ydata()) == [2.]
    assert second.get_xlabel() == 'epoch'


def test_curves_without_split_and_the_first_key_that_is_there(tmp_path, figure):
    curves = {**SPLIT, 'loss': [(10, 3.)], 'loss_ce': [(10, 2.)]}
    draw_curves([MonitoredRun('IPS', curves=curves)], {'a': ['kd'], 'b': ['loss_ce', 'loss']},
                str(tmp_path / 'b.png'), 'iteration')
    first, second = figure().axes
    assert len(first.get_lines()) == 1 and list(second.get_lines()[0].get_ydata()) == [2.]
    assert second.get_xlabel() == 'iteration'


def test_many_runs_stay_apart():
    styles = [tuple(draw_monitor._style(number).values()) for number in range(20)]
    assert len(set(styles)) == 20


def test_nothing_to_draw(tmp_path):
    with pytest.raises(ValueError, match='No run has gradients of layers'):
        draw_gradients([MonitoredRun('a')], str(tmp_path / 'a.png'))
    with pytest.raises(ValueError, match=r"No run has any of \['x', 'y'\]"):
        draw_curves([MonitoredRun('a')], {'t': ['y', 'x']}, str(tmp_path / 'a.png'))
    assert not list(tmp_path.iterdir())
