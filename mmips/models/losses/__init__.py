# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from .attention_transfer_loss import AttentionTransferLoss
from .bake_loss import BAKELoss
from .contrastive_distill_loss import ContrastiveDistillLoss
from .ddgsd_loss import DDGSDLoss
from .fer_loss import FERLoss
from .kd_loss import KDLoss
from .last_batch_loss import LastBatchLoss
from .light_skd_loss import LightSKDLoss
from .max_sup_loss import MaxSupLoss
from .pair_kl_loss import PairKLLoss
from .relational_kd_loss import RelationalKDLoss
from .similarity_preserving_loss import SimilarityPreservingLoss
from .uskd_loss import USKDLoss
from .virtual_teacher_loss import VirtualTeacherLoss
from .zipf_loss import ZipfLoss

__all__ = [
    'AttentionTransferLoss', 'BAKELoss', 'ContrastiveDistillLoss', 'DDGSDLoss', 'FERLoss',
    'KDLoss', 'LastBatchLoss', 'LightSKDLoss', 'MaxSupLoss', 'PairKLLoss', 'RelationalKDLoss',
    'SimilarityPreservingLoss', 'USKDLoss', 'VirtualTeacherLoss', 'ZipfLoss',
]
