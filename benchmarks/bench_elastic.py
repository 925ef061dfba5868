# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""A run of several processes, killed and started again by itself, beside one that is left alone."""
import os
import random
import socket
import subprocess
import sys
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
    processes, epochs, kills = (1, 2, 1) if options.tiny else (4, 100, 3)
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


def _free_port() -> int:
    """One that no outgoing connection is given by Linux, which takes them from 32768 on."""
    for port in random.SystemRandom().sample(range(20_000, 32_000), 100):
        with socket.socket() as probe:
            if probe.connect_ex(('127.0.0.1', port)):
                return port
    raise RuntimeError('No port between 20000 and 32000 is free.')


def _train(folder: Path, processes: int, epochs: int, kills: int) -> tuple[float, dict]:
    """Seconds of the wall clock, and the last weights."""
    folder.mkdir()
    (folder / 'killer.py').write_text(_KILLER)
    (folder / 'c.py').write_text(_CONFIG.format(
        base=mmips.cfg('ips/resnet-s_ips_digits.py'), epochs=epochs))
    environment = {
        **os.environ, 'KILLS': str(kills),
        'PYTHONPATH': os.pathsep.join([str(folder), os.environ.get('PYTHONPATH', '')]),
        # The tool calls `python`, which need not be the one that runs this.
        'PATH': os.pathsep.join([os.path.dirname(sys.executable), os.environ.get('PATH', '')]),
        # Two to spare: on a busy machine another program may take a port that torch has chosen.
        'MAX_RESTARTS': str(kills + 2), 'PORT': str(_free_port()), 'CUDA_VISIBLE_DEVICES': '-1'}
    start = time.perf_counter()
    done = subprocess.run(
        ['bash', str(_TOOL), 'c.py', str(processes), '--work-dir', 'w', '--resume'], cwd=folder,
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f'{_TOOL.name} ended with status {done.returncode}:\n'
                           f'{done.stderr[-4000:]}')
    return seconds, torch.load(folder / f'w/epoch_{epochs}.pth', weights_only=False)['state_dict']
