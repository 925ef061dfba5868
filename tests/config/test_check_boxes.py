import os
from pathlib import Path

import pytest
from helpers import trees
from helpers.findings import problems
from PIL import Image

BCCD = """
default_scope = 'mmdet'
def data(split):
    return dict(dataset=dict(
        type='VOCDataset', data_root='data/bccd/BCCD', pipeline=[],
        ann_file=f'ImageSets/Main/{split}.txt', data_prefix=dict(sub_data_root=''),
        metainfo=dict(classes=('RBC', 'WBC', 'Platelets'))))
train_dataloader, val_dataloader, test_dataloader = data('train'), data('val'), data('test')
del data
"""


def rewrite(name, *objects, size=trees.SIZE):
    Path(f'data/bccd/BCCD/Annotations/{name}.xml').write_text(
        trees.voc_xml(name, size, objects))


def test_boxes(config, check):
    trees.write_bccd('data/bccd', images=6)
    rewrite('BloodImage_00000', ('RBC ', (1, 1, 9, 9), False), ('rbc', (1, 1, 9, 9), False),
            ('WBC', (1, 1, 9, 9), True))
    rewrite('BloodImage_00001', ('RBC', (5, 5, 5, 9), False), ('RBC', (70, 5, 80, 9), False))
    rewrite('BloodImage_00002', ('RBC', (0, 1, 9, 9), False), ('RBC', (60, 40, 66, 48), False))
    rewrite('BloodImage_00003')
    rewrite('BloodImage_00004', ('RBC', (1, 1, 9, 9), False), size=(48, 64))
    Path('data/bccd/BCCD/Annotations/BloodImage_00006.xml').unlink()
    Path('data/bccd/BCCD/Annotations/BloodImage_00007.xml').write_text('<annotation>')
    right, out, splits = check(config(BCCD), decode=True)
    assert not right
    train = splits['train']
    assert problems(train) == {'class name': 2, 'box without area': 1, 'box outside': 1,
                               'box across the border': 2, 'size': 1}
    assert train['counts'] == dict(RBC=5, WBC=2, Platelets=1)
    assert train['images_with'] == dict(RBC=3, WBC=2, Platelets=1)
    assert train['notes'] == {'difficult': 1, 'ignored': 1, 'without boxes': 1, 'left out': 0}
    assert "BloodImage_00000.xml: 'RBC '" in out and "BloodImage_00000.xml: 'rbc'" in out
    assert 'BloodImage_00001.xml: RBC [4, 4, 4, 8] in 64x48' in out
    assert 'BloodImage_00004.jpg: 64x48, its annotation says 48x64' in out
    assert 'filter_cfg.bbox_min_size=1' in out
    assert problems(splits['val']) == {'missing annotation': 1, 'unreadable annotation': 1}
    _, out, splits = check(config(BCCD, "train_dataloader['dataset']['filter_cfg'] = "
                                  'dict(filter_empty_gt=True)\n'))
    assert splits['train']['images'] == 5 and splits['train']['notes']['left out'] == 1
    assert '1 images left out by filter_cfg' in out


@pytest.mark.parametrize('size, wrong', [((48, 64), {}), ((64, 48), {'size': 1})])
def test_images_are_turned_by_their_exif_data(size, wrong, config, check):
    trees.write_bccd('data/bccd')
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new('RGB', size).save('data/bccd/BCCD/JPEGImages/BloodImage_00000.jpg', exif=turned)
    assert problems(check(config(BCCD), decode=True)[2]['train']) == wrong


def test_boxes_beyond_the_classes_of_the_model(config, check):
    trees.write_bccd('data/bccd')
    right, out, _ = check(config(BCCD, 'model = dict(bbox_head=dict(num_classes=2))\n'))
    assert not right and '.xml: 2 (2 classes)' in out


def test_boxes_that_are_only_a_warning(config, check):
    trees.write_bccd('data/bccd')
    for name in ('BloodImage_00002', 'BloodImage_00006'):
        rewrite(name, ('RBC', (5, 5, 5, 9), False), ('RBC', (5, 5, 9, 9), False))
    lists = Path('data/bccd/BCCD/ImageSets/Main')
    os.symlink('BloodImage_00004.jpg', 'data/bccd/BCCD/JPEGImages/copy.jpg')
    rewrite('copy')
    (lists / 'test.txt').write_text('BloodImage_00003\ncopy\n')
    right, out, splits = check(config(BCCD, (
        "train_dataloader['dataset']['filter_cfg'] = dict(bbox_min_size=1)\n"
        "val_dataloader['dataset']['test_mode'] = True\n")))
    # Nothing learns these.
    assert problems(splits['train']) == problems(splits['val']) == {'empty box': 1}
    assert right and 'no prediction can match' in out
    assert [os.path.basename(path) for path in splits['test']['problems']['duplicate']] == [
        'BloodImage_00003.jpg', 'BloodImage_00004.jpg']
    assert 'warning in test: 2 images that are both in train and in val or test' in out


def test_workers_find_the_same(config, check):
    trees.write_bccd('data/bccd', images=70)
    rewrite('BloodImage_00003', ('rbc', (1, 1, 9, 9), False))
    assert check(config(BCCD), workers=0) == check(config(BCCD), workers=2)
