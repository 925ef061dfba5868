"""A sample that is wrong is named, in one line, wherever it is read."""
import copy
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from helpers import trees
from helpers.labels import Listed
from mmdet.datasets import VOCDataset
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import DATASETS, init_default_scope
from PIL import Image
from torch.utils.data import DataLoader, Subset

from mmips.datasets import ArrayDataset, CamVidDataset, ImageFolder, ImagesOnDevice
from mmips.datasets.named_samples import NamedCompose, name_samples
from mmips.errors import UserError, error_text

LOOK = ' (python tools/misc/check_data.py CONFIG --decode looks through all files).'
JPEG = 'train/a/0.jpg'
LABEL, FRAME = 'labels/train/0001TP_000000.png', 'images/train/0001TP_000000.jpg'
XML = 'BCCD/Annotations/BloodImage_00000.xml'
BLOOD = 'BCCD/JPEGImages/BloodImage_00000.jpg'


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def folders():
    for name in 'ab':
        for split, number in (('train', 2), ('val', 1)):
            for image in range(number):
                trees._save(trees._noise(name, (8, 6)), Path(f'{split}/{name}/{image}.jpg'))
    init_default_scope('mmpretrain')
    return ImageFolder('.', pipeline=[dict(type='LoadImageFromFile')])


def camvid(**settings):
    trees.write_camvid('.', images=1)
    init_default_scope('mmseg')
    return CamVidDataset(
        data_prefix=dict(img_path='images/train', seg_map_path='labels/train'),
        pipeline=[dict(type='LoadImageFromFile'), dict(type='Resize', scale=(32, 24)),
                  dict(type='LoadAnnotations')], **settings)


def bccd(change=None, **settings):
    trees.write_bccd('.', images=1)
    if change:
        Path(XML).write_text(re.sub(*change, Path(XML).read_text(), count=1))
    init_default_scope('mmdet')
    return VOCDataset(
        data_root='BCCD', ann_file='ImageSets/Main/train.txt', data_prefix=dict(sub_data_root=''),
        metainfo=dict(classes=trees.BCCD), pipeline=[
            dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)],
        **settings)


def label(change):
    """A label image made of the one that is there, which has all classes and void."""
    return lambda path: Image.fromarray(change(np.array(Image.open(path)))).save(path)


def named(dataset, classes=None):
    name_samples(dataset, classes)
    return dataset


def refusal(dataset, index=0):
    with pytest.raises(UserError) as caught:
        dataset[index]
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.parametrize('make, path, content, words', [
    (folders, JPEG, b'', 'is empty: put it right'),
    (folders, JPEG, b'GIF', 'cannot be read (AssertionError: failed to load image'),
    (folders, JPEG, lambda path: path.write_bytes(path.read_bytes()[:-9]),
     'cannot be read (AssertionError: failed to load image'),
    (folders, JPEG, None, 'does not exist: put it right'),
    (folders, JPEG, lambda path: path.unlink() or path.symlink_to('gone\nby'),
     "is a link to 'gone\\nby', which does not exist: put it right"),
    (camvid, FRAME, b'GIF', 'cannot be read (AssertionError: failed to load image'),
    (camvid, LABEL, None, 'does not exist: put it right'),
    (camvid, LABEL, b'GIF', 'cannot be read (UnidentifiedImageError'),
    (camvid, LABEL, label(lambda x: np.dstack([x] * 3)), 'is in colour, shape (48, 64, 3)'),
    (camvid, LABEL, label(lambda x: x[1:]), f'is 64x47, but its image {FRAME} is 64x48'),
    (camvid, LABEL, label(lambda x: np.where(x == 3, 77, x).astype(np.uint8)),
     'has the value 77 in 256 pixels, but there are 11 classes, from 0, and 255 for'),
    (camvid, LABEL, label(lambda x: x.astype(np.uint16) + 256),
     'its mode is I;16, with values up to 267, but'),
    (bccd, BLOOD, lambda path: Image.new('RGB', (64, 64)).save(path),
     'is 64x64, but its annotation says 64x48, so that its boxes lie elsewhere')])
def test_what_a_file_is_refused_for(make, path, content, words):
    dataset, path = named(make()), Path(path)
    assert dataset[0] is not None
    if callable(content):
        content(path)
    elif content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    text = refusal(dataset)
    assert text.startswith((str(path), f'./{path}')) and words in text and text.endswith(LOOK)


def test_deep_label_images_of_low_values_are_read():
    dataset, image = named(camvid()), np.array(Image.open(LABEL))
    Image.fromarray(image.astype(np.uint16)).save(LABEL)
    assert (dataset[0]['gt_seg_map'] == np.where(image == 11, 255, image)).all()


EMPTY = r'<xmax>\d+</xmax>', '<xmax>1</xmax>'


