"""Runs in processes: the pool of this machine, and jobs of submitit on its local executor."""
import json
import multiprocessing
import os
import signal
import sys
import time

import pytest

from mmips.errors import UserError
from mmips.runs import scheduling
from mmips.runs.scheduling import Task, run_local, run_slurm, run_submitted

ENV = "dict(device=__import__('os').environ.get('CUDA_VISIBLE_DEVICES'))"
DIES = "__import__('os').kill(__import__('os').getpid(), 9)"


def task(folder, expression):
    """A task that another process can do without this file."""
    return Task(folder, eval, (expression, ))


def wait_for(path):
    """An expression that waits until a file is there, a minute at most."""
    return (f"[__import__('time').sleep(.02) for _ in range(3000) "
            f"if not __import__('os').path.exists({str(path)!r})]")


def until(condition):
    deadline = time.time() + 60
    while not condition() and time.time() < deadline:
        time.sleep(0.02)
    assert condition()


@pytest.mark.parametrize('given, gpus, visible, expected', [
    ((), 0, None, ([], 3)), ((['cpu'], 2), 2, None, ([''], 2)),
    ((['3', '1'], None, 2), 0, None, (['3', '1'], 2)),
    ((), 2, None, (['0', '1'], 1)), ((), 2, '4,6', (['4', '6'], 1))])
def test_places(given, gpus, visible, expected, monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: gpus > 0)
    monkeypatch.setattr('torch.cuda.device_count', lambda: gpus)
    monkeypatch.setattr('os.sched_getaffinity', lambda pid: {3, 5, 7}, raising=False)
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    if visible:
        monkeypatch.setenv('CUDA_VISIBLE_DEVICES', visible)
    found = scheduling.local_places(*given)
    assert (list(found['devices']), found['jobs']) == expected


@pytest.mark.parametrize('number, own, threads', [(1, None, '8'), (4, None, '2'), (1, '3', '3')])
def test_cores_are_shared_by_the_runs_that_there_are(tmp_path, monkeypatch, number, own, threads):
    monkeypatch.setattr('mmips.runs.scheduling.cores', lambda: 8)
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    if own:
        monkeypatch.setenv('OMP_NUM_THREADS', own)
    asked = []
    monkeypatch.setattr('mmips.runs.scheduling._pool', lambda place: asked.append(place))
    with pytest.raises(AttributeError):  # There is no pool.
        list(run_local([task(tmp_path, 'dict()')] * number, 4, ['']))
    assert {place['OMP_NUM_THREADS'] for place in asked} == {threads}


def test_a_result_that_cannot_be_stored_is_a_failure_that_says_so(tmp_path):
    (tmp_path / 'full/result.json').mkdir(parents=True)
    tasks = [task(tmp_path / name, 'dict(a=1)') for name in ('full', 'last')]
    done = {found.folder.name: result for found, result in run_local(tasks, 1, [''])}
    assert done['full']['failed'].startswith('IsADirectoryError: ')
    assert json.loads((tmp_path / 'full/failure.json').read_text()) == done['full']
    assert done['last'] == dict(a=1)


def test_the_others_go_on_when_one_fails_or_dies(tmp_path):
    tasks = [task(tmp_path / name, expression) for name, expression in
             dict(one=ENV, bad='1 / 0', dead=DIES, last=ENV).items()]
    before = os.environ.get('CUDA_VISIBLE_DEVICES')
    done = {found.folder.name: result for found, result in run_local(tasks, 1, ['7'])}
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
    tasks = [task(tmp_path / name, f'({wait_for(tmp_path / other)}, {ENV})[1]')
             for name, other in ('ab', 'ba')] + [task(tmp_path / 'c', wait_for(tmp_path / 'no'))]
    started = run_local(tasks, 1, ['0', '1'])
    assert sorted(next(started)[1]['device'] for _ in range(2)) == ['0', '1']
    until((tmp_path / 'c').is_dir)
    mine = [child for child in multiprocessing.active_children() if child not in others]
    assert len(mine) == 2
    started.close()
    until(lambda: not any(child.is_alive() for child in mine))
    assert not list((tmp_path / 'c').iterdir())


@pytest.fixture
def local(tmp_path, monkeypatch):
    submitit = pytest.importorskip('submitit')
    # A killed job's result is waited for, in case that the disk is slow.
    monkeypatch.setattr('submitit.core.core.Job._results_timeout_s', 0.5)
    executor = submitit.LocalExecutor(tmp_path / 'jobs')
    executor.update_parameters(timeout_min=5)
    return executor


def test_a_killed_job_fails_and_goes_on_when_it_is_submitted_again(tmp_path, local):
    # The first start leaves a file and is killed, the second finds it.
    folder = str(tmp_path / 'killed' / 'left')
    tasks = [task(tmp_path / 'whole', 'dict(n=5)'),
             task(tmp_path / 'killed', f"dict(n=5) if __import__('os').path.exists({folder!r}) "
                  f"else (open({folder!r}, 'w').close(), {DIES})")]
    done = dict(run_submitted(tasks, local, poll=0.1))
    assert done[tasks[0]] == dict(n=5)
    assert 'ended without a result' in done[tasks[1]]['failed']
    assert dict(run_submitted(tasks[1:], local, poll=0.1)) == {tasks[1]: dict(n=5)}
    # Sent again, they would be in the queue twice.
    (tmp_path / 'jobs/jobs.json').write_text('{"a')
    with pytest.raises(UserError, match='jobs.json, which names the jobs in the queue, is damaged'):
        list(run_submitted(tasks, local, poll=0.1))


def test_a_preempted_job_is_requeued_and_goes_on(tmp_path, local):
    # On the first start it waits, and says which process to preempt.
    first = tmp_path / 'run' / 'first'
    code = (f"(lambda path: dict(resumed=True) if path.exists() else (path.write_text(str("
            f"__import__('os').getpid())), __import__('time').sleep(60)))"
            f"(__import__('pathlib').Path({str(first)!r}))")
    job = local.submit(task(tmp_path / 'run', code))
    until(lambda: first.exists() and first.read_text())
    os.kill(int(first.read_text()), signal.SIGUSR2)
    assert job.result() == dict(resumed=True)
    assert [path.name for path in (tmp_path / 'run').glob('*.json')] == ['result.json']


def test_slurm_is_asked_for_an_array(tmp_path, monkeypatch):
    """sbatch, srun and sacct stand in for Slurm's; jobs left in its queue are not sent again."""
    pytest.importorskip('submitit')
    bin = tmp_path / 'bin'
    bin.mkdir()
    for name, text in (('srun', ''), ('scancel', f'echo "$@" >> {tmp_path}/cancelled'),
                       ('sbatch', f'cp "$1" {tmp_path}/asked; echo Submitted batch job 12'),
                       ('sacct', r'printf "JobID|State\n12_0|RUNNING\n12_1|RUNNING\n"')):
        (bin / name).write_text(f'#!/bin/sh\n{text}\n')
        (bin / name).chmod(0o755)
    monkeypatch.setenv('PATH', f'{bin}:{os.environ["PATH"]}')
    tasks = [task(tmp_path / name, '0') for name in 'ab']
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
