import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmips.datasets.rugd_labels import COLOURS

TOOL = Path(__file__).resolve().parents[2] / 'tools/dataset_converters/rugd.py'
PALETTE = np.array(list(COLOURS.values()), np.uint8)
NAMES = [f'{video}/{video}_{number:05}' for video in ('creek', 'park-8') for number in (1, 6, 11)]


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('tool_rugd', TOOL)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, 'tool_rugd', module)  # its functions go to the workers by name
        spec.loader.exec_module(module)
        yield module


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
    return {path.name: path.stat().st_mtime_ns for path in (root / 'labels').rglob('*.png')}


def run(tool, root, capsys, *options):
    status = tool.main([str(root), '--workers', '1', *options])
    out, err = capsys.readouterr()
    return status, out.splitlines()[-1], err


def test_colours_become_ids(tool, root, capsys):
    status, summary, err = run(tool, root, capsys)
    assert status == 0, err
    assert summary.endswith('6 annotations of 2 videos: 6 written, 0 already done, 0 failed; '
                            '16 notes, 0 errors')
    assert sorted(labels(root)) == [f'{name}.png' for name in NAMES]
    for number, name in enumerate(NAMES):
        with Image.open(root / f'labels/{name}.png') as image:
            assert image.mode == 'L' and np.array_equal(np.asarray(image), ids_of(number))
    # The colours once more, by hand.
    image = write(root, 'x/y', np.array([[(0, 0, 0), (0, 128, 255), (114, 85, 47)]], np.uint8))
    assert tool.read_ids(image).tolist() == [[0, 6, 24]]


def test_the_frames_are_linked_and_the_dataset_reads_them(tool, root, capsys):
    pytest.importorskip('mmseg')
    from mmips.datasets import RUGDDataset
    run(tool, root, capsys)
    assert (root / 'frames').is_symlink()
    (root / 'list.txt').write_text('\n'.join(NAMES))
    dataset = RUGDDataset(str(root), ann_file='list.txt')
    assert dataset[0]['img_path'].endswith('frames/creek/creek_00001.png')
    with Image.open(dataset[0]['img_path']) as frame:
        assert frame.size == (15, 10)


def test_in_parallel_as_in_one(tool, root, capsys):
    run(tool, root, capsys)
    serial = labels(root)
    assert tool.main([str(root), '--workers', '3', '--force']) == 0
    assert '6 written' in capsys.readouterr().out
    assert labels(root) == serial


def test_unknown_colours_are_reported_and_not_written(tool, root, capsys):
    image = PALETTE[ids_of(1)]
    image[0, :3], image[4, 4] = (1, 2, 3), (108, 64, 21)
    write(root, NAMES[1], image)
    status, summary, err = run(tool, root, capsys)
    assert status == 1 and '5 written, 0 already done, 1 failed' in summary
    assert f'error: {NAMES[1]}.png: unknown colour 1 2 3 (3 pixels), 108 64 21 (1 pixels)' in err
    assert sorted(labels(root)) == sorted(f'{name}.png' for name in NAMES if name != NAMES[1])
    # Mended, it alone is left to do.
    write(root, NAMES[1], PALETTE[ids_of(1)])
    status, summary, _ = run(tool, root, capsys)
    assert status == 0 and '1 written, 5 already done' in summary


def test_an_old_label_does_not_survive_a_source_gone_wrong(tool, root, capsys):
    run(tool, root, capsys)
    path = write(root, NAMES[0], np.full((10, 15, 3), 7, np.uint8))
    os.utime(path, (time.time() + 10, ) * 2)
    status, summary, err = run(tool, root, capsys)
    assert status == 1 and '0 written, 5 already done, 1 failed' in summary
    assert 'unknown colour 7 7 7 (150 pixels)' in err and f'{NAMES[0]}.png' not in labels(root)


def test_only_what_is_new_or_forced(tool, root, capsys):
    run(tool, root, capsys)
    before = stamps(root)
    assert '0 written, 6 already done' in run(tool, root, capsys)[1] and stamps(root) == before
    later = time.time() + 10
    os.utime(root / f'RUGD_annotations/{NAMES[2]}.png', (later, later))
    assert '1 written, 5 already done' in run(tool, root, capsys)[1]
    changed = {name for name, stamp in stamps(root).items() if stamp != before[name]}
    assert changed == {f'{NAMES[2].split("/")[1]}.png'}
    assert '6 written, 0 already done' in run(tool, root, capsys, '--force')[1]


@pytest.mark.parametrize('length', [0, 20, -1, -12, 'zeros', 'colours'])
def test_a_truncated_label_is_done_again(tool, root, capsys, length):
    run(tool, root, capsys)
    target = root / f'labels/{NAMES[3]}.png'
    whole = target.read_bytes()
    broken = {'zeros': bytes(len(whole)),
              'colours': (root / f'RUGD_annotations/{NAMES[3]}.png').read_bytes()}
    target.write_bytes(broken[length] if isinstance(length, str) else whole[:length])
    status, summary, _ = run(tool, root, capsys)
    assert status == 0 and '1 written, 5 already done' in summary
    assert target.read_bytes() == whole


def test_a_failing_write_leaves_no_label(tool, root, capsys, monkeypatch):
    def full(image, path, *args):
        path.write_bytes(b'\x89PNG half')
        raise OSError('No space left on device')

    monkeypatch.setattr(tool.Image.Image, 'save', full)
    status, summary, err = run(tool, root, capsys)
    assert status == 1 and '0 written, 0 already done, 6 failed' in summary
    assert f'{NAMES[0]}.png: No space left on device' in err
    assert not [name for name in labels(root) if name.endswith('.png')]
    monkeypatch.undo()
    assert '6 written' in run(tool, root, capsys)[1]
    assert sorted(labels(root)) == [f'{name}.png' for name in NAMES]


