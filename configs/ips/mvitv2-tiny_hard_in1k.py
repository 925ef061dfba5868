"""Hard label, MViTv2-T on ImageNet: the twin of mvitv2-tiny_ips_in1k.py.

Paper: Table 2, 77.71 % top-1.
Command: tools/dist_train.sh configs/ips/mvitv2-tiny_hard_in1k.py 8
Cost: 200 epochs x 1,281,167 images; 8 GPUs x 24 images = 192 a step.
Differs from the paper: nothing known. Stated: 200 epochs, batch 192, no MixUp and no CutMix,
"alignment with CNN-based network settings". Inferred from that: crop and flip alone, plain
cross entropy. Unknown: the size (tiny is taken), optimiser and lr, which are mmpretrain's,
the lr scaled to 192 images a step: see mvitv2-tiny_hard-mmpretrain_in1k.py.
"""
_base_ = 'mvitv2-tiny_hard-mmpretrain_in1k.py'

# Without RandAugment and RandomErasing.
train_pipeline = [*_base_.train_pipeline[:3], _base_.train_pipeline[-1]]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
model = dict(head=dict(loss=dict(_delete_=True, type='CrossEntropyLoss')))
