import numpy as np
import pytest
import scipy.io

from mmips.datasets import StanfordDogs
from mmips.registry import DATASETS

BREEDS = ['n02085620-Chihuahua', 'n02085782-Japanese_spaniel', 'n02086240-Shih-Tzu']


def cells(items):
    """A MATLAB cell column, the form of the published lists."""
    column = np.empty((len(items), 1), dtype=object)
    column[:, 0] = items
    return column


def write(path, files, labels, compress=True):
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, dict(
        file_list=cells(files), annotation_list=cells([file[:-4] for file in files]),
        labels=np.array(labels, dtype=np.float64).reshape(-1, 1)), do_compression=compress)


@pytest.fixture
def root(tmp_path):
    for split, each in (('train', 4), ('test', 2)):
        files = [f'{b}/{b.split("-")[0]}_{split}{i}.jpg' for b in BREEDS for i in range(each)]
        write(tmp_path / f'{split}_list.mat', files, np.repeat([1, 2, 3], each))
        for file in files:
            (tmp_path / 'Images' / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / 'Images' / file).touch()
    return tmp_path


def test_published_lists(root):
    train = DATASETS.build(dict(type='mmips.StanfordDogs', data_root=str(root)))
    test = StanfordDogs(str(root), split='test')
    assert train.get_gt_labels().tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert test.get_gt_labels().tolist() == [0, 0, 1, 1, 2, 2]
    assert train.metainfo['classes'] == ('Chihuahua', 'Japanese spaniel', 'Shih-Tzu')
    assert train.get_data_info(5)['img_path'] == str(
        root / 'Images/n02085782-Japanese_spaniel/n02085782_train1.jpg')
    assert test.test_mode and not train.test_mode
    assert not StanfordDogs(str(root), split='test', test_mode=False).test_mode


def test_lists_in_a_folder_and_uncompressed(root):
    (root / 'test_list.mat').unlink()
    write(root / 'lists/test_list.mat', [f'{BREEDS[0]}/n02085620_test0.jpg'], [1], compress=False)
    assert len(StanfordDogs(str(root), split='test')) == 1


def test_missing_files_say_what_to_download(root):
    (root / 'Images').rename(root / 'pictures')
    assert len(StanfordDogs(str(root), data_prefix='pictures')) == 12
    for name in ('train0.jpg', 'train_list.mat'):
        match = f'{name} does not exist. Download images.tar and lists.tar from'
        with pytest.raises(FileNotFoundError, match=match):
            StanfordDogs(str(root))
        (root / 'train_list.mat').unlink(missing_ok=True)


@pytest.mark.parametrize('text', ['<html>404</html>', None])
def test_other_files_are_refused(root, text):
    if text:
        (root / 'train_list.mat').write_text(text)
    else:
        write(root / 'train_list.mat', ['a-A/1.jpg', 'a-A/2.jpg'], [1])
    with pytest.raises(ValueError, match='not a Stanford Dogs list.*lists.tar'):
        StanfordDogs(str(root))
    with pytest.raises(ValueError, match="'train' or 'test', got 'val'"):
        StanfordDogs(str(root), split='val')
