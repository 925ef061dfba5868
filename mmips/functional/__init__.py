# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from .pair_kl import pair_kl
from .patch_swap import cell_edges, draw_patch_mask, swap_patches

__all__ = ['cell_edges', 'draw_patch_mask', 'pair_kl', 'swap_patches']
