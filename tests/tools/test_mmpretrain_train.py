"""mmpretrain's own, unmodified tool runs IPS."""
import re
import sys
from pathlib import Path

import mmpretrain
import torch

TOOL = Path(mmpretrain.__file__).parent / '.mim' / 'tools' / 'train.py'


def test_three_lines_over_mmpretrains_config(run_command, small_in1k, elsewhere, three_lines):
    Path('mine.py').write_text(three_lines)
    command = [sys.executable, TOOL, 'mine.py', '--work-dir', 'w', '--no-persistent-workers',
               '--no-pin-memory', '--cfg-options', *small_in1k]
    done = run_command(*command, 'train_cfg.max_epochs=1')
    assert done.returncode == 0, done.stderr[-3000:]
    done = run_command(*command[:-len(small_in1k) - 1], '--resume', '--cfg-options', *small_in1k,
                       'train_cfg.max_epochs=2')
    assert done.returncode == 0, done.stderr[-3000:]
    said = done.stdout + done.stderr
    assert re.search(r'Epoch\(train\) +\[2\].*loss_kd: \d', said)
    assert re.search(r'Epoch\(val\) \[2\].*accuracy/top1', said)
    saved = torch.load('w/epoch_2.pth', map_location='cpu', weights_only=False)
    # 24 images, each once a query: 48 images, 8 a step, two epochs.
    assert saved['meta']['iter'] == 12
