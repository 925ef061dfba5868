"""Gradients of half batches, accumulated, are those of the whole batch of pairs."""
import pytest
import torch

from mmips.models.batch_augments import IntraClassPatchSwap

GROUP_NORM = {'model.backbone.norm_cfg': dict(type='GN', num_groups=2, requires_grad=True)}
FIXED_BN = {'model.backbone.norm_eval': True}


def trained(make_runner, folder, norm, batch_size, counts):
    """The weights after an epoch; every second pair swaps every second cell."""
    runner = make_runner(work_dir=folder, **norm, **{
        'train_cfg.max_epochs': 1, 'train_dataloader.batch_size': batch_size,
        'optim_wrapper.accumulative_counts': counts})
    runner.train()
    assert runner.iter == 48 // batch_size
    return torch.cat([weight.detach().flatten() for weight in runner.model.parameters()])


@pytest.mark.parametrize('norm', [GROUP_NORM, FIXED_BN], ids=['GroupNorm', 'BN in eval mode'])
def test_half_batches_accumulated_are_a_whole_one(make_runner, monkeypatch, norm):
    def draw_mask(self, num_pairs):
        cells = torch.arange(num_pairs * 16).view(num_pairs, *self.grid_size)
        return (cells % 2 == 0) & (cells // 16 % 2 == 0)

    # Masks are drawn batch by batch: drawn ones would be others.
    monkeypatch.setattr(IntraClassPatchSwap, 'draw_mask', draw_mask)
    whole, halves, each = (trained(make_runner, f'{size} {counts}', norm, size, counts)
                           for size, counts in ((16, 1), (8, 2), (8, 1)))
    torch.testing.assert_close(halves, whole, rtol=1e-4, atol=1e-6)
    assert (each - whole).abs().max() > 1e-2
