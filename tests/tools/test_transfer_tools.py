"""Segmentors and detectors through train.py, test.py and dist_train.sh."""
import json
import re
from pathlib import Path

import pytest
from helpers import trees
from helpers.checkpoints import write_resnet
from helpers.configs import ROOT

from mmips.compat import has_mmcv_ops, has_package

pytestmark = pytest.mark.skipif(
    not (has_package('mmseg') and has_package('mmdet') and has_mmcv_ops()),
    reason='needs mmseg, mmdet and the compiled ops of mmcv')

TASKS = {
    'camvid': ('seg/deeplabv3plus_r18-w16_ips_camvid.py', trees.write_camvid, 'mIoU'),
    'bccd': ('det/ssd300_r18-w16_ips_bccd.py', trees.write_bccd, 'pascal_voc/mAP'),
}
OPTIONS = ['train_dataloader.batch_size=2', 'train_dataloader.num_workers=0',
           'val_dataloader.num_workers=0', 'test_dataloader.num_workers=0',
           'train_cfg.max_epochs=1', 'default_hooks.logger.interval=1']


@pytest.fixture
def prepared(elsewhere, request):
    """A task's config and metric; its data and the backbone lie where the config looks."""
    config, write, metric = TASKS[request.param]
    images = write(Path('data') / request.param)['train'].images
    write_resnet('work_dirs/resnet18-w16_ips_npz/epoch_30.pth', 18, 16)
    return config, metric, images


@pytest.mark.slow
@pytest.mark.parametrize('prepared', TASKS, indirect=True)
def test_two_processes_train_then_one_tests(prepared, run_command, evaluate, port, scalars):
    config, metric, images = prepared
    done = run_command('bash', ROOT / 'tools/dist_train.sh', ROOT / 'configs' / config, 2,
                       '--cfg-options', *OPTIONS, PORT=port)
    assert done.returncode == 0, done.stderr[-3000:]
    assert re.search(r'CheckPretrained: all \d+ tensors of the backbone', done.stdout)
    work_dir = Path('work_dirs') / Path(config).stem
    steps = [line for line in scalars(work_dir) if 'loss' in line]
    # Shared out: two images a process and step.
    assert len(steps) == -(-images // 4)

    checkpoint = str(work_dir / 'epoch_1.pth')
    metrics = evaluate([str(ROOT / 'configs' / config), checkpoint, '--out', 'm.json',
                        '--out-item', 'metrics', '--show-dir', 'shown', '--interval', '3',
                        '--cfg-options', *OPTIONS])
    assert metrics[metric] == json.loads(Path('m.json').read_text())[metric] >= 0
    assert list(Path().rglob('shown/**/*.*g'))


@pytest.mark.parametrize('prepared', ['camvid'], indirect=True)
@pytest.mark.parametrize('options, message', [
    (['model.backbone.init_cfg.checkpoint=absent.pth'],
     "The checkpoint 'absent.pth', named by model.backbone.init_cfg.checkpoint, does not exist"),
    (['model.backbone.init_cfg.prefix=None'], r"wrong prefix: set prefix='backbone\.'"),
    (['train_dataloader.dataset.data_root=nowhere'], 'CamVid .*is missing.*nowhere/images/train'),
])
def test_wrong_use_ends_in_one_message(prepared, train, capsys, options, message):
    with pytest.raises(SystemExit):
        train([str(ROOT / 'configs' / prepared[0]), '--cfg-options', *OPTIONS, *options])
    said = capsys.readouterr().err
    assert re.search(message, said, re.DOTALL) and 'Traceback' not in said
    assert not list(Path('work_dirs').rglob('epoch_1.pth'))
