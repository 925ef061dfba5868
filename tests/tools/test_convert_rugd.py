"""Colours to ids: by import, and the command once."""
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.configs import ROOT
from helpers.tools import load_tool
from PIL import Image

from mmips.datasets import RUGDDataset
from mmips.datasets.rugd_conversion import convert, read_ids
from mmips.datasets.rugd_labels import COLOURS
from mmips.errors import MissingFileError, UserError

PALETTE = np.array(list(COLOURS.values()), np.uint8)
NAMES = [f'{video}/{video}_{number:05}' for video in ('creek', 'park-8') for number in (1, 6, 11)]


def ids_of(number, shape=(10, 15)):
    """Random ids in which all 25 occur."""
    rng = np.random.default_rng(number)
    return np.concatenate([np.arange(25), rng.integers(0, 25, np.prod(shape) - 25)]).astype(
        np.uint8).reshape(shape)


def write(root, name, image, folder='RUGD_annotations'):
    path = root / folder / f'{name}.png'
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return path


def colour_map():
    return ''.join(f'{i} {name} {r} {g} {b}\n'
                   for i, (name, (r, g, b)) in enumerate(COLOURS.items()))


@pytest.fixture
def root(tmp_path):
    """The published archives, unpacked, of two small videos."""
    root = tmp_path / 'rugd'
    for number, name in enumerate(NAMES):
        write(root, name, PALETTE[ids_of(number)])
        write(root, name, np.zeros((10, 15, 3), np.uint8), 'RUGD_frames-with-annotations')
    (root / 'RUGD_annotations/RUGD_annotation-colormap.txt').write_text(colour_map())
    return root


def labels(root):
    """Name -> bytes of everything below labels/."""
    return {path.relative_to(root / 'labels').as_posix(): path.read_bytes()
            for path in (root / 'labels').rglob('*') if path.is_file()}


def stamps(root):
    return {path.name: path.stat().st_mtime_ns for path in (root / 'labels').glob('*/[!.]*.png')}


def test_the_tool(root, capsys):
    tool = load_tool('dataset_converters/rugd.py')
    assert tool.main([str(root), '--workers', '1']) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == (
        f'{root}/labels: 6 annotations of 2 videos: 6 written, 0 already done, 0 failed; 1 notes, '
        '0 errors')
    assert 'note: videos of the published splits that are not there: park-1, park-2' in err
    write(root, NAMES[1], np.full((10, 15, 3), 7, np.uint8))
    assert tool.main([str(root), '--workers', '1', '--force']) == 1
    assert f'error: {NAMES[1]}.png: unknown colour 7 7 7' in capsys.readouterr().err
    for options, message in ((['--workers', '0'], '--workers must be at least 1, got 0'),
                             (['absent'], 'absent/RUGD_annotations is no folder; unpack')):
        with pytest.raises(SystemExit) as stopped:
            tool.main(options)
        assert stopped.value.code == 2 and message in capsys.readouterr().err


def test_colours_become_ids_that_the_dataset_reads(root):
    convert(root)
    assert sorted(labels(root)) == [f'{name}.png' for name in NAMES]
    for number, name in enumerate(NAMES):
        with Image.open(root / f'labels/{name}.png') as image:
            assert image.mode == 'L' and np.array_equal(np.asarray(image), ids_of(number))
    serial = labels(root)
    assert '6 written' in convert(root, workers=3, force=True)[0]
    assert labels(root) == serial
    # The colours once more, by hand.
    image = write(root, 'x/y', np.array([[(0, 0, 0), (0, 128, 255), (114, 85, 47)]], np.uint8))
    assert read_ids(image).tolist() == [[0, 6, 24]]
    (root / 'list.txt').write_text('\n'.join(NAMES))
    dataset = RUGDDataset(str(root), ann_file='list.txt')
    assert dataset[0]['img_path'].endswith('frames/creek/creek_00001.png')
    with Image.open(dataset[0]['img_path']) as frame:
        assert frame.size == (15, 10)


def test_only_what_is_new_wrong_or_forced(root):
    convert(root)
    before = stamps(root)
    assert '0 written, 6 already done' in convert(root)[0] and stamps(root) == before
    later = time.time() + 10
    os.utime(root / f'RUGD_annotations/{NAMES[2]}.png', (later, later))
    # An old label must not survive a source gone wrong.
    os.utime(write(root, NAMES[0], np.full((10, 15, 3), 7, np.uint8)), (later, later))
    summary, _, errors = convert(root)
    assert '1 written, 4 already done, 1 failed' in summary and '(150 pixels)' in errors[0]
    after = stamps(root)
    assert {name for name in before if after.get(name) != before[name]} == {
        f'{NAMES[k].split("/")[1]}.png' for k in (0, 2)}
    assert f'{NAMES[0]}.png' not in labels(root)


@pytest.mark.parametrize('length', [0, -12, 'zeros', 'colours'])
def test_a_truncated_label_is_done_again(root, length):
    convert(root)
    target = root / f'labels/{NAMES[3]}.png'
    whole = target.read_bytes()
    broken = {'zeros': bytes(len(whole)),
              'colours': (root / f'RUGD_annotations/{NAMES[3]}.png').read_bytes()}
    target.write_bytes(broken[length] if isinstance(length, str) else whole[:length])
    assert '1 written, 5 already done' in convert(root)[0]
    assert target.read_bytes() == whole


