import shutil
import subprocess
import sys

import numpy as np
import pytest
from mmseg.registry import TRANSFORMS
from PIL import Image

from mmips.datasets import RUGDDataset
from mmips.datasets.rugd_labels import COLOURS, SPLITS

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
    assert len(fine['classes']) == len(fine['palette']) == 24
    assert fine['classes'][23] == 'picnic-table' and fine['palette'][23] == [114, 85, 47]
    own = RUGDDataset(str(root), metainfo=dict(palette=[[k] * 3 for k in range(6)]))
    assert own.metainfo['palette'][5] == [5, 5, 5]
    assert len(set(COLOURS.values())) == len(COLOURS) == 25
    videos = sum(SPLITS.values(), ())
    assert len(videos) == len(set(videos)) == 18


def test_splits_are_by_video(root):
    seen = {split: names(RUGDDataset(str(root), split=split)) for split in SPLITS}
    assert seen['val'] == ['park-8/park-8_00001', 'park-8/park-8_00006', 'trail-5/trail-5_00001',
                           'trail-5/trail-5_00006']
    assert {name.split('/')[0] for name in seen['test']} == {
        'creek', 'park-1', 'trail-7', 'trail-13'}
    assert [len(seen[split]) for split in ('train', 'val', 'test')] == [24, 4, 8]


def test_list_takes_the_place_of_the_split(root):
    (root / 'list.txt').write_text('trail-5/trail-5_00006\n\ncreek/creek_00001.png\n')
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
    with pytest.raises(ValueError, match="no class 'lava'"):
        RUGDDataset(str(root), metainfo=dict(classes=('lava', )))
    with pytest.raises(ValueError, match="'water' is in two of the classes"):
        RUGDDataset(str(root), metainfo=dict(classes=('forbidden', 'water')))


@pytest.mark.parametrize('options, message', [
    (dict(level='medium'), "'coarse' or 'fine', got 'medium'"),
    (dict(split='trainval'), "'train', 'val' or 'test' .*got 'trainval'"),
    (dict(split=None), 'got None'),
    (dict(reduce_zero_label=True), 'would shift the ids'),
])
def test_wrong_arguments(root, options, message):
    with pytest.raises(ValueError, match=message):
        RUGDDataset(str(root), **options)


def test_nothing_is_left_out_in_silence(root):
    (root / 'list.txt').write_text('village/village_00001\nvillage/village_00006\n')

    def refused(message, **options):
        match = f'{message}.*http://rugd.vision/.*tools/dataset_converters/rugd.py'
        with pytest.raises(FileNotFoundError, match=match):
            RUGDDataset(str(root), **options)

    (root / 'labels/village/village_00001.png').unlink()
    refused('1 labels are missing, such as village/village_00001')
    (root / 'frames/village/village_00001.png').unlink()
    refused('1 frames are missing, such as village/village_00001', ann_file='list.txt')
    for folder in ('labels', 'frames'):
        shutil.rmtree(root / folder / 'park-8')
    refused('1 images of videos are missing, such as park-8', split='val')
    shutil.rmtree(root / 'labels')
    refused('8 labels are missing', split='test')


def test_wrong_lists_and_colours_instead_of_ids(root):
    with pytest.raises(FileNotFoundError, match='absent.txt'):
        RUGDDataset(str(root), ann_file='absent.txt')
    (root / 'empty.txt').write_text('\n')
    with pytest.raises(ValueError, match='empty.txt is empty'):
        RUGDDataset(str(root), ann_file='empty.txt')
    Image.new('RGB', (5, 5)).save(root / 'labels/park-8/park-8_00001.png')
    with pytest.raises(ValueError, match='park-8_00001.png is no image of label ids .*RGB'):
        RUGDDataset(str(root), split='val')


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
assert mmips.datasets.__all__ == ['find_classes'] and len(LABELS) == 25
print('ok')
"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.stdout.strip() == 'ok', done.stderr
