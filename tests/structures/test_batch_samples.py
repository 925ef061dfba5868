"""Labels of a batch that pass for mmpretrain's data samples."""
import pickle

import pytest
import torch
from mmpretrain.structures import DataSample

from mmips.structures.batch_samples import BatchSamples


@pytest.mark.parametrize('score', [None, torch.eye(3)])
def test_samples_are_those_that_mmengine_would_make(score):
    batch = BatchSamples(torch.tensor([2, 0, 1]), [7, 8, 9], score)
    for number, sample in enumerate(batch):
        wanted = DataSample()
        wanted.set_field([7, 8, 9][number], 'sample_idx', field_type='metainfo')
        wanted.set_field(torch.tensor([[2, 0, 1][number]]), 'gt_label')
        if score is not None:
            wanted.set_field(score[number], 'gt_score')
        for each in (sample, pickle.loads(pickle.dumps(sample)), sample.clone(), sample.cpu()):
            assert type(each) is DataSample and str(each.to_dict()) == str(wanted.to_dict())
            assert set(each.keys()) == set(wanted.keys()) and each.metainfo == wanted.metainfo
        sample.set_pred_label(1)
        assert 'pred_label' in sample and 'pred_label' not in wanted
        del sample.gt_label
        assert 'gt_label' not in sample
        with pytest.raises(AttributeError, match='already a metainfo field'):
            sample.sample_idx = 3


def test_slices_and_target():
    batch = BatchSamples(torch.arange(4), range(4))
    assert [sample.sample_idx for sample in batch[1::2]] == [1, 3] and len(batch) == 4
    assert batch.target is batch.gt_label
    scores = torch.ones(4, 2)
    assert BatchSamples(torch.arange(4), range(4), scores).target is scores
