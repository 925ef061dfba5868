"""The toolboxes' own, unmodified tools run our configs.

Each trains in a process of its own, where nothing has imported mmips before; the tools after it
run in this one.
"""
import re
import runpy
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import trees
from helpers.checkpoints import check_frozen, write_resnet
from mmengine.logging import MMLogger
from PIL import Image

import mmips
from mmips.compat import has_mmcv_ops, has_package

pytestmark = pytest.mark.slow

# What users write, in a few lines: a narrow network, little augmentation, and a backbone that
# stays as it came, while the head learns.
DETECTOR = """
_base_ = [__import__('mmips').cfg('det/ssd300_r50_ips_voc0712.py')]
channels = (64, 128, 64, 32, 32, 32)
model = dict(
    backbone=dict(stem_channels=8, base_channels=8),
    neck=dict(in_channels=channels[:2], out_channels=channels),
    bbox_head=dict(in_channels=channels))
train_pipeline = [
    step for step in _base_.train_pipeline if step.type not in ('Expand', 'MinIoURandomCrop')]
train_dataloader = dict(batch_size=3, num_workers=0, dataset=dict(datasets=[
    {**part, 'pipeline': train_pipeline} for part in _base_.train_dataloader.dataset.datasets]))
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=0.01), paramwise_cfg=dict(custom_keys=dict(
    backbone=dict(lr_mult=0., decay_mult=0.))))
param_scheduler = []
train_cfg = dict(max_epochs=1, val_interval=1)
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=1))
"""
SEGMENTOR = """
_base_ = [__import__('mmips').cfg('seg/deeplabv3plus_r50_ips_voc12aug.py')]
size = (64, 64)
model = dict(
    data_preprocessor=dict(size=size),
    backbone=dict(stem_channels=8, base_channels=8),
    decode_head=dict(in_channels=256, channels=16, c1_in_channels=32, c1_channels=8))
pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
            dict(type='RandomCrop', crop_size=size), dict(type='PackSegInputs')]
train_dataloader = dict(batch_size=2, num_workers=0, dataset=dict(datasets=[
    {**part, 'pipeline': pipeline} for part in _base_.train_dataloader.dataset.datasets]))
test_pipeline = [step for step in _base_.test_pipeline if step.type != 'Resize']
val_dataloader = dict(num_workers=0, persistent_workers=False,
                      dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(
    backbone=dict(lr_mult=0., decay_mult=0.))))
train_cfg = dict(max_epochs=1)
default_hooks = dict(logger=dict(interval=1))
"""


def tool(toolbox, name):
    return Path(find_spec(toolbox).origin).parent / '.mim' / 'tools' / name


@pytest.fixture
def run(monkeypatch):
    """Function: run a tool here; returns what the log of its run says."""

    def run(toolbox, name, *arguments, work_dir='w'):
        arguments = [*arguments, '--work-dir', work_dir]
        monkeypatch.setattr(sys, 'argv', [str(tool(toolbox, name)), *map(str, arguments)])
        before = {*Path(work_dir).glob('*/*.log')}
        # Loggers are kept by a name with the second in it: a quick run would have the last one's.
        MMLogger._instance_dict.clear()
        runpy.run_path(sys.argv[0], run_name='__main__')
        log, = {*Path(work_dir).glob('*/*.log')} - before
        return log.read_text()

    return run


