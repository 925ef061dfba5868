import os
import signal
import socket

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import MODEL_WRAPPERS

from mmips.runs import launch


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
    for name in (*launch._RANK_VARIABLES, *launch._LOCAL_RANK_VARIABLES):
        monkeypatch.delenv(name, raising=False)


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


@pytest.mark.parametrize('name', launch._RANK_VARIABLES)
def test_rank_is_known_from_every_launcher(no_gpu, monkeypatch, name):
    assert launch.rank() == 0
    monkeypatch.setenv(name, '3')
    assert launch.rank() == 3


def test_a_single_process_is_left_alone():
    cfg = Config(dict(launcher='none'))
    launch.prepare_distributed(cfg)
    assert 'model_wrapper_cfg' not in cfg
    assert not torch.distributed.is_initialized()


def test_gloo_and_bn_without_a_gpu(one_process, capsys):
    cfg = Config(dict(launcher='pytorch', find_unused_parameters=True,
                      env_cfg=dict(dist_cfg=dict(backend='nccl', timeout=60))))
    launch.prepare_distributed(cfg)
    assert torch.distributed.get_backend() == 'gloo'
    said = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launch, '_say', said.append)
        model = MODEL_WRAPPERS.build(dict(cfg.model_wrapper_cfg), default_args=dict(module=Net()))
    assert len(said) == 1 and '2 SyncBN layers' in said[0] and 'BN' in said[0]
    assert launch._count_sync_bn(model) == 0
    assert model.find_unused_parameters
    loss = model(torch.rand(2, 3, 4, 4), mode='loss')['loss']
    loss.backward()
    assert model.module.layers[0].weight.grad is not None


def test_wrapper_options_of_the_config_are_kept(no_gpu):
    cfg = Config(dict(model_wrapper_cfg=dict(type='MMDistributedDataParallel',
                                             static_graph=True)))
    assert launch._cpu_wrapper_cfg(cfg) == dict(type=launch.CPU_WRAPPER, static_graph=True,
                                                device_ids=None)


def test_a_wrapper_for_gpus_alone_is_refused(no_gpu):
    cfg = Config(dict(model_wrapper_cfg=dict(type='MMFullyShardedDataParallel')))
    with pytest.raises(ValueError, match="type='MMFullyShardedDataParallel' cannot run without"):
        launch._cpu_wrapper_cfg(cfg)


@pytest.mark.parametrize('launcher, variable', [
    ('pytorch', 'RANK'), ('slurm', 'SLURM_PROCID'), ('mpi', 'OMPI_COMM_WORLD_RANK')])
def test_a_launcher_that_did_not_launch(no_gpu, launcher, variable):
    with pytest.raises(ValueError, match=f'--launcher={launcher}, but {variable} is not set'):
        launch._torch_variables(launcher)


def test_slurm_variables_become_those_of_torch(no_gpu, monkeypatch):
    for name, value in dict(SLURM_PROCID='3', SLURM_LOCALID='1', SLURM_NTASKS='4',
                            MASTER_ADDR='node0').items():
        monkeypatch.setenv(name, value)
    assert launch._torch_variables('slurm') == dict(
        RANK='3', LOCAL_RANK='1', WORLD_SIZE='4', MASTER_PORT='29500')


def test_more_processes_than_gpus(monkeypatch):
    monkeypatch.setattr('mmengine.device.get_device', lambda: 'cuda')
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    monkeypatch.setattr('torch.cuda.device_count', lambda: 1)
    monkeypatch.setenv('LOCAL_RANK', '1')
    with pytest.raises(ValueError, match=r'More processes than GPUs.*local rank 1.*1 GPU'):
        launch.prepare_distributed(Config(dict(launcher='pytorch')))


@pytest.mark.parametrize('launcher', ['pytorch', 'slurm', 'mpi'])
def test_an_apple_gpu_is_refused_before_any_process_group(one_process, monkeypatch, launcher):
    monkeypatch.setattr('mmengine.device.get_device', lambda: 'mps')
    cfg = Config(dict(launcher=launcher))
    with pytest.raises(ValueError, match=rf'--launcher={launcher}: .*\(mps\)\. Start one process'):
        launch.prepare_distributed(cfg)
    assert 'model_wrapper_cfg' not in cfg and not torch.distributed.is_initialized()


def test_an_apple_gpu_trains_in_one_process(monkeypatch):
    monkeypatch.setattr('mmengine.device.get_device', lambda: 'mps')
    launch.prepare_distributed(Config(dict(launcher='none')))


class _Failure:

    def __init__(self, exitcode):
        self.exitcode = exitcode


@pytest.mark.parametrize('codes, silent', [
    ((launch.USER_ERROR, -signal.SIGTERM), True), ((launch.USER_ERROR, 1), False),
    ((-signal.SIGKILL, ), False)])
def test_torchrun_is_silent_only_after_a_message(monkeypatch, codes, silent):
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    error = ChildFailedError.__new__(ChildFailedError)
    error.failures = {rank: _Failure(code) for rank, code in enumerate(codes)}

    def fail(argv):
        assert argv == ['script.py']
        raise error

    monkeypatch.setattr('torch.distributed.run.main', fail)
    with pytest.raises(SystemExit if silent else ChildFailedError) as caught:
        launch.main(['script.py'])
    if silent:
        assert caught.value.code == launch.USER_ERROR


def test_no_variable_of_the_tests_is_left():
    assert 'OMPI_COMM_WORLD_RANK' not in os.environ
