"""Segmentation and detection configs train an epoch, validate, save and resume.

Tiny data sets in their published formats lie below ``data/`` of a temporary folder that the tests
run in, and checkpoints of mmpretrain classifiers where the configs look for them, so that the
paths in the configs are used as they are.
"""
import copy
import math
import re
import runpy
from pathlib import Path

import pytest
import torch
from helpers import trees
from helpers.checkpoints import write_resnet
from helpers.configs import ROOT, load, names, narrow, untrained
from helpers.two_steps import Notes
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from mmips.config.pair_checks import check_config
from mmips.config.sources import iter_datasets
from mmips.datasets.rugd_labels import SPLITS
from mmips.runs import publish
from mmips.runs.runner import build_runner

pytest.importorskip('mmseg')
CocoDataset = pytest.importorskip('mmdet.datasets').CocoDataset
pytest.importorskip('mmcv._ext')

CONFIGS = names('seg', 'det')
IPS = [name for name in CONFIGS if '_ips_' in name]
# Configs in which each part of any config is found, numbers aside.
TRAINED = ['det/ssd300_r18-w16_ips_bccd.py', 'det/ssd300_r50_ips_voc0712.py',
           'seg/deeplabv3plus_r18-w16_ips_camvid.py', 'seg/deeplabv3plus_r50_ips_cityscapes.py',
           'seg/deeplabv3plus_r50_ips_voc12aug.py', 'seg/fcn_r50_ips_cityscapes.py',
           'seg/fcn_r50_ips_voc12aug.py', 'seg/pspnet-fcn_r50_ips_rugd.py',
           'det/mask-rcnn_r50_ips_coco-rsb.py', 'seg/upernet_r50_ips_ade20k-80k.py']
# Networks of which tests/test_rugd_configs.py trains one step, at their real width.
STEPPED = [name for name in CONFIGS if name.endswith('_ips_rugd.py') and name not in TRAINED]
# Of each toolbox and each kind of loop.
RESUMED = [TRAINED[0], TRAINED[2], 'seg/pspnet-fcn_r50_ips_rugd.py']
FIELDS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
# The toolbox's config whose recipe a config says that it has.
RECIPES = {name: f'{found[1]}::{found[2]}' for name in IPS if (found := re.search(
    r"recipe is that of (mmseg|mmdet)'s\s+(\S+\.py)", (ROOT / 'configs' / name).read_text()))}
ZOO = [name for name in RECIPES if re.search('80k|coco', name)]


def data_of(name):
    return re.search('_([^_-]+)(-[^_]+)?.py$', name)[1]


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
    """A folder with all data sets and checkpoints that the configs name; training images."""
    root = tmp_path_factory.mktemp('transfer')
    data = root / 'data'
    voc = trees.write_voc_devkit(data, images=2)
    counts = {
        'voc12aug': [voc['seg']['train'], voc['seg']['aug']],
        'voc0712': [voc['det']['VOC2007/trainval'], voc['det']['VOC2012/trainval']],
        'cityscapes': [trees.write_cityscapes(data / 'cityscapes', images=2)['train']],
        'camvid': [trees.write_camvid(data / 'camvid')['train']],
        'bccd': [trees.write_bccd(data / 'bccd')['train']],
        'ade20k': [trees.write_ade20k(data / 'ade/ADEChallengeData2016')['training']],
        'coco': [trees.write_coco(data / 'coco', CocoDataset.METAINFO['classes'])['train']],
        'rugd': [trees.write_rugd(data / 'rugd', images=1, videos=SPLITS)['train']],
    }
    converter = runpy.run_path(str(ROOT / 'tools/dataset_converters/rugd.py'))
    converter['main']([str(data / 'rugd'), '--workers', '1'])
    write_resnet(root / 'work_dirs/resnet50_ips-4x4_in1k/epoch_100.pth', 50, 8)
    write_resnet(root / 'work_dirs/resnet18-w16_ips_npz/epoch_30.pth', 18, 16)
    return root, {name: sum(part.images for part in parts) for name, parts in counts.items()}


