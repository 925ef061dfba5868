import base64
import re

import pandas as pd

from mmips.visualization.report import draw_curve, render_page

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


def test_the_page_escapes_and_loads_nothing():
    sections = [dict(name=name, path='<u>', skipped=['<i>'], tables={}, pictures=[
        dict(name='<em>', uri='data:image/png;base64,xx')], runs='', curves=[], configs=[])
                for name in ('one', 'two')]
    page = render_page('A <title>', 'mmips', sections)
    assert not re.search('<u>|<i>|<em>|<title>A <', page)
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert sources and all(source.startswith(('data:', '#section-')) for source in sources)
    assert not re.search(r'url\(|@import|<link|<script src', page)
