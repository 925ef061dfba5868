# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from .attention_transfer_loss import AttentionTransferLoss
from .contrastive_distill_loss import ContrastiveDistillLoss
from .kd_loss import KDLoss
from .pair_kl_loss import PairKLLoss
from .relational_kd_loss import RelationalKDLoss
from .similarity_preserving_loss import SimilarityPreservingLoss

__all__ = ['AttentionTransferLoss', 'ContrastiveDistillLoss', 'KDLoss', 'PairKLLoss',
           'RelationalKDLoss', 'SimilarityPreservingLoss']