@pytest.fixture
def images(prepared, monkeypatch):
    monkeypatch.chdir(prepared[0])
    return prepared[1]


def small(size):
    """A size in a pipeline at 64 pixels instead of five hundred, proportions kept."""
    return tuple(round(part * 64 / min(size)) for part in size)


def shrink(cfg, name, work_dir):
    """Two images a step, without workers, narrow, 64 pixels but for SSD."""
    narrow(cfg.model)
    for field in FIELDS:
        cfg[field].update(batch_size=2 if field == 'train_dataloader' else 1, num_workers=0,
                          persistent_workers=False)
    if cfg.default_scope == 'mmseg':
        cfg.model.data_preprocessor.size = small(cfg.model.data_preprocessor.size)
    if 'ssd' not in name:
        for _, data in (item for field in FIELDS for item in iter_datasets(cfg[field].dataset, '')):
            for step in data.pipeline:
                step.update({key: small(step[key]) for key in ('scale', 'crop_size')
                             if key in step})
    cfg.default_hooks.logger.interval = cfg.default_hooks.checkpoint.interval = 1
    cfg.update(work_dir=str(work_dir), experiment_name=f'{Path(name).stem}_{work_dir.name}')
    return cfg


def train(cfg, steps, epochs):
    """Train so many epochs in all; returns the runner and what its weights were at the start."""
    unit, number = ('max_epochs', epochs) if 'max_epochs' in cfg.train_cfg else (
        'max_iters', steps * epochs)
    cfg.train_cfg.update({unit: number, 'val_interval': number // epochs})
    if unit == 'max_iters':
        cfg.default_hooks.checkpoint.interval = steps
    check_config(cfg)
    runner = build_runner(cfg, FIELDS)
    notes = Notes()
    runner.register_hook(notes)
    runner.train()
    return runner, notes.weights


def check_schedule(runner, steps, planned):
    """The lr changes in every step, over as many as the images and the batch make."""
    first = runner.param_schedulers[0]
    unit = steps if planned.by_epoch else 1
    assert not first.by_epoch
    assert (first.begin, first.end) == (planned.begin * unit, planned.end * unit)
    if 'EncoderDecoder' in type(runner.model).__name__ and planned.by_epoch:
        rates = {key: group['initial_lr'] for group in runner.optim_wrapper.param_groups
                 for key, value in runner.model.named_parameters() if value is group['params'][0]}
        assert rates['decode_head.conv_seg.weight'] == pytest.approx(
            10 * rates['backbone.conv1.weight'])


@pytest.mark.slow
@pytest.mark.parametrize('name', TRAINED)
def test_config_trains_an_epoch_validates_saves_and_resumes(name, tmp_path, images):
    cfg = shrink(load(name), name, tmp_path)
    if 'rcnn' in name:  # So early it is sure of nothing.
        cfg.model.test_cfg.rcnn.score_thr = 0.
    steps = math.ceil(images[data_of(name)] / 2)
    saved = 'epoch_1.pth' if 'max_epochs' in cfg.train_cfg else f'iter_{steps}.pth'
    metric = cfg.default_hooks.checkpoint.save_best

    runner, weights = train(copy.deepcopy(cfg), steps, 1)
    assert runner.iter == steps
    assert len(runner.train_dataloader.dataset) == images[data_of(name)]
    source = torch.load(cfg.model.backbone.init_cfg.checkpoint, weights_only=True)['state_dict']
    for key, value in source.items():
        if key.startswith('backbone') and 'layer4' not in key:  # which SSD leaves out
            assert torch.equal(value, weights[key]), key
    assert runner.message_hub.get_scalar(f'val/{metric}').current() >= 0
    check_schedule(runner, steps, cfg.param_scheduler[0])
    assert (tmp_path / saved).is_file() and list(tmp_path.glob('best_*.pth'))
    key = 'backbone.layer3.0.conv1.weight'  # mmdet freezes the first stage.
    learned = runner.model.state_dict()[key]
    assert torch.isfinite(learned).all()
    assert not torch.equal(learned, weights[key])
    if name in RESUMED:
        cfg.merge_from_dict(dict(resume=True, experiment_name=f'{cfg.experiment_name}_resumed'))
        resumed, weights = train(cfg, steps, 2)
        assert resumed.iter == 2 * steps
        # Not from the pretrained checkpoint once more.
        assert torch.equal(weights[key], learned)


@pytest.mark.parametrize('name', [name for name in ZOO if name not in TRAINED])
def test_recipe_of_a_model_zoo_takes_two_steps(name, tmp_path, images):
    cfg = shrink(load(name), name, tmp_path)
    cfg.update(val_dataloader=None, val_cfg=None, val_evaluator=None)
    cfg.default_hooks.checkpoint = None
    cfg.train_cfg.update({'max_iters' if 'max_iters' in cfg.train_cfg else 'max_epochs': 2})
    runner = build_runner(cfg, FIELDS[:1])
    runner.register_hook(notes := Notes())
    runner.train()
    assert runner.iter == 2
    assert all(math.isfinite(value) and value > 0 for losses in notes.losses
               for key, value in losses.items() if 'loss' in key), notes.losses


@pytest.mark.parametrize('name', RECIPES)
def test_recipe_is_the_toolboxes_own_but_for_the_backbone(name):
    ours, theirs = load(name), Config.fromstring(
        f"_base_ = [__import__('mmips').base('{RECIPES[name]}')]", '.py')
    for cfg in (ours, theirs):
        cfg.model.pop('pretrained', None)
        for key in ('type', 'init_cfg'):
            cfg.model.backbone.pop(key, None)
        for key in ('persistent_workers', 'worker_init_fn'):
            cfg.train_dataloader.pop(key, None)
    # Which is mmseg's default.
    theirs.model.backbone.setdefault('frozen_stages', -1)
    for key in ('model', 'optim_wrapper', 'param_scheduler', 'train_cfg', 'train_dataloader',
                'val_dataloader', 'test_dataloader', 'val_evaluator', 'test_evaluator'):
        assert ours[key] == theirs[key], key


@pytest.mark.slow
@pytest.mark.parametrize('name', RESUMED[:2])
def test_a_backbone_that_was_trained_with_exits_is_taken_too(name, tmp_path, images, make_runner):
    options = {'model.backbone.base_channels': 16, 'model.backbone.stem_channels': 16,
               'model.head.in_channels': 128, 'train_cfg.max_epochs': 1}
    make_runner('ips/resnet18-w16_hard_npz.py', 'mixed', **options, **{
        'model.type': 'mmips.MixSelfDistillClassifier',
        'model.backbone.out_indices': (0, 1, 2, 3)}).train()
    path, _ = publish.publish(str(tmp_path / 'mixed/epoch_1.pth'), str(tmp_path / 'mixskd.pth'))
    cfg = shrink(load(name), name, tmp_path / 'taken')
    cfg.model.backbone.init_cfg.checkpoint = path
    _, weights = train(cfg, 0, 1)
    source = torch.load(path, weights_only=True)['state_dict']
    taken = [key for key in source if key in weights]
    assert len(taken) > 60 and all(torch.equal(source[key], weights[key]) for key in taken)


@pytest.mark.parametrize('name', [name for name in TRAINED if name not in RECIPES])
def test_augmented_tests_see_what_a_test_sees_and_more(name, images):
    """First of all, and unmirrored: mmseg and mmdet evaluate with the annotations of the first."""
    cfg = load(name)
    init_default_scope(cfg.default_scope)
    if cfg.default_scope == 'mmseg':
        assert cfg.tta_model.type == 'SegTTAModel'
    else:
        assert cfg.tta_model == dict(type='DetTTAModel', tta_cfg={
            key: cfg.model.test_cfg[key] for key in ('nms', 'max_per_img')})
    data = cfg.test_dataloader.dataset
    usual, tried = (DATASETS.build({**data, 'pipeline': pipeline})[0]
                    for pipeline in (data.pipeline, cfg.tta_pipeline))
    samples = tried['data_samples']
    same = [image.shape == usual['inputs'].shape and torch.equal(image, usual['inputs'])
            for image in tried['inputs']]
    flips = [sample.flip for sample in samples]
    assert same.count(True) == 1 and not flips[same.index(True)] and not flips[0]
    assert 2 * flips.count(True) == len(flips)
    truths = [(sample.gt_sem_seg.data, ) if cfg.default_scope == 'mmseg' else
              (sample.gt_instances.bboxes.tensor, sample.gt_instances.labels)
              for sample in (usual['data_samples'], samples[0])]
    assert all(map(torch.equal, *truths))


def test_each_part_of_any_config_is_in_one_that_is_trained():
    assert untrained([*TRAINED, *STEPPED, *ZOO], IPS) == {}


@pytest.mark.parametrize('name', CONFIGS)
def test_every_config_stops_where_its_loss_is_nan(name):
    cfg = load(name)
    assert 'mmips.CheckInvalidLoss' in [
        hook['type'] for hook in [*cfg.custom_hooks, *cfg.default_hooks.values()] if hook]


@pytest.mark.parametrize('data', ['voc12aug', 'cityscapes'])
def test_paper_configs_train_as_the_recipe_they_name_and_test_whole_images(data):
    """Scaled and mirrored crops without colour jitter."""
    cfg = load(f'seg/deeplabv3plus_r50_ips_{data}.py')
    train, test = ([[step.type for step in part.pipeline]
                    for _, part in iter_datasets(cfg[field].dataset, '')] for field in FIELDS[:2])
    assert {*map(tuple, train)} == {(
        'LoadImageFromFile', 'LoadAnnotations', 'RandomResize', 'RandomCrop', 'RandomFlip',
        'PackSegInputs')}
    assert test == [['LoadImageFromFile', 'Resize', 'LoadAnnotations', 'PackSegInputs']]
    assert cfg.crop_size == (513, 513)


@pytest.mark.parametrize('name', IPS)
def test_decay_is_as_long_as_published(name):
    # Epochs or, where the papers count them, steps of the whole decay; SSD warms up for two.
    lengths = {'r50_ips_voc12aug': 50, 'r50_ips_cityscapes': 200, 'r50_ips_camvid': 50,
               'r18-w16_ips_camvid': 20}
    steps = {'voc12aug': 20_000, 'cityscapes': 40_000, 'rugd': 176_000, '80k': 80_000}
    cfg = load(name)
    first = cfg.param_scheduler[0]
    if 'coco' in name:
        assert (first.end, cfg.param_scheduler[1].milestones) == (500, [8, 11])
    elif name.startswith('det'):
        assert (first.end, first.convert_to_iter_based) == (2, True) and first.start_factor < 1e-3
    elif 'max_epochs' in cfg.train_cfg:
        assert first.end == cfg.train_cfg.max_epochs == lengths[Path(name).stem.split('_', 1)[1]]
    else:
        assert first.end == cfg.train_cfg.max_iters == steps[
            re.split('[_-]', Path(name).stem)[-1]]


def test_every_ips_config_has_a_twin_that_differs_in_the_checkpoint_alone():
    assert {name for name in CONFIGS if '_hard_' in name} == {
        name.replace('_ips_', '_hard_') for name in IPS}
    for name in IPS:
        ips, hard = load(name).to_dict(), load(name.replace('_ips_', '_hard_')).to_dict()
        for config, form in ((ips, 'ips'), (hard, 'hard')):
            path = config['model']['backbone']['init_cfg'].pop('checkpoint')
            assert re.search(rf'resnet(50|18-w16)_{form}(-4x4)?_', path)
        assert ips == hard
