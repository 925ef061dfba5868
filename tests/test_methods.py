"""What every method has to get through: trained, resumed, on two ranks, published."""
import os
import random

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from helpers.methods import METHODS
from mmengine.config import Config
from mmengine.runner import Runner
from mmpretrain.registry import MODELS

import mmips
from mmips.models.memory import find_memories
from mmips.runs import publish

every_method = pytest.mark.parametrize('method', METHODS)


def memories(runner):
    model = getattr(runner.model, 'module', runner.model)
    return {f'{name}.{key}': buffer for name, memory in find_memories(model)
            for key, buffer in memory.remembered().items()}


@pytest.fixture
def make(make_runner):

    def make_method(method, **options):
        name, settings = METHODS[method]
        return make_runner(name, **settings, **options)

    return make_method


@every_method
def test_trains_and_is_published_as_a_plain_network(make, method):
    runner = make(method, **{'train_cfg.max_epochs': 1})
    before = {name: value.clone() for name, value in runner.model.state_dict().items()}
    runner.train()
    checkpoint = torch.load(f'{runner.work_dir}/epoch_1.pth', weights_only=False)
    state = checkpoint['state_dict']
    assert not torch.equal(before['head.fc.weight'], state['head.fc.weight'])
    assert all(torch.isfinite(value).all() for value in state.values())
    plain = runner.cfg.model.to_dict()
    for key in ('alpha', 'gamma', 'distill', 'target', 'ce_on', 'train_cfg'):
        plain.pop(key, None)
    plain = MODELS.build({**plain, 'type': 'ImageClassifier'})
    plain.load_state_dict(state)  # strict: no key of ours
    published = publish.select(state)
    plain.backbone.load_state_dict({key.removeprefix('backbone.'): value
                                    for key, value in published.items()})


@every_method
def test_killed_and_resumed_ends_in_the_same_bits(make, method):
    whole = make(method, work_dir='whole')
    whole.train()
    with pytest.raises(InterruptedError):
        make(method, work_dir='killed', stop_at=4).train()
    random.seed(99), np.random.seed(99), torch.manual_seed(99)
    resumed = make(method, work_dir='killed', resume=True)
    resumed.train()
    state = resumed.model.state_dict()
    assert all(torch.equal(value, state[name])
               for name, value in whole.model.state_dict().items())
    remembered = memories(resumed)
    assert all(torch.equal(value, remembered[name]) for name, value in memories(whole).items())


def train_all(rank, folder, npz):
    """One of two processes: every method, an epoch each."""
    torch.set_num_threads(1)
    os.environ.update(MMIPS_NPZ=npz, LOCAL_RANK=str(rank))
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/rendezvous', rank=rank, world_size=2)
    found = {}
    for number, (method, (name, settings)) in enumerate(METHODS.items()):
        cfg = Config.fromfile(mmips.cfg(name))
        cfg.merge_from_dict({
            'train_cfg.max_epochs': 1, 'train_cfg.val_interval': 1,
            'work_dir': f'{folder}/{number}',
            'model.backbone.base_channels': 4, 'model.backbone.stem_channels': 4,
            'model.head.in_channels': 16, 'train_dataloader.batch_size': 8,
            'experiment_name': f'two{number}', 'launcher': 'pytorch', 'model_wrapper_cfg': dict(
                type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False),
            **settings})
        runner = Runner.from_cfg(cfg)
        runner.train()
        parameters = dict(runner.model.module.named_parameters())
        found[method] = parameters, memories(runner)
    torch.save(found, f'{folder}/rank{rank}.pt')
    torch.distributed.destroy_process_group()


@pytest.fixture(scope='module')
def two_ranks(tmp_path_factory, tiny_npz):
    folder = tmp_path_factory.mktemp('two_ranks')
    context = mp.start_processes(train_all, (str(folder), str(tiny_npz)), 2, join=False,
                                 start_method='fork')
    while not context.join(300):
        pass
    return [torch.load(folder / f'rank{rank}.pt', weights_only=False) for rank in range(2)]


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs fork')
@every_method
def test_two_ranks_agree_in_weights_and_memory(two_ranks, method):
    (first, memory), (second, other) = (rank[method] for rank in two_ranks)
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert all(torch.allclose(value, other[name]) for name, value in memory.items())
    if memory:
        # Every image once as a query and as often as it was drawn as a partner, on either rank.
        seen = memory['target.seen']
        assert seen.sum() == 2 * len(seen) and (seen >= 1).all()
