import subprocess
import sys

import numpy as np
import pytest
from mmseg.registry import TRANSFORMS
from PIL import Image

from mmips.datasets import RUGDDataset
from mmips.datasets.rugd_labels import SPLITS

# Written out by hand from the paper's Table 7, id by id: void, dirt, sand, grass, tree, pole,
# water, sky, vehicle, container, asphalt, gravel, building, mulch, rock-bed, log, bicycle,
# person, fence, bush, sign, rock, bridge, concrete, picnic-table.
SMOOTH, ROUGH, BUMPY, FORBIDDEN, OBSTACLE, BACKGROUND = range(6)
COARSE_OF_ID = [
    BACKGROUND, ROUGH, ROUGH, ROUGH, OBSTACLE, OBSTACLE, FORBIDDEN, BACKGROUND, OBSTACLE, OBSTACLE,
    SMOOTH, ROUGH, OBSTACLE, ROUGH, BUMPY, OBSTACLE, OBSTACLE, OBSTACLE, OBSTACLE, OBSTACLE,
    BACKGROUND, BUMPY, OBSTACLE, SMOOTH, OBSTACLE
]
FINE_OF_ID = [255, *range(24)]
IDS = np.arange(25, dtype=np.uint8).reshape(5, 5)


def write(root, name, ids=IDS):
    for folder, image in (('frames', np.zeros((*ids.shape, 3), np.uint8)), ('labels', ids)):
        path = root / folder / f'{name}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)


@pytest.fixture
def root(tmp_path):
    for videos in SPLITS.values():
        for video in videos:
            for number in (6, 1):
                write(tmp_path, f'{video}/{video}_0000{number}')
    return tmp_path


def load_label(dataset, index=0, **changes):
    load = TRANSFORMS.build(dict(type='LoadAnnotations'))
    return load({**dataset.get_data_info(index), **changes})['gt_seg_map']


def names(dataset):
    return ['/'.join(dataset.get_data_info(i)['seg_map_path'].removesuffix('.png').split('/')[-2:])
            for i in range(len(dataset))]


@pytest.mark.parametrize('level, expected', [('coarse', COARSE_OF_ID), ('fine', FINE_OF_ID)])
def test_ids_become_classes(root, level, expected):
    """The ids chain (void 0 -> 5 background, pole 5 -> 4): in either order of the map."""
    dataset = RUGDDataset(str(root), level=level)
    assert load_label(dataset).ravel().tolist() == expected
    backwards = dict(reversed(dataset.label_map.items()))
    assert load_label(dataset, label_map=backwards).ravel().tolist() == expected


def test_names_and_palette(root):
    coarse, fine = (RUGDDataset(str(root), level=level).metainfo for level in ('coarse', 'fine'))
    assert coarse['classes'] == (
        'smooth', 'rough', 'bumpy', 'forbidden', 'obstacle', 'background')
    assert coarse['palette'][0] == [0, 128, 0] and len(coarse['palette']) == 6
    assert fine['classes'][23] == 'picnic-table' and fine['palette'][23] == [114, 85, 47]
    assert len(fine['classes']) == len(set(map(tuple, fine['palette']))) == 24
    # mmseg's tools look here for the names of what a dataset gives them.
    assert RUGDDataset(str(root)).METAINFO == coarse
    own = RUGDDataset(str(root), metainfo=dict(palette=[[k] * 3 for k in range(6)]))
    assert own.metainfo['palette'][5] == [5, 5, 5]


def test_splits_are_by_video(root):
    seen = {split: names(RUGDDataset(str(root), split=split)) for split in SPLITS}
    assert seen['val'] == ['park-8/park-8_00001', 'park-8/park-8_00006', 'trail-5/trail-5_00001',
                           'trail-5/trail-5_00006']
    assert {name.split('/')[0] for name in seen['test']} == {
        'creek', 'park-1', 'trail-7', 'trail-13'}
    assert [len(seen[split]) for split in ('train', 'val', 'test')] == [24, 4, 8]
    (root / 'list.txt').write_text('trail-5/trail-5_00006\ncreek/creek_00001\n')
    for split in ('train', None):
        dataset = RUGDDataset(str(root), split=split, ann_file='list.txt')
        assert names(dataset) == ['trail-5/trail-5_00006', 'creek/creek_00001']
    path = dataset.get_data_info(1)['img_path']
    assert path == str(root / 'frames/creek/creek_00001.png')


def test_chosen_classes(root):
    dataset = RUGDDataset(str(root), metainfo=dict(classes=('water', 'smooth')))
    assert dataset.metainfo['palette'] == [[0, 128, 255], [0, 128, 0]]
    label = load_label(dataset).ravel()
    assert np.flatnonzero(label == 0).tolist() == [6]
    assert np.flatnonzero(label == 1).tolist() == [10, 23]
    assert (np.delete(label, [6, 10, 23]) == 255).all()


@pytest.mark.parametrize('options, message', [
    (dict(level='medium'), "'coarse' or 'fine', got 'medium'"),
    (dict(split='trainval'), "'train' or 'val' or 'test', got 'trainval'"),
    (dict(split=None), 'got None'), (dict(reduce_zero_label=True), 'would shift the ids'),
    (dict(metainfo=dict(classes=('lava', ))), r"no class \['lava'\]"),
    (dict(metainfo=dict(classes=('forbidden', 'water'))), 'one is in two'),
])
def test_wrong_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        RUGDDataset('nowhere', **options)


@pytest.mark.parametrize('gone, options, message', [
    ('labels/village/village_00001.png', {}, '1 files of 24 images .*labels/village/village_00001'),
    ('frames/village/village_00001.png', dict(ann_file='list.txt'), '1 files of 2 .*frames/vill'),
    ('frames/park-8', dict(split='val'), '1 files of 2 images are missing, such as .*park-8'),
    ('labels', dict(split='test'), '8 files of 8'), ('frames', dict(split='test'), '4 files of 0'),
])
def test_nothing_is_left_out_in_silence(root, gone, options, message):
    (root / 'list.txt').write_text('village/village_00001\nvillage/village_00006\n')
    (root / gone).rename(root / 'elsewhere')
    match = f'{message}.*http://rugd.vision/.*tools/dataset_converters/rugd.py'
    with pytest.raises(FileNotFoundError, match=match):
        RUGDDataset(str(root), **options)


def test_datasets_import_without_mmseg():
    # Without mmpretrain too: it takes seconds to import.
    code = """
import sys
import mmips.compat
find = mmips.compat.find_spec
mmips.compat.find_spec = lambda name: None if name in ('mmseg', 'mmpretrain') else find(name)
sys.modules['mmseg'] = None
import mmips.datasets
from mmips.datasets.rugd_labels import LABELS
assert mmips.datasets.__all__ == ['count_npz_classes', 'find_classes'] and len(LABELS) == 25
print('ok')
"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.stdout.strip() == 'ok', done.stderr