@pytest.mark.skipif(not Path('/proc/self/task').exists(), reason='finds the workers in /proc')
def test_killed_and_started_again(tool, tmp_path, capsys):
    """SIGKILL to the tool alone, in the middle: its workers end, its files are whole."""
    root, shape, count = tmp_path / 'rugd', (550, 688), 60
    first = (write(root, 'creek/creek_00000', PALETTE[ids_of(0, shape)]),
             write(root, 'creek/creek_00000', np.zeros((*shape, 3), np.uint8), 'frames'))
    for number in range(1, count):
        for path in first:
            shutil.copy(path, path.with_name(f'creek_{number:05}.png'))
    process = subprocess.Popen([sys.executable, str(TOOL), str(root), '--workers', '2'],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.time() + 240  # starting up takes long on a busy machine
    while len(stamps_if_any(root)) < 4 and time.time() < deadline and process.poll() is None:
        time.sleep(0.005)
    workers = children(process.pid)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL and len(workers) == 2
    while any(map(is_alive, workers)) and time.time() < deadline:
        time.sleep(0.01)
    assert not any(map(is_alive, workers))
    before = stamps_if_any(root)
    assert 4 <= len(before) < count
    for path in (root / 'labels').rglob('*.png'):
        with Image.open(path) as image:
            image.load()
    status, summary, err = run(tool, root, capsys)
    assert status == 0, err
    assert f'{count - len(before)} written, {len(before)} already done' in summary
    assert before.items() <= stamps(root).items()
    assert len(labels(root)) == count, 'a half-written file was left'
    with Image.open(root / f'labels/creek/creek_{count - 1:05}.png') as image:
        assert np.array_equal(np.asarray(image), ids_of(0, shape))


def stamps_if_any(root):
    return {path.name: path.stat().st_mtime_ns for path in (root / 'labels').glob('*/[!.]*.png')}


def children(pid):
    with open(f'/proc/{pid}/task/{pid}/children') as file:
        return [int(child) for child in file.read().split()]


def is_alive(pid):
    try:
        with open(f'/proc/{pid}/stat') as file:
            return file.read().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


def test_partners_and_sizes(tool, root, capsys):
    (root / f'RUGD_annotations/{NAMES[0]}.png').unlink()
    (root / f'RUGD_frames-with-annotations/{NAMES[1]}.png').unlink()
    write(root, NAMES[2], np.zeros((20, 30, 3), np.uint8), 'RUGD_frames-with-annotations')
    write(root, NAMES[3], np.zeros((10, 15), np.uint8))
    (root / f'RUGD_annotations/{NAMES[4]}.png').write_bytes(b'\x89PNG\r\n\x1a\nnothing')
    status, summary, err = run(tool, root, capsys)
    assert status == 1 and '4 annotations of 2 videos: 1 written' in summary
    assert summary.endswith('4 errors')
    assert f'note: {NAMES[0]}.png: frame without an annotation' in err
    assert f'error: {NAMES[1]}.png: annotation without a frame' in err
    assert f'error: {NAMES[2]}.png: the annotation is 15x10, its frame 30x20 pixels' in err
    assert f'error: {NAMES[3]}.png: expected a colour image, got mode L' in err
    assert f'error: {NAMES[4]}.png: ' in err
    assert list(labels(root)) == [f'{NAMES[5]}.png']


def test_another_colour_map_stops_the_tool(tool, root, capsys):
    path = root / 'RUGD_annotations/RUGD_annotation-colormap.txt'
    path.write_text(colour_map().replace('6 water 0 128 255', '6 water 0 128 254'))
    status, summary, err = run(tool, root, capsys)
    assert status == 1 and '2 errors' in summary and not (root / 'labels').exists()
    assert "'6 water 0 128 254' is unknown to this tool" in err
    assert "'6 water 0 128 255' is missing" in err
    path.unlink()
    status, _, err = run(tool, root, capsys)
    assert status == 0 and 'colormap.txt is not there' in err


def test_folders_elsewhere(tool, root, tmp_path, capsys):
    out = tmp_path / 'out'
    options = ['--annotations', str(root / 'RUGD_annotations'), '--frames',
               str(root / 'RUGD_frames-with-annotations')]
    assert run(tool, out, capsys, *options)[0] == 0
    assert (out / 'frames/creek/creek_00001.png').is_file() and len(labels(out)) == 6
    assert run(tool, out, capsys, *options)[0] == 0
    (out / 'frames').unlink()
    (out / 'frames').mkdir()
    status, _, err = run(tool, out, capsys, *options)
    assert status == 1 and 'is there already and does not lead to' in err


@pytest.mark.parametrize('options, message', [
    (['absent'], 'absent/RUGD_annotations is no folder; unpack RUGD_annotations.zip'),
    (['--workers', '0'], '--workers must be at least 1, got 0'),
])
def test_wrong_arguments(tool, capsys, options, message):
    with pytest.raises(SystemExit) as stopped:
        tool.main(options)
    assert stopped.value.code == 2 and message in capsys.readouterr().err


def test_no_annotation_at_all(tool, tmp_path, capsys):
    for folder in ('RUGD_annotations', 'frames'):
        (tmp_path / folder).mkdir()
    status = tool.main([str(tmp_path)])
    assert status == 1 and 'holds no <video>/*.png' in capsys.readouterr().err
