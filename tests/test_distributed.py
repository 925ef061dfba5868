"""Two gloo processes against one: the same pairs, the same gradient."""
import os

import pytest
import torch
import torch.multiprocessing as mp
from helpers.labels import Labels
from mmengine.dist import get_dist_info
from mmengine.model import MMDistributedDataParallel
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from mmips.datasets.samplers import PairedClassSampler

IMAGES, CLASSES = 24, 3
LABELS = Labels(number % CLASSES for number in range(IMAGES))


def make_model():
    """A network whose statistics do not mix images, so that ranks can agree at all."""
    torch.manual_seed(0)
    return MODELS.build(dict(
        type='mmips.SelfDistillClassifier',
        backbone=dict(type='ResNet_CIFAR', depth=18, num_stages=2, strides=(1, 2),
                      dilations=(1, 1), out_indices=(1, ), stem_channels=4, base_channels=4,
                      zero_init_residual=False, norm_cfg=dict(type='GN', num_groups=2)),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=CLASSES, in_channels=8))).double()


def gradient(model, indices):
    images = torch.randn(IMAGES, 3, 8, 8, generator=torch.Generator().manual_seed(1)).double()
    samples = [DataSample().set_gt_label(i % CLASSES) for i in indices]
    sum(model(images[indices], samples, mode='loss').values()).backward()
    return [p.grad.clone() for p in model.parameters()]


def work(rank, world, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/rendezvous', rank=rank, world_size=world)
    assert get_dist_info() == (rank, world)
    sampler = PairedClassSampler(LABELS, seed=5)
    indices = list(sampler)
    model = MMDistributedDataParallel(make_model())
    torch.save((indices, gradient(model, indices)), f'{folder}/rank{rank}.pt')
    torch.distributed.destroy_process_group()


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs fork')
def test_two_processes_see_every_pair_once_and_agree_with_one(tmp_path):
    context = mp.start_processes(work, (2, str(tmp_path)), 2, join=False, start_method='fork')
    while not context.join(120):
        pass
    shares = [torch.load(tmp_path / f'rank{rank}.pt', weights_only=False) for rank in range(2)]
    pairs = [list(zip(s[0][0::2], s[0][1::2])) for s in shares]
    whole = list(PairedClassSampler(LABELS, seed=5))
    assert sorted(pairs[0] + pairs[1]) == sorted(zip(whole[0::2], whole[1::2]))
    assert len(pairs[0]) == len(pairs[1]) == IMAGES // 2
    expected = gradient(make_model(), whole)
    for first, second, one in zip(shares[0][1], shares[1][1], expected):
        assert torch.equal(first, second)
        assert torch.allclose(first, one, rtol=1e-9, atol=1e-12)
    assert max(g.abs().max() for g in expected) > 1e-3
