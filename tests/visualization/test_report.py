"""The page of a report, as text; tests/tools/test_report.py looks at it in a browser."""
import base64
import re

import pytest
from logs import write_run

from mmips.visualization.report import render_report
from mmips.visualization.report_data import collect


@pytest.fixture
def page(tmp_path):
    """Render a folder that the test fills."""
    return lambda: render_report([collect(tmp_path)], 'A <title>')


def test_it_needs_nothing_but_itself(page, tmp_path):
    write_run(tmp_path / 'run', [{'loss': 1., 'iter': 1}, {'loss': 2., 'iter': 2}], 'lr = 1\n')
    (tmp_path / 'x.png').write_bytes(b'pixels')
    text = page()
    sources = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert sources and all(source.startswith(('data:', '#')) for source in sources)
    assert not re.search(r'url\(|@import|<link|<script src', text)
    assert f'data:image/png;base64,{base64.b64encode(b"pixels").decode()}' in text


def test_text_of_results_is_no_html(page, tmp_path):
    (tmp_path / 'x.csv').write_text('<b>,&amp;\n<script>alert(1)</script>,"a & b"\n')
    (tmp_path / 'y.md').write_text('| <i> | b |\n|---|---|\n| **1** | <script>x</script> |\n')
    write_run(tmp_path / 'run', [{'<u>': 1., 'iter': 1}], "name = '<em>'\n")
    text = page()
    for tag in ('<b>', '<script>alert', '<i>', '<script>x', '<u>', '<em>', '<title>A <'):
        assert tag not in text
    assert '<strong>1</strong>' in text and 'a &amp; b' in text


def test_headings_of_a_markdown_file_stand_below_its_name(page, tmp_path):
    (tmp_path / 'a.md').write_text('# One\n\n## Two\n\ntext\n')
    assert re.findall(r'<(h\d)>(.*?)</\1>', page())[-3:] == [
        ('h3', 'a.md'), ('h4', 'One'), ('h4', 'Two')]


def test_the_csv_of_a_markdown_table_is_folded(page, tmp_path):
    for name in ('a.md', 'a.csv', 'b.csv'):
        (tmp_path / name).write_text('| v |\n|---|\n| 1 |\n' if name == 'a.md' else 'v\n1\n')
    text = page()
    assert re.findall(r'<summary>(\w.csv) \(1 rows\)', text) == ['a.csv']
    assert re.findall(r'<h3>(\w\.\w+)</h3>', text) == ['a.md', 'b.csv']


def test_configs_are_shown_once_and_by_their_differences(page, tmp_path):
    for name, rate in (('a', '0.1'), ('b', '0.2')):
        for seed in range(2):
            write_run(tmp_path / name / f'seed{seed}', [{'loss': 1., 'iter': 1}],
                      f'epochs = 7\n{"#" * 200}\nlr = {rate}\nrandomness = dict(seed={seed})\n')
    text = page()
    assert re.findall(r'<summary>(.*?)</summary>', text) == [
        'a/seed0, a/seed1', 'b/seed0, b/seed1: what differs from a/seed0']
    whole, difference = re.findall(r'<pre>(.*?)</pre>', text, re.DOTALL)
    assert 'epochs = 7' in whole
    assert '-lr = 0.1\n+lr = 0.2' in difference and 'epochs' not in difference


def test_the_runs_table_has_last_scores(page, tmp_path):
    write_run(tmp_path / 'x/seed1', [
        {'loss': 1., 'iter': 40}, {'accuracy/top1': 10., 'time': 3., 'step': 1},
        {'accuracy/top1': 56.25, 'time': 3., 'step': 2}], 'randomness = dict(seed=1)\n')
    text = page()
    row = re.search(r'<td>x/seed1</td>(.*?)</tr>', text).group(1)
    assert re.findall('<td>(.*?)</td>', row) == ['1', '40', '2', '56.25']


def test_curves_leave_out_the_machine_and_the_layers(page, tmp_path):
    write_run(tmp_path / 'x', [{'loss': 1., 'time': 1., 'memory': 5, 'grad/conv1': 1., 'iter': 1},
                               {'accuracy/top1': 1., 'step': 1}])
    assert re.findall(r'alt="(\S+) over the steps', page()) == ['accuracy/top1', 'loss']


def test_the_same_results_give_the_same_page(page, tmp_path):
    write_run(tmp_path / 'x', [{'loss': 1., 'iter': 1}, {'loss': float('nan'), 'iter': 2}])
    assert page() == page()
