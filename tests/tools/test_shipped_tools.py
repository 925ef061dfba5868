"""What works on a plain config in the toolboxes' own, unmodified tools works on ours.

The table in docs/upstream.md says what works. What fails on a config of ours has to fail on a plain
one as well, which is run there alone.
"""
import re
import runpy
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from helpers import trees
from helpers.checkpoints import write_resnet
from helpers.configs import ROOT
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer
from PIL import Image

from mmips.compat import has_mmcv_ops, has_package

pytestmark = pytest.mark.slow

LOADERS = """
val_dataloader = dict(batch_size=1, num_workers=0, persistent_workers=False)
test_dataloader = val_dataloader
param_scheduler = []
train_cfg = dict(max_epochs=1, val_interval=1)
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=1))
"""
#: For each toolbox a config of ours, narrow and on few small images, and a plain one.
CONFIGS = {
    'mmpretrain': (LOADERS + """
_base_ = [__import__('mmips').cfg('ips/resnet50_ips_custom.py')]
model = dict(backbone=dict(depth=18, stem_channels=8, base_channels=8), head=dict(in_channels=64))
pipeline = [dict(type='LoadImageFromFile'), dict(type='Resize', scale=32), dict(type='PackInputs')]
train_dataloader = dict(batch_size=6, num_workers=0, dataset=dict(pipeline=pipeline))
val_dataloader.update(dataset=dict(pipeline=pipeline))
""", """
_base_ = 'mmpretrain::resnet/resnet18_8xb32_in1k.py'
"""),
    'mmseg': (LOADERS + """
_base_ = [__import__('mmips').cfg('seg/deeplabv3plus_r50_ips_camvid.py')]
size = (64, 64)
model = dict(
    data_preprocessor=dict(size=size), backbone=dict(stem_channels=8, base_channels=8),
    decode_head=dict(in_channels=256, channels=16, c1_in_channels=32, c1_channels=8))
pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
            dict(type='RandomCrop', crop_size=size), dict(type='PackSegInputs')]
train_dataloader = dict(batch_size=2, num_workers=0, dataset=dict(pipeline=pipeline))
""", """
_base_ = [__import__('mmips').base(
    'mmseg::deeplabv3plus/deeplabv3plus_r50-d8_4xb4-20k_voc12aug-512x512.py')]
"""),
    'mmdet': (LOADERS + """
_base_ = [__import__('mmips').cfg('det/ssd300_r50_ips_voc0712.py')]
channels = (64, 128, 64, 32, 32, 32)
model = dict(
    backbone=dict(stem_channels=8, base_channels=8),
    neck=dict(in_channels=channels[:2], out_channels=channels),
    bbox_head=dict(in_channels=channels), test_cfg=dict(max_per_img=5))
train_pipeline = [
    step for step in _base_.train_pipeline if step.type not in ('Expand', 'MinIoURandomCrop')]
train_dataloader = dict(batch_size=2, num_workers=0, dataset=dict(datasets=[
    {**part, 'pipeline': train_pipeline} for part in _base_.train_dataloader.dataset.datasets]))
""", """
_base_ = 'mmdet::pascal_voc/retinanet_r50_fpn_1x_voc0712.py'
"""),
}
#: For each toolbox the rows of the table, and how they are run after one another.
TOOLS = {
    'mmpretrain': {
        'train.py': 'CONFIG --work-dir w',
        'train.py --resume': 'CONFIG --work-dir w --cfg-options train_cfg.max_epochs=2',
        'train.py --amp': 'CONFIG --work-dir a',
        'test.py': 'CONFIG CHECKPOINT --out p.pkl --work-dir t',
        'test.py --tta': 'CONFIG CHECKPOINT --work-dir t',
        'test.py --show-dir shown': 'CONFIG CHECKPOINT --work-dir t',
        'analysis_tools/analyze_logs.py plot_curve': 'LOG --keys loss accuracy/top1 --out c.png',
        'analysis_tools/analyze_logs.py cal_train_time': 'LOG',
        'analysis_tools/analyze_results.py': 'CONFIG p.pkl --out-dir r',
        'analysis_tools/confusion_matrix.py': 'CONFIG CHECKPOINT --show-path m.png',
        'analysis_tools/eval_metric.py': 'p.pkl --metric type=Accuracy topk=1',
        'analysis_tools/get_flops.py': 'CONFIG --shape 32',
        'kfold-cross-valid.py': 'CONFIG --num-splits 2 --work-dir k',
        'misc/print_config.py': 'CONFIG',
        'misc/verify_dataset.py': 'CONFIG --out-path broken.log',
        'model_converters/publish_model.py': 'CHECKPOINT out.pth',
        'visualization/browse_dataset.py -m original': 'CONFIG -o b --not-show',
        'visualization/browse_dataset.py -m transformed': 'CONFIG -o b --not-show',
        'visualization/vis_cam.py': 'IMAGE CONFIG CHECKPOINT --save-path i.png',
        'visualization/vis_scheduler.py': 'CONFIG --save-path s.png --not-show',
        'visualization/vis_tsne.py': 'CONFIG --checkpoint CHECKPOINT --work-dir v --n-iter 250 '
                                     '--perplexity 2',
    },
    'mmseg': {
        'train.py': 'CONFIG --work-dir w',
        'train.py --resume': 'CONFIG --work-dir w --cfg-options train_cfg.max_epochs=2',
        'train.py --amp': 'CONFIG --work-dir a',
        'test.py': 'CONFIG CHECKPOINT --out predicted --work-dir t',
        'test.py --tta': 'CONFIG CHECKPOINT --work-dir t',
        'test.py --show-dir shown': 'CONFIG CHECKPOINT --work-dir t',
        'analysis_tools/analyze_logs.py': 'LOG --keys mIoU --out c.png',
        'analysis_tools/benchmark.py': 'CONFIG CHECKPOINT --work-dir f',
        'analysis_tools/browse_dataset.py': 'CONFIG --output-dir b --not-show',
        'analysis_tools/confusion_matrix.py': 'CONFIG predicted m',
        'analysis_tools/get_flops.py': 'CONFIG --shape 64 64',
        'analysis_tools/visualization_cam.py': 'IMAGE CONFIG CHECKPOINT --category-index 1 '
                                               '--out-file o.png --cam-file i.png --device cpu',
        'deployment/pytorch2torchscript.py': 'CONFIG --checkpoint CHECKPOINT --shape 64 64',
        'misc/browse_dataset.py': 'CONFIG --output-dir b --not-show',
        'misc/print_config.py --graph': 'CONFIG',
        'misc/publish_model.py': 'CHECKPOINT out.pth',
    },
    'mmdet': {
        'train.py': 'CONFIG --work-dir w',
        'train.py --resume': 'CONFIG --work-dir w --cfg-options train_cfg.max_epochs=2',
        'train.py --amp': 'CONFIG --work-dir a',
        'test.py': 'CONFIG CHECKPOINT --out p.pkl --work-dir t',
        'test.py --tta': 'CONFIG CHECKPOINT --work-dir t',
        'test.py --show-dir shown': 'CONFIG CHECKPOINT --work-dir t',
        'analysis_tools/analyze_logs.py plot_curve': 'LOG --keys loss --out c.png --style default',
        'analysis_tools/analyze_logs.py cal_train_time': 'LOG',
        'analysis_tools/analyze_results.py': 'CONFIG p.pkl r --topk 1',
        'analysis_tools/benchmark.py --task inference': 'CONFIG --checkpoint CHECKPOINT '
                                                        '--max-iter 1',
        'analysis_tools/benchmark.py --task dataloader': 'CONFIG --max-iter 1 --num-warmup 0',
        'analysis_tools/benchmark.py --task dataset': 'CONFIG --max-iter 1 --num-warmup 0',
        'analysis_tools/browse_dataset.py': 'CONFIG --output-dir b --not-show',
        'analysis_tools/confusion_matrix.py': 'CONFIG p.pkl m',
        'analysis_tools/eval_metric.py': 'CONFIG p.pkl',
        'analysis_tools/get_flops.py': 'CONFIG --num-images 1',
        'analysis_tools/test_robustness.py': 'CONFIG CHECKPOINT --out o.pkl --severities 0 1',
        'misc/get_image_metas.py': 'CONFIG --nproc 1',
        'misc/print_config.py': 'CONFIG',
        'model_converters/publish_model.py': 'CHECKPOINT out.pth',
    },
}


