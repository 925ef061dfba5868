"""What mmengine's Runner adds around a model works with ours: EMA, loops by iterations."""
import torch

ONE_EPOCH = {'train_cfg.max_epochs': 1}


def test_ema_checkpoint_is_plain(make_runner):
    runner = make_runner(custom_hooks=[dict(type='EMAHook', momentum=0.5)], **ONE_EPOCH)
    runner.train()
    checkpoint = torch.load(f'{runner.work_dir}/epoch_1.pth', weights_only=False)
    assert list(checkpoint['state_dict']) == list(runner.model.state_dict())
    averaged = checkpoint['state_dict']['head.fc.weight']
    raw = checkpoint['ema_state_dict']['module.head.fc.weight']
    assert not torch.equal(averaged, raw)


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
