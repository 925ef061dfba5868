"""mmseg's own, unmodified tools run a shipped segmentation config on a classifier's checkpoint."""
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from helpers import trees
from helpers.checkpoints import check_frozen, write_resnet

from mmips.compat import has_package

pytestmark = pytest.mark.skipif(not has_package('mmseg'), reason='needs mmseg')

# A user's file of a few lines: a narrow network on few pixels, and a backbone that stays as it
# came, while the head learns.
CONFIG = """
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
CHECKPOINT = 'work_dirs/resnet50_ips-4x4_in1k/epoch_100.pth'


def tool(name):
    return Path(find_spec('mmseg').origin).parent / '.mim' / 'tools' / name


@pytest.fixture
def pretrained(elsewhere):
    """VOC 2012 with SBD, the config, and the backbone's tensors in the checkpoint it names."""
    Path('mine.py').write_text(CONFIG)
    return write_resnet(CHECKPOINT), trees.write_voc_devkit('data', images=3)['seg']


def test_shipped_config_trains_resumes_and_tests(run_command, pretrained, scalars):
    source, splits = pretrained
    images = splits['train'].images + splits['aug'].images
    assert images == 6

    def run(name, *arguments):
        done = run_command(sys.executable, tool(name), 'mine.py', *arguments)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout + done.stderr

    said = run('train.py', '--work-dir', 'w')
    assert f'CheckPretrained: all {len(source)} tensors of the backbone come from' in said
    # 6 images, 2 a step.
    assert [row['step'] for row in scalars('w') if 'loss' in row] == [1, 2, 3]
    first = torch.load('w/epoch_1.pth', map_location='cpu', weights_only=False)
    assert first['meta']['iter'] == 3

    said = run('train.py', '--work-dir', 'w', '--resume', '--cfg-options',
               'train_cfg.max_epochs=2')
    assert 'not compared with its init_cfg' in said and 'backbone come from' not in said
    second = torch.load('w/epoch_2.pth', map_location='cpu', weights_only=False)
    assert second['meta']['iter'] == 6
    check_frozen(source, [first['state_dict'], second['state_dict']], 'decode_head.')

    validated = [row['mIoU'] for row in scalars('w') if 'mIoU' in row]
    assert len(validated) == 2 and validated[-1] > 0
    said = run('test.py', 'w/epoch_2.pth', '--work-dir', 't')
    tested = float(re.findall(r'\(test\).* mIoU: ([\d.]+)', said)[-1])
    assert tested == pytest.approx(validated[-1], abs=1e-3)
