"""DLB as its authors trained it, ResNet-18 on CIFAR-100.

Paper: none for this recipe; Shen et al. (CVPR 2022) report the best epoch on the test set.
Command: python tools/train.py configs/baselines/dlb/resnet18_dlb-authors_cifar100.py
Cost: as resnet18_dlb_cifar100.py.
Differs from resnet18_dlb_cifar100.py: Nesterov's momentum; epochs, lr and its cuts, batch and
weight decay are the same. The authors' code has no defaults for T and the weight.
"""
_base_ = 'resnet18_dlb_cifar100.py'

optim_wrapper = dict(optimizer=dict(nesterov=True))
