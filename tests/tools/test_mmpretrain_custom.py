"""A user's own folder of images in mmpretrain's own, unmodified tools."""
import re
import sys
from pathlib import Path

import mmpretrain
import numpy as np
import pytest
import torch
from PIL import Image

import mmips

TOOLS = Path(mmpretrain.__file__).parent / '.mim' / 'tools'
OPTIONS = {
    'train_cfg.max_epochs': 1, 'train_dataloader.batch_size': 8,
    'train_dataloader.dataset.pipeline.1.scale': 32, 'train_dataloader.num_workers': 0,
    'default_hooks.logger.interval': 1, 'param_scheduler.0.end': 1, 'param_scheduler.1.begin': 0,
}
for split in ('val', 'test'):
    OPTIONS.update({f'{split}_dataloader.{key}': value for key, value in {
        'batch_size': 4, 'num_workers': 0, 'dataset.pipeline.1.scale': 36,
        'dataset.pipeline.2.crop_size': 32}.items()})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three classes of five images each, without a validation split."""
    rng = np.random.default_rng(0)
    for name in ('ant', 'bee', 'cat'):
        (tmp_path / 'own' / name).mkdir(parents=True)
        for number in range(5):
            image = rng.integers(0, 255, (40, 48, 3), dtype=np.uint8)
            Image.fromarray(image).save(tmp_path / 'own' / name / f'{number}.jpg')
    monkeypatch.setenv('MMIPS_DATA', str(tmp_path / 'own'))


def test_own_folder_trains_and_tests(run_command, folder, elsewhere):
    config = mmips.cfg('ips/resnet50_ips_custom.py')
    options = ['--no-persistent-workers', '--no-pin-memory', '--cfg-options',
               *(f'{key}={value}' for key, value in OPTIONS.items())]
    done = run_command(sys.executable, TOOLS / 'train.py', config, '--work-dir', 'w', *options)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-3000:]
    assert re.search(r'Epoch\(train\) +\[1\].*loss_kd: \d', said)
    validated = float(re.findall(r'Epoch\(val\) \[1\].*accuracy/top1: ([\d.]+)', said)[-1])
    saved = torch.load('w/epoch_1.pth', map_location='cpu', weights_only=False)
    # 12 images are left to train, each once a query: 24 images, 8 a step.
    assert saved['meta']['iter'] == 3
    assert saved['state_dict']['head.fc.weight'].shape == (3, 2048)

    options.remove('--no-persistent-workers')
    done = run_command(sys.executable, TOOLS / 'test.py', config, 'w/epoch_1.pth', '--work-dir',
                       't', *options)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-3000:]
    tested = float(re.findall(r'Epoch\(test\).*accuracy/top1: ([\d.]+)', said)[-1])
    assert tested == pytest.approx(validated, abs=1e-3)
