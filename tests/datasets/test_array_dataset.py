import numpy as np
import pytest

from mmips.datasets import ArrayDataset
from mmips.registry import DATASETS

LABELS = np.array([2, 0, 1, 0, 2, 1, 0, 2, 1, 0])


def numbered(count, *shape):
    """Images that hold their own number everywhere."""
    return np.broadcast_to(
        np.arange(count, dtype=np.uint8).reshape(-1, *[1] * len(shape)), (count, *shape)).copy()


def numbers(dataset):
    return [int(dataset[i]['img'].flat[0]) for i in range(len(dataset))]


def saved(folder, **arrays):
    np.savez(folder / 'set.npz', **arrays)
    return str(folder / 'set.npz')


@pytest.fixture
def npz(tmp_path):
    return saved(tmp_path, images_train=numbered(10, 4, 4, 3), labels_train=LABELS,
                 images_test=numbered(3, 4, 4, 3) + 100, labels_test=np.arange(3, dtype=np.uint8),
                 classes=np.array(['ant', 'bee', 'cow']))


def test_splits_and_classes(npz, tmp_path):
    train = DATASETS.build(dict(type='mmips.ArrayDataset', ann_file=npz))
    test = ArrayDataset('set.npz', data_root=str(tmp_path), split='test', test_mode=True)
    assert numbers(train) == list(range(10)) and numbers(test) == [100, 101, 102]
    assert train.get_gt_labels().tolist() == LABELS.tolist()
    assert train.metainfo['classes'] == test.metainfo['classes'] == ('ant', 'bee', 'cow')
    assert test.test_mode and not train.test_mode


def test_classes_argument_wins_over_the_file(npz):
    assert ArrayDataset(npz, classes=['a', 'b', 'c']).metainfo['classes'] == ('a', 'b', 'c')
    with pytest.raises(ValueError, match='found label 2, but there are only 2 classes'):
        ArrayDataset(npz, classes=['a', 'b'])


def test_keys_without_split_and_explicit_keys(tmp_path):
    npz = saved(tmp_path, images=numbered(4, 2, 2), labels=np.zeros(4, int),
                x=numbered(2, 2, 2) + 50, y=np.ones(2, int))
    plain, named = ArrayDataset(npz), ArrayDataset(npz, images_key='x', labels_key='y')
    assert numbers(plain) == [0, 1, 2, 3] and numbers(named) == [50, 51]
    assert named.get_gt_labels().tolist() == [1, 1] and named.metainfo.get('classes') is None


def test_grey_images_get_three_channels(tmp_path):
    for shape in ((4, 5), (4, 5, 1)):
        npz = saved(tmp_path, images=numbered(3, *shape), labels=np.zeros(3, int))
        img = ArrayDataset(npz)[2]['img']
        assert img.shape == (4, 5, 3) and (img == 2).all()


def test_first_images_of_the_first_classes(npz):
    dataset = ArrayDataset(npz, max_classes=2, per_class=2)
    assert numbers(dataset) == [1, 2, 3, 5]
    assert dataset.get_gt_labels().tolist() == [0, 1, 0, 1]
    assert dataset.metainfo['classes'] == ('ant', 'bee')
    assert len(dataset.images) == 10  # no copy of the subset
    # A small class gives all it has.
    assert np.bincount(ArrayDataset(npz, per_class=4).get_gt_labels()).tolist() == [4, 3, 3]


def test_npy_pair_with_index_range(tmp_path):
    np.save(tmp_path / 'fog.npy', numbered(50, 4, 4, 3))
    np.save(tmp_path / 'labels.npy', np.tile(np.arange(10), 5))
    dataset = ArrayDataset(images='fog.npy', labels='labels.npy', data_prefix=str(tmp_path),
                           index_range=(20, 30))
    assert numbers(dataset) == list(range(20, 30))
    assert dataset.get_gt_labels().tolist() == list(range(10))


def test_seeded_subset(tmp_path):
    npz = saved(tmp_path, images=numbered(200, 1, 1), labels=np.arange(200) % 4)
    first, again, other = (ArrayDataset(npz, subset_seed=seed, per_class=10) for seed in (1, 1, 2))
    assert numbers(first) == numbers(again) != numbers(other)
    assert np.bincount(first.get_gt_labels()).tolist() == [10] * 4
    fewer = ArrayDataset(npz, subset_seed=1, max_classes=2, per_class=10)
    assert set(numbers(fewer)) == {n for n in numbers(first) if n % 4 < 2}
    assert numbers(first) != numbers(ArrayDataset(npz, per_class=10))


@pytest.mark.parametrize('args, error, match', [
    (dict(images='x.npy'), ValueError, "images='x.npy', labels=''"),
    (dict(ann_file='a.npz', images='x.npy', labels='y.npy'), ValueError, 'Give either'),
    (dict(ann_file='a.npy'), ValueError, "Give either ann_file='x.npz' .* got ann_file='a.npy'"),
    (dict(ann_file='no.npz'), FileNotFoundError, r'no.npz does not exist.*np.savez'),
    (dict(images='x.npy', labels='y.npy'), FileNotFoundError, 'x.npy does not exist'),
    (dict(ann_file='a.npz', per_class=0), ValueError, 'per_class must be a positive .* got 0'),
    (dict(ann_file='a.npz', max_classes='2'), ValueError, "max_classes must be .* got '2'"),
])
def test_bad_arguments(args, error, match, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=match):
        ArrayDataset(**args)


@pytest.mark.parametrize('args, match', [
    (dict(labels_key='y'), r"no array 'y' for split='train', only .*'images_test'.*labels_key"),
    (dict(split='val'), r"no array 'images' for split='val'"),
    (dict(index_range=(5, 11)), r'0 <= start < stop <= 10.* got \(5, 11\)'),
    (dict(index_range=(5, 5)), r'index_range must be .* got \(5, 5\)'),
    (dict(index_range=(0, 1), max_classes=2), 'no image is left of the 10 images'),
])
def test_bad_selections(args, match, npz):
    with pytest.raises(ValueError, match=match):
        ArrayDataset(npz, **args)


def test_half_a_split_is_not_filled_up(tmp_path):
    npz = saved(tmp_path, images_test=numbered(2, 2, 2), images=numbered(2, 2, 2),
                labels=np.zeros(2, int))
    with pytest.raises(ValueError, match="no array 'labels_test' for split='test'"):
        ArrayDataset(npz, split='test')
