"""Two processes on two nodes, killed and started again: the weights of an unbroken run."""
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from helpers.configs import ROOT
from helpers.tools import free_port, read_scalars, run

import mmips

pytestmark = pytest.mark.slow
# 4 steps an epoch.
CONFIG = f"""
_base_ = [{mmips.cfg('ips/resnet-s_ips_digits.py')!r}]
custom_imports = dict(imports=['probe'])
custom_hooks = _base_.custom_hooks + [dict(type='Killer')]
train_cfg = dict(max_epochs=3, val_interval=1)
val_dataloader = dict(dataset=dict(indices=100))
default_hooks = dict(checkpoint=dict(interval=1), logger=dict(interval=2))
"""
# Kills the rank of MMIPS_KILL in the middle of the second epoch, unless torchrun has started it
# again; and writes down what any but the first process opens in the work directory to write.
PROBE = """
import os, signal, sys
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@HOOKS.register_module()
class Killer(Hook):
    def before_train_iter(self, runner, *args, **kwargs):
        first = os.environ['TORCHELASTIC_RESTART_COUNT'] == '0'
        if first and os.environ['RANK'] == os.environ.get('MMIPS_KILL') and runner.iter == 6:
            os.kill(os.getpid(), signal.SIGKILL)

def watch(event, args):
    if event == 'open' and isinstance(args[0], str) and args[2] & (os.O_WRONLY | os.O_RDWR) and (
            '/w/' in os.path.abspath(args[0])):
        with open('others.txt', 'a') as file:
            print(args[0], file=file)

if os.environ['RANK'] != '0':
    sys.addaudithook(watch)
"""


def train(folder, processes=2, **environment):
    """Train in ``w`` below a folder by dist_train.sh; returns the finished process."""
    (folder / 'c.py').write_text(CONFIG)
    (folder / 'probe.py').write_text(PROBE)
    path = f'PYTHONPATH={folder}:{ROOT}:{os.environ.get("PYTHONPATH", "")}'
    return run('env', '-C', folder, path, 'bash', ROOT / 'tools/dist_train.sh', 'c.py', processes,
               '--work-dir', 'w', '--resume', **environment)


def weights(folder):
    return torch.load(folder / 'w/epoch_3.pth', weights_only=False)['state_dict']


def scores(folder):
    return [(line['step'], line['accuracy/top1']) for line in read_scalars(folder / 'w')
            if 'accuracy/top1' in line]


def train_nodes(folder, number, **environment):
    """The same over so many nodes of this machine; returns what the first says."""
    port = str(free_port())
    with ThreadPoolExecutor() as pool:
        nodes = list(pool.map(lambda rank: train(
            folder, 2 // number, NNODES=str(number), NODE_RANK=str(rank), PORT=port, **environment),
            range(number)))
    said = [done.stdout + done.stderr for done in nodes]
    assert [done.returncode for done in nodes] == number * [0], said[0][-3000:] + said[-1][-3000:]
    return ''.join(said)


def test_two_nodes_killed_and_started_again_are_one_with_two_processes(tmp_path):
    """They share the folder, in which the first process alone writes; its lock dies with it."""
    (tmp_path / 'whole').mkdir()
    train_nodes(tmp_path / 'whole', 1)
    said = train_nodes(tmp_path, 2, MAX_RESTARTS='1', MMIPS_KILL='0')
    assert 'has no checkpoint to resume from: the run starts anew' in said
    assert 'epoch_1.pth, the newest whole checkpoint' in said
    whole, found = weights(tmp_path / 'whole'), weights(tmp_path)
    assert all(torch.equal(value, found[key]) for key, value in whole.items())
    assert scores(tmp_path) == scores(tmp_path / 'whole') and len(scores(tmp_path)) == 3
    assert not (tmp_path / 'others.txt').exists()
