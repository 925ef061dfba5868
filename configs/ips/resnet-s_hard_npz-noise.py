"""Hard-label twin of ``resnet-s_ips_npz-noise.py``: any ``.npz`` file under label noise.

20 % of the training labels of each class are flipped to another class; the test images keep
theirs. File and subset as in ``resnet-s_hard_npz.py``. Not an experiment of the paper.

Command: MMIPS_NPZ=data/cifar100.npz python tools/train.py configs/ips/resnet-s_hard_npz-noise.py
Another rate: --cfg-options train_dataloader.dataset.rate=0.4
Cost: 120 epochs x N images.
"""
_base_ = 'resnet-s_hard_npz.py'

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmips.NoisyLabelDataset',
        rate=0.2,
        dataset=_base_.train_dataloader.dataset))
