# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Starting the processes of a distributed run, without a GPU too.

mmengine cannot start on CPUs by itself: ``init_dist`` calls ``torch.cuda.set_device``
and the Runner wraps the model with ``device_ids=[local rank]``. Both are left out when
a process group exists already and when ``model_wrapper_cfg`` says so, which is what
:func:`prepare_distributed` arranges.

``python -m mmips.runs.launch`` is ``torchrun`` without its traceback where a process
has already said in one message what is wrong.
"""
import datetime
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ['USER_ERROR', 'local_rank', 'main', 'prepare_distributed', 'rank']

#: Exit status of a run that ended in a message to its user.
USER_ERROR = 2
#: Registered with mmengine's MODEL_WRAPPERS by :func:`_register_cpu_wrapper`.
CPU_WRAPPER = 'CPUDistributedDataParallel'
_RANK_VARIABLES = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')
_LOCAL_RANK_VARIABLES = ('LOCAL_RANK', 'SLURM_LOCALID', 'OMPI_COMM_WORLD_LOCAL_RANK')


def _first_number(names: Sequence[str]) -> int:
    return next((int(os.environ[name]) for name in names if os.environ.get(name)), 0)


def rank() -> int:
    """The number of this process among all, known before any process group exists."""
    return _first_number(_RANK_VARIABLES)


def local_rank() -> int:
    """The number of this process on its machine."""
    return _first_number(_LOCAL_RANK_VARIABLES)


def prepare_distributed(cfg: Any) -> None:
    """Make a distributed config run on what this machine has.

    With GPUs, only their number is checked. Without, the gloo process group is made
    here and ``cfg.model_wrapper_cfg`` is replaced by one that needs no GPU and turns
    SyncBN, which refuses CPU tensors, into BN.

    Args:
        cfg (Config): The whole config; ``launcher`` and ``env_cfg`` are read,
            ``model_wrapper_cfg`` is written.

    Raises:
        ValueError: More processes than GPUs, a wrapper that cannot run on CPUs, or an
            Apple GPU (mps), for which torch has no process group.
    """
    launcher = cfg.get('launcher', 'none')
    if launcher == 'none':
        return
    import torch
    from mmengine.device import get_device
    if get_device() == 'mps':
        # No rehearsal on the CPU here: the Runner moves every model to get_device(),
        # and gloo cannot reduce tensors that live on an Apple GPU.
        raise ValueError(f'--launcher={launcher}: torch cannot train in several processes on an '
                         'Apple GPU (mps). Start one process, without --launcher.')
    if get_device() != 'cpu':
        if torch.cuda.is_available() and local_rank() >= torch.cuda.device_count():
            raise ValueError(
                f'More processes than GPUs: this is local rank {local_rank()}, and this machine '
                f'shows {torch.cuda.device_count()} GPU(s). Start as many processes as GPUs, or '
                'set CUDA_VISIBLE_DEVICES=-1 to rehearse on CPUs.')
        return
    cfg.model_wrapper_cfg = _cpu_wrapper_cfg(cfg)
    _register_cpu_wrapper()
    _init_gloo(launcher, (cfg.get('env_cfg') or {}).get('dist_cfg') or {})


def _cpu_wrapper_cfg(cfg: Any) -> dict:
    """The config's own wrapper with its options, but for CPUs."""
    wrapper = dict(cfg.get('model_wrapper_cfg') or
                   dict(broadcast_buffers=False,
                        find_unused_parameters=cfg.get('find_unused_parameters', False)))
    kind = wrapper.pop('type', 'MMDistributedDataParallel')
    if kind not in ('MMDistributedDataParallel', 'DistributedDataParallel', CPU_WRAPPER):
        raise ValueError(f'model_wrapper_cfg.type={kind!r} cannot run without a GPU. Remove '
                         'model_wrapper_cfg to rehearse on CPUs, or run where GPUs are.')
    return {**wrapper, 'type': CPU_WRAPPER, 'device_ids': None}


