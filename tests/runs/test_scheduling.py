"""Runs in processes: the pool of this machine, and jobs of submitit on its local executor."""
import json
import multiprocessing
import os
import random
import signal
import sys
import time

import pytest

from mmips.errors import UserError
from mmips.runs import scheduling
from mmips.runs.scheduling import Task, run_local, run_slurm, run_submitted

ENV = "dict(device=__import__('os').environ.get('CUDA_VISIBLE_DEVICES'))"
DIES = "__import__('os').kill(__import__('os').getpid(), 9)"


def task(folder, name, expression):
    """A task that another process can do without this file."""
    return Task(name, folder / name, eval, (expression, ))


def wait_for(path):
    """An expression that waits until a file is there, a minute at most."""
    return (f"[__import__('time').sleep(.02) for _ in range(3000) "
            f"if not __import__('os').path.exists({str(path)!r})]")


def until(condition):
    deadline = time.time() + 60
    while not condition() and time.time() < deadline:
        time.sleep(0.02)
    assert condition()


def test_cores_are_those_that_may_be_used(monkeypatch):
    monkeypatch.setattr('os.sched_getaffinity', lambda pid: {3, 5, 7}, raising=False)
    assert scheduling.cores() == 3
    monkeypatch.delattr('os.sched_getaffinity')
    monkeypatch.setattr('os.cpu_count', lambda: None)
    assert scheduling.cores() == 1


@pytest.mark.parametrize('given, gpus, visible, expected', [
    ((), 0, None, ([], 3)), ((['cpu'], 2), 2, None, ([''], 2)),
    ((['3', '1'], None, 2), 0, None, (['3', '1'], 2)),
    ((), 2, None, (['0', '1'], 1)), ((), 2, '4,6', (['4', '6'], 1))])
def test_places(given, gpus, visible, expected, monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: gpus > 0)
    monkeypatch.setattr('torch.cuda.device_count', lambda: gpus)
    monkeypatch.setattr(scheduling, 'cores', lambda: 3)
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    if visible:
        monkeypatch.setenv('CUDA_VISIBLE_DEVICES', visible)
    found = scheduling.local_places(*given)
    assert (list(found['devices']), found['jobs']) == expected


def test_the_others_go_on_when_one_fails_or_dies(tmp_path):
    tasks = [task(tmp_path, 'one', ENV), task(tmp_path, 'bad', '1 / 0'),
             task(tmp_path, 'dead', DIES), task(tmp_path, 'last', ENV)]
    before = os.environ.get('CUDA_VISIBLE_DEVICES')
    done = {found.name: result for found, result in run_local(tasks, 1, ['7'])}
    assert os.environ.get('CUDA_VISIBLE_DEVICES') == before
    assert list(done) == ['one', 'bad', 'dead', 'last']
    assert done['one'] == done['last'] == dict(device='7')
    assert done['bad'] == dict(failed='ZeroDivisionError: division by zero')
    assert done['dead']['failed'].startswith('its process died')
    for name, result in done.items():
        file = 'failure.json' if 'failed' in result else 'result.json'
        assert json.loads((tmp_path / name / file).read_text()) == result
        assert [path.suffix for path in (tmp_path / name).iterdir()].count('.json') == 1
    assert 'Traceback' in (tmp_path / 'bad' / 'train.log').read_text()


def test_each_device_has_its_process_and_an_interrupted_tool_leaves_none(tmp_path):
    others = multiprocessing.active_children()
    # Two wait for each other's folder, so both must be running; the third would never end.
    tasks = [task(tmp_path, name, f'({wait_for(tmp_path / other)}, {ENV})[1]')
             for name, other in ('ab', 'ba')] + [task(tmp_path, 'c', wait_for(tmp_path / 'no'))]
    started = run_local(tasks, 1, ['0', '1'])
    assert sorted(next(started)[1]['device'] for _ in range(2)) == ['0', '1']
    until((tmp_path / 'c').is_dir)
    mine = [child for child in multiprocessing.active_children() if child not in others]
    assert len(mine) == 2
    started.close()
    until(lambda: not any(child.is_alive() for child in mine))
    assert not list((tmp_path / 'c').iterdir())


class Steps:
    """A run of five steps that goes on where it was killed, as a training does."""

    def __init__(self, folder, kills=()):
        self.folder, self.kills = folder, kills

    def __call__(self):
        path = self.folder / 'steps'
        done = int(path.read_text()) if path.exists() else 0
        for step in range(done + 1, 6):
            path.with_suffix('.part').write_text(str(step))
            path.with_suffix('.part').replace(path)
            if step in self.kills and not done:
                os.kill(os.getpid(), signal.SIGKILL)
        return dict(steps=step if done < 5 else 5)


