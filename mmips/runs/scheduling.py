# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Where runs are trained: side by side on this machine, or as jobs of Slurm by submitit.

An engine takes tasks and yields each with its result as it ends. On this machine a pool of
processes does it rather than submitit's LocalExecutor, which starts all jobs at once, each in a
Python of its own, and leaves them training on when the tool is killed.
"""
import multiprocessing
import os
import signal
import threading
import traceback
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmips.errors import UserError
from mmips.runs.files import read_results, write_json


@dataclass(frozen=True)
class Task:
    """A run to do: ``function(*arguments)`` trains in ``folder`` and returns the result."""

    folder: Path
    function: Callable[..., dict]
    arguments: tuple = ()

    def __call__(self) -> dict:
        """Do it in this process, which stores the result whatever becomes of the tool."""
        if 'SUBMITIT_EXECUTOR' in os.environ:
            # Slurm's signal reaches workers of data loaders too: one requeue is enough.
            os.register_at_fork(
                after_in_child=lambda: signal.signal(signal.SIGUSR2, signal.SIG_IGN))
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            result = self.function(*self.arguments)
        except Exception as error:
            with open(self.folder / 'train.log', 'a') as log:
                traceback.print_exc(file=log)
            # The first line: torch lists every tensor of another shape.
            return self.fail(f'{type(error).__name__}: '
                             + (str(error).strip() or 'no message').splitlines()[0])
        write_json(self.folder / 'result.json', result)
        return result

    def fail(self, why: str) -> dict:
        """Store why there is no result."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / 'failure.json', dict(failed=why))
        return dict(failed=why)

    def checkpoint(self) -> Any:
        """What submitit puts back into the queue on preemption: started again, a run resumes."""
        from submitit.helpers import DelayedSubmission
        return DelayedSubmission(self)


#: From tasks to each of them with its result, or with ``dict(failed='why')``.
Engine = Callable[[Sequence[Task]], Generator[tuple[Task, dict], None, None]]


def cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else (
        os.cpu_count() or 1)


def local_places(devices: Sequence[str] | None = None, jobs: int | None = None,
                 jobs_per_device: int = 1) -> dict:
    """What :func:`run_local` takes: the GPUs named or found, or so many runs on the CPU."""
    if not devices:
        import torch
        number = torch.cuda.device_count()
        found = os.environ.get('CUDA_VISIBLE_DEVICES') or ','.join(map(str, range(number)))
        devices = found.split(',')[:number]
    elif devices == ['cpu']:
        return dict(devices=[''], jobs=jobs or cores())
    return dict(devices=devices, jobs=jobs_per_device if devices else jobs or cores())


def run_local(tasks: Sequence[Task], jobs: int, devices: Sequence[str] = ()
              ) -> Generator[tuple[Task, dict], None, None]:
    """The engine of this machine: worker processes, none of which outlives this one.

    So many ``jobs`` run at a time on each of ``devices``, which are what ``CUDA_VISIBLE_DEVICES``
    is to the tasks (``''`` for a CPU), or else with whatever it is now.
    """
    places = jobs * ([{'CUDA_VISIBLE_DEVICES': device} for device in devices] or [{}])
    # OMP_NUM_THREADS of the user's own wins.
    threads = str(max(1, cores() // max(1, min(len(places), len(tasks)))))
    places = [{'OMP_NUM_THREADS': os.environ.get('OMP_NUM_THREADS', threads), **place}
              for place in places]
    others = set(multiprocessing.active_children())
    # A pool a place, since one whose process dies is lost with all that it runs.
    free = [(place, _pool(place)) for place in places]
    waiting = list(tasks)
    busy: dict[futures.Future, tuple] = {}
    try:
        while waiting or busy:
            while waiting and free:
                place, task = free.pop(0), waiting.pop(0)
                busy[place[1].submit(task)] = place, task
            job = futures.wait(busy, return_when=futures.FIRST_COMPLETED).done.pop()
            (environment, pool), task = busy.pop(job)
            error = job.exception()
            died = isinstance(error, futures.BrokenExecutor)
            free.append((environment, _pool(environment) if died else pool))
            yield task, (job.result() if error is None else task.fail(
                'its process died: killed for lack of memory?' if died else
                f'{type(error).__name__}: {error}'))
    except (KeyboardInterrupt, GeneratorExit):
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise


def _pool(environment: Mapping[str, str]) -> futures.Executor:
    return futures.ProcessPoolExecutor(1, multiprocessing.get_context('spawn'), _start_worker,
                                       (environment, ))


def _start_worker(environment: Mapping[str, str]) -> None:
    # Ctrl-C reaches every process of a terminal: the first one says what becomes of the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    os.environ.update(environment)
    warnings.simplefilter('ignore')
    import torch
    torch.set_num_threads(int(os.environ['OMP_NUM_THREADS']))


def _die_with_parent() -> None:
    # Or else a run would go on unseen, beside the one that takes it up again.
    parent: Any = multiprocessing.parent_process()
    parent.join()
    os._exit(1)


def run_slurm(tasks: Sequence[Task], folder: Path, options: Mapping[str, Any]
              ) -> Generator[tuple[Task, dict], None, None]:
    """The engine of a cluster: an array of Slurm jobs, requeued when they are preempted.

    The options are those of submitit's SlurmExecutor, ``time`` in minutes; with
    ``cluster='local'`` the jobs rehearse on this machine, all at once.
    """
    try:
        import submitit
    except ImportError:
        raise UserError('--engine slurm needs submitit: pip install submitit') from None
    settings = {'job_name': 'mmips', 'time': 24 * 60, **options}
    try:
        local = settings.pop('cluster', 'slurm') == 'local'
        executor = (submitit.LocalExecutor if local else submitit.SlurmExecutor)(folder)
        executor.update_parameters(**(dict(timeout_min=settings['time']) if local else settings))
    except (RuntimeError, ValueError, TypeError) as error:
        raise UserError(f'--engine slurm with {dict(options)}: {error}') from error
    yield from run_submitted(tasks, executor)


def run_submitted(tasks: Sequence[Task], executor: Any, poll: float = 10
                  ) -> Generator[tuple[Task, dict], None, None]:
    """Submit tasks to an executor of submitit, as one array, and wait for them.

    Jobs that an earlier start of the tool has left in the queue are waited for instead of
    being submitted again.
    """
    import submitit.helpers
    note = Path(executor.folder) / 'jobs.json'
    try:
        known = read_results(note)
    except UserError as error:
        raise UserError(f'{note}, which names the jobs in the queue, is damaged: cancel those that '
                        'are there, remove the file and start again.') from error
    left = {executor.job_class(executor.folder, known[str(task.folder)]): task for task in tasks
            if str(task.folder) in known}
    jobs = {job: task for job, task in left.items()
            if job.state in ('PENDING', 'RUNNING', 'REQUEUED', 'COMPLETING')}
    new = [task for task in tasks if task not in jobs.values()]
    if new:
        with executor.batch():
            submitted = [executor.submit(task) for task in new]
        jobs.update(zip(submitted, new))
        write_json(note, {**known, **{str(task.folder): job.job_id for job, task in jobs.items()}})
    try:
        for job in submitit.helpers.as_completed(list(jobs), poll_frequency=poll):
            task = jobs[job]
            yield task, job.result() if job.exception() is None else task.fail(
                f'its job {job.job_id} ended without a result ({job.state}): see '
                f'{job.paths.stderr}')
    except (KeyboardInterrupt, GeneratorExit):
        for job in jobs:
            job.cancel(check=False)
        raise
