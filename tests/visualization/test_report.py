import base64
import re

import pandas as pd

from mmips.visualization.report import draw_curve

CURVE = pd.DataFrame([('a/0', 'a', 2, 1.), ('a/0', 'a', 1, 2.), ('a/1', 'a', 1, 2.),
                      ('b', 'b', 1, float('nan'))], columns=['run', 'group', 'step', 'value'])


def svg(uri):
    return base64.b64decode(uri.partition('base64,')[2]).decode()


def test_runs_of_a_group_share_a_colour_and_one_line_of_the_legend():
    drawn = draw_curve(CURVE, 'loss', 'epoch', ['b', 'a'])
    lines = re.findall(r'<path d="M [^"]*" clip-path[^>]*stroke: (#\w+)', svg(drawn))
    assert len(set(lines)) == 2
    assert [text for text in re.findall(r'<!-- (.*?) -->', svg(drawn)) if text in 'ab'] == [
        'a', 'b']
    # The same results give the same page.
    assert drawn == draw_curve(CURVE, 'loss', 'epoch', ['b', 'a'])
