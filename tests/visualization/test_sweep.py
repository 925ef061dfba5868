from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mmips.runs.sweep_file import Cell, Sweep
from mmips.visualization import sweep as draw_sweep


def make(names, seeds=(0, 1), **axes):
    cells = tuple(Cell(name, name, 'x.py', {}, dict(zip(axes, name.split('/')))) for name in names)
    return Sweep('Title', cells, {axis: list(labels) for axis, labels in axes.items()}, seeds,
                 'acc', heatmaps=dict(x='x', y='y', panels=('p', )))


def run(value, images=(10, 20), scores=None):
    return dict(test=dict(acc=value), images=list(images), scores=scores or [value - 9, value])


SWEEP = make([f'{x}/{y}/{p}' for x in '123' for y in 'ab' for p in 'PQ'] + ['alone'],
             x='123', y='ab', p='PQR')
RESULTS = {(cell.name, seed): run(10 * number + seed)
           for number, cell in enumerate(SWEEP.cells) for seed in (0, 1)}


@pytest.fixture
def saved(monkeypatch):
    """The figures that are saved."""
    figures, save = [], draw_sweep._save
    monkeypatch.setattr(draw_sweep, '_save', lambda figure, path, dpi: (
        figures.append(figure), save(figure, path, dpi)))
    return figures


def test_values_stand_where_their_cells_do():
    results = dict(RESULTS)
    results['2/b/P', 0] = dict(failed='so')
    del results['3/a/P', 0], results['3/a/P', 1]
    maps = draw_sweep.heatmap_values(SWEEP, results)
    # No cell is on panel R.
    assert list(maps) == [('P', ), ('Q', )]
    np.testing.assert_array_equal(maps['P', ], [[0.5, 40.5, np.nan], [20.5, 61, 100.5]])
    np.testing.assert_array_equal(maps['Q', ], [[10.5, 50.5, 90.5], [30.5, 70.5, 110.5]])
    one = draw_sweep.heatmap_values(replace(SWEEP, cells=SWEEP.cells[:1], heatmaps=dict(
        x='y', y='x', panels=())), RESULTS)
    assert one[()].shape == (3, 2) and one[()][0, 0] == 0.5


@pytest.mark.parametrize('lower, best', [(False, '110.5'), (True, '0.5')])
def test_heat_maps_share_a_scale_and_frame_the_best(saved, tmp_path, lower, best):
    assert draw_sweep.draw_heatmaps(replace(SWEEP, lower=lower), RESULTS, tmp_path / 'h.png')
    assert Image.open(tmp_path / 'h.png').width > 500
    first, second, bar = saved[0].axes
    assert first.get_title() == 'p P' and second.get_title() == 'p Q'
    assert [text.get_text() for text in first.texts] == ['0.5', '40.5', '80.5', '20.5', '60.5',
                                                         '100.5']
    assert first.images[0].get_clim() == second.images[0].get_clim() == (0.5, 110.5)
    framed = [axes for axes in (first, second) if axes.patches]
    assert framed == [first if lower else second]
    left, bottom = framed[0].patches[0].get_xy()
    place = round(left) + 3 * round(bottom)
    assert framed[0].texts[place].get_text() == best
    assert [text.get_text() for text in first.get_xticklabels()] == ['1', '2', '3']


def test_nothing_is_drawn_of_nothing(tmp_path):
    assert not draw_sweep.draw_heatmaps(SWEEP, {}, tmp_path / 'h.png')
    assert not draw_sweep.draw_curves(SWEEP, {('alone', 0): dict(failed='so')}, tmp_path / 'c.png')
    assert not list(tmp_path.iterdir())
    # One value alone has a scale.
    assert draw_sweep.draw_heatmaps(SWEEP, {('1/a/P', 0): run(3)}, tmp_path / 'h.png')


def test_curves_of_unequal_runs_meet_where_both_were_tested():
    done = [dict(images=[10, 20, 40], scores=[1., 2., 4.]),
            dict(images=[20, 30, 40], scores=[5., 6., 7.])]
    assert draw_sweep.common_points(done) == ([20, 40], [[2., 5.], [4., 7.]])


def test_curves_have_a_mean_and_a_band(saved, tmp_path):
    sweep = replace(make(['a', 'b'], x='ab'), heatmaps={})
    results = {('a', 0): run(60), ('a', 1): run(70), ('b', 0): dict(failed='so')}
    assert draw_sweep.draw_curves(sweep, results, tmp_path / 'c.png')
    axes, = saved[0].axes
    line, = axes.lines
    assert line.get_ydata().tolist() == [56, 65] and line.get_xdata().tolist() == [10, 20]
    assert line.get_label() == 'a: 65.0 %'
    heights = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert heights.min() == 51 and heights.max() == 70
    legend, = saved[0].legends
    assert legend.get_title().get_text() == 'mean of 2 seeds, band: all of them'


@pytest.mark.parametrize('lower, grey', [(False, 'c00'), (True, 'c13')])
def test_the_best_twelve_have_names(saved, tmp_path, lower, grey):
    names = [f'c{number:02}' for number in range(14)]
    sweep = replace(make(names, seeds=(0, )), lower=lower)
    results = {(name, 0): run(40 + number) for number, name in enumerate(names)}
    draw_sweep.draw_curves(sweep, results, tmp_path / 'c.png')
    texts = [text.get_text() for text in saved[0].legends[0].get_texts()]
    assert len(texts) == 12 and not any(text.startswith(grey) for text in texts)
    assert saved[0].legends[0].get_title().get_text() == '1 seed; grey: 2 worse ones'
    assert len(saved[0].axes[0].lines) == 14


@pytest.mark.parametrize('finals, lower, limits', [
    ([80, 90], False, (53, 92)), ([99.5], False, (97.5, 100)), ([3, 5], True, (1, 12)),
    ([0.5, 0.6], False, (0.23, 0.62))])
def test_limits_show_the_end_of_the_race(finals, lower, limits):
    assert draw_sweep._near_the_end(finals, lower) == pytest.approx(limits)
