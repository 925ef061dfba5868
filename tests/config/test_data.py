from collections import Counter

import numpy as np
import pytest

from mmips.config.data_items import Inspector


@pytest.mark.parametrize('box, kind', [
    ((0, 0, 10, 5), ''), ((9, 4, 10, 5), ''),
    ((3, 1, 3, 4), 'box without area'), ((3, 4, 6, 1), 'box without area'),
    ((10, 0, 12, 3), 'box outside'), ((-3, -3, 0, 0), 'box outside'),
    ((-1, 0, 4, 4), 'box across the border'), ((0, 0, 4, 6), 'box across the border')])
def test_boxes_are_judged_by_the_size_of_the_image(box, kind):
    record = dict(width=10, height=5, xml_path='a.xml', instances=[dict(bbox=box, bbox_label=1)])
    found = dict(Inspector(('cat', 'dog'))(record))
    assert found.keys() == {'counts', 'notes', *filter(None, [kind])}
    # Wrong boxes are counted, for training would see them.
    assert found['counts'] == Counter(dog=1)


@pytest.mark.parametrize('classes, label, events', [
    (('cat', 'dog'), [0, 1, 1], [('counts', dict(cat=1, dog=1))]),
    (('cat', 'dog'), [-1, 1], [('counts', dict(dog=1)),
                               ('label value', 's3://b/a.jpg: -1 (2 classes)')]),
    # Without classes any label will do.
    ((), np.array(41), [('counts', {'41': 1})])])
def test_labels_of_a_remote_image_which_is_left_alone(classes, label, events):
    assert Inspector(classes)(dict(gt_label=label, img_path='s3://b/a.jpg')) == [
        ('notes', dict(remote=1)), *events]
