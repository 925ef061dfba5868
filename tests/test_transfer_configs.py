"""Every segmentation and detection config trains an epoch, validates, saves and resumes.

Tiny data sets in their published formats lie below ``data/`` of a temporary folder that the tests
run in, and checkpoints of mmpretrain classifiers where the configs look for them, so that the
paths in the configs are used as they are.
"""
import copy
import functools
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import trees
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import MODELS, init_default_scope

import mmips
from mmips.compat import has_mmcv_ops, has_package
from mmips.config.pair_checks import check_config
from mmips.config.sources import iter_datasets
from mmips.datasets.rugd_labels import SPLITS
from mmips.runs.runner import build_runner

pytestmark = pytest.mark.skipif(
    not (has_package('mmseg') and has_package('mmdet') and has_mmcv_ops()),
    reason='needs mmseg, mmdet and the compiled ops of mmcv')

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = sorted(path.relative_to(ROOT / 'configs').as_posix()
                 for folder in ('seg', 'det') for path in (ROOT / 'configs' / folder).glob('*.py'))
IPS = [name for name in CONFIGS if '_ips_' in name]
# ResNet-50 is an eighth as wide here as it should be: the tests take a tenth of the time.
WIDTH = 8
CHECKPOINTS = {
    'resnet50_ips-4x4_in1k/epoch_100.pth': 'ips/resnet50_ips-4x4_in1k.py',
    'resnet50_hard_in1k/epoch_100.pth': 'ips/resnet50_hard_in1k.py',
    'resnet18-w16_ips_npz/epoch_30.pth': None,
    'resnet18-w16_hard_npz/epoch_60.pth': None,
}
FIELDS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def data_of(name):
    return name.removesuffix('.py').rpartition('_')[2]


