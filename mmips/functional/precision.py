# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What is summed or compared is not left in half precision."""
import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """A tensor of half precision in float32; float32 and float64 as they are."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
