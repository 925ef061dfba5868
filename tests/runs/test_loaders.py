import numpy as np
import pytest
from helpers.configs import load
from helpers.two_steps import tiny_runner

from mmips.config import splits
from mmips.datasets.named_samples import NamedCompose
from mmips.errors import UserError
from mmips.runs import loaders

FIELDS = ('train_dataloader', 'val_dataloader')


@pytest.fixture
def arrays(tmp_path, monkeypatch):
    """Function: a .npz file of the configs, four classes, with some arrays of one's own."""

    def write(**arrays):
        images = np.zeros((8, 32, 32, 3), np.uint8)
        labels = np.repeat(np.arange(4), 2)
        np.savez(tmp_path / 'x.npz', **dict(
            images_train=images, labels_train=labels, images_test=images, labels_test=labels
        ) | arrays)
        monkeypatch.setenv('MMIPS_NPZ', str(tmp_path / 'x.npz'))

    return write


def test_samples_of_all_loops_are_named(arrays, tmp_path):
    arrays(labels_test=np.arange(8))
    runner = tiny_runner('ips/resnet-s_ips_npz.py', tmp_path / 'run')
    loaders.build_loops(runner, FIELDS)
    for loop in (runner.train_loop, runner.val_loop):
        assert type(loop.dataloader.dataset.pipeline) is NamedCompose
    with pytest.raises(UserError, match='image 4 of .*x.npz: its label 4 is no class, there are 4'):
        runner.train()


def test_a_loader_for_evaluation_names_them_too(arrays, tmp_path):
    arrays(labels_test=np.arange(8))
    cfg = load('ips/resnet-s_ips_npz.py')
    splits.prepare_split(cfg, 'test', 'x')
    with pytest.raises(UserError, match='its label 4 is no class, there are 4'):
        list(loaders.build_loader(cfg, 'test'))


def test_a_runner_without_validation(arrays, tmp_path):
    arrays()
    runner = tiny_runner('ips/resnet-s_ips_npz.py', tmp_path / 'run', val_dataloader=None,
                         val_cfg=None, val_evaluator=None)
    loaders.build_loops(runner, FIELDS)
    assert runner.val_loop is None
