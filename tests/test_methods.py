"""What every method has to get through: trained, resumed, on two ranks, published."""
import os
import random

import numpy as np
import pytest
import torch
from helpers.methods import METHODS
from helpers.two_processes import in_two_processes
from helpers.two_steps import tiny_runner
from mmpretrain.registry import MODELS

from mmips.errors import UserError
from mmips.models.memory import find_memories
from mmips.runs import publish


def memories(runner, shared=(True, False)):
    model = getattr(runner.model, 'module', runner.model)
    return {f'{name}.{key}': buffer for name, memory in find_memories(model)
            if memory.shared in shared for key, buffer in memory.remembered().items()}


@pytest.mark.parametrize('method', METHODS)
def test_resumes_in_the_same_bits_and_is_published_as_a_plain_network(make_runner, method):
    name, settings = METHODS[method]
    whole = make_runner(name, 'whole', **settings)
    before = {key: value.clone() for key, value in whole.model.state_dict().items()}
    whole.train()
    with pytest.raises(InterruptedError):
        make_runner(name, 'killed', stop_at=4, **settings).train()
    random.seed(99), np.random.seed(99), torch.manual_seed(99)
    resumed = make_runner(name, 'killed', resume=True, **settings)
    resumed.train()
    for first, second in ((whole.model.state_dict(), resumed.model.state_dict()),
                          (memories(whole), memories(resumed))):
        assert all(torch.equal(value, second[key]) for key, value in first.items())

    state = torch.load(f'{whole.work_dir}/epoch_3.pth', weights_only=False)['state_dict']
    # Exits, embeddings and the like are of the training alone.
    state = publish.select(state, keep_head=True)
    assert not torch.equal(before['head.fc.weight'], state['head.fc.weight'])
    assert all(torch.isfinite(value).all() for value in state.values())
    plain = {key: value for key, value in whole.cfg.model.to_dict().items()
             if key in ('backbone', 'neck', 'head')}
    plain = MODELS.build(dict(plain, type='ImageClassifier'))
    plain.load_state_dict(state)  # strict: no key of ours
    plain.backbone.load_state_dict({key.removeprefix('backbone.'): value
                                    for key, value in publish.select(state).items()})


@pytest.mark.parametrize('method', [
    'CS-KD', 'R-Drop', 'DDGSD', 'DLB', 'BAKE', 'OLS', 'PS-KD', 'TF-KD', 'Zipf', 'FER', 'USKD', 'KD',
    'BYOT', 'MixSKD', 'DRG and DSR'])
def test_what_learns_from_the_softmax_is_refused_over_a_loss_of_sigmoids(make_runner, method):
    name, settings = METHODS[method]
    loss = dict(_delete_=True, type='CrossEntropyLoss', use_sigmoid=True)
    with pytest.raises(UserError, match=(
            r'model\.(type|distill|target): \w+ learns from the softmax of the logits, but '
            'CrossEntropyLoss trains them through a sigmoid. Write (head|distill)=dict')):
        make_runner(name, 'run', **settings, **{'model.head.loss': loss})


@pytest.mark.parametrize('method', ['AT', 'SP', 'RKD', 'CRD', 'MaxSup', 'DisturbLabel', '+Swap'])
def test_what_learns_from_features_or_labels_takes_a_loss_of_sigmoids(make_runner, method):
    name, settings = METHODS[method]
    loss = dict(_delete_=True, type='CrossEntropyLoss', use_sigmoid=True)
    make_runner(name, 'run', **settings, **{'model.head.loss': loss})


def train_all(folder, npz):
    """One of two processes: every method, an epoch each."""
    os.environ['MMIPS_NPZ'] = str(npz)
    found = {}
    for number, (method, (name, settings)) in enumerate(METHODS.items()):
        runner = tiny_runner(name, f'{folder}/{number}', **{
            'train_cfg.max_epochs': 1, 'train_dataloader.batch_size': 8, 'launcher': 'pytorch',
            'model_wrapper_cfg': dict(type='MMDistributedDataParallel', device_ids=None,
                                      broadcast_buffers=False), **settings})
        runner.train()
        found[method] = dict(runner.model.module.named_parameters()), memories(runner, [True])
    return found


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs fork')
def test_two_ranks_agree_in_weights_and_memory(tmp_path, tiny_npz):
    # All methods at once: starting two processes takes longer than most of them.
    ranks = in_two_processes(train_all, tmp_path, tiny_npz)
    for method in METHODS:
        (first, memory), (second, other) = (rank[method] for rank in ranks)
        assert all(torch.equal(value, second[name]) for name, value in first.items()), method
        assert all(torch.allclose(value, other[name]) for name, value in memory.items()), method
        if 'target.seen' in memory:
            # Every image once as a query and as often as it was drawn as a partner, on either rank.
            seen = memory['target.seen']
            assert seen.sum() == 2 * len(seen) and (seen >= 1).all()