def test_boxes_without_area():
    text = refusal(named(bccd(EMPTY)))
    assert text.startswith(f'{XML}: the box [0, 0, 0, 35] has no area')
    assert 'train_dataloader.dataset.filter_cfg.bbox_min_size=1' in text
    # Those that are ignored, or not trained on, do no harm.
    assert named(bccd(EMPTY, filter_cfg=dict(bbox_min_size=1)))[0]
    assert named(bccd(EMPTY, test_mode=True))[0]


@pytest.mark.parametrize('head, number', [(None, 3), (2, 2), (7, 3)])
def test_labels_beyond_the_classes(head, number):
    dataset = named(Listed([0, 1, 5], metainfo=dict(classes=['x', 'y', 'z'])), head)
    assert dataset[1]['gt_label'] == 1
    assert refusal(dataset, 2).startswith(
        f'/nowhere/2.png: its label 5 is no class, there are {number}, from 0: ')
    # Of several labels each.
    several = named(Listed([[0, 1], [0, 5]]), 3)
    assert several[0] and 'its label 5 is no class' in refusal(several, 1)
    # Of several tasks, each with classes of its own.
    assert named(Listed([dict(colour=9)]), 3)[0]['gt_label'] == dict(colour=9)
    # Without a number of classes any will do.
    assert named(Listed([0, 9]))[1]['gt_label'] == 9


def test_an_image_without_a_file():
    np.savez('x.npz', images=np.zeros((3, 4, 4), np.uint8), labels=np.array([0, 1, 9]))
    text = refusal(named(ArrayDataset('x.npz'), 4), 2)
    assert text.startswith('image 2 of x.npz: its label 9 is no class, there are 4, from 0: ')
    with pytest.raises(UserError, match='^x.npz: the label 9 is no class, there are 4, from 0: '):
        name_samples(ImagesOnDevice(dict(type='mmips.ArrayDataset', ann_file='x.npz')), 4)


def fail(data):
    raise KeyError('weight\nand more')


def test_a_transform_that_fails():
    assert refusal(named(Listed([0], [fail]))) == (
        "/nowhere/0.png: the transform function fails on it (KeyError: 'weight\\nand more'): "
        f'correct its arguments, or else the file and its annotation{LOOK}')


def test_an_annotation_that_is_none():
    assert refusal(named(Listed([['cat']]), 3)) == (
        "/nowhere/0.png: its annotation cannot be read (TypeError: '<=' not supported between "
        f"instances of 'int' and 'str'): correct it{LOOK}")


@pytest.mark.parametrize('error', [MemoryError, KeyboardInterrupt, UserError])
def test_what_is_no_fault_of_a_sample_passes(error):
    def fail(data):
        raise error('as it is')

    with pytest.raises(error, match='^as it is$'):
        named(Listed([0], [fail]))[0]


@pytest.mark.parametrize('context', [
    'fork', pytest.param('spawn', marks=pytest.mark.slow)])
def test_a_worker_process_says_the_same(context):
    dataset = named(folders())
    Path(JPEG).write_bytes(b'')
    text = refusal(dataset)
    loader = DataLoader(dataset, num_workers=1, multiprocessing_context=context,
                        collate_fn=pseudo_collate)
    with pytest.raises(UserError) as caught:
        list(loader)
    assert error_text(caught.value) == text


DATA = dict(type='TestListed', labels=[0, 0, 1, 1], pipeline=[fail])
NOISE = dict(type='mmips.NoisyLabelDataset', dataset=DATA, rate=0.5)


@pytest.mark.parametrize('wrapped', [
    dict(type='RepeatDataset', dataset=DATA, times=2),
    dict(type='ConcatDataset', datasets=[DATA, DATA]),
    dict(type='mmpretrain.KFoldDataset', dataset=DATA, num_splits=2, fold=0),
    dict(type='mmdet.MultiImageMixDataset', dataset=DATA, pipeline=[]),
    NOISE, dict(type='RepeatDataset', dataset=NOISE, times=2)],
    ids=lambda wrapped: wrapped['type'])
def test_wrappers_are_seen_through(wrapped):
    dataset = DATASETS.build(wrapped)
    for outer in (Subset(dataset, [0, 1]), dataset):
        name_samples(outer)
        assert 'the transform function fails on it' in refusal(outer)


def test_transforms_stay_as_they_are():
    data = Listed([0, 1], [str, len])
    transforms = data.pipeline.transforms
    for _ in range(2):  # once more changes nothing
        name_samples(data)
        assert type(data.pipeline) is NamedCompose and isinstance(data.pipeline, Compose)
        assert data.pipeline.transforms is transforms
    assert data[0] == len(str(data.get_data_info(0)))
    # Hooks change them in place.
    transforms.pop()
    assert data[0] == str(data.get_data_info(0)) == copy.deepcopy(data)[0]
    assert pickle.loads(pickle.dumps(data))[0] == data[0]
    # None asks for another image, as ever; a pipeline with a way of its own keeps it.
    transforms[:] = [lambda data: data if data['gt_label'] else None]
    assert data[0]['gt_label'] == 1
    data.pipeline = own = type('Own', (Compose, ), {})([])
    name_samples(data)
    assert data.pipeline is own
