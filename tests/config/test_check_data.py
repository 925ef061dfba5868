import os
import re
from collections import Counter
from pathlib import Path

import mmseg
import numpy as np
import pytest
from helpers import trees
from helpers.findings import problems
from mmdet.datasets import CocoDataset
from PIL import Image

import mmips
from mmips.config import sources
from mmips.datasets.rugd_conversion import convert
from mmips.datasets.rugd_labels import COARSE, SPLITS

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = """
default_scope = 'mmpretrain'
data = dict(type='CustomDataset', data_root='data/folders', pipeline=[])
train_dataloader = dict(dataset=dict(type='RepeatDataset', times=3, dataset=dict(
    **data, data_prefix='train')))
val_dataloader = dict(dataset=dict(**data, data_prefix='val'))
"""


@pytest.mark.parametrize('name, expected', [
    ('voc12aug', ['data/VOCdevkit/VOC2012/SegmentationClassAug', 'VOCtrainval_11-May-2012.tar',
                  'tools/dataset_converters/voc_aug.py data/VOCdevkit data/VOCdevkit/VOCaug']),
    ('ade20k', ['data/ade/ADEChallengeData2016/annotations/training',
                'ADEChallengeData2016.zip (923 MB)', 'unpack it in data/ade;']),
    ('coco', ['data/coco/annotations/instances_train2017.json', 'data/coco/train2017',
              'zips/train2017.zip (18 GB)', 'unpack all three in data/coco:']),
    ('cifar100', ['cifar-100-python.tar.gz', 'training downloads it by itself'])])
def test_an_empty_folder_says_what_to_get(name, expected, config, check, monkeypatch):
    # A missing data set must not be built, it might download.
    monkeypatch.setattr('mmips.config.data._inspect_dataset', None)
    right, out, splits = check(config(name, "load_from = 'work_dirs/r50.pth'\n"))
    assert not right and all(text in out for text in expected), out
    # The checkpoint is named as such, and does not stop the rest.
    assert "The checkpoint 'work_dirs/r50.pth', named by load_from, does not exist" in out
    assert out.count('get it') == 1 and not splits['train']['problems']


def test_the_converter_that_is_named_exists():
    for source in sources.DATA_SOURCES.values():
        own, _, theirs = source.get('convert', '').partition('.mim/')
        if theirs:
            assert (Path(mmseg.__file__).parent / '.mim' / theirs.split()[0]).is_file()
        elif own:
            assert (ROOT / own.split()[1]).is_file()


def assert_pixels(split, *expected):
    pixels = sum((each.pixels for each in expected), Counter())
    assert split['images'] == sum(each.images for each in expected)
    assert Counter({name: n for name, n in split['counts'].items() if n}) == pixels
    assert Counter(split['images_with']) == sum((each.occurs for each in expected), Counter())
    assert split['notes']['ignored'] == sum(each.ignored for each in expected)


def test_voc_segmentation(config, check):
    counts = trees.write_voc_devkit('data')['seg']
    right, out, splits = check(config('voc12aug'), decode=True)
    assert right
    assert_pixels(splits['train'], counts['train'], counts['aug'])
    assert_pixels(splits['val'], counts['val'])
    assert counts['train'].ignored and not counts['aug'].ignored
    assert splits['train']['epoch'] == 8
    assert 'train: 8 images, 3.26 % of the pixels ignored' in out
    total = sum(splits['train']['counts'].values())
    share = f'{100 * splits["train"]["counts"]["cat"] / total:.2f} %'
    assert re.search(rf'\ncat +{share} +2 +0.00 % +0\n', out)
    assert out.count('val = test') >= 2
    assert 'warning in train: 8 classes without a single example\n    horse, motorbike' in out


def test_ade20k_and_coco(config, check):
    counts = trees.write_ade20k('data/ade/ADEChallengeData2016')['training']
    right, out, splits = check(config('ade20k'), decode=True)
    assert right and splits['train']['images'] == 2
    assert sorted(splits['train']['counts'].values()) == sorted(counts.pixels.values())
    assert splits['train']['notes']['ignored'] == counts.ignored > 0
    counts = trees.write_coco('data/coco', CocoDataset.METAINFO['classes'])['train']
    right, out, splits = check(config('coco'), decode=True)
    assert right and +Counter(splits['train']['counts']) == counts.boxes
    assert splits['train']['kind'] == 'boxes'


