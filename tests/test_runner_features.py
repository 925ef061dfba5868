"""What mmengine's Runner adds around a model works with ours: EMA, accumulation, compile."""
import pytest
import torch
from mmpretrain.registry import MODELS

ONE_EPOCH = {'train_cfg.max_epochs': 1}


def plain_keys(runner):
    """State-dict keys of the same network as mmpretrain's plain classifier."""
    model = {k: v for k, v in runner.cfg.model.items() if k in ('backbone', 'neck', 'head')}
    return list(MODELS.build(dict(model, type='ImageClassifier')).state_dict())


def test_ema_checkpoint_is_plain(make_runner):
    runner = make_runner(custom_hooks=[dict(type='EMAHook', momentum=0.5)], **ONE_EPOCH)
    runner.train()
    checkpoint = torch.load(f'{runner.work_dir}/epoch_1.pth', weights_only=False)
    assert list(checkpoint['state_dict']) == plain_keys(runner)
    averaged = checkpoint['state_dict']['head.fc.weight']
    raw = checkpoint['ema_state_dict']['module.head.fc.weight']
    assert not torch.equal(averaged, raw)


@pytest.mark.parametrize('counts', [1, 3])
def test_gradients_accumulate(make_runner, counts):
    steps = []
    runner = make_runner(**{'optim_wrapper.accumulative_counts': counts, **ONE_EPOCH})
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.optim_wrapper.optimizer.register_step_post_hook(lambda *_: steps.append(1))
    runner.train()
    assert len(steps) == 3 // counts


def test_iteration_based_loop_with_the_infinite_sampler(make_runner):

    def run(max_iters, **options):
        runner = make_runner(**options, **{
            'train_cfg': dict(_delete_=True, by_epoch=False, max_iters=max_iters, val_interval=2),
            'train_dataloader.sampler.type': 'mmips.InfinitePairedClassSampler',
            'param_scheduler': dict(type='MultiStepLR', by_epoch=False, milestones=[3]),
            'default_hooks.checkpoint': dict(type='CheckpointHook', by_epoch=False, interval=2)})
        runner.train()
        return runner.iter

    assert run(4) == 4
    assert run(6, resume=True) == 6
