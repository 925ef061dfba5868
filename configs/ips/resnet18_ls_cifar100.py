"""Label smoothing, ResNet-18 on CIFAR-100.

Paper: Table 14, 78.78 % top-1 (hard label: 77.92 %).
Command: python tools/train.py configs/ips/resnet18_ls_cifar100.py
Cost: 240 epochs x 50,000 images = 12 M images seen; 782 steps an epoch on one GPU.
Differs from the paper: nothing known. Unknown: the share of each label that is spread over
all classes (0.1, its own paper's).
All else as in resnet18_hard_cifar100.py.
"""
_base_ = 'resnet18_hard_cifar100.py'

model = dict(head=dict(loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1)))
