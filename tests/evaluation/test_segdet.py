"""On networks that repeat the ground truth but for errors which their weights name."""
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import trees
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.runner import Runner
from mmengine.structures import InstanceData, PixelData
from PIL import Image
from torch import nn

from mmips.evaluation import segdet
from mmips.evaluation.predictions import Request
from mmips.evaluation.segdet import compare_predictions
from mmips.visualization import predictions as drawing

SEG = """
default_scope = 'mmseg'
pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
            dict(type='PackSegInputs')]
model = dict(type='EchoSegmentor', num_classes=11, pretrained='no/such/file.pth',
             data_preprocessor=dict(type='SegDataPreProcessor'))
def data(split):
    return dict(batch_size=3, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True),
                dataset=dict(type='mmips.CamVidDataset', data_root='camvid', pipeline=pipeline,
                             data_prefix=dict(img_path=f'images/{split}',
                                              seg_map_path=f'labels/{split}')))
val_dataloader, test_dataloader = data('val'), data('test')
del data
val_evaluator = test_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
val_cfg = test_cfg = dict()
"""
DET = """
default_scope = 'mmdet'
pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True),
            dict(type='PackDetInputs')]
model = dict(type='EchoDetector', num_classes=3,
             backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='no/such/file.pth')),
             data_preprocessor=dict(type='DetDataPreprocessor'))
test_dataloader = dict(batch_size=4, num_workers=0, dataset=dict(
    type='VOCDataset', data_root='BCCD', ann_file='ImageSets/Main/test.txt', test_mode=True,
    data_prefix=dict(sub_data_root=''), pipeline=pipeline,
    metainfo=dict(classes=('RBC', 'WBC', 'Platelets'),
                  palette=[(220, 20, 60), (60, 60, 200), (0, 160, 90)])))
test_evaluator = dict(type='VOCMetric', metric='mAP', eval_mode='area')
test_cfg = dict()
"""


class Echo(BaseModel):
    """Weights: the share of the images' width in which a class is mistaken for the next."""

    def __init__(self, num_classes, pretrained=None, backbone=None, data_preprocessor=None,
                 norm='SyncBatchNorm'):
        super().__init__(data_preprocessor)
        # As the networks of the toolboxes do at the latest when they are initialised.
        assert pretrained is None and not (backbone or {}).get('init_cfg')
        self.errors = nn.Parameter(torch.zeros(num_classes))
        self.norm = getattr(nn, norm)(3)


@MODELS.register_module(force=True)
class EchoSegmentor(Echo):

    def forward(self, inputs, data_samples, mode):
        self.norm(inputs.float())
        for sample in data_samples:
            truth = sample.gt_sem_seg.data
            found = truth.clone()
            for label, share in enumerate(self.errors):
                part = slice(0, int(share * truth.shape[-1]))
                found[..., part][truth[..., part] == label] = (label + 1) % len(self.errors)
            found[found == 255] = 0
            sample.pred_sem_seg = PixelData(data=found)
        return data_samples


@MODELS.register_module(force=True)
class EchoDetector(Echo):

    def forward(self, inputs, data_samples, mode):
        for sample in data_samples:
            truth = sample.gt_instances
            boxes = truth.bboxes.clone()
            # Moved out of the image by the error of its class, and each at a score of its own.
            boxes[:, [0, 2]] += self.errors[truth.labels][:, None] * boxes[:, :1]
            scores = 0.9 - 0.4 * (boxes[:, 0] % 7) / 7
            sample.pred_instances = InstanceData(bboxes=boxes, labels=truth.labels, scores=scores)
        return data_samples


def save(path, **errors):
    """A checkpoint of an echo with errors by class number, written as a training run does."""
    weights = torch.zeros(errors.pop('classes', 11))
    for name, value in errors.items():
        weights[int(name[1:])] = value
    path = Path(path)
    path.parent.mkdir(exist_ok=True)
    state = EchoDetector(len(weights)).state_dict() | {'errors': weights}
    torch.save(dict(state_dict=state, meta=dict(epoch=1), message_hub=np.float64(1)), path)
    return str(path)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def seg():
    trees.write_camvid('camvid')
    Path('seg.py').write_text(SEG)
    return ['seg.py', save('run/first.pth', c0=.5, c3=.3), save('run/second.pth', c0=.2, c4=.4)]


