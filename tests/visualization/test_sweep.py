import numpy as np
import pandas as pd
import pytest
from helpers.pictures import texts

from mmips.visualization import style
from mmips.visualization import sweep as draw_sweep

X, Y = pd.Index(list('123'), name='x'), pd.Index(list('ab'), name='y')
MAPS = {('P', ): pd.DataFrame([[0.5, 40.5, np.nan], [20.5, 60.5, 100.5]], Y, X),
        ('Q', ): pd.DataFrame([[10.5, 50.5, 90.5], [30.5, 70.5, 110.5]], Y, X)}


def frame(**runs):
    """Two validations, at 10 and 20 images, of recipes with a last score for each seed."""
    return pd.DataFrame([(name, seed, images, score - gap)
                         for name, scores in runs.items() for seed, score in enumerate(scores)
                         for images, gap in ((10, 9.), (20, 0.))],
                        columns=['recipe', 'seed', 'images', 'score'])


@pytest.mark.parametrize('lower, best', [(False, '110.5'), (True, '0.5')])
def test_heat_maps_share_a_scale_and_frame_the_best(lower, best):
    figure = draw_sweep.draw_heatmaps('Title', MAPS, ('p', ), 'acc', lower)
    first, second, bar = figure.axes
    assert first.get_title() == 'p P' and second.get_title() == 'p Q'
    assert texts(first.texts) == ['0.5', '40.5', '–', '20.5', '60.5', '100.5']
    assert first.images[0].get_clim() == second.images[0].get_clim() == (0.5, 110.5)
    framed = [axes for axes in (first, second) if axes.patches]
    assert framed == [first if lower else second]
    left, bottom = framed[0].patches[0].get_xy()
    assert framed[0].texts[round(left) + 3 * round(bottom)].get_text() == best
    assert texts(first.get_xticklabels()) == ['1', '2', '3']
    assert (first.get_xlabel(), first.get_ylabel()) == ('x', 'y')
    assert ('lower' if lower else 'higher') in bar.get_ylabel()


def test_nothing_is_drawn_of_nothing():
    assert draw_sweep.draw_heatmaps('', {(): MAPS['P', ] * np.nan}, (), 'acc') is None
    assert draw_sweep.draw_curves('', frame(), 'acc') is None
    # One value alone has a scale, and what is missing can be seen.
    single = MAPS['P', ].where(MAPS['P', ] == 0.5)
    value, missing, *_ = draw_sweep.draw_heatmaps('', {(): single}, (), 'acc').axes[0].texts
    assert (value.get_text(), missing.get_color()) == ('0.500', style.INK)


def test_curves_have_a_mean_and_a_band_where_all_runs_were_tested():
    alone = pd.DataFrame([('a', 0, 15, 1.)], columns=['recipe', 'seed', 'images', 'score'])
    figure = draw_sweep.draw_curves('Title', pd.concat([alone, frame(a=[60, 70])]), 'acc')
    axes, = figure.axes
    line, = axes.lines
    assert line.get_ydata().tolist() == [56, 65] and line.get_xdata().tolist() == [10, 20]
    assert line.get_label() == 'a: 65.0 %'
    heights = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert heights.min() == 51 and heights.max() == 70
    legend, = figure.legends
    assert legend.get_title().get_text() == 'mean of 2 seeds, band: all of them'


@pytest.mark.parametrize('lower, grey', [(False, 'c00'), (True, 'c13')])
def test_the_best_twelve_have_names(lower, grey):
    runs = frame(**{f'c{number:02}': [40 + number] for number in range(14)})
    figure = draw_sweep.draw_curves('Title', runs, 'acc', lower)
    named = texts(figure.legends[0].texts)
    assert len(named) == 12 and not any(text.startswith(grey) for text in named)
    assert figure.legends[0].get_title().get_text() == '1 seed; grey: 2 worse ones'
    assert len(figure.axes[0].lines) == 14


@pytest.mark.parametrize('finals, lower, limits', [
    ([80, 90], False, (53, 92)), ([99.5], False, (97.5, 100)), ([3, 5], True, (1, 12)),
    ([0.5, 0.6], False, (0.23, 0.62))])
def test_limits_show_the_end_of_the_race(finals, lower, limits):
    assert draw_sweep._near_the_end(finals, lower) == pytest.approx(limits)


def test_names_are_drawn_as_they_are_and_what_has_diverged_has_no_score(tmp_path):
    odd, nan, inf = '$\\frac{$ $x$\n\x00_', float('nan'), float('inf')
    runs = frame(**{odd: [nan, 60.], 'b': [50., 70.], 'c': [inf, 1e308]})
    figure = draw_sweep.draw_curves(odd, runs, odd)
    figure.savefig(tmp_path / 'x.svg')
    assert texts(figure.legends[0].texts) == [
        r'\$\frac{\$ \$x\$ ' + '\ufffd_: nan %', 'b: 60.0 %', 'c: nan %']
    maps = {(odd, ): pd.DataFrame([[1., inf, nan]], pd.Index([odd], name=odd), X)}
    figure = draw_sweep.draw_heatmaps(odd, maps, (odd, ), odd)
    figure.savefig(tmp_path / 'x.png')
    assert figure.axes[0].images[0].get_clim() == (0.9, 1.1)
    assert draw_sweep.draw_curves('', frame(a=[nan, inf]), 'acc') is None
    # A run that began well and diverged has no final score.
    runs = frame(a=[50.])
    runs.loc[runs.index[-1], 'score'] = nan
    assert texts(draw_sweep.draw_curves('', runs, 'acc').legends[0].texts) == ['a: nan']
