"""The tiny data sets must be what the toolboxes read, or the tests built on them prove nothing."""
from collections import Counter
from pathlib import Path

import mmdet
import mmseg
import numpy as np
from helpers import trees
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope
from PIL import Image

SEG = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
DET = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)]


def base(toolbox, name):
    path = Path(toolbox.__file__).parent / '.mim' / 'configs' / '_base_' / 'datasets' / name
    return Config.fromfile(path)


def build(cfg, scope, pipeline, **changes):
    init_default_scope(scope)
    return DATASETS.build(dict(cfg, pipeline=pipeline, **changes))


def check_seg(cfg, counts, data_root):
    dataset = build(cfg, 'mmseg', SEG, data_root=str(data_root))
    pixels, classes = Counter(), dataset.metainfo['classes']
    for sample in dataset:
        assert sample['img'].shape[:2] == sample['gt_seg_map'].shape == trees.SIZE[::-1]
        for value, number in zip(*np.unique(sample['gt_seg_map'], return_counts=True)):
            pixels['ignored' if value == 255 else classes[value]] += int(number)
    assert len(dataset) == counts.images > 0
    assert pixels == counts.pixels + Counter(ignored=counts.ignored)


def check_det(cfg, counts, data_root):
    dataset = build(cfg, 'mmdet', DET, data_root=str(data_root), filter_cfg=None)
    boxes, difficult = Counter(), 0
    for sample in dataset:
        height, width = sample['img'].shape[:2]
        corners = sample['gt_bboxes'].tensor.numpy()
        assert (corners >= 0).all() and (corners < [width, height, width, height]).all()
        assert (corners[:, 2:] > corners[:, :2]).all()
        boxes.update(dataset.metainfo['classes'][label] for label in sample['gt_bboxes_labels'])
        difficult += int(sample['gt_ignore_flags'].sum())
    assert len(dataset) == counts.images > 0
    assert (boxes, difficult) == (counts.boxes, counts.difficult)


def test_voc_segmentation(tmp_path):
    counts = trees.write_voc_devkit(tmp_path)['seg']
    cfg = base(mmseg, 'pascal_voc12_aug.py')
    folder = tmp_path / 'VOCdevkit/VOC2012'
    for data, split in zip([*cfg.train_dataloader.dataset.datasets, cfg.val_dataloader.dataset],
                           ('train', 'aug', 'val')):
        check_seg(data, counts[split], folder)
    assert counts['train'].ignored and not counts['aug'].ignored
    with Image.open(next((folder / 'SegmentationClass').iterdir())) as picture:
        assert picture.mode == 'P'


def test_voc_detection(tmp_path):
    counts = trees.write_voc_devkit(tmp_path, images=2)['det']
    cfg = base(mmdet, 'voc0712.py')
    parts = cfg.train_dataloader.dataset.dataset.datasets
    for data, split in zip([*parts, cfg.val_dataloader.dataset],
                           ('VOC2007/trainval', 'VOC2012/trainval', 'VOC2007/test')):
        check_det(data, counts[split], tmp_path / 'VOCdevkit')
        # The base's own filter must leave something to learn.
        dataset = build(data, 'mmdet', DET, data_root=str(tmp_path / 'VOCdevkit'))
        assert any(not sample['gt_ignore_flags'].all() for sample in dataset)
    assert set().union(*(split.boxes for split in counts.values())) == set(trees.VOC)
    assert counts['VOC2007/trainval'].difficult


def test_bccd(tmp_path):
    for split, counts in trees.write_bccd(tmp_path).items():
        check_det(dict(type='VOCDataset', metainfo=dict(classes=trees.BCCD),
                       ann_file=f'ImageSets/Main/{split}.txt', data_prefix=dict(sub_data_root='')),
                  counts, tmp_path / 'BCCD')


def test_cityscapes(tmp_path):
    counts = trees.write_cityscapes(tmp_path, images=1)
    cfg = base(mmseg, 'cityscapes.py')
    check_seg(cfg.train_dataloader.dataset, counts['train'], tmp_path)
    check_seg(cfg.val_dataloader.dataset, counts['val'], tmp_path)
    for path in tmp_path.rglob('*_labelIds.png'):
        published = np.asarray(Image.open(path))
        label = np.asarray(Image.open(str(path).replace('_labelIds', '_labelTrainIds')))
        for number, (_, identity) in enumerate(trees.CITYSCAPES):
            assert ((label == number) == (published == identity)).all()


def test_camvid(tmp_path):
    for split, counts in trees.write_camvid(tmp_path, images=2).items():
        assert set(counts.pixels) == set(trees.CAMVID) and counts.ignored
        counts.pixels['void'], counts.ignored = counts.ignored, 0
        check_seg(dict(type='BaseSegDataset', metainfo=dict(classes=(*trees.CAMVID, 'void')),
                       data_prefix=dict(img_path=f'images/{split}',
                                        seg_map_path=f'labels/{split}')), counts, tmp_path)


def test_rugd(tmp_path):
    counts = trees.write_rugd(tmp_path, images=2)
    colours = dict(trees.RUGD)
    pixels = Counter()
    for path in (tmp_path / 'RUGD_annotations').rglob('*.png'):
        label = np.asarray(Image.open(path))
        frame = tmp_path / 'RUGD_frames-with-annotations' / path.parent.name / path.name
        assert np.asarray(Image.open(frame)).shape == label.shape
        pixels.update({name: int((label == colour).all(-1).sum())
                       for name, colour in colours.items()})
    void = pixels.pop('void')
    assert pixels == sum((split.pixels for split in counts.values()), Counter())
    assert void == sum(split.ignored for split in counts.values()) > 0
    lines = (tmp_path / 'RUGD_annotations/RUGD_annotation-colormap.txt').read_text().splitlines()
    assert len(lines) == 25 and lines[1] == '1 dirt 108 64 20'