def test_voc_detection(config, check):
    counts = trees.write_voc_devkit('data')['det']
    right, out, splits = check(config('voc0712'), decode=True)
    train = counts['VOC2007/trainval'] + counts['VOC2012/trainval']
    assert (right, splits['train']['images'], splits['train']['epoch']) == (True, 20, 60)
    assert splits['train']['counts'] == train.boxes == splits['train']['images_with']
    assert set(train.boxes) == set(trees.VOC)
    assert splits['train']['notes']['difficult'] == train.difficult == 7
    # Beside the difficult ones, mmdet ignores boxes below bbox_min_size=32, but in training only.
    assert splits['train']['notes']['ignored'] == 20
    assert splits['val']['notes']['ignored'] == counts['VOC2007/test'].difficult
    assert 'train: 20 images, 60 in an epoch, 40 boxes, of which 7 difficult and 20 ignored' in out
    assert re.search(r'\nbottle +3 +3 +0 +0\n', out)


def write_converted_rugd():
    counts = trees.write_rugd('data/rugd', images=1, videos=SPLITS)
    convert(Path('data/rugd'))
    return counts


FINE = ''.join(f"{split}_dataloader = dict(dataset=dict(level='fine'))\n" for split in SPLITS)


@pytest.mark.parametrize('name, extra, write', [
    ('cityscapes', '', lambda: trees.write_cityscapes('data/cityscapes')),
    ('camvid', '', lambda: trees.write_camvid('data/camvid')),
    ('rugd', FINE, write_converted_rugd)])
def test_label_images(name, extra, write, config, check):
    counts = write()
    _, _, splits = check(config(name, extra))
    for split in counts:
        assert_pixels(splits[split], counts[split])
    if name == 'rugd':
        train, coarse = counts['train'], check(config(name))[2]['train']['counts']
        assert coarse == {name: sum(train.pixels[label] for label in labels)
                          + train.ignored * ('void' in labels) for name, labels in COARSE.items()}


def write_folders():
    for split in ('train', 'val'):
        for label, name in enumerate(('cat', 'dog')):
            for number in range(3 + label):
                path = Path('data/folders', split, name, f'{split}{number}.png')
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new('RGB', (8, 8), (number, label, 0)).save(path)


def test_classification(config, check):
    write_folders()
    right, out, splits = check(config(FOLDERS), decode=True)
    assert right
    assert splits['train'] == dict(kind='images', images=7, epoch=21, counts=dict(cat=3, dog=4),
                                   images_with=dict(cat=3, dog=4), notes={}, problems={})
    assert 'train: 7 images, 21 in an epoch' in out and re.search(r'\ndog +4 +4\n', out)


@pytest.mark.usefixtures('config')
def test_many_classes_are_summed_up(check, monkeypatch):
    labels = np.repeat(np.arange(50), np.arange(50) + 1)
    np.savez('many.npz', images_train=np.zeros((len(labels), 8, 8, 3), np.uint8),
             labels_train=labels, images_test=np.zeros((50, 8, 8, 3), np.uint8),
             labels_test=np.arange(50))
    monkeypatch.setenv('MMIPS_NPZ', os.path.abspath('many.npz'))
    for everything in (False, True):
        _, out, _ = check(mmips.cfg('ips/resnet-s_ips_npz.py'), all_classes=everything)
        assert ('... 40 more (--all-classes)' in out) != everything
        assert (re.search(r'\n20 ', out) is not None) == everything
        # The rarest and the most frequent.
        assert re.search(r'\n0 +1 +1\n', out) and re.search(r'\n49 +50 +1(\n|$)', out)


def test_label_images_that_are_none(config, check):
    trees.write_camvid('data/camvid', images=6)
    colours, high, half, none, value, gone = paths = sorted(
        Path('data/camvid/labels/val').iterdir())
    Image.open(colours).convert('RGB').save(colours)
    Image.fromarray(np.full((48, 64), 300, np.uint16)).save(high)
    half.write_bytes(half.read_bytes()[:90])
    none.write_text('no image')
    label = np.asarray(Image.open(value)).copy()
    label[:2, :3] = 33
    Image.fromarray(label).save(value)
    gone.unlink()
    right, out, splits = check(config('camvid'))
    assert not right and not problems(splits['train'])
    assert problems(splits['val']) == {
        'unreadable annotation': 4, 'label value': 1, 'missing annotation': 1}
    for found, path, says in zip(splits['val']['problems']['unreadable annotation'], paths, (
            'its mode is RGB', 'up to 300', 'OSError', 'cannot identify image file')):
        assert found.startswith(str(path)) and says in found
    assert f'{value}: 33 in 6 pixels (11 classes)' in out


