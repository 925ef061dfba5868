import os

import pytest

from mmips.datasets import find_classes
from mmips.datasets.folders import class_root, list_images, split_validation


def make(root, *files):
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


def test_classes_of_both_layouts(tmp_path):
    flat = make(tmp_path / 'flat', 'b/1.jpg', 'a/1.jpg', '.git/x.jpg', '__MACOSX/y.jpg', 'note.txt')
    split = make(tmp_path / 'split', 'train/b/1.jpg', 'train/a/1.jpg', 'val/a/2.jpg', 'val/b/2.jpg')
    assert find_classes(flat) == find_classes(str(split)) == ['a', 'b']
    assert class_root(flat, 'train') == class_root(flat, 'val') == flat
    assert class_root(split, 'val') == split / 'val'


def test_train_without_val_and_a_class_called_train(tmp_path):
    make(tmp_path / 'x', 'train/b/1.jpg', 'train/a/1.jpg', 'test/zzz/1.jpg')
    assert find_classes(tmp_path / 'x') == ['a', 'b']
    assert class_root(tmp_path / 'x', 'val') == tmp_path / 'x/train'
    make(tmp_path / 'y', 'train/1.jpg', 'car/1.jpg', 'ship/1.jpg')
    assert find_classes(tmp_path / 'y') == ['car', 'ship', 'train']


@pytest.mark.parametrize('files', [
    ['train/a/1.jpg', 'train/b/1.jpg', 'raw/1.jpg'], ['val/a/1.jpg', 'val/b/1.jpg', 'car/1.jpg'],
    ['val/a/1.jpg', 'val/b/1.jpg'], ['train/a/1.jpg', 'train/b/1.jpg', 'val/1.jpg'],
    ['train/1.jpg', 'val/1.jpg'], ['train/a/1.jpg', 'train/stray.jpg', 'val/a/1.jpg']])
def test_ambiguous_layouts_are_refused(tmp_path, files):
    make(tmp_path, *files)
    with pytest.raises(ValueError, match=r'whether the folders \[.*\] in .* are classes or splits'):
        find_classes(tmp_path)


def test_no_class_or_one(tmp_path):
    with pytest.raises(FileNotFoundError, match='no class folders.*MMIPS_DATA'):
        find_classes(tmp_path)
    make(tmp_path, 'all/a/1.jpg', 'all/b/1.jpg')
    with pytest.raises(ValueError, match="single class folder 'all'.*MMIPS_DATA"):
        find_classes(tmp_path)


def test_images_of_a_class(tmp_path):
    """Links are followed, but not in circles."""
    make(tmp_path, 'a/2.JPG', 'a/1.png', 'a/deep/er/3.WebP', 'a/.hidden.jpg', 'a/.cache/4.jpg',
         'a/notes.txt', 'b/5.jpg')
    (tmp_path / 'a/link').symlink_to(tmp_path / 'b')
    (tmp_path / 'a/up').symlink_to(tmp_path / 'a')
    assert list_images(tmp_path, 'a') == [
        'a/1.png', 'a/2.JPG', 'a/deep/er/3.WebP', 'a/link/5.jpg']


@pytest.mark.skipif(os.name == 'nt' or os.geteuid() == 0, reason='root reads every folder')
def test_unreadable_folder_is_reported(tmp_path):
    make(tmp_path, 'a/secret/1.jpg')
    (tmp_path / 'a/secret').chmod(0)
    try:
        with pytest.raises(PermissionError, match='secret'):
            list_images(tmp_path, 'a')
    finally:
        (tmp_path / 'a/secret').chmod(0o755)


def test_split_is_fixed_for_all_time():
    # Written down: a change here would leak validation images into other people's training.
    paths = [f'cat/{i}.jpg' for i in range(10)]
    assert split_validation(paths, 0.2, 0)[1] == ['cat/5.jpg', 'cat/8.jpg']
    assert split_validation(paths[::-1], 0.2, 0) == split_validation(paths, 0.2, 0)
    assert split_validation(paths, 0.2, 1)[1] != split_validation(paths, 0.2, 0)[1]


@pytest.mark.parametrize('count, fraction, validation', [
    (1, 0.9, 0), (2, 0.01, 1), (2, 0.99, 1), (10, 0.25, 3), (100, 0.2, 20)])
def test_share_of_the_split(count, fraction, validation):
    paths = [f'cat/{i}.jpg' for i in range(count)]
    train, val = split_validation(paths, fraction, 3)
    assert len(val) == validation and sorted(train + val) == sorted(paths)


def test_accents_split_alike_however_they_are_encoded():
    numbers = [[path.split('/')[1] for path in split_validation(paths, 0.3, 0)[1]]
               for paths in ([f'{name}/{i}.jpg' for i in range(20)]
                             for name in ('caf\u00e9', 'cafe\u0301'))]
    assert numbers[0] == numbers[1]
