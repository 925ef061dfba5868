"""The tool on networks that repeat the ground truth but for errors which their weights name."""
import csv
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import trees
from mmengine.model import BaseModel
from mmengine.registry import MODELS, DefaultScope
from PIL import Image
from torch import nn

import mmips

TOOL = (Path(__file__).resolve().parents[2] / 'tools' / 'visualization'
        / 'compare_predictions.py')
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
#: What tools/test.py needs, which neither drops pretrained files nor knows a bare SyncBN.
PLAIN = ['--cfg-options', 'model.norm=BatchNorm2d']


class Echo(BaseModel):
    """Weights: the share of the images' width in which a class is mistaken for the next."""

    def __init__(self, num_classes, pretrained=None, backbone=None, data_preprocessor=None,
                 norm='SyncBatchNorm'):
        super().__init__(data_preprocessor)
        # As the networks of the toolboxes do at the latest when they are initialised.
        assert pretrained is None and not (backbone or {}).get('init_cfg')
        self.errors = nn.Parameter(torch.zeros(num_classes))
        self.norm = getattr(nn, norm)(3)

    def forward(self, inputs, data_samples, mode):
        raise NotImplementedError


@MODELS.register_module(force=True)
class EchoSegmentor(Echo):

    def forward(self, inputs, data_samples, mode):
        from mmengine.structures import PixelData
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
        from mmengine.structures import InstanceData
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
    state = Echo(len(weights)).state_dict() | {'errors': weights}
    torch.save(dict(state_dict=state, meta=dict(epoch=1), message_hub=np.float64(1)), path)
    return str(path)


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('tool_compare_predictions', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def no_default_scope(monkeypatch):
    monkeypatch.setattr(DefaultScope, '_instance_dict', type(DefaultScope._instance_dict)())


@pytest.fixture
def seg(elsewhere):
    trees.write_camvid('camvid')
    Path('seg.py').write_text(SEG)
    return ['seg.py', save('run/first.pth', c0=.5, c3=.3), save('run/second.pth', c0=.2, c4=.4)]


@pytest.fixture
def det(elsewhere):
    trees.write_bccd('.')
    # One difficult box: it must neither count nor be hidden.
    file = sorted(Path('BCCD/Annotations').glob('*.xml'))[12]
    file.write_text(file.read_text().replace('<difficult>0', '<difficult>1', 1))
    Path('det.py').write_text(DET)
    return ['det.py', save('run/first.pth', classes=3, c0=.4, c2=.2),
            save('run/second.pth', classes=3, c2=.1)]


def table(folder):
    with open(f'{folder}/per_class.csv', newline='') as file:
        rows = list(csv.reader(file))
    return {row[0]: row[1:] for row in rows}


def test_segmentation(tool, seg, evaluate, capsys):
    scores = tool.main([*seg, '--names', 'old', 'new', '--out', 'some/out'])
    capsys.readouterr()
    for name, checkpoint in zip(('old', 'new'), seg[1:]):
        reported = evaluate(['seg.py', checkpoint, *PLAIN, 'model.pretrained=None',
                             f'experiment_name={name}'])
        assert {key: round(value, 2) for key, value in scores[name].totals.items()} == (
            pytest.approx({key: reported[key] for key in ('mIoU', 'aAcc')}, abs=1e-6))
        assert 50 < scores[name].totals['mIoU'] < 100
        assert np.nanmean(scores[name].values) == pytest.approx(scores[name].totals['mIoU'])
    assert sorted(path.name for path in Path('some/out').iterdir()) == [
        'per_class.csv', 'per_class.md', 'predictions.png']
    rows = table('some/out')
    assert rows.pop('class') == ['old', 'new', 'new - old']
    assert list(rows) == [*trees.CAMVID, 'mIoU', 'aAcc']
    for old, new, change in rows.values():
        assert float(change) == pytest.approx(float(new) - float(old), abs=1e-9)
    assert float(rows['sky'][2]) > 0 > float(rows['pavement'][2])
    assert rows['car'] == ['100.00', '100.00', '+0.00']
    assert Image.open('some/out/predictions.png').width > 1000


def test_what_is_printed_is_what_is_written(tool, seg, capsys):
    tool.main([*seg, '--names', 'old', 'new', '--out', 'out', '--baseline', 'new'])
    text = Path('out/per_class.md').read_text()
    assert text in capsys.readouterr().out
    sky = next(line for line in text.splitlines() if line.startswith('| sky'))
    pavement = next(line for line in text.splitlines() if line.startswith('| pavement'))
    assert '**' not in sky and ' -' in sky and '**+' in pavement
    # Worse on sky, building, road; better on pavement and tree; equal elsewhere.
    assert 'old: better on 2 of 11 classes than new.' in text


@pytest.fixture
def drawn(tool, monkeypatch):
    """Run the tool and return the examples it draws, beside its scores."""

    def run(*argv):
        from mmips.visualization import predictions as module
        given = []

        def record(examples, *args, **kwargs):
            given.extend(examples)
            return Image.new('RGB', (8, 8))

        monkeypatch.setattr(module, 'draw_predictions', record)
        return given, tool.main([*argv, '--out', 'out'])

    return run


def test_draws_the_chosen_images_in_original_size(drawn, seg):
    examples, _ = drawn(*seg, '--images', '3', '0')
    files = sorted(Path('camvid/labels/test').iterdir())
    assert [one.caption for one in examples] == [f'{number}: {files[number].stem}.jpg'
                                                 for number in (3, 0)]
    for one, number in zip(examples, (3, 0)):
        label = np.asarray(Image.open(files[number])).astype(int)
        label[label == 11] = 255
        assert np.array_equal(one.truth, label)
        image = Image.open(f'camvid/images/test/{files[number].stem}.jpg')
        assert np.abs(one.image.astype(int) - np.asarray(image)).max() <= 2
        wrong = [(one.truth != found) & (label < 255) for found in one.predictions]
        assert wrong[0].any() and set(label[wrong[0]]) <= {0, 3}
        assert set(label[wrong[1]]) <= {0, 4}


def test_images_by_number_and_split(drawn, seg):
    for argv, numbers in (((), [0, 1, 2, 3]), (['--num', '9'], [0, 1, 2, 3]),
                          (['--num', '2'], [1, 3]), (['--num', '1', '--split', 'val'], [2])):
        examples, _ = drawn(*seg, *argv)
        assert [int(one.caption.partition(':')[0]) for one in examples] == numbers
        split = 'val' if '--split' in argv else 'test'
        assert (Path(f'camvid/images/{split}') / examples[0].caption[3:]).is_file()


def test_keeps_the_chosen_predictions_alone(tool, seg, monkeypatch):
    kept, predict = [], tool.predict

    def record(*args):
        kept.append(predict(*args))
        return kept[-1]

    monkeypatch.setattr(tool, 'predict', record)
    tool.main([*seg, '--out', 'out', '--images', '2'])
    assert [list(one[1]) for one in kept] == [[2], [2]]


def test_detection(drawn, det, evaluate):
    examples, scores = drawn(*det, '--images', '0', '1')
    for name, checkpoint in zip(('run/first', 'run/second'), det[1:]):
        reported = evaluate(['det.py', checkpoint, *PLAIN, 'model.backbone=None',
                             f'experiment_name={name}'])['pascal_voc/mAP']
        assert scores[name].totals['mAP'] == pytest.approx(100 * reported)
        assert np.mean(scores[name].values) == pytest.approx(100 * reported)
    assert scores['run/second'].values[:2] == [100, 100]
    assert 0 < scores['run/first'].totals['mAP'] < scores['run/second'].totals['mAP']
    rows = table('out')
    assert list(rows) == ['class', *trees.BCCD, 'mAP']
    truth = examples[0].truth
    # The difficult one is the first of the first test image.
    assert truth.difficult.tolist() == [True, False] and truth.labels.tolist() == [0, 2]
    left, top, right, bottom = trees._large_box(12, trees.SIZE)
    # The format counts pixels from 1, the toolbox from 0.
    assert truth.boxes[0].tolist() == [left - 1, top - 1, right - 1, bottom - 1]
    # The second network only moves platelets, and the difficult box is none to be found.
    found = examples[1].predictions[1]
    assert np.array_equal(found.boxes[0], examples[1].truth.boxes[0])
    assert found.boxes[1][0] == pytest.approx(1.1 * examples[1].truth.boxes[1][0])


def test_a_class_without_boxes_does_not_count(drawn, det):
    file = Path('BCCD/ImageSets/Main/test.txt')
    # Every other image has no white cell.
    file.write_text('\n'.join(file.read_text().split()[::2]))
    _, scores = drawn(*det)
    one = scores['run/first']
    assert np.isnan(one.values[1]) and one.totals['mAP'] == pytest.approx(np.nanmean(one.values))
    assert 'of 2 classes' in Path('out/per_class.md').read_text()
    assert '| WBC | – | – |' in Path('out/per_class.md').read_text()
    assert table('out')['WBC'] == ['', '', '']


def test_coco(drawn, det, evaluate):
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
    _, scores = drawn(*det)
    reported = evaluate(['det.py', det[1], *PLAIN, 'model.backbone=None'])
    one = scores['run/first']
    assert one.totals['mAP'] == pytest.approx(100 * reported['coco/bbox_mAP'])
    assert 0 < one.totals['mAP'] < 100 and one.values[1] == pytest.approx(100)
    assert np.mean(one.values) == pytest.approx(one.totals['mAP'], abs=0.1)


def test_a_shipped_config_as_a_run_dumps_it(tool, elsewhere, evaluate):
    """DeepLabV3+ with random weights; the dumped config names a pretrained file that is gone."""
    from mmengine.config import Config
    trees.write_camvid('camvid', images=2)
    cfg = Config.fromfile(mmips.cfg('seg/deeplabv3plus_r18-w16_ips_camvid.py'))
    cfg.test_dataloader.dataset.data_root = 'camvid'
    cfg.test_dataloader.num_workers = 0
    cfg.norm_cfg = cfg.model.backbone.norm_cfg = dict(type='SyncBN', requires_grad=True)
    cfg.load_from, cfg.resume = 'gone.pth', True
    cfg.dump('dumped.py')
    args = tool.parse_args(['dumped.py', 'w.pth', '--out', 'out'])
    torch.save({}, 'w.pth')
    cfg = tool.loading.load_config('dumped.py')
    tool.prepare(cfg, args)
    assert 'Pretrained' not in str(cfg.model)
    tool.cli.sources.check_paths(cfg, ('test_dataloader', ))
    from mmengine.registry import init_default_scope
    init_default_scope('mmseg')
    model = tool.predictions.build_model(cfg)
    # In training SyncBN refuses CPU tensors; some versions of torch refuse them always.
    assert cfg.model.backbone.norm_cfg.type == 'SyncBN'
    assert not any(isinstance(part, nn.SyncBatchNorm) for part in model.modules())
    torch.save(dict(state_dict=model.state_dict()), 'w.pth')
    scores = tool.main(['dumped.py', 'w.pth', '--out', 'out', '--num', '1'])
    reported = evaluate(['dumped.py', 'w.pth', '--cfg-options', 'load_from=None',
                         'model.backbone.init_cfg=None', 'model.backbone.norm_cfg.type=BN'])
    assert round(next(iter(scores.values())).totals['mIoU'], 2) == pytest.approx(reported['mIoU'])


def test_default_names(tool):
    args = tool.parse_args(['c.py', 'a/one/epoch_1.pth', '/b/two/epoch_1.pth', '--out', 'x'])
    assert args.names == ['one/epoch_1', 'two/epoch_1'] and args.baseline == 'one/epoch_1'


@pytest.mark.parametrize('argv, words', [
    (['--names', 'a'], ['--names needs a name for each of the 2 checkpoints', "got 1: ['a']"]),
    (['--names', 'a', 'a'], ['the names must differ']),
    (['--baseline', 'b'], ["--baseline must be one of ['run/first', 'run/second'], got 'b'"]),
    (['--num', '0'], ['--num must be at least 1, got 0']),
    (['--images', '4'], ['the test split has 4 images, 0 to 3, but got [4]']),
    (['--images', '-1', '0'], ['but got [-1]']),
    (['--cfg-options', 'test_dataloader.dataset.data_root=gone'],
     ['CamVid', 'is missing', 'gone/images/test']),
    (['--cfg-options', 'test_evaluator.type=Accuracy'],
     ['seg.py has Accuracy as its test_evaluator', 'IoUMetric, VOCMetric, CocoMetric']),
    (['--cfg-options', 'val_dataloader=None', '--split', 'val'], ['has no val_dataloader']),
    (['--cfg-options', 'test_evaluator.format_only=True'], ['IoUMetric(format_only=True)'])])
def test_messages(tool, seg, capsys, argv, words):
    with pytest.raises(SystemExit) as caught:
        tool.main([*seg, '--out', 'out', *argv])
    error = capsys.readouterr().err
    assert caught.value.code == 2 and 'Traceback' not in error
    for word in words:
        assert word in error
    assert not list(Path('.').glob('out/*'))


def test_a_classification_config(tool, seg, capsys):
    with pytest.raises(SystemExit):
        tool.main(['ips/resnet-s_ips_digits.py', seg[1], '--out', 'out'])
    assert 'digits.py has Accuracy as its test_evaluator' in capsys.readouterr().err


@pytest.mark.parametrize('make, words', [
    (lambda: 'run/gone.pth', ["'run/gone.pth', named by the command line", 'first.pth']),
    (lambda: save('run/bad.pth', classes=5),
     ['run/bad.pth is not a checkpoint of this config',
      '1 of another shape: errors (5,) instead of (11,)']),
    (lambda: torch.save(dict(state_dict={f'stem.{n}': torch.ones(2) for n in range(5)}),
                        'run/bad.pth') or 'run/bad.pth',
     ['5 unknown to the config: stem.0, stem.1, stem.2 ...', '5 missing in the file: errors']),
    (lambda: Path('run/bad.pth').write_text('hello') and 'run/bad.pth',
     ['run/bad.pth cannot be read as a checkpoint']),
    (lambda: torch.save({}, 'run/bad.pth') or 'run/bad.pth', ['run/bad.pth holds no weights'])])
def test_a_checkpoint_that_does_not_fit_is_refused_first(tool, seg, capsys, monkeypatch, make,
                                                         words):
    monkeypatch.setattr(tool, 'predict', lambda *args: pytest.fail('A network was run.'))
    with pytest.raises(SystemExit) as caught:
        tool.main([*seg, make(), '--out', 'out'])
    error = capsys.readouterr().err
    assert caught.value.code == 2 and 'Traceback' not in error
    for word in words:
        assert word in error


def test_colours_of_a_set_without_a_palette(tool):
    classes = [str(number) for number in range(20)]
    assert tool.colours(dict(classes=classes[:2], palette=[(1, 2, 3)] * 4)) == [(1, 2, 3)] * 2
    for palette in (None, 'coco', [(0, 0, 0)]):
        assert len(set(tool.colours(dict(classes=classes, palette=palette)))) == 20
