"""The report of a real sweep in a real browser, at a phone's width and a desk's."""
import html
import json
import re
import shutil
import subprocess

import pytest
from helpers.logs import line, write_run
from PIL import Image

from .conftest import load_tool

CHROMIUM = shutil.which('chromium') or shutil.which('google-chrome')

# What a reader would see: anything wider than the screen, or not loaded.
LOOK = """
function look(page) {
  const doc = page.contentDocument, problems = [];
  doc.querySelectorAll('details').forEach(d => { d.open = true; });
  const width = page.contentWindow.innerWidth;
  if (doc.documentElement.scrollWidth > width)
    problems.push(`the page is ${doc.documentElement.scrollWidth} wide`);
  for (const image of doc.images)
    if (!image.complete || !image.naturalWidth) problems.push(`not loaded: ${image.alt}`);
  const sorted = [...doc.querySelectorAll('table')].map(table =>
    [...table.tHead.rows[0].cells].map((head, column) => [0, 1].map(() => {
      head.querySelector('button').click();
      return [head.getAttribute('aria-sort'),
              [...table.tBodies[0].rows].map(row => row.cells[column].textContent)];
    })));
  return { width, problems, images: doc.images.length, sorted };
}
window.onload = () => {
  document.body.insertAdjacentHTML('beforeend', '<pre id=seen></pre>');
  document.getElementById('seen').textContent =
    JSON.stringify([...document.querySelectorAll('iframe')].map(look));
};
"""


def browse(report, tmp_path):
    """Load the report at two widths; returns what was seen at each."""
    page = html.escape(report.read_text(encoding='utf-8'))
    frames = ''.join(f'<iframe width="{width}" height="800" srcdoc="{page}"></iframe>'
                     for width in (375, 1280))
    wrapper = tmp_path / 'wrapper.html'
    wrapper.write_text(f'<!doctype html><meta charset="utf-8"><body>{frames}'
                       f'<script>{LOOK}</script></body>', encoding='utf-8')
    done = subprocess.run(
        [CHROMIUM, '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
         f'--user-data-dir={tmp_path}/profile', '--window-size=1700,900',
         '--virtual-time-budget=20000', '--dump-dom', wrapper.as_uri()],
        capture_output=True, text=True, timeout=120)
    found = re.search('<pre id="seen">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    return json.loads(html.unescape(found.group(1)))


@pytest.fixture(scope='module')
def tool():
    return load_tool('analysis_tools/report.py')


@pytest.fixture
def results(tmp_path):
    """Folders as runs and tools leave them, with what is hard to lay out."""
    folder = tmp_path / 'results'
    for recipe in ('hard label', 'IPS 4x4, a recipe with quite a long name of many words'):
        for seed in range(2):
            records = [line(i, loss=1 / i, lr=0.1) for i in range(1, 20)]
            write_run(folder / recipe / f'seed{seed}',
                      [*records, {'accuracy/top1': 50., 'step': 1}],
                      config=f'{"long = 1  #" + "x" * 300}\nseed={seed}\n')
    (folder / 'table.md').write_text('| recipe | top-1 % | paper |\n|---|---|---|\n'
                                     '| a | 9.50 ± 0.10 | |\n| b | **10.25 ± 3.00** | 80.1 |\n'
                                     '| c | 1,200 | 7 |\n')
    (folder / 'wide.csv').write_text('\n'.join([
        ','.join(f'column {k}' for k in range(20)), ','.join('1' * 20)]))
    for name, size in (('small', (200, 100)), ('large', (3000, 400))):
        Image.new('L', size).save(folder / f'{name}.png')
    return folder


@pytest.mark.skipif(not CHROMIUM, reason='needs a browser: Debian package chromium')
def test_all_is_on_the_screen_pictures_load_and_tables_sort(tool, results, tmp_path):
    out = tmp_path / 'r.html'
    tool.main([str(results), str(results / 'hard label'), '--out', str(out)])
    phone, desk = browse(out, tmp_path)
    assert (phone['width'], desk['width']) == (375, 1280)
    for seen in (phone, desk):
        assert seen['problems'] == []
        assert seen['images'] == 2 + 2 * 3
    table = next(table for table in phone['sorted'] if table[0][0][1][0] == 'a')
    assert table[1] == [['ascending', ['9.50 ± 0.10', '10.25 ± 3.00', '1,200']],
                        ['descending', ['1,200', '10.25 ± 3.00', '9.50 ± 0.10']]]
    # An empty cell is last, whichever way.
    assert table[2] == [['ascending', ['7', '80.1', '']], ['descending', ['80.1', '7', '']]]


def test_an_older_report_stays_where_a_new_one_fails(tool, results, tmp_path, capsys):
    assert tool.main(['results', '--out', 'new/r.html']) == 'new/r.html'
    assert 'new/r.html: 4 runs, 2 tables, 2 pictures, ' in capsys.readouterr().out
    before = (tmp_path / 'new/r.html').read_bytes()
    for arguments, message in (
            (['results', 'nowhere', '--out', 'new/r.html'], 'nowhere is not a folder'),
            (['results', '--out', 'x.pdf'], '--out must be an .html file, got x.pdf')):
        with pytest.raises(SystemExit) as caught:
            tool.main(arguments)
        error = capsys.readouterr().err
        assert caught.value.code == 2 and message in error and 'Traceback' not in error
    assert (tmp_path / 'new/r.html').read_bytes() == before