def test_a_failing_write_leaves_no_label(root, monkeypatch):
    def full(image, path, *args):
        path.write_bytes(b'\x89PNG half')
        raise OSError('No space left on device')

    monkeypatch.setattr(Image.Image, 'save', full)
    summary, _, errors = convert(root)
    assert '0 written, 0 already done, 6 failed' in summary
    assert errors[0] == f'{NAMES[0]}.png: No space left on device'
    assert not [name for name in labels(root) if name.endswith('.png')]


@pytest.mark.skipif(not Path('/proc/self/task').exists(), reason='finds the workers in /proc')
def test_killed_and_started_again(tmp_path):
    """SIGKILL to the tool alone, in the middle: its workers end, its files are whole."""
    root, shape, count = tmp_path / 'rugd', (550, 688), 40
    for folder, image in (('RUGD_annotations', PALETTE[ids_of(0, shape)]),
                          ('RUGD_frames-with-annotations', np.zeros((*shape, 3), np.uint8))):
        path = write(root, 'creek/creek_00000', image, folder)
        for number in range(1, count):
            shutil.copy(path, path.with_name(f'creek_{number:05}.png'))
    process = subprocess.Popen(
        [sys.executable, ROOT / 'tools/dataset_converters/rugd.py', root, '--workers', '2'],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.time() + 240  # starting up takes long on a busy machine
    while len(stamps(root)) < 4 and time.time() < deadline and process.poll() is None:
        time.sleep(0.005)
    workers = [int(child) for child in
               Path(f'/proc/{process.pid}/task/{process.pid}/children').read_text().split()]
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL and len(workers) == 2
    while any(map(is_alive, workers)) and time.time() < deadline:
        time.sleep(0.01)
    assert not any(map(is_alive, workers))
    before = stamps(root)
    assert 4 <= len(before) < count
    for path in (root / 'labels').rglob('*.png'):
        with Image.open(path) as image:
            image.load()
    summary = convert(root)[0]
    assert f'{count - len(before)} written, {len(before)} already done' in summary
    assert before.items() <= stamps(root).items()
    assert len(labels(root)) == count, 'a half-written file was left'


def is_alive(pid):
    stat = Path(f'/proc/{pid}/stat')
    with contextlib.suppress(OSError):
        return stat.read_text().rpartition(')')[2].split()[0] != 'Z'
    return False


def test_partners_and_sizes_and_colours(root):
    (root / f'RUGD_annotations/{NAMES[0]}.png').unlink()
    (root / f'RUGD_frames-with-annotations/{NAMES[1]}.png').unlink()
    write(root, NAMES[2], np.zeros((20, 30, 3), np.uint8), 'RUGD_frames-with-annotations')
    image = PALETTE[ids_of(3)]
    image[0, :3], image[4, 4] = (1, 2, 3), (108, 64, 21)
    write(root, NAMES[3], image)
    write(root, NAMES[4], np.zeros((10, 15), np.uint8))
    (root / f'RUGD_annotations/{NAMES[5]}.png').write_bytes(b'\x89PNG\r\n\x1a\nnothing')
    summary, notes, errors = convert(root)
    assert '4 annotations of 2 videos: 0 written' in summary and '4 failed' in summary
    assert f'{NAMES[0]}.png: frame without an annotation' in notes
    for error, message in zip(errors, [
            f'{NAMES[1]}.png: annotation without a frame',
            f'{NAMES[2]}.png: the annotation is 15x10, its frame 30x20 pixels',
            f'{NAMES[3]}.png: unknown colour 1 2 3 (3 pixels), 108 64 21 (1 pixels)',
            f'{NAMES[4]}.png: expected a colour image, got mode L', f'{NAMES[5]}.png: '],
            strict=True):
        assert error.startswith(message)
    assert not labels(root)


def test_another_colour_map_stops_it(root):
    path = root / 'RUGD_annotations/RUGD_annotation-colormap.txt'
    path.write_text(colour_map().replace('6 water 0 128 255', '6 water 0 128 254'))
    with pytest.raises(UserError, match="'255'.*Unpack RUGD_annotations.zip anew"):
        convert(root)
    assert not (root / 'labels').exists()
    path.unlink()
    _, notes, errors = convert(root)
    assert not errors and 'colormap.txt is not there' in notes[0]


def test_folders_elsewhere(root, tmp_path):
    out = tmp_path / 'out'
    folders = root / 'RUGD_annotations', root / 'RUGD_frames-with-annotations'
    for _ in range(2):
        assert not convert(out, *folders)[2]
    assert (out / 'frames/creek/creek_00001.png').is_file() and len(labels(out)) == 6
    (out / 'frames').unlink()
    (out / 'frames').mkdir()
    assert 'does not lead to' in convert(out, *folders)[2][0]
    with pytest.raises(MissingFileError, match=r'holds no <video>/\*.png'):
        convert(out, out, root)
