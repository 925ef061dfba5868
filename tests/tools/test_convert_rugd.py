"""Colours to ids: by import, and the command once."""
import os
import time

import numpy as np
import pytest
from helpers import trees
from helpers.tools import load_tool
from PIL import Image

from mmips.datasets import RUGDDataset
from mmips.datasets.rugd_conversion import convert, read_ids
from mmips.errors import MissingFileError

NAMES = [f'{video}/{video}_{number:05}' for video in ('creek', 'park-8') for number in (1, 6, 11)]


def write(root, name, image, folder='RUGD_annotations'):
    path = root / folder / f'{name}.png'
    Image.fromarray(np.asarray(image, np.uint8)).save(path)
    return path


@pytest.fixture
def root(tmp_path):
    """The published archives, unpacked, of two small videos."""
    trees.write_rugd(tmp_path, videos=dict(test=('creek', ), val=('park-8', )))
    return tmp_path


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
        f'{root}/labels: 6 annotations of 2 videos: 6 written, 0 already done, 0 failed; 16 '
        'notes, 0 errors')
    assert 'note: park-2: no annotation of this published video' in err
    write(root, NAMES[1], np.full((48, 64, 3), 7))
    assert tool.main([str(root), '--workers', '1', '--force']) == 1
    assert f'error: {NAMES[1]}.png: unknown colour 7 7 7' in capsys.readouterr().err
    for options, message in ((['--workers', '0'], '--workers: must be at least 1, got 0'),
                             (['absent'], 'absent/RUGD_annotations holds no <video>')):
        with pytest.raises(SystemExit) as stopped:
            tool.main(options)
        assert stopped.value.code == 2 and message in capsys.readouterr().err


def test_colours_become_ids_that_the_dataset_reads(root):
    convert(root)
    assert sorted(labels(root)) == [f'{name}.png' for name in NAMES]
    colours = np.array([colour for _, colour in trees.RUGD])
    for name in NAMES:
        with Image.open(root / f'labels/{name}.png') as image:
            assert image.mode == 'L'
            np.testing.assert_array_equal(
                colours[np.asarray(image)], Image.open(root / f'RUGD_annotations/{name}.png'))
    serial = labels(root)
    assert '6 written' in convert(root, workers=3, force=True)[0] and labels(root) == serial
    # The colours once more, by hand.
    image = write(root, NAMES[0], [[(0, 0, 0), (0, 128, 255), (114, 85, 47)]])
    assert read_ids(image).tolist() == [[0, 6, 24]]
    (root / 'list.txt').write_text('\n'.join(NAMES))
    dataset = RUGDDataset(str(root), ann_file='list.txt')
    assert dataset[0]['img_path'].endswith('frames/creek/creek_00001.png')
    assert os.path.isfile(dataset[0]['img_path'])


def test_only_what_is_new_or_wrong(root):
    convert(root)
    before = stamps(root)
    assert '0 written, 6 already done' in convert(root)[0] and stamps(root) == before
    later = time.time() + 10
    os.utime(root / f'RUGD_annotations/{NAMES[2]}.png', (later, later))
    # An old label must not survive a source gone wrong.
    os.utime(write(root, NAMES[0], np.full((48, 64, 3), 7)), (later, later))
    summary, _, errors = convert(root)
    assert '1 written, 4 already done, 1 failed' in summary and '(3072 pixels)' in errors[0]
    after = stamps(root)
    assert {name for name in before if after.get(name) != before[name]} == {
        f'{NAMES[k].split("/")[1]}.png' for k in (0, 2)}
    assert f'{NAMES[0]}.png' not in labels(root)


def test_a_failing_write_leaves_no_label(root, monkeypatch):
    def full(image, path, *args):
        path.write_bytes(b'\x89PNG half')
        raise OSError('No space left on device')

    monkeypatch.setattr(Image.Image, 'save', full)
    summary, _, errors = convert(root)
    assert '0 written, 0 already done, 6 failed' in summary
    assert errors[0] == f'{NAMES[0]}.png: No space left on device'
    assert not [file for file in (root / 'labels').rglob('*') if file.is_file()]


def test_partners_and_sizes_and_colours(root):
    (root / f'RUGD_annotations/{NAMES[0]}.png').unlink()
    (root / f'RUGD_frames-with-annotations/{NAMES[1]}.png').unlink()
    write(root, NAMES[2], np.zeros((20, 30, 3)), 'RUGD_frames-with-annotations')
    image = np.zeros((48, 64, 3))
    image[0, :3], image[4, 4] = (1, 2, 3), (108, 64, 21)
    write(root, NAMES[3], image)
    write(root, NAMES[4], np.zeros((48, 64)))
    (root / f'RUGD_annotations/{NAMES[5]}.png').write_bytes(b'\x89PNG\r\n\x1a\nnothing')
    summary, notes, errors = convert(root)
    assert '5 annotations of 2 videos: 0 written' in summary and '5 failed' in summary
    assert f'{NAMES[0]}.png: frame without an annotation' in notes
    for error, message in zip(errors, [
            f'{NAMES[1]}.png: [Errno 2] No such file or directory',
            f'{NAMES[2]}.png: the annotation is 64x48, its frame 30x20 pixels',
            f'{NAMES[3]}.png: unknown colour 1 2 3 (3 pixels), 108 64 21 (1 pixels)',
            f'{NAMES[4]}.png: expected a colour image, got mode L', f'{NAMES[5]}.png: '],
            strict=True):
        assert error.startswith(message)
    assert not labels(root)


def test_folders_elsewhere(root, tmp_path):
    out = tmp_path / 'out'
    folders = root / 'RUGD_annotations', root / 'RUGD_frames-with-annotations'
    for _ in range(2):
        assert not convert(out, *folders)[2]
    assert (out / 'frames/creek/creek_00001.png').is_file() and len(labels(out)) == 6
    (out / 'frames').unlink()
    (out / 'frames').mkdir()
    assert 'does not lead to' in convert(out, *folders)[2][0]
    with pytest.raises(MissingFileError, match='say with --annotations where they are'):
        convert(out, out)