@pytest.fixture
def local(tmp_path):
    submitit = pytest.importorskip('submitit')
    import cloudpickle
    # The jobs do not know this file.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    executor = submitit.LocalExecutor(tmp_path / 'jobs')
    executor.update_parameters(timeout_min=5)
    return executor


def test_jobs_killed_at_random_end_with_the_same_results(tmp_path, local):
    moments = random.Random(0).choices(range(1, 5), k=2)
    tasks = [Task(str(number), tmp_path / str(number), Steps(tmp_path / str(number), kills))
             for number, kills in enumerate([(), *([moment] for moment in moments)])]
    done = dict(run_submitted(tasks, local, poll=0.1))
    assert sorted('failed' in done[found] for found in tasks) == [False, True, True]
    assert all('ended without a result' in done[found]['failed'] for found in tasks[1:])
    again = dict(run_submitted(tasks[1:], local, poll=0.1))
    assert {**done, **again} == dict.fromkeys(tasks, dict(steps=5))


def test_a_preempted_job_is_requeued_and_goes_on(tmp_path, local):
    # On the first start it waits, and says which process to preempt.
    first = tmp_path / 'run' / 'first'
    code = (f"(lambda path: dict(resumed=True) if path.exists() else (path.write_text(str("
            f"__import__('os').getpid())), __import__('time').sleep(60)))"
            f"(__import__('pathlib').Path({str(first)!r}))")
    job = local.submit(task(tmp_path, 'run', code))
    until(lambda: first.exists() and first.read_text())
    os.kill(int(first.read_text()), signal.SIGUSR2)
    assert job.result() == dict(resumed=True)
    assert [path.name for path in (tmp_path / 'run').glob('*.json')] == ['result.json']


def test_slurm_is_asked_for_an_array(tmp_path, monkeypatch):
    """sbatch, srun and sacct stand in for Slurm's; jobs left in its queue are not sent again."""
    pytest.importorskip('submitit')
    bin = tmp_path / 'bin'
    bin.mkdir()
    state = tmp_path / 'state'
    state.write_text('RUNNING')
    for name, text in (('srun', ''), ('scancel', f'echo "$@" >> {tmp_path}/cancelled'),
                       ('sbatch', f'cp "$1" {tmp_path}/asked; echo Submitted batch job 12'),
                       ('sacct', 'echo "JobID|State"; for n in 0 1; do '
                        f'echo "12_$n|$(cat {state})"; done')):
        (bin / name).write_text(f'#!/bin/sh\n{text}\n')
        (bin / name).chmod(0o755)
    monkeypatch.setenv('PATH', f'{bin}:{os.environ["PATH"]}')
    tasks = [task(tmp_path, name, '0') for name in 'ab']
    monkeypatch.setattr('submitit.helpers.as_completed',
                        lambda jobs, poll_frequency: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        list(run_slurm(tasks, tmp_path / 'slurm', dict(partition='gpu', gpus_per_node=1,
                                                       array_parallelism=1)))
    asked = (tmp_path / 'asked').read_text()
    for words in ('--array=0-1%1', '--partition=gpu', '--gpus-per-node=1', '--time=1440',
                  '--job-name=mmips', '--signal=USR2'):
        assert words in asked
    assert sorted((tmp_path / 'cancelled').read_text().split()) == ['12_0', '12_1']
    (tmp_path / 'asked').unlink()
    with pytest.raises(KeyboardInterrupt):
        list(run_slurm(tasks, tmp_path / 'slurm', {}))
    assert not (tmp_path / 'asked').exists()


def test_slurm_options_and_slurm_itself_are_checked(tmp_path, monkeypatch):
    pytest.importorskip('submitit')
    with pytest.raises(UserError, match='srun'):
        list(run_slurm([], tmp_path, {}))
    monkeypatch.setattr('submitit.SlurmExecutor.affinity', lambda *args: 2)
    with pytest.raises(UserError, match=r'partitoin.*Unavailable(?s:.*)partition'):
        list(run_slurm([], tmp_path, dict(partitoin='gpu')))
    monkeypatch.setitem(sys.modules, 'submitit', None)
    with pytest.raises(UserError, match='pip install submitit'):
        list(run_slurm([], tmp_path, {}))
