import numpy as np
import pytest
from PIL import Image

from mmips.datasets import files


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
