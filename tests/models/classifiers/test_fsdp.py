"""FlexibleRunner's strategies train what Runner does: on two ranks of a CPU, sharded or not."""
import os

import pytest
import torch
from helpers.two_processes import in_two_processes
from helpers.two_steps import Notes, tiny_runner
from mmengine.runner import FlexibleRunner
from mmpretrain.registry import MODELS

from mmips.engine.hooks import CheckLoaded
from mmips.runs.resuming import ResumeCheck
from mmips.structures.state_dicts import read_state

pytestmark = pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs fork')
NAME = 'ips/resnet-s_ips_npz.py'
WRAPPER = dict(type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False)
WAYS = {
    'Runner': dict(model_wrapper_cfg=WRAPPER),
    'DDPStrategy': dict(strategy=dict(type='DDPStrategy', model_wrapper=WRAPPER)),
    # 'full' brings weights to the CPU before it saves them, which are freed where they lie there.
    'FSDPStrategy': dict(strategy=dict(
        type='FSDPStrategy', model_wrapper=dict(
            type='MMFullyShardedDataParallel', device_id='cpu', auto_wrap_policy=dict(
                type='torch.distributed.fsdp.wrap.size_based_auto_wrap_policy',
                min_num_params=500)),
        state_dict_cfg=dict(state_dict_type='FULL_STATE_DICT',
                            state_dict_config=dict(type='FullStateDictConfig'),
                            optim_state_dict_config=dict(type='FullOptimStateDictConfig')))),
}


def train(folder, **options):
    """The losses of every step."""
    runner = tiny_runner(NAME, folder, **{
        'train_cfg.max_epochs': 2, 'train_dataloader.batch_size': 8, 'launcher': 'pytorch',
        **options})
    runner.register_hook(notes := Notes())
    runner.register_hook(CheckLoaded())
    runner.register_hook(ResumeCheck())
    runner.train()
    assert isinstance(runner, FlexibleRunner) == ('strategy' in options)
    return notes.losses


def train_all(folder, npz):
    """One of two processes: every way, and FSDP once more from the weights of another."""
    os.environ['MMIPS_NPZ'] = str(npz)
    first = f'{folder}/Runner/epoch_2.pth'
    found = {way: train(f'{folder}/{way}', **options) for way, options in WAYS.items()}
    init = dict(type='Pretrained', checkpoint=first, prefix='backbone.')
    for name, given in (('loaded', {'load_from': first}), ('pretrained', {
            'model.backbone.init_cfg': init,
            'custom_hooks': [dict(type='mmips.CheckPretrained')]})):
        train(f'{folder}/{name}', **{'optim_wrapper.optimizer.lr': 0., **given},
              **WAYS['FSDPStrategy'])
    return found


@pytest.fixture(scope='module')
def folder(tmp_path_factory, tiny_npz):
    folder = tmp_path_factory.mktemp('ways')
    in_two_processes(train_all, folder, tiny_npz)
    return folder


@pytest.mark.parametrize('way', list(WAYS)[1:])
def test_the_weights_are_the_runners_and_load_as_a_plain_network(folder, make_runner, way):
    plain, found = (torch.load(f'{folder}/{name}/epoch_2.pth', weights_only=False)['state_dict']
                    for name in ('Runner', way))
    for key, value in plain.items():
        torch.testing.assert_close(found[key], value, rtol=1e-4, atol=1e-5)
    cfg = make_runner(NAME).cfg.model
    MODELS.build(dict(type='ImageClassifier', **{
        key: cfg[key] for key in ('backbone', 'neck', 'head')})).load_state_dict(found)


@pytest.mark.parametrize('way', WAYS)
def test_each_rank_has_pairs_and_a_kl_of_its_own(folder, way):
    first, second = (torch.load(folder / f'rank{rank}.pt')[way] for rank in range(2))
    assert len(first) == 2 * 3
    assert all(losses['loss_kd'] > 0 for losses in first + second) and first != second


@pytest.mark.parametrize('name', ['loaded', 'pretrained'])
def test_sharded_training_begins_with_the_weights_it_is_given(folder, name):
    given, found = (read_state(f'{folder}/{each}/epoch_2.pth') for each in ('Runner', name))
    assert all(torch.equal(value, found[key]) for key, value in given.items()
               if key.startswith('backbone') and key.endswith('.weight'))
    assert torch.equal(given['head.fc.weight'], found['head.fc.weight']) == (name == 'loaded')