def in_a_process_of_its_own(run_command, toolbox, *arguments):
    done = run_command(sys.executable, tool(toolbox, 'train.py'), 'mine.py', '--work-dir', 'w',
                       *arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.mark.parametrize('toolbox, config, steps, metric, head', [
    pytest.param('mmseg', SEGMENTOR, 3, 'mIoU', 'decode_head.', marks=pytest.mark.skipif(
        not has_package('mmseg'), reason='needs mmseg')),
    pytest.param('mmdet', DETECTOR, 4, 'pascal_voc/mAP', 'bbox_head.', marks=pytest.mark.skipif(
        not (has_package('mmdet') and has_mmcv_ops()), reason='needs mmdet and its ops'))])
def test_shipped_config_trains_resumes_and_tests(toolbox, config, steps, metric, head, run_command,
                                                 run, scalars):
    Path('mine.py').write_text(config)
    source = write_resnet('work_dirs/resnet50_ips-4x4_in1k/epoch_100.pth')
    # 6 images of VOC 2012 and SBD, 2 a step, or 10 of VOC 2007 and 2012, 3 a step.
    trees.write_voc_devkit('data', images=3 if toolbox == 'mmseg' else 2)
    if toolbox == 'mmdet':
        # SSD leaves the fourth stage in the file.
        source = {key: value for key, value in source.items() if not key.startswith('layer4.')}

    said = in_a_process_of_its_own(run_command, toolbox)
    assert f'CheckPretrained: all {len(source)} tensors of the backbone come from' in said
    assert [row['step'] for row in scalars('w') if 'loss' in row] == [*range(1, steps + 1)]
    said = run(toolbox, 'train.py', 'mine.py', '--resume', '--cfg-options',
               'train_cfg.max_epochs=2')
    assert 'not compared with its init_cfg' in said and 'backbone come from' not in said
    saved = [torch.load(f'w/epoch_{epoch}.pth', map_location='cpu', weights_only=False)
             for epoch in (1, 2)]
    assert [checkpoint['meta']['iter'] for checkpoint in saved] == [steps, 2 * steps]
    check_frozen(source, [checkpoint['state_dict'] for checkpoint in saved], head)

    validated = [row[metric] for row in scalars('w') if metric in row]
    assert len(validated) == 2
    said = run(toolbox, 'test.py', 'mine.py', 'w/epoch_2.pth', work_dir='t')
    tested = float(re.findall(rf'\(test\).* {metric}: ([\d.]+)', said)[-1])
    assert tested == pytest.approx(validated[-1], abs=1e-3)


def test_three_lines_over_mmpretrains_config(run_command, run, small_in1k, three_lines):
    Path('mine.py').write_text(three_lines)
    options = ['--no-persistent-workers', '--no-pin-memory', '--cfg-options', *small_in1k]
    in_a_process_of_its_own(run_command, 'mmpretrain', *options, 'train_cfg.max_epochs=1')
    said = run('mmpretrain', 'train.py', 'mine.py', '--resume', *options, 'train_cfg.max_epochs=2')
    assert re.search(r'Epoch\(train\) +\[2\].*loss_kd: \d', said)
    assert re.search(r'Epoch\(val\) \[2\].*accuracy/top1', said)
    saved = torch.load('w/epoch_2.pth', map_location='cpu', weights_only=False)
    # 24 images, each once a query: 48 images, 8 a step, two epochs.
    assert saved['meta']['iter'] == 12


def test_own_folder_of_images_trains_and_tests(run, small, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    # Three classes of five images each, without a validation split.
    for name in ('ant', 'bee', 'cat'):
        (tmp_path / 'own' / name).mkdir(parents=True)
        for number in range(5):
            image = rng.integers(0, 255, (40, 48, 3), dtype=np.uint8)
            Image.fromarray(image).save(tmp_path / 'own' / name / f'{number}.jpg')
    monkeypatch.setenv('MMIPS_DATA', str(tmp_path / 'own'))
    options = ['--no-pin-memory', '--cfg-options', *small, 'train_cfg.max_epochs=1',
               'param_scheduler.0.end=1', 'param_scheduler.1.begin=0']
    config = mmips.cfg('ips/resnet50_ips_custom.py')

    said = run('mmpretrain', 'train.py', config, '--no-persistent-workers', *options)
    assert re.search(r'Epoch\(train\) +\[1\].*loss_kd: \d', said)
    validated = float(re.findall(r'Epoch\(val\) \[1\].*accuracy/top1: ([\d.]+)', said)[-1])
    saved = torch.load('w/epoch_1.pth', map_location='cpu', weights_only=False)
    # 12 images are left to train, each once a query: 24 images, 8 a step.
    assert saved['meta']['iter'] == 3
    assert saved['state_dict']['head.fc.weight'].shape == (3, 2048)
    said = run('mmpretrain', 'test.py', config, 'w/epoch_1.pth', *options, work_dir='t')
    tested = float(re.findall(r'Epoch\(test\).*accuracy/top1: ([\d.]+)', said)[-1])
    assert tested == pytest.approx(validated, abs=1e-3)
