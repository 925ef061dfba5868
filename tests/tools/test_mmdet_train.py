"""mmdet's own, unmodified tools run a shipped detection config on a classifier's checkpoint."""
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from helpers import trees
from helpers.checkpoints import check_frozen, write_resnet

from mmips.compat import has_mmcv_ops, has_package

pytestmark = pytest.mark.skipif(not (has_package('mmdet') and has_mmcv_ops()),
                                reason='needs mmdet and the compiled ops of mmcv')

# A user's file of a few lines: a narrow network, no augmentation, and a backbone that stays as it
# came, while the head learns.
CONFIG = """
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
CHECKPOINT = 'work_dirs/resnet50_ips-4x4_in1k/epoch_100.pth'


def tool(name):
    return Path(find_spec('mmdet').origin).parent / '.mim' / 'tools' / name


@pytest.fixture
def pretrained(elsewhere):
    """VOC 2007 and 2012, the config, and the backbone's tensors in the checkpoint it names."""
    Path('mine.py').write_text(CONFIG)
    return write_resnet(CHECKPOINT), trees.write_voc_devkit('data', images=2, sbd=None)['det']


def test_shipped_config_trains_resumes_and_tests(run_command, pretrained, scalars):
    source, splits = pretrained
    images = sum(splits[f'{year}/trainval'].images for year in ('VOC2007', 'VOC2012'))
    assert images == 10

    def run(name, *arguments):
        done = run_command(sys.executable, tool(name), 'mine.py', *arguments)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout + done.stderr

    said = run('train.py', '--work-dir', 'w')
    # SSD leaves the fourth stage in the file.
    source = {key: value for key, value in source.items() if not key.startswith('layer4.')}
    assert f'CheckPretrained: all {len(source)} tensors of the backbone come from' in said
    # 10 images, 3 a step.
    assert [row['step'] for row in scalars('w') if 'loss' in row] == [1, 2, 3, 4]
    first = torch.load('w/epoch_1.pth', map_location='cpu', weights_only=False)
    assert first['meta']['iter'] == 4

    said = run('train.py', '--work-dir', 'w', '--resume', '--cfg-options',
               'train_cfg.max_epochs=2')
    assert 'not compared with its init_cfg' in said and 'backbone come from' not in said
    second = torch.load('w/epoch_2.pth', map_location='cpu', weights_only=False)
    assert second['meta']['iter'] == 8
    check_frozen(source, [first['state_dict'], second['state_dict']], 'bbox_head.')

    validated = [row['pascal_voc/mAP'] for row in scalars('w') if 'pascal_voc/mAP' in row]
    assert len(validated) == 2
    said = run('test.py', 'w/epoch_2.pth', '--work-dir', 't')
    tested = float(re.findall(r'Epoch\(test\).*pascal_voc/mAP: ([\d.]+)', said)[-1])
    assert tested == pytest.approx(validated[-1], abs=1e-4)
