import signal
import socket

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import MODEL_WRAPPERS
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from mmips.errors import UserError
from mmips.runs import launch


def raising(error):
    """A function that fails."""

    def fail(*args):
        raise error

    return fail


class Net(BaseModel):
    """Two SyncBN layers and one BN layer."""

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 1), torch.nn.SyncBatchNorm(4), torch.nn.BatchNorm2d(4),
            torch.nn.SyncBatchNorm(4))

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return {'loss': self.layers(inputs).sum()}


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr('mmengine.device.get_device', lambda: 'cpu')
    names = [name for names in launch._VARIABLES.values() for name in names]
    for name in (*names, 'MASTER_ADDR', 'MASTER_PORT'):
        monkeypatch.setenv(name, '')  # Whatever a test sets is undone after it.
        monkeypatch.delenv(name)


@pytest.fixture
def one_process(no_gpu, monkeypatch):
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        free_port = probe.getsockname()[1]
    for name, value in dict(RANK='0', LOCAL_RANK='0', WORLD_SIZE='1', MASTER_ADDR='127.0.0.1',
                            MASTER_PORT=str(free_port)).items():
        monkeypatch.setenv(name, value)
    yield
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def test_gloo_and_bn_without_a_gpu(one_process, monkeypatch):
    said = []
    monkeypatch.setattr('mmengine.logging.print_log', lambda text, *_, **__: said.append(text))
    cfg = Config(dict(launcher='pytorch', find_unused_parameters=True,
                      env_cfg=dict(dist_cfg=dict(backend='nccl', timeout=60))))
    launch.prepare_distributed(cfg)
    assert torch.distributed.get_backend() == 'gloo'
    model = MODEL_WRAPPERS.build(dict(cfg.model_wrapper_cfg), default_args=dict(module=Net()))
    assert sum('2 SyncBN layers of the model are ordinary BN layers' in text for text in said) == 1
    assert not any(type(part).__name__ == 'SyncBatchNorm' for part in model.modules())
    assert model.find_unused_parameters
    model(torch.rand(2, 3, 4, 4), mode='loss')['loss'].backward()
    assert model.module.layers[0].weight.grad is not None
    launch._end_process_group()
    launch._end_process_group()
    assert not torch.distributed.is_initialized()


def test_a_wrapper_keeps_its_options_or_is_refused(no_gpu):
    cfg = Config(dict(model_wrapper_cfg=dict(type='DistributedDataParallel', static_graph=True)))
    launch._use_cpu_wrapper(cfg)
    assert cfg.model_wrapper_cfg == dict(type=launch.CPU_WRAPPER, static_graph=True,
                                         device_ids=None)
    cfg.model_wrapper_cfg.type = 'MMFullyShardedDataParallel'
    with pytest.raises(UserError, match="type='MMFullyShardedDataParallel' cannot run without"):
        launch._use_cpu_wrapper(cfg)


@pytest.mark.parametrize('code', [launch.REFUSED, launch.STOPPED, 1])
def test_torchrun_adds_no_traceback_to_a_message(monkeypatch, code):
    """Unless a process has failed without one."""
    failure = ProcessFailure(local_rank=0, pid=1, exitcode=code, error_file='')
    monkeypatch.setattr('torch.distributed.run.run', raising(ChildFailedError('x', {0: failure})))
    with pytest.raises(ChildFailedError if code == 1 else SystemExit) as caught:
        launch.start_processes(['train.py'])
    assert code == 1 or caught.value.code == code


def test_ctrl_c_reaches_torchrun_too(monkeypatch):
    monkeypatch.setattr('torch.distributed.run.run', raising(SignalException('x', signal.SIGINT)))
    with pytest.raises(SystemExit) as caught:
        launch.start_processes(['train.py'])
    assert caught.value.code == 130


@pytest.mark.parametrize('launcher', ['pytorch', 'slurm'])
def test_a_launcher_that_did_not_launch(no_gpu, launcher):
    with pytest.raises(UserError, match=f'--launcher={launcher} found no GPU, and no .*dist_train'):
        launch.prepare_distributed(Config(dict(launcher=launcher)))


def test_a_rank_is_known_under_slurm(no_gpu, monkeypatch):
    assert (launch.rank(), launch.rank('LOCAL_RANK')) == (0, 0)
    monkeypatch.setenv('SLURM_PROCID', '3')
    monkeypatch.setenv('SLURM_LOCALID', '1')
    assert (launch.rank(), launch.rank('LOCAL_RANK')) == (3, 1)


@pytest.mark.parametrize('device, words', [
    ('cuda', r'More processes than GPUs.*local rank 1.*1 GPU'),
    ('mps', r'--launcher=pytorch: .*\(mps\)\. Start one process')])
def test_gpus_that_do_not_suffice_are_refused(monkeypatch, device, words):
    monkeypatch.setattr('mmengine.device.get_device', lambda: device)
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    monkeypatch.setattr('torch.cuda.device_count', lambda: 1)
    monkeypatch.setenv('LOCAL_RANK', '1')
    with pytest.raises(UserError, match=words):
        launch.prepare_distributed(Config(dict(launcher='pytorch')))
