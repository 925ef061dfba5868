"""A segmentor through dist_train.sh, train.py and test.py; test_toolboxes.py has a detector."""
import json
import re
from pathlib import Path

import pytest
from helpers import trees
from helpers.checkpoints import write_resnet
from helpers.configs import ROOT

from mmips.compat import has_package

pytestmark = pytest.mark.skipif(not has_package('mmseg'), reason='needs mmseg')

CONFIG = str(ROOT / 'configs/seg/deeplabv3plus_r18-w16_ips_camvid.py')
OPTIONS = ['--cfg-options', 'train_dataloader.batch_size=2', 'train_dataloader.num_workers=0',
           'val_dataloader.num_workers=0', 'test_dataloader.num_workers=0',
           'train_cfg.max_epochs=1', 'default_hooks.logger.interval=1']


@pytest.fixture
def images(elsewhere):
    """Number of training images; they and the backbone lie where the config looks."""
    write_resnet('work_dirs/resnet18-w16_ips_npz/epoch_30.pth', 18, 16)
    return trees.write_camvid(Path('data/camvid'))['train'].images


@pytest.mark.slow
def test_two_processes_train_then_one_tests(images, run_command, evaluate, port, scalars):
    done = run_command('bash', ROOT / 'tools/dist_train.sh', CONFIG, 2, *OPTIONS, PORT=port)
    assert done.returncode == 0, done.stderr[-3000:]
    assert re.search(r'CheckPretrained: all \d+ tensors of the backbone', done.stdout)
    work_dir = Path('work_dirs') / Path(CONFIG).stem
    steps = [line for line in scalars(work_dir) if 'loss' in line]
    # Shared out: two images a process and step.
    assert len(steps) == -(-images // 4)
    metrics = evaluate([CONFIG, str(work_dir / 'epoch_1.pth'), '--out', 'm.json', '--out-item',
                        'metrics', '--show-dir', 'shown', '--interval', '3', *OPTIONS])
    assert metrics['mIoU'] == json.loads(Path('m.json').read_text())['mIoU'] >= 0
    assert list(Path().rglob('shown/**/*.*g'))


@pytest.mark.parametrize('option, message', [
    ('model.backbone.init_cfg.checkpoint=absent.pth',
     "The checkpoint 'absent.pth', named by model.backbone.init_cfg.checkpoint, does not exist"),
    ('model.backbone.init_cfg.prefix=None', r"wrong prefix: set prefix='backbone\.'"),
    ('train_dataloader.dataset.data_root=nowhere', 'CamVid .*is missing.*nowhere/images/train')])
def test_wrong_use_ends_in_one_message(images, train, capsys, option, message):
    with pytest.raises(SystemExit):
        train([CONFIG, *OPTIONS, option])
    said = capsys.readouterr().err
    assert re.search(message, said, re.DOTALL) and 'Traceback' not in said
    assert not list(Path('work_dirs').rglob('epoch_1.pth'))
