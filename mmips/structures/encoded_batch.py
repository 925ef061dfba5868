# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""The image files of a batch."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class EncodedBatch:
    """Image files of a batch as they lie on the disk, in one tensor.

    A tensor for each would cost a worker a file descriptor for each; and torch would take a
    sequence apart to pin it.

    Args:
        data (Tensor): All files, one after the other, uint8 (B,), on the CPU.
        lengths (Sequence[int]): Bytes of each of the N files.
        plain (Sequence[bool]): Which are upright JPEG files of one or three channels, which any
            JPEG decoder reads alike.
    """

    def __init__(self, data: Tensor, lengths: Sequence[int], plain: Sequence[bool]) -> None:
        self.data, self.lengths, self.plain = data, list(lengths), list(plain)

    @classmethod
    def join(cls, files: Sequence[bytes], plain: Sequence[bool]) -> EncodedBatch:
        """The batch of these files, of which at least one holds something."""
        return cls(torch.frombuffer(bytearray().join(files), dtype=torch.uint8),
                   list(map(len, files)), plain)

    @property
    def shape(self) -> torch.Size:
        """(N,), where a batch of images has (N, C, H, W)."""
        return torch.Size([len(self.lengths)])

    def files(self) -> tuple[Tensor, ...]:
        """Each file, uint8 (its length,)."""
        return self.data.split(self.lengths)

    def pin_memory(self) -> EncodedBatch:
        """The same in page-locked memory."""
        return EncodedBatch(self.data.pin_memory(), self.lengths, self.plain)
