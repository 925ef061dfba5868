"""A process killed in the middle of an epoch and resumed, against one that was never killed."""
import sys
from pathlib import Path

import torch

import mmips

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
_base_ = [{base!r}]
custom_imports = dict(imports=['dying'])
model = dict(backbone=dict(base_channels=4, stem_channels=4), head=dict(in_channels=16))
train_cfg = dict(max_epochs=3, val_interval=1)
# Two steps before the kill, one after it.
train_dataloader = dict(batch_size=16, num_workers=2)
val_dataloader = dict(num_workers=2)
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=1))
custom_hooks = _base_.custom_hooks + [dict(type='Dying')]
"""
DYING = """
import os
import signal
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@HOOKS.register_module()
class Dying(Hook):
    def after_train_iter(self, runner, *args, **kwargs):
        if os.environ.get('DIE') and runner.epoch == 1 and runner.iter == 4:
            assert os.path.isfile(os.path.join(runner.work_dir, 'epoch_1.pth'))
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_and_resumed_process_ends_in_the_same_bits(run_command, npz, elsewhere):
    """With two workers and a validation loop, through the tool."""
    Path('tiny.py').write_text(CONFIG.format(base=mmips.cfg('ips/resnet-s_ips_npz.py')))
    Path('dying.py').write_text(DYING)

    def train(work_dir, *options, **environment):
        return run_command('env', f'PYTHONPATH={ROOT}:{elsewhere}', sys.executable,
                           ROOT / 'tools/train.py', 'tiny.py', '--work-dir', work_dir, *options,
                           **environment)

    whole = train('whole')
    assert whole.returncode == 0, whole.stderr[-3000:]
    killed = train('killed', DIE='1')
    assert killed.returncode == -9, killed.stderr[-3000:]
    assert Path('killed/last_checkpoint').read_text().endswith('epoch_1.pth')
    resumed = train('killed', '--resume')
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    assert 'accuracy/top1' in resumed.stdout + resumed.stderr

    ends = [torch.load(f'{name}/epoch_3.pth', weights_only=False) for name in ('whole', 'killed')]
    states = [end['state_dict'] for end in ends]
    assert ends[0]['meta']['iter'] == ends[1]['meta']['iter'] == 9
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())
    momentum = [[part['momentum_buffer'] for part in end['optimizer']['state'].values()]
                for end in ends]
    assert momentum[0] and all(torch.equal(*pair) for pair in zip(*momentum))
