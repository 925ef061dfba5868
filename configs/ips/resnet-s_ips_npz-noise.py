"""IPS on any ``.npz`` file under label noise, at its twin's number of images seen.

Noise, file and subset as in ``resnet-s_hard_npz-noise.py``: pairs share the label they are
given, right or wrong. Not an experiment of the paper.

Command: MMIPS_NPZ=data/cifar100.npz python tools/train.py configs/ips/resnet-s_ips_npz-noise.py
Another rate: --cfg-options train_dataloader.dataset.rate=0.4
Cost: 60 epochs x 2N images, as many as 120 epochs of hard label.
"""
_base_ = 'resnet-s_ips_npz.py'

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmips.NoisyLabelDataset',
        rate=0.2,
        dataset=_base_.train_dataloader.dataset))