def write_checkpoint(path, config, seed):
    """Save a classifier as a training run does, with statistics that no network starts from."""
    init_default_scope('mmpretrain')
    torch.manual_seed(seed)
    if config is None:
        cfg = Config.fromfile(ROOT / 'configs/_base_/models/resnet18-w16.py')
    else:
        cfg = Config.fromfile(mmips.cfg(config))
        cfg.model.backbone.update(stem_channels=64 // WIDTH, base_channels=64 // WIDTH)
        cfg.model.head.in_channels //= WIDTH
    model = MODELS.build(cfg.model if config is None else
                         dict(cfg.model, data_preprocessor=cfg.data_preprocessor))
    model.init_weights()
    state = model.state_dict()
    for key, value in state.items():
        if 'running' in key or ('bn' in key and value.is_floating_point()):
            value.uniform_(0.5, 1.5)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(dict(state_dict=state, meta=dict(epoch=1)), path)


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
    """A folder with all data sets and checkpoints that the configs name; training images."""
    root = tmp_path_factory.mktemp('transfer')
    data = root / 'data'
    voc = trees.write_voc_devkit(data, images=2)
    counts = {
        'voc12aug': [voc['seg']['train'], voc['seg']['aug']],
        'voc0712': [voc['det']['VOC2007/trainval'], voc['det']['VOC2012/trainval']],
        'cityscapes': [trees.write_cityscapes(data / 'cityscapes')['train']],
        'camvid': [trees.write_camvid(data / 'camvid')['train']],
        'bccd': [trees.write_bccd(data / 'bccd')['train']],
        'rugd': [trees.write_rugd(data / 'rugd', images=1, videos=SPLITS)['train']],
    }
    subprocess.run([sys.executable, ROOT / 'tools/dataset_converters/rugd.py', data / 'rugd',
                    '--workers', '1'], check=True, capture_output=True)
    for seed, (path, config) in enumerate(CHECKPOINTS.items()):
        write_checkpoint(root / 'work_dirs' / path, config, seed)
    return root, {name: sum(part.images for part in parts) for name, parts in counts.items()}


@pytest.fixture(autouse=True)
def images(prepared, monkeypatch):
    monkeypatch.chdir(prepared[0])
    return prepared[1]


@functools.cache
def parse(name):
    return Config.fromfile(mmips.cfg(name))


def load(name):
    return copy.deepcopy(parse(name))


class Notes(Hook):
    """Keeps what the first convolution and its statistics are before the first step."""

    seen = {}

    def before_train(self, runner):
        state = runner.model.backbone.state_dict()
        Notes.seen = {key: value.clone() for key, value in state.items()
                      if key.startswith(('conv1', 'bn1'))}


def narrow(model):
    """Divide the widths of a config with a ResNet-50 by ``WIDTH``."""
    if model.backbone.depth != 50:
        return
    model.backbone.update(stem_channels=64 // WIDTH, base_channels=64 // WIDTH)
    for part in (model.get('decode_head'), model.get('auxiliary_head'), model.get('neck'),
                 model.get('bbox_head')):
        for key in ('in_channels', 'channels', 'c1_in_channels', 'c1_channels', 'out_channels'):
            if part and key in part:
                is_list = isinstance(part[key], (list, tuple))
                part[key] = ([width // WIDTH for width in part[key]] if is_list
                             else part[key] // WIDTH)


def small(size):
    """A size in a pipeline at 64 pixels instead of five hundred, proportions kept."""
    return tuple(round(part * 64 / min(size)) for part in size)


def shrink(cfg, name, work_dir):
    """Two images a step, without workers, narrow, 64 pixels for segmentation."""
    narrow(cfg.model)
    for field in FIELDS:
        cfg[field].update(batch_size=2 if field == 'train_dataloader' else 1, num_workers=0,
                          persistent_workers=False)
        for _, data in iter_datasets(cfg[field].dataset, ''):
            if cfg.default_scope == 'mmseg':
                for step in data.pipeline:
                    step.update({key: small(step[key]) for key in ('scale', 'crop_size')
                                 if key in step})
    if cfg.default_scope == 'mmseg':
        cfg.model.data_preprocessor.size = small(cfg.model.data_preprocessor.size)
    cfg.default_hooks.logger.interval = 1
    cfg.default_hooks.checkpoint.update(interval=1)
    cfg.custom_hooks.append(dict(type=Notes))
    cfg.work_dir = str(work_dir)
    cfg.experiment_name = f'{Path(name).stem}_{work_dir.name}'
    return cfg


def train(cfg, steps, epochs):
    """Train so many epochs in all, whether the config counts epochs or iterations."""
    unit, number = ('max_epochs', epochs) if 'max_epochs' in cfg.train_cfg else (
        'max_iters', steps * epochs)
    cfg.train_cfg.update({unit: number, 'val_interval': number // epochs})
    if unit == 'max_iters':
        cfg.default_hooks.checkpoint.interval = steps
    check_config(cfg)
    runner = build_runner(cfg, FIELDS)
    runner.train()
    return runner


# Steps or epochs of the whole decay, by the last words of the name.
EPOCHS = {'r50_voc12aug': 50, 'r50_cityscapes': 200, 'r50_camvid': 50, 'r18-w16_camvid': 20}
STEPS = {'voc12aug': 20_000, 'cityscapes': 40_000, 'rugd': 176_000}


def check_schedule(name, runner, steps):
    """The lr changes in every step, over as many as the images and the batch make."""
    first = runner.param_schedulers[0]
    assert not first.by_epoch
    if 'ssd' in name:
        assert (first.begin, first.end) == (0, 2 * steps)
        assert first.start_factor < 1e-3
    elif 'deeplab' in name:
        assert first.end == steps * EPOCHS[f'{name.split("_")[1]}_{data_of(name)}']
        rates = {key: group['initial_lr'] for group in runner.optim_wrapper.param_groups
                 for key, value in runner.model.named_parameters() if value is group['params'][0]}
        assert rates['decode_head.conv_seg.weight'] == pytest.approx(
            10 * rates['backbone.conv1.weight'])
    else:
        assert first.end == STEPS[data_of(name)]


@pytest.mark.parametrize('name', CONFIGS)
def test_config_trains_an_epoch_validates_saves_and_resumes(name, tmp_path, images):
    cfg = shrink(load(name), name, tmp_path)
    steps = math.ceil(images[data_of(name)] / 2)
    saved = 'epoch_1.pth' if 'max_epochs' in cfg.train_cfg else f'iter_{steps}.pth'
    metric = 'mIoU' if cfg.default_scope == 'mmseg' else 'pascal_voc/mAP'

    runner = train(copy.deepcopy(cfg), steps, 1)
    assert runner.iter == steps
    assert len(runner.train_dataloader.dataset) == images[data_of(name)]
    source = torch.load(cfg.model.backbone.init_cfg.checkpoint, weights_only=True)['state_dict']
    assert len(Notes.seen) == 6
    for key, value in Notes.seen.items():
        assert torch.equal(value, source[f'backbone.{key}']), key
    assert runner.message_hub.get_scalar(f'val/{metric}').current() >= 0
    check_schedule(name, runner, steps)
    assert (tmp_path / saved).is_file() and list(tmp_path.glob('best_*.pth'))
    learned = runner.model.state_dict()['backbone.conv1.weight']
    assert torch.isfinite(learned).all()
    assert not torch.equal(learned, Notes.seen['conv1.weight'])

    cfg.resume = True
    cfg.experiment_name += '_resumed'
    resumed = train(cfg, steps, 2)
    assert resumed.iter == 2 * steps
    # Not from the pretrained checkpoint once more.
    assert not torch.equal(Notes.seen['conv1.weight'], source['backbone.conv1.weight'])


def test_every_ips_config_has_a_twin_that_differs_in_the_checkpoint_alone():
    assert [name for name in CONFIGS if name not in IPS] == sorted(
        name.replace('_ips_', '_hard_') for name in IPS)
    for name in IPS:
        ips, hard = load(name).to_dict(), load(name.replace('_ips_', '_hard_')).to_dict()
        assert ips != hard
        for config, form in ((ips, 'ips'), (hard, 'hard')):
            path = config['model']['backbone']['init_cfg'].pop('checkpoint')
            assert re.search(rf'resnet(50|18-w16)_{form}(-4x4)?_', path)
        assert ips == hard
