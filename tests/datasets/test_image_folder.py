import shutil

import cv2
import fsspec
import numpy as np
import pytest
from mmengine.logging import MMLogger

from mmips.datasets import ImageFolder, find_classes
from mmips.registry import DATASETS


def make(root, **counts):
    """Images in ``root/<class>``, a number of them for each class."""
    for name, count in counts.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            cv2.imwrite(str(root / name / f'{i}.png'), np.full((6, 7, 3), i, np.uint8))
    return str(root)


def paths(dataset):
    return [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]


def test_seeded_split(tmp_path):
    root = make(tmp_path, cat=10, dog=2, ant=3, lonely=1)
    train = DATASETS.build(dict(type='mmips.ImageFolder', data_root=root, split='train'))
    val = ImageFolder(root, split='val')
    assert list(train.metainfo['classes']) == find_classes(root) == ['ant', 'cat', 'dog', 'lonely']
    assert val.metainfo['classes'] == train.metainfo['classes']
    assert not set(paths(train)) & set(paths(val)) and len(train) + len(val) == 16
    assert np.bincount(val.get_gt_labels()).tolist() == [1, 2, 1]
    assert paths(val) == paths(ImageFolder(root, split='val'))
    assert paths(val) != paths(ImageFolder(root, split='val', seed=5))
    assert len(ImageFolder(root, split='val', val_fraction=0.5)) == 5 + 1 + 2


def test_labels_and_pixels(tmp_path):
    dataset = ImageFolder(make(tmp_path, b=3, a=3), pipeline=[dict(type='LoadImageFromFile')])
    for sample in map(dataset.__getitem__, range(len(dataset))):
        assert sample['gt_label'] == {'a': 0, 'b': 1}[sample['img_path'].split('/')[-2]]
        assert (sample['img'] == int(sample['img_path'].split('/')[-1][0])).all()


def test_train_folder_with_and_without_val(tmp_path):

    def sizes():
        return [len(ImageFolder(str(tmp_path), split=split)) for split in ('train', 'val')]

    make(tmp_path / 'train', a=4, b=4)
    assert sizes() == [6, 2]
    make(tmp_path / 'val', a=2, b=1)
    assert sizes() == [8, 3]
    assert all('/val/' in path for path in paths(ImageFolder(str(tmp_path), split='val')))
    make(tmp_path / 'val', c=2)
    with pytest.raises(ValueError, match=r"differ: .*first have \[\], .*second \['c'\]"):
        ImageFolder(str(tmp_path))


def test_files_that_are_no_images_are_counted(tmp_path):
    MMLogger.get_instance('data', log_file=str(tmp_path / 'log'))
    root = make(tmp_path, a=2, b=2)
    for name in ('a/x.gif', 'b/Thumbs.db', 'b/.hidden'):
        (tmp_path / name).touch()
    assert len(ImageFolder(root)) == 2
    assert (f'ImageFolder ({root}) leaves out 2 files that do not end in .jpg, ' in
            (tmp_path / 'log').read_text())


def test_classes_in_another_order(tmp_path):
    root = make(tmp_path, a=2, b=3)
    assert np.bincount(ImageFolder(root, classes=['b', 'a']).get_gt_labels()).tolist() == [2, 1]
    with pytest.raises(ValueError, match=r"first have \['b'\], only the second \['c'\]"):
        ImageFolder(root, classes=['a', 'c'])


@pytest.mark.parametrize('layout', ['', 'train/'])
def test_an_object_store_gives_the_same(layout, tmp_path):
    root = make(tmp_path / layout, cat=5, dog=2)
    for name in ('cat/x.gif', 'cat/.hidden.png', 'cat/__MACOSX/0.png', 'cat/deep/0.png',
                 '.hidden/0.png'):
        (tmp_path / layout / name).parent.mkdir(exist_ok=True)
        shutil.copy(f'{root}/dog/0.png', tmp_path / layout / name)
    url = f'memory://{tmp_path.name}'
    fsspec.filesystem('memory').put(f'{tmp_path}/', f'{url}/', recursive=True)
    pipeline = [dict(type='LoadImageFromFile')]
    for split in ('train', 'val'):
        disk, store = (ImageFolder(folder, split=split, pipeline=pipeline)
                       for folder in (str(tmp_path), f'{url}/'))
        assert paths(store) == [path.replace(str(tmp_path), url) for path in paths(disk)]
        assert (store.get_gt_labels() == disk.get_gt_labels()).all()
        assert (store[0]['img'] == disk[0]['img']).all()
    assert find_classes(url) == ['cat', 'dog']


@pytest.mark.parametrize('args, error, match', [
    (dict(split='test'), ValueError, "'train' or 'val', got 'test'"),
    (dict(val_fraction=1.0), ValueError, 'val_fraction must lie between 0 and 1, got 1.0'),
    (dict(ann_file='meta/train.txt'), ValueError, 'data_root and split, got .*meta/train.txt'),
    (dict(data_prefix='train'), ValueError, "'data_prefix': 'train'.*_delete_=True"),
    (dict(data_root='memory://x'), FileNotFoundError, 'folder memory://x does not exist'),
    (dict(data_root='nowhere'), FileNotFoundError, 'nowhere does not exist.*MMIPS_DATA'),
    ({}, ValueError, r"No images in the class folders \['none'\]")])
def test_refused(args, error, match, tmp_path):
    with pytest.raises(error, match=match):
        ImageFolder(**{'data_root': make(tmp_path, a=2, none=0), **args})