@pytest.fixture
def det():
    trees.write_bccd('.')
    # One difficult box: it must neither count nor be hidden.
    file = sorted(Path('BCCD/Annotations').glob('*.xml'))[12]
    file.write_text(file.read_text().replace('<difficult>0', '<difficult>1', 1))
    Path('det.py').write_text(DET)
    return ['det.py', save('run/first.pth', classes=3, c0=.4, c2=.2),
            save('run/second.pth', classes=3, c2=.1)]


def ask(config, *checkpoints, **change):
    names = ['first', 'second', 'third'][:len(checkpoints)]
    return Request(**{**dict(config=config, checkpoints=checkpoints, names=names, out='out',
                             baseline='first', images=(), num=4, score_thr=0.3), **change})


@pytest.fixture
def compare(monkeypatch):
    """Compare without a picture; returns the scores and the examples that would be drawn."""

    def run(*args, **change):
        given = []
        monkeypatch.setattr(drawing, 'draw_predictions',
                            lambda examples, *_: given.extend(examples) or Image.new('L', (2, 2)))
        return compare_predictions(ask(*args, **change)), given

    return run


def reported(config, checkpoint, **options):
    """What mmengine's own test says."""
    cfg = Config.fromfile(config)
    cfg.merge_from_dict({'model.norm': 'BatchNorm2d', 'work_dir': 'run', 'load_from': checkpoint,
                         'experiment_name': checkpoint, **options})
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    return Runner.from_cfg(cfg).test()


def test_segmentation(seg, capsys):
    scores = compare_predictions(ask(*seg, out='some/out'))
    out = capsys.readouterr().out
    for name, checkpoint in zip(scores, seg[1:]):
        assert scores[name]['total'].round(2).to_dict() == pytest.approx(
            {key: value for key, value in reported(
                'seg.py', checkpoint, **{'model.pretrained': None}).items()
             if key in ('mIoU', 'aAcc')}, abs=1e-6)
        assert 50 < scores[name]['total', 'mIoU'] < 100
        assert scores[name]['IoU'].mean() == pytest.approx(scores[name]['total', 'mIoU'])
    assert sorted(path.name for path in Path('some/out').iterdir()) == [
        'per_class.csv', 'per_class.md', 'predictions.png']
    assert Path('some/out/per_class.md').read_text() in out
    rows = Path('some/out/per_class.csv').read_text().splitlines()
    assert rows[0] == 'class,first,second,second - first' and 'car,100.00,100.00,+0.00' in rows
    assert [row.partition(',')[0] for row in rows[1:]] == [*trees.CAMVID, 'mIoU', 'aAcc']
    assert Image.open('some/out/predictions.png').width > 1000


def test_draws_the_chosen_images_in_original_size(compare, seg):
    _, examples = compare(*seg, images=[3, 0], baseline='second')
    files = sorted(Path('camvid/labels/test').iterdir())
    assert [caption for caption, _, _ in examples] == [f'{number}: {files[number].stem}.jpg'
                                                       for number in (3, 0)]
    for (_, image, (truth, *found)), number in zip(examples, (3, 0)):
        label = np.asarray(Image.open(files[number])).astype(int)
        label[label == 11] = 255
        assert np.array_equal(truth, label)
        original = Image.open(f'camvid/images/test/{files[number].stem}.jpg')
        assert np.abs(image.astype(int) - np.asarray(original)).max() <= 2
        wrong = [set(label[(truth != labels) & (label < 255)]) for labels in found]
        assert wrong[0] and wrong[0] <= {0, 3} and wrong[1] <= {0, 4}
    _, spread = compare(*seg[:2], num=1, split='val', out='val')
    assert [caption for caption, _, _ in spread] == ['2: 0001TP_000006.jpg']
    # Worse on sky, building, road; better on pavement and tree; equal elsewhere.
    assert 'first: better on 2 of 11 classes than second.' in Path('out/per_class.md').read_text()


