import numpy as np
import pytest

from mmips.datasets import ArrayDataset, count_npz_classes
from mmips.errors import MissingFileError, UserError


def saved(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


@pytest.mark.parametrize('labels, names, limit, number', [
    ([0, 2, 1], (), None, 3), ([0, 2, 1], (), 2, 2), ([0, 2, 1], (), 9, 3),
    ([0, 2], 'abcd', None, 4), ([0, 2], 'abcd', 3, 3),
    # What is beyond the limit is not read, and may have gaps.
    ([0, 1, 7], (), 2, 2)])
def test_classes_are_counted(tmp_path, labels, names, limit, number):
    arrays = dict(classes=np.array(list(names))) if names else {}
    path = saved(tmp_path / 'x.npz', labels_train=np.array(labels), **arrays)
    assert count_npz_classes(path, limit) == number


@pytest.mark.parametrize('arrays, words', [
    (dict(labels_train=np.array([0, 1, 10**9])),
     r'labels_train has labels from 0 to 1000000000, but there are 3 different ones: number the'),
    (dict(labels_train=np.array([0, -1])), 'from -1 to 0, but there are 2 different ones'),
    (dict(labels_train=np.arange(3), classes=np.array(['a', 'b'])),
     'from 0 to 2, but there are 2 names in classes'),
    (dict(labels_train=np.array([], int)), r'must be one integer for each image, got int64 \(0,\)'),
    (dict(labels_train=np.eye(2)), r'one integer for each image, got float64 \(2, 2\)'),
    (dict(labels_train=np.array([{}, {}])), r'cannot be read as arrays of numbers \(ValueError'),
    (dict(labels=np.arange(3)), r"has no array labels_train, only \['labels'\]: make it by")])
def test_labels_that_are_no_classes(tmp_path, arrays, words):
    path = saved(tmp_path / 'x.npz', **arrays)
    with pytest.raises(UserError, match=f'^{path}:? .*{words}'):
        count_npz_classes(path)


@pytest.mark.parametrize('content', [b'PK\x03\x04 cut', b'text'])
def test_files_that_are_none(tmp_path, content):
    path = tmp_path / 'x.npz'
    path.write_bytes(content)
    for read in (count_npz_classes, ArrayDataset):
        with pytest.raises(UserError, match=f'^{path} cannot be read as arrays of numbers .*savez'):
            read(str(path))
    (tmp_path / 'x.npy').write_bytes(content)
    with pytest.raises(UserError, match='x.npy cannot be read as arrays of numbers'):
        ArrayDataset(images='x.npy', labels='x.npy', data_root=str(tmp_path))
    with pytest.raises(MissingFileError, match=f'^{tmp_path} is a folder, not a file. Set'):
        count_npz_classes(str(tmp_path))
