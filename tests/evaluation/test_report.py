import base64
import re

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
