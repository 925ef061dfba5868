# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""The processes of a distributed run: started by torchrun, also on a machine without a GPU.

mmengine cannot start on the latter by itself: ``init_dist`` calls ``torch.cuda.set_device``
unless a process group exists, and the Runner wraps the model with ``device_ids=[local rank]``
unless ``model_wrapper_cfg`` says otherwise.
"""
import atexit
import datetime
import logging
import os
import time
from typing import Any

from mmips.config.strategies import wrap_on_cpu
from mmips.errors import UserError

#: Registered with mmengine's MODEL_WRAPPERS by :func:`_use_cpu_wrapper`.
CPU_WRAPPER = 'CPUDistributedDataParallel'
#: The exit status of a tool after a message of its own: a wrong input, Ctrl-C.
REFUSED, STOPPED = 2, 130
# What says so under torchrun, Slurm and MPI.
_VARIABLES = {'RANK': ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK'),
              'LOCAL_RANK': ('LOCAL_RANK', 'SLURM_LOCALID', 'OMPI_COMM_WORLD_LOCAL_RANK')}


def rank(variable: str = 'RANK') -> int:
    """The number of this process, known before any process group exists."""
    return next((int(os.environ[name]) for name in _VARIABLES[variable] if os.environ.get(name)), 0)


def prepare_distributed(cfg: Any) -> None:
    """Make a distributed config run on what this machine has; with GPUs only count them.

    Without, the gloo process group is made here, and SyncBN, which refuses CPU tensors, made BN.
    """
    launcher = cfg.get('launcher', 'none')
    if launcher == 'none':
        return
    import torch
    from mmengine.device import get_device
    if get_device() == 'mps':  # Where the Runner moves every model, and gloo reduces nothing.
        raise UserError(f'--launcher={launcher}: torch cannot train in several processes on an '
                        'Apple GPU (mps). Start one process, without --launcher.')
    if get_device() != 'cpu':
        own = rank('LOCAL_RANK')
        if torch.cuda.is_available() and own >= torch.cuda.device_count():
            raise UserError(
                f'More processes than GPUs: this is local rank {own}, and this machine shows '
                f'{torch.cuda.device_count()} GPU(s). Start as many processes as GPUs, or set '
                'CUDA_VISIBLE_DEVICES=-1 to rehearse on CPUs.')
        return
    if launcher != 'pytorch' or 'RANK' not in os.environ:
        raise UserError(f'--launcher={launcher} found no GPU, and no processes that torchrun has '
                        'started. On CPUs start by `bash tools/dist_train.sh CONFIG PROCESSES`, or '
                        'leave --launcher out.')
    _use_cpu_wrapper(cfg)
    if not torch.distributed.is_initialized():
        # Half an hour is torch's default for gloo.
        seconds = ((cfg.get('env_cfg') or {}).get('dist_cfg') or {}).get('timeout') or 1800
        torch.distributed.init_process_group('gloo', timeout=datetime.timedelta(seconds=seconds))
        atexit.register(_end_process_group)


def start_processes(argv: list[str] | None = None) -> None:
    """torchrun, but without its traceback below what a process has already said itself."""
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    try:
        run.run(run.parse_args(argv))
    except SignalException as stop:
        raise SystemExit(128 + stop.sigval) from None
    except ChildFailedError as error:
        code = error.get_first_failure()[1].exitcode
        if code in (REFUSED, STOPPED):
            raise SystemExit(code) from None
        raise


def _end_process_group() -> None:
    from torch import distributed
    if distributed.is_initialized():
        distributed.destroy_process_group()
        # gloo's threads let go of their last tensors a moment after the wait for these. Python has
        # to be there for it: a thread that finds it ending aborts the process.
        time.sleep(0.5)


def _use_cpu_wrapper(cfg: Any) -> None:
    """Put a wrapper for CPUs into the place of the config's own, with its options."""
    from mmengine.logging import print_log
    from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
    from mmengine.registry import MODEL_WRAPPERS
    wrap_on_cpu(cfg, CPU_WRAPPER)

    class CPUDistributedDataParallel(MMDistributedDataParallel):
        """mmengine's wrapper for a model without SyncBN layers."""

        def __init__(self, module: Any, **kwargs: Any) -> None:
            # mmcv's own SyncBatchNorm is no subclass of torch's, but bears its name.
            count = sum(type(part).__name__ == 'SyncBatchNorm' for part in module.modules())
            if count and rank() == 0:
                print_log(f'SyncBN cannot run on CPUs: {count} SyncBN layers of the model are '
                          'ordinary BN layers in this run, unlike on GPUs.', 'current',
                          logging.WARNING)
            super().__init__(module=revert_sync_batchnorm(module), **kwargs)

    MODEL_WRAPPERS.register_module(CPU_WRAPPER, force=True, module=CPUDistributedDataParallel)


if __name__ == '__main__':
    start_processes()
