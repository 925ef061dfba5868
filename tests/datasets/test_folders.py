import pytest

from mmips.datasets import find_classes
from mmips.datasets.folders import class_root, list_images, split_validation
from mmips.errors import MissingFileError


def make(root, *files):
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


@pytest.mark.parametrize('files, train, val', [
    (['b/1.jpg', 'a/1.jpg', '.git/x.jpg', '__MACOSX/y.jpg', 'note.txt'], '.', '.'),
    (['train/b/1.jpg', 'train/a/1.jpg', 'val/a/2.jpg', 'val/b/2.jpg'], 'train', 'val'),
    (['train/b/1.jpg', 'train/a/1.jpg', 'test/zzz/1.jpg'], 'train', 'train')])
def test_layouts(tmp_path, files, train, val):
    make(tmp_path, *files)
    assert find_classes(tmp_path) == find_classes(str(tmp_path)) == ['a', 'b']
    assert class_root(tmp_path, 'train') == tmp_path / train
    assert class_root(tmp_path, 'val') == tmp_path / val


@pytest.mark.parametrize('name', ['train', 'Train', 'validation', 'test set', 'trains'])
def test_a_class_called_train(tmp_path, name):
    make(tmp_path, f'{name}/1.jpg', 'car/1.jpg', 'ship/1.jpg')
    assert sorted(find_classes(tmp_path)) == sorted(['car', 'ship', name])


@pytest.mark.parametrize('files, rename', [
    (['Train/a/1.jpg', 'Train/b/1.jpg', 'Val/a/1.jpg', 'Val/b/1.jpg'],
     "Rename 'Train' to 'train', 'Val' to 'val', or"),
    (['training_set/a/1.jpg', 'test_set/a/1.jpg'],
     "Rename 'test_set' to 'test', 'training_set' to 'train', or"),
    (['train/a/1.jpg', 'train/b/1.jpg', 'valid/a/1.jpg'], "Rename 'valid' to 'val', or"),
    (['train/a/1.jpg', 'train/b/1.jpg', 'Validation/a/1.jpg'], "Rename 'Validation' to 'val', or"),
    (['TRAINING/a/1.jpg', 'car/1.jpg'], "Rename 'TRAINING' to 'train', or"),
    # Without class folders, too.
    (['Train/1.jpg', 'Testing/1.jpg'], "Rename 'Testing' to 'test', 'Train' to 'train', or")])
def test_splits_by_another_name(tmp_path, files, rename):
    with pytest.raises(ValueError, match=f'in {tmp_path} look like splits, .*{rename}'):
        find_classes(make(tmp_path, *files))


def test_links_to_nothing(tmp_path):
    make(tmp_path, 'a/1.jpg', 'b/1.jpg')
    (tmp_path / 'c').symlink_to('gone')
    with pytest.raises(MissingFileError, match=f'^{tmp_path}/c is a link to gone, which does not'):
        find_classes(tmp_path)
    (tmp_path / 'c').unlink()
    (tmp_path / 'a/more').symlink_to('gone')
    assert find_classes(tmp_path) == ['a', 'b']
    with pytest.raises(MissingFileError, match=f'^{tmp_path}/a/more is a link to gone, which does'):
        list_images(tmp_path, 'a')


UNCLEAR = r'whether the folders \[.*\] in .* are classes or splits'


@pytest.mark.parametrize('files, message', [
    *((files, UNCLEAR) for files in (
        ['train/a/1.jpg', 'train/b/1.jpg', 'raw/1.jpg'], ['val/a/1.jpg', 'car/1.jpg'],
        ['val/a/1.jpg', 'val/b/1.jpg'], ['train/a/1.jpg', 'train/b/1.jpg', 'val/1.jpg'],
        ['train/1.jpg', 'val/1.jpg'])),
    ([], 'holds 0 class folders.*MMIPS_DATA'),
    (['all/a/1.jpg', 'all/b/1.jpg'], r"1 class folders \['all'\].*MMIPS_DATA")])
def test_layouts_that_are_refused(tmp_path, files, message):
    with pytest.raises(ValueError, match=message):
        find_classes(make(tmp_path, *files))


def test_images_of_a_class(tmp_path):
    """Links are followed, but not in circles."""
    make(tmp_path, 'a/2.JPG', 'a/1.png', 'a/deep/er/3.WebP', 'a/.hidden.jpg', 'a/.cache/4.jpg',
         'a/notes.txt', 'b/5.jpg')
    (tmp_path / 'a/link').symlink_to(tmp_path / 'b')
    (tmp_path / 'a/up').symlink_to(tmp_path / 'a')
    assert list_images(tmp_path, 'a') == [
        'a/1.png', 'a/2.JPG', 'a/deep/er/3.WebP', 'a/link/5.jpg']
    others = []
    assert list_images(tmp_path, 'a', others) and others == [str(tmp_path / 'a/notes.txt')]
    with pytest.raises(FileNotFoundError, match='absent'):
        list_images(tmp_path, 'absent')


def test_split_is_fixed_for_all_time():
    # Written down: a change here would leak validation images into other people's training.
    paths = [f'cat/{i}.jpg' for i in range(10)]
    assert split_validation(paths, 0.2, 0)[1] == ['cat/5.jpg', 'cat/8.jpg']
    assert split_validation(paths[::-1], 0.2, 0) == split_validation(paths, 0.2, 0)
    assert split_validation(paths, 0.2, 1)[1] != split_validation(paths, 0.2, 0)[1]
    # Accents split alike however they are encoded.
    composed, decomposed = ([path.split('/')[1] for path in split_validation(
        [f'{name}/{i}.jpg' for i in range(20)], 0.3, 0)[1]] for name in ('caf\u00e9', 'cafe\u0301'))
    assert composed == decomposed


@pytest.mark.parametrize('count, fraction, validation', [
    (1, 0.9, 0), (2, 0.01, 1), (2, 0.99, 1), (10, 0.25, 3), (100, 0.2, 20)])
def test_share_of_the_split(count, fraction, validation):
    paths = [f'cat/{i}.jpg' for i in range(count)]
    train, val = split_validation(paths, fraction, 3)
    assert len(val) == validation and sorted(train + val) == sorted(paths)
