"""Hard label, ResNet-18 from scratch on CUB-200: the twin of resnet18_ips_cub.py.

Paper: Table 5, 57.76 % top-1.
Command: python tools/train.py configs/ips/resnet18_hard_cub.py
Cost: 200 epochs x 5,994 images; 32 a step on one GPU.
Differs from the paper: it states no recipe; this is CS-KD's (inferred): 200 epochs, lr
0.1 cut tenfold at 100 and 150, weight decay 1e-4, random resized crop 224, flip.
Data: data/CUB_200_2011 (images.txt, train_test_split.txt, images/).
"""
_base_ = [
    'mmpretrain::_base_/models/resnet18.py',
    '../_base_/datasets/cub_bs32_224.py',
    '../_base_/schedules/fine-grained_200e.py',
    '../_base_/seeded_runtime.py',
]

model = dict(backbone=dict(zero_init_residual=False), head=dict(num_classes=200))
