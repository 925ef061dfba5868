"""A loss that becomes NaN ends the run before weights are saved that are lost."""
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.optim import AmpOptimWrapper

from mmips.errors import UserError


class Spoil(Hook):
    """Spoils a weight before an iteration, so that its loss is NaN, or mends it."""

    def __init__(self, at, value=float('nan')):
        self.at, self.value = at, value

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.at:
            runner.model.head.fc.bias.data[0] = self.value


def spoiled(make_runner, at, interval, **options):
    runner = make_runner(**{'default_hooks.logger.interval': interval, **options})
    runner.register_hook(Spoil(at))
    return runner


@pytest.mark.parametrize('at, interval, found', [
    # Three steps an epoch; the epoch's end is looked at as well.
    (0, 1, 'iteration 1 .epoch 1.. No checkpoint was saved before'),
    (4, 100, r'iteration 5 \(epoch 2\). The last checkpoint is from before: epoch_1.pth'),
    (7, 2, r'iteration 8 \(epoch 3\). The last checkpoint is from before: epoch_2.pth')])
def test_names_the_first_iteration_and_the_last_checkpoint(make_runner, tmp_path, at, interval,
                                                           found):
    with pytest.raises(UserError, match=f'NaN or infinite since {found}.*usual causes'):
        spoiled(make_runner, at, interval).train()
    for path in (tmp_path / 'run').glob('*.pth'):
        state = torch.load(path, weights_only=False)['state_dict']
        assert all(value.isfinite().all() for value in state.values()), path


def test_before_a_checkpoint_that_no_log_line_comes_before(make_runner, tmp_path):
    options = {'train_cfg': dict(_delete_=True, type='IterBasedTrainLoop', max_iters=6,
                                 val_interval=6),
               'param_scheduler': None, 'default_hooks.checkpoint.by_epoch': False,
               'default_hooks.checkpoint.interval': 2, 'custom_hooks': [],
               'default_hooks.checkpoint.max_keep_ckpts': -1}
    with pytest.raises(UserError, match='since iteration 4 .*: iter_2.pth'):
        spoiled(make_runner, 3, 100, **options).train()
    assert [path.name for path in (tmp_path / 'run').glob('*.pth')] == ['iter_2.pth']


def test_mixed_precision_may_overflow_now_and_then(make_runner, monkeypatch):
    runner = spoiled(make_runner, 4, 100)
    runner.register_hook(Spoil(5, 0.))
    monkeypatch.setattr(type(runner.model), 'train_step', lambda self, data, optim_wrapper: dict(
        loss=self.head.fc.bias.detach().sum()))
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    with pytest.raises(UserError, match='since iteration 5'):
        runner.train()
    runner = spoiled(make_runner, 4, 100, work_dir='amp')
    runner.register_hook(Spoil(5, 0.))
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    monkeypatch.setattr('mmips.engine.hooks.check_invalid_loss.AmpOptimWrapper', object)
    assert AmpOptimWrapper is not object
    runner.train()
