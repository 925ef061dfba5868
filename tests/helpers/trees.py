"""Tiny data sets in their published formats, and the numbers that hold for them.

Every function writes below a folder, the same bytes each time, and returns for each split what
was written: images, and boxes or pixels of each class. An object is a rectangle in a colour of
its class over grey noise, so that a network can learn it.
"""
import json
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from mmips.datasets.rugd_labels import COLOURS

SIZE = (64, 48)

VOC = ('aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair', 'cow',
       'diningtable', 'dog', 'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa',
       'train', 'tvmonitor')
BCCD = ('RBC', 'WBC', 'Platelets')
CAMVID = ('sky', 'building', 'pole', 'road', 'pavement', 'tree', 'sign symbol', 'fence', 'car',
          'pedestrian', 'bicyclist')
CITYSCAPES = ('road', 'sidewalk', 'building', 'wall', 'fence', 'pole', 'traffic light',
              'traffic sign', 'vegetation', 'terrain', 'sky', 'person', 'rider', 'car', 'truck',
              'bus', 'train', 'motorcycle', 'bicycle')
#: Class and its published colour; void, the first, is not a class of the data set.
RUGD = tuple(COLOURS.items())
IGNORED = 255


@dataclass
class Counts:
    """What a split holds: for detection boxes, with the difficult ones; else pixels."""
    names: list = field(default_factory=list)
    boxes: Counter = field(default_factory=Counter)
    difficult: int = 0
    pixels: Counter = field(default_factory=Counter)
    #: The images with a class in them.
    occurs: Counter = field(default_factory=Counter)
    ignored: int = 0

    @property
    def images(self):
        return len(self.names)

    def __add__(self, other):
        return Counts(self.names + other.names, self.boxes + other.boxes,
                      self.difficult + other.difficult)

    def count(self, name, label, classes, ignored=IGNORED):
        self.names.append(name)
        for value, number in zip(*np.unique(label, return_counts=True)):
            if value == ignored:
                self.ignored += int(number)
            else:
                self.pixels[classes[value]] += int(number)
                self.occurs[classes[value]] += 1


def write_voc_devkit(root, images=4, size=SIZE):
    """Pascal VOC 2007 and 2012 in ``root/VOCdevkit``, and SBD.

    Of each of VOC2007's train, val and test and VOC2012's train, val and images annotated by
    SBD alone there are ``images``; from 2 on every class has a box. An image holds two boxes, one
    of more than half its width and height, and a small one, in each third image difficult.

    SBD lies there as mmseg's ``voc_aug.py`` leaves it, its labels without a border. Returns
    ``det``, of 'VOC2007/train' ... 'VOC2012/trainval', and ``seg``, of VOC 2012's 'train', 'val'
    and SBD's 'aug'.
    """
    devkit, det, groups = Path(root) / 'VOCdevkit', {}, {}
    for place, key in enumerate(('VOC2007/train', 'VOC2007/val', 'VOC2007/test', 'VOC2012/train',
                                 'VOC2012/val', 'VOC2012/aug')):
        year = key.split('/')[0]
        groups[key] = [_voc_scene(year, number, size)
                       for number in range(place * images, (place + 1) * images)]
        det[key] = _write_boxes(devkit / year, groups[key], year)
    # The detection lists of VOC 2012 also name the images that SBD has outlined.
    det['VOC2012/train'] += det.pop('VOC2012/aug')
    for year in ('VOC2007', 'VOC2012'):
        det[f'{year}/trainval'] = det[f'{year}/train'] + det[f'{year}/val']
    for key, split in det.items():
        year, name = key.split('/')
        _write_list(devkit / year / f'ImageSets/Main/{name}.txt', split.names)
    return dict(det=det, seg=_write_voc_segmentation(devkit / 'VOC2012', groups))


def _voc_scene(year, number, size):
    """Name and objects, (class number, box from 1 to the size inclusive, difficult)."""
    first, second = 2 * number % len(VOC), (2 * number + 1) % len(VOC)
    name = f'{number:06d}' if year == 'VOC2007' else f'2012_{number:06d}'
    return name, size, [(first, _large_box(number, size), False),
                        (second, _small_box(number, size), number % 3 == 0)]


def _large_box(number, size):
    width, height = int(size[0] * 0.6), int(size[1] * 0.75)
    left, top = 1 + number % 3, 1 + number % 2
    return left, top, left + width - 1, top + height - 1


def _small_box(number, size):
    width, height = int(size[0] * 0.25), int(size[1] * 0.3)
    # Up to the last pixel: right and bottom equal the size, as published boxes may.
    right, bottom = size[0] - number % 3, size[1]
    return right - width + 1, bottom - height + 1, right, bottom


