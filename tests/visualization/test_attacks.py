import numpy as np
import pandas as pd
import pytest
from helpers.pictures import check_layout, texts

from mmips.visualization.attacks import draw_attacks


def test_points_are_evenly_spaced():
    figure = draw_attacks({
        'FGSM': pd.DataFrame({'a': [50., 20.], 'b': [np.nan, 40.]}, [0., 0.1]),
        'PGD': pd.DataFrame({'a': [np.nan], 'b': [30.]}, [0.01])}, 'title', 'pixel space')
    first, second = figure.axes
    assert [line.get_xydata().tolist() for line in first.lines] == [
        [[0, 50], [2, 20]], [[2, 40]]]
    assert second.lines[1].get_xydata().tolist() == [[1, 30]]
    assert second.lines[1].get_color() == first.lines[1].get_color() != first.lines[0].get_color()
    assert texts(first.get_xticklabels()) == ['0', '0.01', '0.1']
    assert first.get_ylim()[0] == 0 and second.get_title() == 'PGD'
    assert texts(figure.legends[0].texts) == ['a', 'b']


@pytest.mark.parametrize('attacks, lines', [(1, 1), (2, 10)])
def test_many_lines_and_values_are_not_cut_off(attacks, lines):
    table = pd.DataFrame({f'a long name of a checkpoint {n}': 9. * n - np.arange(9)
                          for n in range(lines)}, np.arange(9) / 255)
    check_layout(draw_attacks({f'attack {number}': table for number in range(attacks)}))
