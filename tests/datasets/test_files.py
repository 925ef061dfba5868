import cv2
import numpy as np
import pytest
from PIL import Image

from mmips.datasets import files


@pytest.fixture
def jpeg(tmp_path):
    path = tmp_path / 'x.jpg'
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(path)
    return path


def test_a_jpeg_that_is_cut_off(jpeg):
    whole = jpeg.read_bytes()
    files.refuse_cut_off(str(jpeg))
    jpeg.write_bytes(whole + b'\0\0')  # some cameras write behind the end
    files.refuse_cut_off(str(jpeg))
    jpeg.write_bytes(whole[:-len(whole) // 3])
    with pytest.raises(OSError, match='truncated'):
        files.refuse_cut_off(str(jpeg))


def test_opencv_is_asked_whether_it_would_fill_up(jpeg):
    half = np.frombuffer(jpeg.read_bytes()[:-1000], np.uint8)
    assert files.opencv_fills_up() == (cv2.imdecode(half, cv2.IMREAD_COLOR) is not None)


@pytest.mark.parametrize('make, said', [
    (lambda path: path.mkdir(), 'is a folder, not a file'), (lambda path: None, 'does not exist'),
    (lambda path: path.touch(), 'is empty'), (lambda path: path.write_text('x'), ''),
    (lambda path: path.symlink_to('/no/where'),
     'is a link to /no/where, which does not exist')])
def test_faults(tmp_path, make, said):
    make(tmp_path / 'x')
    assert files.fault(str(tmp_path / 'x')) == said


def test_paths_of_other_backends_are_left_to_them():
    assert files.fault('s3://bucket/x.jpg') == ''


@pytest.mark.parametrize('mode, deep, refused', [
    ('L', False, ''), ('P', False, ''), ('RGB', False, 'its mode is RGB'),
    ('LA', False, 'its mode is LA'), ('I;16', True, 'with values up to 300')])
def test_label_images(tmp_path, mode, deep, refused):
    path, image = str(tmp_path / 'x.png'), np.full((2, 2), 300 if deep else 3, np.uint16)
    Image.fromarray(image if deep else image.astype(np.uint8)).convert(mode).save(path)
    assert files.may_be_deep(path) == deep
    if refused:
        with pytest.raises(ValueError, match=refused):
            files.refuse_colours(path)
    else:
        files.refuse_colours(path)