def test_detection(compare, det):
    scores, examples = compare(*det, images=[0, 1])
    for name, checkpoint in zip(scores, det[1:]):
        expected = 100 * reported('det.py', checkpoint, **{'model.backbone': None})[
            'pascal_voc/mAP']
        assert scores[name]['total', 'mAP'] == pytest.approx(expected)
        assert scores[name]['AP'].mean() == pytest.approx(expected)
    assert scores['second']['AP'].tolist()[:2] == [100, 100]
    assert 0 < scores['first']['total', 'mAP'] < scores['second']['total', 'mAP']
    corners = ['left', 'top', 'right', 'bottom']
    truth = examples[0][2][0]
    # The difficult one is the first of the first test image.
    assert truth['difficult'].tolist() == [True, False] and truth['label'].tolist() == [0, 2]
    # The format counts pixels from 1, the toolbox from 0.
    assert truth[corners].values[0].tolist() == [
        place - 1 for place in trees._large_box(12, trees.SIZE)]
    # The second network only moves platelets, and the difficult box is none to be found.
    truth, _, found = examples[1][2]
    assert np.array_equal(found[corners].values[0], truth[corners].values[0])
    assert found['left'][1] == pytest.approx(1.1 * truth['left'][1])


def test_coco(compare, det):
    """The same images with annotations in COCO's format."""
    names = Path('BCCD/ImageSets/Main/test.txt').read_text().split()
    content = dict(images=[], annotations=[], categories=[
        dict(id=number + 1, name=name) for number, name in enumerate(trees.BCCD)])
    for place, name in enumerate(names):
        content['images'].append(dict(id=place, file_name=f'{name}.jpg', width=64, height=48))
        for label, box in ((place % 2, trees._large_box(place, trees.SIZE)),
                           (2, trees._small_box(place, trees.SIZE))):
            left, top, right, bottom = box
            size = [right - left, bottom - top]
            content['annotations'].append(dict(
                id=len(content['annotations']) + 1, image_id=place, category_id=label + 1,
                bbox=[left - 1, top - 1, *size], area=size[0] * size[1], iscrowd=0))
    Path('test.json').write_text(json.dumps(content))
    Path('det.py').write_text(DET + """
test_dataloader['dataset'].update(
    type='CocoDataset', data_root='', ann_file='test.json', data_prefix=dict(
        img='BCCD/JPEGImages/'))
test_evaluator = dict(type='CocoMetric', ann_file='test.json', metric='bbox')
""")
    scores = compare(*det)[0]['first']
    expected = 100 * reported('det.py', det[1], **{'model.backbone': None})['coco/bbox_mAP']
    assert scores['total', 'mAP'] == pytest.approx(expected)
    assert 0 < expected < 100 and scores['AP', 'WBC'] == pytest.approx(100)
    assert scores['AP'].mean() == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize('settings, words', [
    (dict(images=[4]), ['the test split has 4 images, 0 to 3, but got [4]']),
    (dict(cfg_options={'test_dataloader.dataset.data_root': 'gone'}),
     ['CamVid', 'is missing', 'gone/images/test']),
    (dict(cfg_options={'test_evaluator.type': 'Accuracy'}),
     ['seg.py has Accuracy as its test_evaluator', 'IoUMetric, VOCMetric, CocoMetric']),
    (dict(cfg_options={'test_evaluator.format_only': True}), ['IoUMetric(format_only=True)'])])
def test_what_does_not_fit_is_refused(compare, seg, settings, words):
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        compare(*seg, **settings)
    for word in words:
        assert word in str(caught.value)
    assert not list(Path('.').glob('out/*'))


def test_a_checkpoint_that_does_not_fit_is_refused_first(compare, seg, monkeypatch):
    monkeypatch.setattr(segdet, '_predict', lambda *args: pytest.fail('A network was run.'))
    with pytest.raises(ValueError, match='run/bad.pth is not a checkpoint of this config'):
        compare(*seg, save('run/bad.pth', classes=5))
