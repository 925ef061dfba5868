"""Hard label, ResNet-18 from scratch on Stanford Dogs: the twin of resnet18_ips_dogs.py.

Paper: Table 5, 66.14 % top-1.
Command: python tools/train.py configs/ips/resnet18_hard_dogs.py
Cost: 200 epochs x 12,000 images; 32 a step on one GPU.
Differs from the paper: it states no recipe; this is CS-KD's (inferred): 200 epochs, lr
0.1 cut tenfold at 100 and 150, weight decay 1e-4, random resized crop 224, flip.
Data: data/stanford_dogs (the published lists/*.mat and Images/).
"""
_base_ = [
    'mmpretrain::_base_/models/resnet18.py',
    '../_base_/datasets/stanford-dogs_bs32_224.py',
    '../_base_/schedules/fine-grained_200e.py',
    '../_base_/seeded_runtime.py',
]

model = dict(backbone=dict(zero_init_residual=False), head=dict(num_classes=120))