def test_broken_and_resized_images(config, check):
    trees.write_camvid('data/camvid', images=3)
    images = sorted(Path('data/camvid/images/train').iterdir())
    images[0].write_bytes(images[0].read_bytes()[:700])
    Image.new('RGB', (32, 32)).save(images[1])
    # Without --decode, images are not opened. What cannot be read does not stop the rest.
    broken = config('camvid', 'test_dataloader = dict(dataset=dict(img_suffix=".png"))\n'
                    'val_dataloader = dict(dataset=dict(metainfo=dict(classes=("sky", "x"))))')
    assert not problems(check(broken)[2]['train'])
    right, out, splits = check(broken, decode=True)
    assert not right and problems(splits['test']) == {'empty': 1}
    assert problems(splits['train']) == {'unreadable image': 1, 'size': 1}
    assert f'{images[0]}: OSError' in out
    assert f'{images[1]}: 32x32, its labels are 64x48' in out
    assert "none in data/camvid/images/test ends in '.png' (img_suffix)" in out
    assert "'x'" in splits['val']['problems']['data set'][0]


def test_folds_of_one_set_are_no_duplicates(config, check):
    write_folders()
    right, out, splits = check(config(FOLDERS, """
for loader, test in ((train_dataloader, False), (val_dataloader, True)):
    loader['dataset'] = dict(type='KFoldDataset', num_splits=3, test_mode=test, dataset=dict(
        **data, data_prefix='train'))
del loader, test
"""))
    assert right and not splits['val']['problems']
    assert (splits['train']['epoch'], splits['val']['epoch']) == (5, 2)


def test_labels_beyond_the_classes(config, check):
    write_folders()
    Path('data/list.txt').write_text('cat/train0.png 0\ndog/train1.png 2\ncat/train7.png 1\n')
    right, out, splits = check(config("""
default_scope = 'mmpretrain'
train_dataloader = dict(dataset=dict(type='ClassBalancedDataset', oversample_thr=0.6, dataset=dict(
    type='CustomDataset', data_root='data', ann_file='list.txt', data_prefix='folders/train',
    classes=('cat', 'dog'), pipeline=[])))
"""))
    assert not right
    assert problems(splits['train']) == {'label value': 1, 'missing image': 1}
    assert 'dog/train1.png: 2 (2 classes)' in out and 'train7.png' in out
    assert splits['train']['counts'] == dict(cat=1, dog=1)


def test_labels_beyond_the_classes_of_the_model(config, check, tmp_path):
    np.savez('x.npz', images_train=np.zeros((4, 8, 8, 3), np.uint8), labels_train=[0, 1, 2, 3])
    right, out, splits = check(config("""
default_scope = 'mmpretrain'
model = dict(head=dict(num_classes=3))
train_dataloader = dict(dataset=dict(type='mmips.ArrayDataset', ann_file='x.npz', pipeline=[]))
"""))
    assert not right and problems(splits['train']) == {'label value': 1}
    assert 'image 3: 3 (3 classes)' in out


@pytest.mark.parametrize('classes, words', [
    (('cat', 'dog'), 'of 2 classes, but model.head.num_classes is 3'),
    (('cat', ), r'The data cannot be read: ValueError: .* 1 class folders')])
def test_classes_that_training_would_refuse(classes, words, config, check):
    for name in classes:
        Path('data', name).mkdir(parents=True)
        Image.new('RGB', (8, 8)).save(f'data/{name}/0.png')
    right, out, _ = check(config("""
default_scope = 'mmpretrain'
model = dict(head=dict(num_classes=3))
train_dataloader = dict(dataset=dict(type='mmips.ImageFolder', data_root='data', pipeline=[]))
"""))
    assert not right and re.search(words, out)


