import json
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
PROBED = """
_base_ = [{base!r}]
custom_imports = dict(imports=['probe'])
custom_hooks = _base_.custom_hooks + [dict(type='Probe')]
"""
# Writes down what the monitor reads in its own process, and every mask that is drawn there.
PROBE = """
import json
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmips.models.batch_augments import find_patch_swaps

def noting(owner, name):
    function = getattr(owner, name)

    def noted(*args):
        result = function(*args)
        with open(f'{name}{get_rank()}.jsonl', 'a') as file:
            file.write(json.dumps(result.tolist()) + chr(10))
        return result

    setattr(owner, name, noted)

@HOOKS.register_module()
class Probe(Hook):
    def before_train(self, runner):
        swap, = find_patch_swaps(runner.model)
        noting(swap, 'draw_mask')
        noting(swap, 'pop_counts')
        noting(runner.model.module, 'pop_stats')
"""


def noted(name):
    """What two ranks wrote down, step by step: [(rank 0's, rank 1's), ...]."""
    ranks = [[json.loads(line) for line in Path(f'{name}{rank}.jsonl').read_text().splitlines()]
             for rank in range(2)]
    return list(zip(*ranks))


def check_both_ranks_are_counted(lines):
    """The log is that of all pairs, and each rank has drawn masks of its own."""
    stats, counts = noted('pop_stats'), noted('pop_counts')
    assert len(lines) == len(stats) == len(counts) == 4
    for line, two, swaps in zip(lines, stats, counts):
        pairs, mismatched, gap = (sum(column) for column in zip(*two))
        assert line['conf_gap'] == pytest.approx(gap / pairs, rel=1e-3) and mismatched == 0
        swapped, seen = (sum(column) for column in zip(*swaps))
        assert line['swap_rate'] == pytest.approx(swapped / seen, rel=1e-3) and seen == pairs
    # Otherwise one rank's own numbers would have passed.
    gaps = [[each[2] / each[0] for each in two] for two in stats]
    assert all(abs(first - second) > 0.01 * first for first, second in gaps)
    masks = noted('draw_mask')
    assert len(masks) == 4 and all(first != second for first, second in masks)


def test_two_processes_train_and_test_without_a_gpu(run_command, port, digits_config, elsewhere,
                                                    scalars):
    """SyncBN becomes BN, which is said once; the epoch is shared out, and counted as a whole."""
    Path('probed.py').write_text(PROBED.format(base=str(digits_config)))
    Path('probe.py').write_text(PROBE)
    done = run_command('env', f'PYTHONPATH={ROOT}:{elsewhere}', 'bash',
                       ROOT / 'tools/dist_train.sh', 'probed.py', 2, '--work-dir', 'w',
                       '--cfg-options', 'model.backbone.norm_cfg.type=SyncBN',
                       'default_hooks.logger.interval=1', PORT=port)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-3000:]
    assert said.count('SyncBN cannot run on CPUs') == 1
    saved = torch.load('w/epoch_1.pth', map_location='cpu', weights_only=False)
    # 100 images make 100 pairs, 50 a rank; 16 pairs a step.
    assert saved['meta']['iter'] == 4
    check_both_ranks_are_counted([line for line in scalars('w') if 'loss_kd' in line])
    validated = [line['accuracy/top1'] for line in scalars('w') if 'accuracy/top1' in line]

    done = run_command('bash', ROOT / 'tools/dist_test.sh', digits_config, 'w/epoch_1.pth', 2,
                       '--work-dir', 't', '--out', 'm.json', '--out-item', 'metrics', PORT=port)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    tested = json.loads(Path('m.json').read_text())['accuracy/top1']
    assert tested == pytest.approx(validated[-1], abs=1e-3)


def test_two_processes_end_in_one_message(run_command, port):
    done = run_command('bash', ROOT / 'tools/dist_train.sh', 'ips/resnet50_ips_in1k.py', 2,
                       PORT=port)
    assert done.returncode != 0
    assert done.stderr.count('ImageNet (ILSVRC2012) is missing') == 1
    assert 'MissingFileError' not in done.stderr


def test_usage(run_command):
    for name, count in (('dist_train', 1), ('dist_test', 2), ('slurm_train', 2), ('slurm_test', 3)):
        done = run_command('bash', ROOT / f'tools/{name}.sh', *'abc'[:count])
        assert done.returncode == 2 and f'{name}.sh' in done.stderr and 'usage' in done.stderr


def test_slurm_calling_convention(run_command, tmp_path):
    """A stand-in for srun writes down how it was called."""
    fake = tmp_path / 'bin' / 'srun'
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > called.txt\n')
    fake.chmod(0o755)

    def call(name, *args):
        done = run_command('env', f'PATH={fake.parent}:/usr/bin:/bin', 'GPUS=4', 'SRUN_ARGS=-x n1',
                           'bash', ROOT / f'tools/{name}.sh', *args)
        assert done.returncode == 0, done.stderr
        return Path('called.txt').read_text().splitlines()

    called = call('slurm_train', 'part', 'job', 'c.py', 'my work', '--amp')
    assert called[:3] == ['-p', 'part', '--job-name=job'] and '--ntasks=4' in called
    assert ['-x', 'n1'] == called[called.index('-x'):][:2]
    assert called[-4:] == ['c.py', '--launcher=slurm', '--work-dir=my work', '--amp']
    assert call('slurm_train', 'part', 'job', 'c.py', '--amp')[-3:] == [
        'c.py', '--launcher=slurm', '--amp']
    assert call('slurm_test', 'part', 'job', 'c.py', 'w.pth', '--tta')[-4:] == [
        'c.py', 'w.pth', '--launcher=slurm', '--tta']
