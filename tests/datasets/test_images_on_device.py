# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Whole batches from a data set that lives on the device."""
import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from mmpretrain.registry import DATASETS

from mmips.errors import UserError
from mmips.structures.batch_samples import BatchSamples

DIGITS = dict(type='mmips.DigitsDataset', per_class=4, size=8)


def build(**dataset):
    return DATASETS.build(dict(type='mmips.ImagesOnDevice', device='cpu',
                               dataset={**DIGITS, **dataset}))


def test_batches_are_the_datasets_own_images():
    """Pixels, labels and numbers of the data set below, in the order asked for."""
    ours, plain = build(), DATASETS.build(DIGITS)
    batch = ours.__getitems__([7, 2, 2])
    for place, index in enumerate([7, 2, 2]):
        info, sample = plain.get_data_info(index), batch['data_samples'][place]
        assert (batch['inputs'][place].numpy() == info['img'].transpose(2, 0, 1)).all()
        assert sample.gt_label.tolist() == [info['gt_label']] and sample.sample_idx == index
    assert batch['inputs'].dtype == torch.uint8
    assert (ours.get_gt_labels() == plain.get_gt_labels()).all()
    assert torch.equal(ours[4]['inputs'], ours.images[4])
    assert ours.metainfo['classes'] == plain.metainfo['classes'] and len(ours) == 40


@pytest.mark.parametrize('sampler', [dict(type='DefaultSampler', shuffle=True),
                                     dict(type='mmips.PairedClassSampler', epoch='images')])
def test_loader_makes_whole_batches(sampler):
    """Through mmengine's builder; pairs stay pairs."""
    loader = Runner.build_dataloader(dict(
        batch_size=8, num_workers=0, sampler=sampler, collate_fn=dict(type='mmips.whole_batch'),
        dataset=dict(type='mmips.ImagesOnDevice', dataset=DIGITS, device='cpu')), seed=0)
    batches = list(loader)
    assert all(isinstance(batch['data_samples'], BatchSamples) for batch in batches)
    indices = [index for batch in batches for index in batch['data_samples'].sample_idx]
    assert sorted(indices) == list(range(40))
    if 'Paired' in sampler['type']:
        labels = np.concatenate([batch['data_samples'].target for batch in batches])
        assert (labels[0::2] == labels[1::2]).all()


def test_workers_are_refused():
    """They could not reach a GPU, and have nothing to do."""
    loader = Runner.build_dataloader(dict(
        batch_size=8, num_workers=1, sampler=dict(type='DefaultSampler'),
        collate_fn=dict(type='mmips.whole_batch'),
        dataset=dict(type='mmips.ImagesOnDevice', dataset=DIGITS, device='cpu')))
    with pytest.raises(UserError, match='num_workers=0'):
        next(iter(loader))


def test_files_and_sizes_are_refused(tmp_path):
    """Images that are not in memory, or of several sizes."""
    folder = tmp_path / 'data' / 'a'
    folder.mkdir(parents=True)
    (folder / '1.jpg').touch()
    with pytest.raises(UserError, match='CustomDataset reads image files'):
        DATASETS.build(dict(type='mmips.ImagesOnDevice', device='cpu', dataset=dict(
            type='CustomDataset', data_root=str(tmp_path / 'data'))))
    with pytest.raises(UserError, match='has a pipeline, which whole batches do not go through'):
        build(pipeline=[dict(type='PackInputs')])
    inner = {**DIGITS, 'pipeline': [dict(type='PackInputs')]}
    with pytest.raises(UserError, match='DigitsDataset has a pipeline'):
        DATASETS.build(dict(type='mmips.ImagesOnDevice', dataset=dict(
            type='ConcatDataset', datasets=[DIGITS, inner])))
    both = dict(type='ConcatDataset', datasets=[DIGITS, {**DIGITS, 'size': 9}])
    with pytest.raises(UserError, match=r'\(9, 9, 3\) beside uint8 ones of \(8, 8, 3\)'):
        DATASETS.build(dict(type='mmips.ImagesOnDevice', device='cpu', dataset=both))


@pytest.mark.gpu
def test_too_large_is_refused_with_both_sizes(monkeypatch):
    """Before anything is copied."""
    monkeypatch.setattr(torch.cuda, 'mem_get_info', lambda device: (100, 1000))
    with pytest.raises(UserError, match=r'takes .* GiB, but 0.0 GiB are free on cuda'):
        DATASETS.build(dict(type='mmips.ImagesOnDevice', dataset=DIGITS, device='cuda'))
