import signal
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from mmips.evaluation.data import ERRORS, WARNINGS, Split, _map
from mmips.evaluation.data_items import Job, inspect_record


@pytest.fixture
def job():
    return Job(None, ('cat', 'dog'))


@pytest.mark.parametrize('box, kind', [
    ((0, 0, 10, 5), ''),
    ((9, 4, 10, 5), ''),
    ((3, 1, 3, 4), 'box without area'),
    ((3, 4, 6, 1), 'box without area'),
    ((10, 0, 12, 3), 'box outside'),
    ((-3, -3, 0, 0), 'box outside'),
    ((-1, 0, 4, 4), 'box across the border'),
    ((0, 0, 4, 6), 'box across the border'),
])
def test_boxes_are_judged_by_the_size_of_the_image(box, kind, job):
    record = dict(width=10, height=5, xml_path='a.xml', instances=[dict(bbox=box, bbox_label=1)])
    found = inspect_record(job, record)
    assert [name for name, _ in found['problems']] == ([kind] if kind else [])
    # Wrong boxes are counted, for training would see them.
    assert found['counts'] == Counter(dog=1)


def test_several_labels_of_one_image(job):
    found = inspect_record(job, dict(gt_label=[0, 1, 1]))
    assert found['counts'] == Counter(cat=1, dog=1) and not found['problems']
    found = inspect_record(job, dict(gt_label=[-1, 1], sample_idx=7))
    assert found['problems'] == [('label value', 'image 7: -1 (2 classes)')]


def test_without_classes_any_label_will_do():
    job = Job(None)
    assert inspect_record(job, dict(gt_label=np.array(41)))['counts'] == Counter({'41': 1})


def test_remote_images_are_left_alone(job):
    found = inspect_record(job, dict(img_path='s3://bucket/a.jpg', gt_label=0))
    assert not found['problems'] and not found['paths']


def test_a_link_and_its_target_are_one_image(job, tmp_path):
    Image.new('RGB', (2, 2)).save(tmp_path / 'a.png')
    (tmp_path / 'b.png').symlink_to(tmp_path / 'a.png')
    found = inspect_record(job, dict(img_path=str(tmp_path / 'b.png'), gt_label=0))
    assert found['paths'] == [str(tmp_path / 'a.png')]


def test_a_split_adds_up():
    split = Split('train')
    for problem in ('duplicate', 'label value'):
        assert split.is_sound()
        split.add(dict(counts=Counter(cat=3), notes=Counter(ignored=2), problems=[(problem, 'x')]))
    assert (split.counts, split.images_with) == (Counter(cat=6), Counter(cat=2))
    assert split.notes['ignored'] == 4 and not split.is_sound()
    assert not set(ERRORS) & set(WARNINGS)


def test_workers_leave_ctrl_c_to_the_main_process():
    assert set(_map(signal.getsignal, [signal.SIGINT] * 64, 2, 'test')) == {signal.SIG_IGN}
    assert set(_map(signal.getsignal, [signal.SIGINT] * 63, 2, 'test')) != {signal.SIG_IGN}
