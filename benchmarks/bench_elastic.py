# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""A run of several processes, killed and started again by itself, beside one that is left alone."""
import os
import subprocess
import tempfile
import time
from pathlib import Path

import torch

import mmips
from benchmarks.timing import Options, table

__all__ = ['run']

_TOOL = Path(__file__).resolve().parents[1] / 'tools' / 'dist_train.sh'
_CONFIG = """
_base_ = [{base!r}]
custom_imports = dict(imports=['killer'])
custom_hooks = _base_.custom_hooks + [dict(type='Killer')]
train_cfg = dict(max_epochs={epochs}, val_interval={epochs})
param_scheduler = dict(T_max={epochs})
default_hooks = dict(checkpoint=dict(interval=1, max_keep_ckpts=2))
# Otherwise DDP orders its buckets anew after the first step of every start, and the sums of more
# than two processes are rounded otherwise.
find_unused_parameters = True
"""
# Another process dies in every start, in another epoch.
_KILLER = """
import os, signal
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@HOOKS.register_module()
class Killer(Hook):
    def before_train_iter(self, runner, batch_idx, *args, **kwargs):
        start, kills = int(os.environ['TORCHELASTIC_RESTART_COUNT']), int(os.environ['KILLS'])
        due = (start + 1) * runner.max_epochs // (kills + 1)
        if start < kills and runner.epoch == due and runner.rank == start % runner.world_size:
            os.kill(os.getpid(), signal.SIGKILL)
"""


def run(options: Options) -> list[str]:
    """Table of both runs; an error if they do not end in the same bits."""
    processes, epochs, kills = (2, 4, 1) if options.tiny else (4, 100, 3)
    rows, states = [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in (0, kills):
            seconds, state = _train(Path(folder, str(number)), processes, epochs, number)
            states.append(state)
            rows.append([number, seconds, (seconds - rows[0][1]) / number if number else ''])
    if not all(torch.equal(value, states[1][key]) for key, value in states[0].items()):
        raise RuntimeError('The run that was killed does not end in the bits of the other.')
    return [table(f'IPS on digits in {processes} processes, {epochs} epochs: the same bits at the '
                  'end', ['processes killed', 's', 's for each restart'], rows)]


def _train(folder: Path, processes: int, epochs: int, kills: int) -> tuple[float, dict]:
    """Seconds of the wall clock, and the last weights."""
    folder.mkdir()
    (folder / 'killer.py').write_text(_KILLER)
    (folder / 'c.py').write_text(_CONFIG.format(
        base=mmips.cfg('ips/resnet-s_ips_digits.py'), epochs=epochs))
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(
        [str(folder), os.environ.get('PYTHONPATH', '')]), 'KILLS': str(kills),
        'MAX_RESTARTS': str(kills), 'PORT': str(29600 + os.getpid() % 10_000),
        'CUDA_VISIBLE_DEVICES': '-1'}
    start = time.perf_counter()
    subprocess.run(['bash', str(_TOOL), 'c.py', str(processes), '--work-dir', 'w', '--resume'],
                   cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    return seconds, torch.load(folder / f'w/epoch_{epochs}.pth', weights_only=False)['state_dict']
