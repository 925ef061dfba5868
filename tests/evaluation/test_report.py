import base64
import html
import os
import re
from html.parser import HTMLParser

import pytest
from helpers.logs import gradients, line, write_run

from mmips.errors import MissingFileError, UserError
from mmips.evaluation import report
from mmips.evaluation.report import collect, render_report


@pytest.fixture
def page(tmp_path):
    """Render a folder that the test fills."""
    return lambda: render_report([collect(tmp_path)], 'A <title>')


def cells(page, first):
    row = re.search(rf'<td>{first}</td>(.*?)</tr>', page, re.DOTALL).group(1)
    return re.findall('<td>(.*?)</td>', row)


def test_seeds_share_a_setup_and_a_group_and_other_configs_do_not(tmp_path):
    for name, seed, rate in (('a/seed0', 0, 1), ('a/seed1', 1, 1), ('b/seed0', 0, 2)):
        write_run(tmp_path / name, [line(1)], config=(
            f"epochs = 7\n{'#' * 200}\nlr = {rate}\nwork_dir = '{name}'\n"
            f'randomness = dict(seed={seed})\n'))
    section = collect(tmp_path)
    assert list(section.setups().values()) == [['a/seed0', 'a/seed1'], ['b/seed0']]
    assert section.logs.groupby('run')['group'].first().to_dict() == {
        'a/seed0': 'a', 'a/seed1': 'a', 'b/seed0': 'b'}
    text = render_report([section], 'x')
    # Configs are shown once and by their differences.
    assert re.findall(r'<summary>(.*?)</summary>', text) == [
        'a/seed0, a/seed1', 'b/seed0: what differs from a/seed0']
    whole, difference = re.findall(r'<pre>(.*?)</pre>', text, re.DOTALL)
    assert 'epochs = 7' in whole
    assert '-lr = 1\n+lr = 2' in difference and 'epochs' not in difference


def test_curves_of_a_run_started_anew_leave_out_the_machine_and_the_layers(page, tmp_path,
                                                                           monkeypatch):
    drawn = []
    monkeypatch.setattr(report.page, 'draw_curve', lambda curve, *_: drawn.append(curve) or '')
    write_run(tmp_path, [line(step, loss=2.) for step in range(1, 9)] + [
        {'accuracy/top1': 90., 'step': 4}], [gradients(1), line(1, loss=1., time=1., memory=5),
                                             {'accuracy/top1': 10., 'step': 1}],
        [gradients(3), line(3, loss=0.)])
    assert cells(page(), tmp_path.name) == ['', '3', '1', '10']
    assert [list(zip(curve['step'], curve['value'])) for curve in drawn] == [
        [(1, 10.)], [(1, 1.), (3, 0.)]]


def test_the_runs_table_has_last_scores(page, tmp_path):
    write_run(tmp_path / 'x/seed1', [
        gradients(40, per_epoch=40), line(40, per_epoch=40),
        {'accuracy/top1': 10., 'time': 3., 'step': 1},
        {'accuracy/top1': 56.25, 'time': 3., 'step': 2}], config='randomness = dict(seed=1)\n')
    write_run(tmp_path / 'y', [line(1), {'accuracy/top1': float('nan'), 'step': 1}])
    text = page()
    assert cells(text, 'x/seed1') == ['1', '40', '2', '56.25']
    assert cells(text, 'y') == ['', '1', '1', 'nan']


def test_tables_and_pictures_are_found_below(page, tmp_path):
    (tmp_path / 'deep').mkdir()
    (tmp_path / '.hidden').mkdir()
    for name in ('a.csv', 'b.csv', '.hidden/w.csv'):
        (tmp_path / name).write_text(f'<v>,w\n<script>alert(1)</script>,"2,{"5" * 80}"\n')
    (tmp_path / 'a.md').write_text('# One\n\n| <i> | b |\n|---|---|\n| **1** | ![x](y.png) |\n')
    (tmp_path / 'deep/z.PNG').write_bytes(b'pixels')
    write_run(tmp_path / 'run', [line(1, **{'<u>': 1.})], config="name = '<em>'\n")
    text = page()
    # The CSV of a Markdown table is folded, its headings stand below its name.
    assert re.findall(r'<summary>(\w.csv) \(1 rows\)', text) == ['a.csv']
    assert re.findall(r'<(h[34])>(.*?)</h', text)[:3] == [('h3', 'a.md'), ('h4', 'One'),
                                                          ('h3', 'b.csv')]
    assert f'<td>2,{"5" * 80}</td>' in text and '<strong>1</strong>' in text
    assert f'data:image/png;base64,{base64.b64encode(b"pixels").decode()}' in text
    # Texts of results are no HTML.
    assert not re.search('<script>alert|<i>|<u>|<em>|<v>|<img alt="x"|<title>A <', text)
    # Nothing is loaded from anywhere.
    sources = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert sources and all(source.startswith(('data:', '#section-')) for source in sources)
    assert not re.search(r'url\(|@import|<link|<script src', text)


def test_long_tables_are_cut_and_say_so(page, tmp_path, monkeypatch):
    monkeypatch.setattr(report.page, 'MAX_ROWS', 3)
    (tmp_path / 'x.csv').write_text('a\n' + '1\n' * 5)
    assert 'The first 3 of 5 rows' in page() and page().count('<td>1</td>') == 3