def write_data():
    """Data and the backbone, where the configs look for them; returns an image of each toolbox."""
    rng = np.random.default_rng(0)
    for split, number in (('train', 6), ('val', 2)):
        for name in ('ant', 'bee'):
            folder = Path('data/custom') / split / name
            folder.mkdir(parents=True)
            for image in range(number):
                Image.fromarray(rng.integers(0, 255, (40, 48, 3), np.uint8)).save(
                    folder / f'{image}.jpg')
    trees.write_camvid('data/camvid', images=2)
    trees.write_voc_devkit('data', images=1)
    write_resnet('work_dirs/resnet50_ips-4x4_in1k/epoch_100.pth')
    return dict(mmpretrain='data/custom/val/ant/0.jpg',
                mmseg='data/camvid/images/val/0001TP_000002.jpg', mmdet='')


@pytest.fixture
def fails(monkeypatch):
    """Function: why a tool fails here, None if it does not."""

    def run(toolbox, name, arguments):
        path = Path(find_spec(toolbox).origin).parent / '.mim' / 'tools' / name
        monkeypatch.setattr(sys, 'argv', [str(path), *arguments])
        # Each tool is a process otherwise.
        for kind in (DefaultScope, MMLogger, MessageHub, Visualizer, *Visualizer.__subclasses__()):
            kind._instance_dict.clear()
        try:
            runpy.run_path(str(path), run_name='__main__')
        except (Exception, SystemExit) as error:
            return f'{type(error).__name__}: {error}'
        return None

    return run