def _noise(name, size):
    # Not hash(): it differs between runs.
    rng = np.random.default_rng(sum(map(ord, name)))
    return rng.integers(60, 120, (size[1], size[0], 3), dtype=np.uint8)


def _class_colours(number, last=()):
    """A colour of its own for each class from 1, as VOC's palette has it, and one for void."""
    return [tuple(sum((value >> 3 * place + channel & 1) << 7 - place for place in range(3))
                  for channel in range(3)) for value in range(1, number + 1)] + [*last]


def _save(image, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **options)


def _write_list(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(''.join(f'{line}\n' for line in lines))


def _write_boxes(folder, scenes, title, classes=VOC):
    counts, colours = Counts(), _class_colours(len(classes))
    for name, size, objects in scenes:
        image = _noise(name, size)
        for kind, (left, top, right, bottom), difficult in objects:
            image[top - 1:bottom, left - 1:right] = colours[kind]
            counts.boxes[classes[kind]] += 1
            counts.difficult += difficult
        _save(image, folder / 'JPEGImages' / f'{name}.jpg', quality=95)
        _write_list(folder / 'Annotations' / f'{name}.xml', [
            voc_xml(name, size, [(classes[kind], *rest) for kind, *rest in objects], title)])
        counts.names.append(name)
    return counts


def voc_xml(name, size, objects, title='VOC2007'):
    """A VOC annotation; an object is (class name, (xmin, ymin, xmax, ymax) from 1, difficult)."""
    parts = [f'<object><name>{kind}</name><pose>Unspecified</pose><truncated>0</truncated>'
             f'<difficult>{int(difficult)}</difficult><bndbox><xmin>{box[0]}</xmin>'
             f'<ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>'
             for kind, box, difficult in objects]
    return (f'<annotation><folder>{title}</folder><filename>{name}.jpg</filename><size><width>'
            f'{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>'
            '<segmented>0</segmented>\n' + '\n'.join(parts) + '\n</annotation>')


def _outline(size, objects, border):
    """Label image of the objects, the later above, each with a border of one pixel."""
    label = np.zeros((size[1], size[0]), np.uint8)
    for kind, (left, top, right, bottom), _ in objects:
        label[top - 1:bottom, left - 1:right] = IGNORED
        label[top - 1 + border:bottom - border, left - 1 + border:right - border] = kind + 1
    return label


def _write_voc_segmentation(folder, groups):
    classes, lists = ('background', *VOC), folder / 'ImageSets/Segmentation'
    train, val, extra = (groups[f'VOC2012/{group}'] for group in ('train', 'val', 'aug'))
    counts = {split: Counts() for split in ('train', 'val', 'aug')}
    for split, scenes in (('train', train), ('val', val)):
        for name, size, objects in scenes:
            label = _outline(size, objects, border=1)
            counts[split].count(name, label, classes)
            picture = Image.fromarray(label)
            picture.putpalette(sum(_class_colours(255), (0, 0, 0)))
            _save(picture, folder / 'SegmentationClass' / f'{name}.png')
        _write_list(lists / f'{split}.txt', counts[split].names)
    # SBD covers the images that VOC left out, and half of VOC's own train and val.
    for name, size, objects in extra + train[::2] + val[::2]:
        label = _outline(size, objects, border=0)
        (counts['aug'] if (name, size, objects) in extra else Counts()).count(name, label, classes)
        _save(label, folder / 'SegmentationClassAug' / f'{name}.png')
    _write_list(lists / 'aug.txt', counts['aug'].names)
    _write_list(lists / 'trainaug.txt', counts['aug'].names + counts['train'].names)
    return counts


def write_bccd(root, images=6, size=SIZE):
    """Blood cells in ``root/BCCD``, Pascal VOC's format with three classes."""
    folder, counts = Path(root) / 'BCCD', {}
    for part, split in enumerate(('train', 'val', 'test')):
        numbers = range(part * images, (part + 1) * images)
        scenes = [(f'BloodImage_{number:05d}', size,
                   [(number % 2, _large_box(number, size), False),
                    (2, _small_box(number, size), False)]) for number in numbers]
        counts[split] = _write_boxes(folder, scenes, 'JPEGImages', BCCD)
        _write_list(folder / f'ImageSets/Main/{split}.txt', counts[split].names)
    return counts


def _tiles(number, kinds, size):
    """A label image of equal tiles, all of ``kinds`` in turn, another first each time."""
    columns = math.ceil(math.sqrt(len(kinds)))
    rows = math.ceil(len(kinds) / columns)
    y = np.arange(size[1]) * rows // size[1]
    x = np.arange(size[0]) * columns // size[0]
    return np.asarray(kinds, np.uint8)[(y[:, None] * columns + x + number) % len(kinds)]


def _colour_image(name, label, colours):
    noise = _noise(name, label.shape[::-1]).astype(int) - 90
    return np.clip(np.asarray(colours)[label] + noise, 0, 255).astype(np.uint8)


def write_cityscapes(root, images=3, size=SIZE):
    """Train with two cities, val with one, all 19 classes in every image."""
    colours, root = _class_colours(255, [(0, 0, 0)]), Path(root)
    counts = {'train': Counts(), 'val': Counts()}
    for split, city in (('train', 'aachen'), ('train', 'bochum'), ('val', 'frankfurt')):
        for number in range(images):
            name = f'{city}_000000_{number:06d}'
            label = _tiles(number, [*range(19), IGNORED], size)
            counts[split].count(name, label, CITYSCAPES)
            _save(_colour_image(name, label, colours),
                  root / f'leftImg8bit/{split}/{city}/{name}_leftImg8bit.png')
            _save(label, root / f'gtFine/{split}/{city}/{name}_gtFine_labelTrainIds.png')
    return counts


#: Videos written by ``write_rugd``, by the published split.
RUGD_VIDEOS = {'train': ('trail', 'village'), 'val': ('park-8', ), 'test': ('creek', )}


def write_rugd(root, images=3, size=SIZE, videos=RUGD_VIDEOS):
    """RUGD as published, labels being colours: all classes and void, the ignored, in each frame."""
    names, colours = zip(*RUGD)
    counts = {split: Counts() for split in videos}
    for split, video in ((split, video) for split, group in videos.items() for video in group):
        for number in range(images):
            name = f'{video}/{video}_{number * 5 + 1:05d}.png'
            label = _tiles(number, range(len(RUGD)), size)
            counts[split].count(name, label, names, ignored=0)
            _save(_colour_image(name, label, colours),
                  Path(root) / 'RUGD_frames-with-annotations' / name)
            _save(np.asarray(colours, np.uint8)[label], Path(root) / 'RUGD_annotations' / name)
    return counts


def write_camvid(root, images=4, size=SIZE):
    """``images/<split>`` and ``labels/<split>``, 11 classes and void, which is ignored."""
    void, counts = len(CAMVID), {}
    for part, split in enumerate(('train', 'val', 'test')):
        counts[split] = Counts()
        for number in range(part * images, (part + 1) * images):
            name = f'0001TP_{number:06d}'
            label = _tiles(number, range(void + 1), size)
            counts[split].count(name, label, CAMVID, ignored=void)
            _save(_colour_image(name, label, _class_colours(void, [(0, 0, 0)])),
                  Path(root) / 'images' / split / f'{name}.jpg', quality=95)
            _save(label, Path(root) / 'labels' / split / f'{name}.png')
    return counts


def write_ade20k(root, images=2, size=SIZE):
    """``images/<split>`` and ``annotations/<split>``: 150 classes from 1 and 0, the ignored."""
    colours = _class_colours(150, [(0, 0, 0)])
    counts = {'training': Counts(), 'validation': Counts()}
    for split in counts:
        for number in range(images):
            name, label = f'ADE_{split}_{number:08d}', _tiles(number, range(151), size)
            counts[split].count(name, label, range(-1, 150), ignored=0)
            _save(_colour_image(name, label, colours),
                  Path(root) / 'images' / split / f'{name}.jpg', quality=95)
            _save(label, Path(root) / 'annotations' / split / f'{name}.png')
    return counts


def write_coco(root, classes, images=2, size=SIZE):
    """COCO of 2017 with ``classes``, its own: a large and a small box, and their masks."""
    root, counts, colours = Path(root), {}, _class_colours(len(classes))
    for split in ('train', 'val'):
        counts[split], boxes = Counts([f'{number:012d}.jpg' for number in range(images)]), []
        for number, name in enumerate(counts[split].names):
            image = _noise(f'{split}{number}', size)
            for kind, (left, top, right, bottom), _ in _voc_scene('', number, size)[2]:
                image[top:bottom, left:right] = colours[kind]
                counts[split].boxes[classes[kind]] += 1
                boxes.append(dict(
                    id=len(boxes) + 1, image_id=number, category_id=kind + 1, iscrowd=0,
                    bbox=[left, top, right - left, bottom - top], area=1,
                    segmentation=[[left, top, right, top, right, bottom, left, bottom]]))
            _save(image, root / f'{split}2017' / name, quality=95)
        _write_list(root / f'annotations/instances_{split}2017.json', [json.dumps(dict(
            images=[dict(id=number, file_name=name, width=size[0], height=size[1])
                    for number, name in enumerate(counts[split].names)], annotations=boxes,
            categories=[dict(id=number, name=kind) for number, kind in enumerate(classes, 1)]))])
    return counts
