"""CIFAR-C: the right rows of the right file, and what is wrong with broken ones."""
import pickle

import numpy as np
import pytest
from mmengine.registry import DATASETS, init_default_scope

from mmips.datasets import CIFARCDataset
from mmips.errors import UserError


@pytest.fixture
def folder(tmp_path):
    """Six images of 8 x 10 pixels and five severities: pixel values name severity and image."""
    for offset, corruption in enumerate(('fog', 'snow')):
        images = np.empty((30, 8, 10, 3), np.uint8)
        images[:] = (100 * offset + np.arange(30))[:, None, None, None]
        images[..., 2] += 50
        np.save(tmp_path / f'{corruption}.npy', images)
    np.save(tmp_path / 'labels.npy', np.tile([0, 1, 2, 0, 1, 2], 5))
    return tmp_path


@pytest.mark.parametrize('corruption, first, severity', [('fog', 0, 5), ('snow', 100, 3)])
def test_a_severity_is_its_fifth_of_the_file(folder, corruption, first, severity):
    dataset = CIFARCDataset(str(folder), corruption, severity)
    assert dataset.get_gt_labels().tolist() == [0, 1, 2, 0, 1, 2]
    # The files stay on the disk.
    assert isinstance(dataset.images, np.memmap)
    assert len(pickle.dumps(dataset)) < dataset.images.nbytes
    for each in (dataset, pickle.loads(pickle.dumps(dataset))):
        for number in range(6):
            image, value = each.get_data_info(number)['img'], first + 6 * (severity - 1) + number
            assert image.shape == (8, 10, 3)
            assert image[4, 4].tolist() == [value, value, value + 50]


def test_colours_can_be_turned_round_and_classes_left_out(folder):
    init_default_scope('mmpretrain')
    dataset = DATASETS.build(dict(type='mmips.CIFARCDataset', data_root=str(folder),
                                  corruption='fog', severity=1, channel_order='bgr',
                                  max_classes=2))
    assert dataset.get_gt_labels().tolist() == [0, 1, 0, 1]
    assert dataset.get_data_info(2)['img'][0, 0].tolist() == [53, 3, 3]


@pytest.mark.parametrize('options, message', [
    (dict(corruption='foog'), 'did you mean fog'), (dict(severity=6), 'got 6'),
    (dict(channel_order='xyz'), "got 'xyz'"), (dict(classes=['a', 'b']), 'found label 2')])
def test_arguments_that_cannot_be_are_refused(folder, options, message):
    with pytest.raises(ValueError, match=message):
        CIFARCDataset(str(folder), **{'corruption': 'fog', 'severity': 1, **options})


IMAGES = np.zeros((30, 8, 10, 3), np.uint8)


@pytest.mark.parametrize('name, content, message', [
    ('fog', IMAGES[:29], r'5 N images.*\(29, 8, 10, 3\)'), ('fog', IMAGES[:0], '5 N images'),
    ('labels', np.zeros(6, int), r'labels.*\(6,\)'), ('labels', np.arange(30), 'times the same'),
    *((name, data, f'{name}.npy cannot be read as an array.*Fetch it again')
      for name in ('labels', 'fog') for data in (b'<html>not found</html>', b'')),
    ('fog', None, 'fog.npy does not exist.*zenodo.org/records/3555')])
def test_broken_files_are_refused(folder, name, content, message):
    path = folder / f'{name}.npy'
    if content is None:
        path.unlink()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    with pytest.raises(UserError, match=message):
        CIFARCDataset(str(folder), 'fog', 1)