def _register_cpu_wrapper() -> None:
    from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
    from mmengine.registry import MODEL_WRAPPERS
    if CPU_WRAPPER in MODEL_WRAPPERS:
        return

    class CPUDistributedDataParallel(MMDistributedDataParallel):
        """mmengine's wrapper for a model without SyncBN layers."""

        def __init__(self, module: Any, **kwargs: Any) -> None:
            count = _count_sync_bn(module)
            if count:
                _say(f'SyncBN cannot run on CPUs: {count} SyncBN layers of the model are '
                     'ordinary BN layers in this run, and each process normalises by its own '
                     'images. Results will differ from a run on GPUs.')
                module = revert_sync_batchnorm(module)
            super().__init__(module=module, **kwargs)

    MODEL_WRAPPERS.register_module(name=CPU_WRAPPER, module=CPUDistributedDataParallel)


def _count_sync_bn(module: Any) -> int:
    # mmcv's own SyncBatchNorm is no subclass of torch's, but bears its name.
    return sum(type(part).__name__ == 'SyncBatchNorm' for part in module.modules())


def _say(message: str) -> None:
    from mmengine.logging import print_log
    if rank() == 0:
        print_log(message, logger='current', level=logging.WARNING)


def _init_gloo(launcher: str, dist_cfg: Mapping[str, Any]) -> None:
    import torch.distributed as dist
    if dist.is_initialized():
        return
    os.environ.update({name: value for name, value in _torch_variables(launcher).items()
                       if name not in os.environ})
    options: dict[str, Any] = {}
    if dist_cfg.get('timeout') is not None:
        options['timeout'] = datetime.timedelta(seconds=dist_cfg['timeout'])
    dist.init_process_group('gloo', **options)


def _torch_variables(launcher: str) -> dict[str, str]:
    """What ``torch.distributed`` reads, from what the other launchers set."""
    if launcher == 'pytorch':
        if 'RANK' not in os.environ:
            raise ValueError('--launcher=pytorch, but RANK is not set: start by '
                             '`bash tools/dist_train.sh CONFIG PROCESSES`, or without --launcher.')
        return {}
    names = {'slurm': ('SLURM_PROCID', 'SLURM_LOCALID', 'SLURM_NTASKS'),
             'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_LOCAL_RANK',
                     'OMPI_COMM_WORLD_SIZE')}[launcher]
    if names[0] not in os.environ:
        raise ValueError(f'--launcher={launcher}, but {names[0]} is not set: this process was '
                         f'not started by {launcher}.')
    values = dict(zip(('RANK', 'LOCAL_RANK', 'WORLD_SIZE'),
                      (os.environ.get(name, '0') for name in names)), MASTER_PORT='29500')
    if launcher == 'slurm' and 'MASTER_ADDR' not in os.environ:
        nodes = subprocess.run(['scontrol', 'show', 'hostnames', os.environ['SLURM_NODELIST']],
                               capture_output=True, text=True, check=True)
        values['MASTER_ADDR'] = nodes.stdout.split()[0]
    return values


class _AlreadySaid(logging.Filter):
    """Drops torchrun's log lines on processes that ended in a message of their own."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        return f'exitcode: {USER_ERROR})' not in text and 'closing signal SIGTERM' not in text


def main(argv: Sequence[str] | None = None) -> None:
    """``torchrun`` with its own options, silent where a process has said what is wrong.

    Args:
        argv (Sequence[str], optional): Options of ``torchrun``. Defaults to the
            command line's.
    """
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun
    for name in ('torch.distributed.elastic.multiprocessing.api',
                 'torch.distributed.elastic.multiprocessing.errors'):
        logging.getLogger(name).addFilter(_AlreadySaid())
    try:
        torchrun(sys.argv[1:] if argv is None else list(argv))
    except ChildFailedError as error:
        codes = {failure.exitcode for failure in error.failures.values()}
        if not codes <= {USER_ERROR, -signal.SIGTERM}:
            raise
        raise SystemExit(USER_ERROR) from None


if __name__ == '__main__':
    main()
