"""Two gloo processes of one test."""
import os

import torch
import torch.multiprocessing as mp


def in_two_processes(work, folder, *args):
    """What ``work(folder, *args)`` returns in each of two processes that know each other."""
    context = mp.start_processes(_start, (work, folder, args), 2, join=False, start_method='fork')
    while not context.join(300):
        pass
    return [torch.load(folder / f'rank{rank}.pt', weights_only=False) for rank in range(2)]


def _start(rank, work, folder, args):
    torch.set_num_threads(1)
    os.environ.update(LOCAL_RANK=str(rank), RANK=str(rank), WORLD_SIZE='2')
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/rendezvous', rank=rank, world_size=2)
    torch.save(work(folder, *args), folder / f'rank{rank}.pt')
    torch.distributed.destroy_process_group()
