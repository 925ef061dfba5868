"""A tool that only looks at a config's schedules runs its hooks without its model."""
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.visualization import Visualizer

import mmips.engine.hooks
from mmips.errors import UserError


class StandIn(BaseModel):

    def __init__(self):
        super().__init__(data_preprocessor=torch.nn.Identity())
        self.conv = torch.nn.Conv2d(1, 1, 1)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        raise NotImplementedError

    def train_step(self, data, optim_wrapper):
        return {}


class Numbers(list):
    dataset = SimpleNamespace(metainfo=None)


def rehearse(tmp_path, loader, hooks):
    runner = Runner(
        StandIn(), str(tmp_path), loader, train_cfg=dict(by_epoch=True, max_epochs=2),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=1.)), custom_hooks=hooks,
        default_hooks=dict(logger=None, checkpoint=None, sampler_seed=None),
        visualizer=MagicMock(spec=Visualizer), default_scope='mmengine')
    runner.train()
    return runner


def test_all_hooks_survive_what_stands_for_model_and_data(tmp_path, monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    names = mmips.engine.hooks.__all__
    hooks = [dict(type=f'mmips.{name}', **(dict(layers=['backbone.*']) if name == 'GradientMonitor'
                                           else {})) for name in names]
    assert len(hooks) >= 8
    runner = rehearse(tmp_path, Numbers(range(3)), hooks)
    assert runner.iter == 6
    # What needs nothing of the model stays.
    assert {type(hook).__name__ for hook in runner.hooks} & {*names} == {
        'CheckLoaded', 'EpochSeedHook', 'LazyRuntimeInfoHook'}


@pytest.mark.parametrize('hook', ['PatchSwapSchedule', 'SelfDistillMonitor', 'MemoryHook'])
def test_a_wrong_model_with_data_is_still_refused(tmp_path, hook):
    loader = torch.utils.data.DataLoader(Numbers(range(3)))
    loader.dataset.metainfo = None
    with pytest.raises(UserError, match=hook):
        rehearse(tmp_path, loader, [dict(type=f'mmips.{hook}')])
