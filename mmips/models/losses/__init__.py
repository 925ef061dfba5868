# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from .attention_transfer_loss import AttentionTransferLoss
from .contrastive_distill_loss import ContrastiveDistillLoss
from .ddgsd_loss import DDGSDLoss
from .kd_loss import KDLoss
from .last_batch_loss import LastBatchLoss
from .pair_kl_loss import PairKLLoss
from .relational_kd_loss import RelationalKDLoss
from .similarity_preserving_loss import SimilarityPreservingLoss
from .virtual_teacher_loss import VirtualTeacherLoss

__all__ = [
    'AttentionTransferLoss', 'ContrastiveDistillLoss', 'DDGSDLoss', 'KDLoss', 'LastBatchLoss',
    'PairKLLoss', 'RelationalKDLoss', 'SimilarityPreservingLoss', 'VirtualTeacherLoss',
]
