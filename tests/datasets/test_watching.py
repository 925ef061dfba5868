"""What is left out is told, and what cannot be read is named, while data sets are built."""
import json
import re
from pathlib import Path

import numpy as np
import pytest
from helpers import trees
from mmdet.datasets import BaseDetDataset, CocoDataset, VOCDataset
from mmengine.dataset import BaseDataset
from mmengine.logging import MMLogger
from mmengine.registry import DATASETS, init_default_scope

from mmips.datasets.watching import watch_annotations
from mmips.errors import UserError

XML = 'BCCD/Annotations/BloodImage_00000.xml'


@pytest.fixture(autouse=True)
def log(tmp_path, monkeypatch):
    """In an empty folder; function: what has been logged."""
    monkeypatch.chdir(tmp_path)
    MMLogger.get_instance('data', log_file='data.log')
    init_default_scope('mmdet')
    return lambda: Path('data.log').read_text()


def build(kind, **settings):
    with watch_annotations():
        return DATASETS.build(dict(type=kind, pipeline=[], **settings))


def bccd(*change, **settings):
    trees.write_bccd('.', images=3)
    if change:
        Path(XML).write_text(re.sub(*change, Path(XML).read_text(), flags=re.DOTALL))
    return build('VOCDataset', data_root='BCCD', ann_file='ImageSets/Main/train.txt',
                 data_prefix=dict(sub_data_root=''), metainfo=dict(classes=trees.BCCD), **settings)


def coco(classes, **settings):
    images = [dict(id=number, file_name=f'{number}.jpg', width=9, height=9) for number in range(3)]
    boxes = [dict(id=number, image_id=number % 2, category_id=number % 2, bbox=[1, 1, 4, 4],
                  area=16, iscrowd=0) for number in range(4)]
    Path('x.json').write_text(json.dumps(dict(images=images, annotations=boxes, categories=[
        dict(id=0, name='car'), dict(id=1, name='Traffic light')])))
    return build('CocoDataset', ann_file='x.json', data_prefix=dict(img='.'),
                 metainfo=dict(classes=classes), **settings)


@pytest.mark.parametrize('change, words', [
    ((r'</annotation>', ''), r'cannot be read \(ParseError: no element found'),
    ((r'.+', ''), 'is empty: put it right or leave it out'),
    ((r'bndbox', 'box'), r"cannot be read \(AttributeError: 'NoneType' object has no"),
    ((r'<xmin>1<', '<xmin>one<'), r"cannot be read \(ValueError: could not convert .* 'one'")])
def test_a_broken_annotation_is_named(change, words):
    with pytest.raises(UserError, match=rf'^{XML} {words}.*check_data.py CONFIG') as caught:
        bccd(*change)
    assert len(str(caught.value).splitlines()) == 1


def test_a_broken_list_is_named():
    with pytest.raises(UserError, match='^x.json cannot be read .JSONDecodeError: Expecting value'):
        Path('x.json').write_text('[1, ')
        build('CocoDataset', ann_file='x.json')
    with pytest.raises(UserError, match='^gone.txt does not exist: put it right'):
        build('VOCDataset', ann_file='gone.txt')


def test_boxes_of_unknown_classes_are_counted(log):
    bccd('RBC', 'rbc')
    line, = log().splitlines()
    assert 'WARNING' in line and line.endswith(
        'VOCDataset (BCCD/ImageSets/Main/train.txt) leaves out 1 boxes of classes that its '
        "metainfo does not name: 'rbc' (1).")
    coco(('car', 'traffic light'))
    assert log().endswith('(x.json) leaves out 2 boxes of classes that its metainfo does not name: '
                          "'Traffic light' (2).\n")


def test_images_that_are_filtered_are_counted(log):
    bccd('RBC|Platelets', 'x', filter_cfg=dict(filter_empty_gt=True))
    assert "'x' (2); and 1 of 3 images, without a box or too small for its filter_cfg.\n" in log()
    assert len(coco(('car', 'Traffic light'), filter_cfg=dict(filter_empty_gt=True))) == 2
    assert 'INFO - CocoDataset (x.json) leaves out 1 of 3 images, without' in log()


def camvid():
    trees.write_camvid('.', images=2)
    return build('mmips.CamVidDataset',
                 data_prefix=dict(img_path='images/train', seg_map_path='labels/train'))


def test_frames_of_another_format_are_counted(log):
    trees.write_camvid('.', images=2)
    Path('images/train/0001TP_000001.jpg').rename('images/train/0001TP_000001.png')
    Path('images/train/more').mkdir()
    assert len(camvid()) == 2  # written anew
    assert ('CamVidDataset (images/train) leaves out 1 files that do not end in its img_suffix '
            "'.jpg', such as 0001TP_000001.png.") in log()


def test_what_is_sound_says_nothing(log):
    bccd()
    camvid()
    coco(('car', 'Traffic light'))
    assert log() == ''


def test_nothing_left():
    with pytest.raises(UserError, match=r'^CocoDataset \(x.json\): all 3 images are left out'):
        coco(('bus', ), filter_cfg=dict(filter_empty_gt=True))
    Path('empty').mkdir()
    with pytest.raises(UserError, match=r'^CamVidDataset \(empty\): it has no image. Correct'):
        build('mmips.CamVidDataset', data_prefix=dict(img_path='empty', seg_map_path='labels'))


def test_a_data_set_says_itself_what_is_wrong():
    np.savez('x.npz', images=np.zeros((2, 2)), labels=np.zeros(2, int))
    with pytest.raises(ValueError, match='^x.npz: images must be uint8') as caught:
        build('mmips.ArrayDataset', ann_file='x.npz')
    assert not isinstance(caught.value, UserError)


def test_classes_are_as_before(tmp_path):
    before = BaseDataset.full_init, BaseDetDataset.full_init
    dataset = bccd()
    assert (BaseDataset.full_init, BaseDetDataset.full_init) == before
    assert isinstance(dataset, VOCDataset) and isinstance(coco(('car', )), CocoDataset)
    assert not {'filter_data', 'parse_data_info', '_parse_instance_info', 'COCOAPI', 'full_init'
                } & vars(dataset).keys()
    # One that is not built yet may be built later, too.
    lazy = bccd(lazy_init=True)
    lazy.full_init()
    assert len(lazy) == 3
