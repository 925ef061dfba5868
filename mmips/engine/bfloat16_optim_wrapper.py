# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper

from mmips.errors import UserError
from mmips.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Forward passes in bfloat16 autocast, on a GPU or a CPU.

    bfloat16 has float32's range, so there is no loss scaler, and with it none of the waits for
    the device of mmengine's ``AmpOptimWrapper``, which also refuses a CPU. Weights, gradients
    and the optimiser stay in float32.

    Args:
        *args: As mmengine's ``OptimWrapper``.
        **kwargs: The same.

    Raises:
        UserError: On a CPU without AVX-512 instructions for bfloat16, which would be slower than
            float32, and on a GPU without bfloat16.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.device = 'cuda' if torch.cuda.is_available() else 'cpu'
        # torch calls it supported where it is emulated, too.
        able = (torch.cuda.get_device_capability() >= (8, 0) if self.device == 'cuda' else
                # torch 2.1 cannot tell.
                getattr(torch.cpu, '_is_avx512_bf16_supported', lambda: True)())
        if not able:
            raise UserError('optim_wrapper.type=mmips.BFloat16OptimWrapper: this '
                            f'{self.device} has no bfloat16 arithmetic. Write '
                            "optim_wrapper=dict(type='OptimWrapper'), or leave --amp out.")
        print_log(f'BFloat16OptimWrapper: mixed precision in bfloat16 on this {self.device}.',
                  'current')

    @contextmanager
    def optim_context(self, model: torch.nn.Module) -> Iterator[None]:
        """Autocast, and what mmengine's own wrapper does for accumulated gradients."""
        with super().optim_context(model), torch.autocast(self.device, dtype=torch.bfloat16):
            yield
