"""What tests on a GPU share."""
from contextlib import contextmanager

import torch


@contextmanager
def never_waiting():
    """Fail where the host waits for the device."""
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode('error')
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode('default')
