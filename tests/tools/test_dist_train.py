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
# Writes down what every process counts for itself, and the masks that it draws.
PROBE = """
import json
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmips.engine.hooks.self_distill_monitor import count_pairs
from mmips.models.batch_augments import find_patch_swaps

@HOOKS.register_module()
class Probe(Hook):
    def after_train_iter(self, runner, *args, **kwargs):
        model = runner.model.module
        masks = [swap.last_mask for swap in find_patch_swaps(model)]
        counts = count_pairs(model.last_step, masks, model.distill)
        with open(f'{get_rank()}.jsonl', 'a') as file:
            print(json.dumps([counts.tolist(), masks[0].tolist()]), file=file)
"""


def check_both_ranks_are_counted(lines):
    """The log is that of all pairs, and each rank has drawn masks of its own."""
    ranks = [[json.loads(line) for line in Path(f'{rank}.jsonl').read_text().splitlines()]
             for rank in range(2)]
    assert len(lines) == len(ranks[0]) == len(ranks[1]) == 4
    for line, *both in zip(lines, *ranks):
        (counts, masks), (others, other_masks) = both
        assert masks != other_masks and counts != others
        (pairs, matched, swapped, seen), raw, swap = (
            torch.tensor(counts) + torch.tensor(others)).tolist()
        assert pairs == matched == seen
        for key, value in dict(
                mismatch_rate=0, swap_rate=swapped / seen, conf_gap=(raw[1] + swap[1]) / pairs,
                conf_gap_swapped=swap[1] / swap[0], kd_grad=(raw[3] + swap[3]) / pairs).items():
            assert line[key] == pytest.approx(value, rel=1e-3), key


@pytest.mark.slow
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


@pytest.mark.parametrize('name, count', [
    ('dist_train', 1), ('dist_test', 2), ('slurm_train', 2), ('slurm_test', 3)])
def test_usage(run_command, name, count):
    done = run_command('bash', ROOT / f'tools/{name}.sh', *'abc'[:count])
    assert done.returncode == 2 and f'usage: bash {ROOT}/tools/{name}.sh' in done.stderr


@pytest.mark.parametrize('count', ['two', '0', '-1', '', '1.5'])
@pytest.mark.parametrize('name, given', [
    ('dist_train', ['c.py']), ('dist_test', ['c.py', 'w.pth'])])
def test_a_number_of_processes_that_is_none(run_command, name, given, count):
    done = run_command('bash', ROOT / f'tools/{name}.sh', *given, count)
    assert done.returncode == 2
    assert f"GPUS must be a number of processes, 1 or more, got '{count}'" in done.stderr


@pytest.mark.parametrize('name', ['slurm_train', 'slurm_test'])
@pytest.mark.parametrize('variable', ['GPUS', 'GPUS_PER_NODE', 'CPUS_PER_TASK'])
def test_a_number_for_slurm_that_is_none(run_command, name, variable):
    done = run_command('bash', ROOT / f'tools/{name}.sh', *'abcd', **{variable: 'two'})
    assert done.returncode == 2
    assert f"{variable} must be a number, 1 or more, got 'two'" in done.stderr


@pytest.mark.parametrize('name, given, expected', [
    ('slurm_train', ['c.py', 'my work', '--amp'],
     ['c.py', '--launcher=slurm', '--work-dir=my work', '--amp']),
    ('slurm_train', ['c.py', '--amp'], ['c.py', '--launcher=slurm', '--amp']),
    ('slurm_test', ['c.py', 'w.pth', '--tta'], ['c.py', 'w.pth', '--launcher=slurm', '--tta'])])
def test_slurm_calling_convention(run_command, tmp_path, name, given, expected):
    """A stand-in for srun writes down how it was called."""
    fake = tmp_path / 'bin' / 'srun'
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > called.txt\n')
    fake.chmod(0o755)
    done = run_command('env', f'PATH={fake.parent}:/usr/bin:/bin', 'GPUS=4', 'SRUN_ARGS=-x n1',
                       'bash', ROOT / f'tools/{name}.sh', 'part', 'job', *given)
    assert done.returncode == 0, done.stderr
    called = Path('called.txt').read_text().splitlines()
    assert called[:3] == ['-p', 'part', '--job-name=job'] and '--ntasks=4' in called
    assert ['-x', 'n1'] == called[called.index('-x'):][:2]
    assert called[-len(expected):] == expected
