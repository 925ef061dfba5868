"""Label smoothing, small images from any ``.npz`` file.

Paper: none.
Command: python tools/train.py configs/baselines/ls/resnet18-s_ls_npz.py
Cost: 120 epochs x N images, 64 a step, in whole batches on the device.
0.9 for the label, 0.1 shared over the other classes (TF-KD's code, arXiv 1909.11723). Szegedy et
al. (arXiv 1512.00567) share 0.1 over all of them: label_smooth_val=0.1, as in
configs/ips/resnet18_ls_cifar100.py.
"""
_base_ = '../hard/resnet18-s_hard_npz.py'

# mmpretrain spreads over all classes: this leaves 0.9 to the label and shares 0.1 over the others.
model = dict(head=dict(loss=dict(
    type='LabelSmoothLoss', label_smooth_val=0.1 * _base_.num_classes / (_base_.num_classes - 1))))