def test_what_cannot_be_read_is_named_and_the_rest_is_there(tmp_path):
    (tmp_path / 'good.csv').write_text('a\n1\n')
    (tmp_path / 'bad.md').write_bytes(b'\xff\xfe\xff')
    write_run(tmp_path / 'run', [])
    section = collect(tmp_path)
    assert list(section.tables) == ['good.csv'] and not section.configs
    assert ['run' in section.skipped[0], 'bad.md' in section.skipped[1]] == [True, True]


def test_folders_without_results_are_refused(tmp_path):
    with pytest.raises(MissingFileError, match='nowhere is not a folder'):
        collect(tmp_path / 'nowhere')
    with pytest.raises(UserError, match='holds nothing to report'):
        collect(tmp_path)


class Markup(HTMLParser):
    """Tags with the names of their attributes, and where they lead."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.places, self.scripts = set(), [], 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags |= {(tag, name) for name, _ in attrs} | {(tag, '')}
        self.places += [value for name, value in attrs if name in ('href', 'src')]
        self.scripts += tag == 'script'


HOSTILE = ['<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', "' onload='alert(1)",
           '</pre></td></title><svg onload=alert(1)>', '[x](javascript:alert(1))', '--><b>',
           '{{ 7*7 }}', '$\\frac{$', '\x00\x01', '\ud800', '=cmd()', 'run', 'seed', 'epochs']
MARKDOWN = """# <script>alert(1)</script>
[a](javascript:alert(1)) ![b][1] [c][1] [1] <http://evil.example> <me@evil.example>
![](http://evil.example/x.png) <javascript:alert(1)> [d](http://x "onclick=alert(1)")
![g [h]](http://evil.example/y.png) ![i][1]
<a href="http://evil.example" onclick="alert(1)">e</a> `<i>` \x02klzzwxh:0\x03

[1]: http://evil.example/x.png "title"

<div onclick="alert(1)"><iframe src="http://evil.example"></iframe></div>

| [f](javascript:alert(1)) | <b> |
|---|---|
| <img src=x onerror=alert(1)> | **bold** |
"""


def test_nothing_that_is_read_becomes_markup(tmp_path):
    folder = tmp_path / 'x"><img src=x onerror=alert(1)>'
    for number, name in enumerate(HOSTILE):
        write_run(folder / name.replace('/', '\u2215').replace('\x00', '').encode(
            'utf-8', 'ignore').decode() / 'seed0', [
            line(1, **{name: 1.}), {name: 2., 'step': 1}],
            config=f'"""{HOSTILE[3]}"""\nx = {number}\n')
    # As a name of a file may be, which no encoding has.
    (folder / os.fsdecode(b't\xff<i>.csv')).write_text('"<script>","=x"\n"<img onerror=1>","1"\n')
    (folder / 'm"onload="x.md').write_text(MARKDOWN)
    (folder / 'p"onload="alert(1).svg').write_text('<svg onload="alert(1)"/>')
    (folder / 'long.csv').write_text('a,b\n1,2,3\n')
    sections = report.write_report([folder], tmp_path / 'r.html', HOSTILE[3])
    text = (tmp_path / 'r.html').read_text(encoding='utf-8')
    page = Markup(text)
    assert {name for _, name in page.tags} == {
        '', 'lang', 'charset', 'name', 'content', 'http-equiv', 'class', 'id', 'style', 'alt',
        'src', 'loading'}
    assert not {tag for tag, _ in page.tags} & {'a', 'svg', 'iframe', 'i', 'b', 'link', 'base'}
    assert page.scripts == 1 and all(place.startswith('data:image/') for place in page.places)
    assert "default-src 'none'; img-src data:" in text
    # It is all there, as text.
    seen = html.unescape(text)
    assert seen.count(HOSTILE[1]) >= 3 and '[a](javascript:alert(1))' in seen
    assert '<code>&lt;i&gt;</code>' in text and '<strong>bold</strong>' in text
    assert len(sections[0].configs) == len(HOSTILE)
    assert ['long.csv' in skipped for skipped in sections[0].skipped] == [True]


def test_curves_have_an_end(page, tmp_path, monkeypatch):
    monkeypatch.setattr(report, '_MAX_CURVES', 2)
    write_run(tmp_path, [line(1, a=1., b=1.), {'top1': 1., 'step': 1}])
    text = page()
    assert re.findall('alt="(.*?) over', text) == ['top1', 'loss']
    assert '4 quantities were logged, of which the first 2 are drawn' in text


def test_what_is_left_out_of_a_log_is_on_the_page(tmp_path):
    write_run(tmp_path / 'a', [line(1), '[1]'])
    write_run(tmp_path / 'b', [line(1, loss=float('inf')), line(2, loss=1e308),
                               line(3, loss=-1e308)])
    section = collect(tmp_path)
    assert len(section.skipped) == 1 and '1 lines that are no JSON object' in section.skipped[0]
    assert 'scalars.json: 1 lines that are no JSON' in render_report([section], 'x')
    assert cells(render_report([section], 'x'), 'b') == ['', '3', '', '-1e+308']