def documented(toolbox):
    """The rows of the table: tool, and whether it works on a plain config and on ours."""
    text = (ROOT / 'docs/upstream.md').read_text(encoding='utf-8')
    rows = re.findall(rf'^\| {toolbox} \| `(.+?)` \| (\w+) \| (\w+) \|', text, re.MULTILINE)
    return {tool: (plain, ours) for tool, plain, ours in rows}


@pytest.mark.parametrize('toolbox', [
    'mmpretrain',
    pytest.param('mmseg', marks=pytest.mark.skipif(not has_package('mmseg'), reason='no mmseg')),
    pytest.param('mmdet', marks=pytest.mark.skipif(
        not (has_package('mmdet') and has_mmcv_ops()), reason='needs mmdet and its ops'))])
def test_tools(toolbox, fails, evaluate):
    image = write_data()[toolbox]
    for name, config in zip(('mine.py', 'plain.py'), CONFIGS[toolbox]):
        Path(name).write_text(config)
    table, wrong = documented(toolbox), {}
    assert table.keys() == TOOLS[toolbox].keys()
    words = dict(CHECKPOINT='w/epoch_1.pth', LOG='log.json', IMAGE=image)
    for row, arguments in TOOLS[toolbox].items():
        tool, _, options = row.partition(' ')
        # A subcommand comes first.
        line = f'{arguments} {options}' if options.startswith('-') else f'{options} {arguments}'
        line = [words.get(word, word) for word in line.split()]
        mine, plain = ([config if word == 'CONFIG' else word for word in line]
                       for config in ('mine.py', 'plain.py'))
        why = fails(toolbox, tool, mine)
        if row == 'train.py':
            shutil.copy(*Path('w').glob('*/vis_data/scalars.json'), 'log.json')
        if why and ('works' in table[row] or fails(toolbox, tool, plain) is None):
            wrong[row] = why
    assert not wrong
    # Our own tool takes the same pipeline.
    assert evaluate(['mine.py', 'w/epoch_1.pth', '--tta'])
