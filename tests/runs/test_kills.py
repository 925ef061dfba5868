"""However often a run is killed, and whatever is full: it ends in the bits of an unbroken one.

Three kills by default; ``pytest tests/runs/test_kills.py --kills 30`` for more.
"""
import multiprocessing
import os
import random

import pytest
import torch
from helpers import kills

pytestmark = pytest.mark.slow
KINDS = ('step', 'write', 'full', 'step', 'named', 'full')


@pytest.fixture(scope='module')
def train(tiny_npz):
    """Function: train in a process of its own; returns its exit status, negative for a signal."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['mmpretrain.models', 'mmpretrain.datasets', 'helpers.kills'])

    def train(*arguments):
        process = context.Process(target=kills.train, args=(tiny_npz, *arguments))
        process.start()
        process.join(120)
        process.kill()
        return process.exitcode

    return train


@pytest.fixture(scope='module')
def whole(train, tmp_path_factory):
    folder = tmp_path_factory.mktemp('kills') / 'whole'
    assert train(folder, None) == 0
    return content_of(folder)


def content_of(folder):
    content = torch.load(folder / f'epoch_{kills.EPOCHS}.pth', weights_only=False)
    return {**content['state_dict'], **{
        f'optimizer {number}': state['momentum_buffer']
        for number, state in content['optimizer']['state'].items()}}


def pytest_generate_tests(metafunc):
    if 'number' in metafunc.fixturenames:
        metafunc.parametrize('number', range(metafunc.config.getoption('kills')))


def test_killed_or_full_it_ends_in_the_same_bits(train, whole, tmp_path, number):
    """Killed once or twice, the second time after it was resumed."""
    seed = number if 'CI' in os.environ else random.randrange(10**6)
    draw = random.Random(seed)
    kind, folder, seen = KINDS[number % len(KINDS)], tmp_path / 'w', []
    for start in range(2):
        bomb = (kind, draw.randrange(kills.STEPS if kind == 'step' else kills.EPOCHS))
        status = train(folder, bomb, *(['--resume'] if start else []))
        seen.append((bomb, status))
        # A bomb of a step or a write that is no longer to come does not go off.
        assert status in ({'full': 2}.get(kind, -9), 0), (seed, seen)
        said = folder.with_suffix('.txt').read_text()
        assert 'Traceback' not in said
        if status == 2:
            assert 'File too large. Make room and start again' in said
        kind = draw.choice(KINDS)
    print(f'seed {seed}: {seen}')
    assert train(folder, None, '--resume') == 0, (seed, seen)
    found = content_of(folder)
    assert found.keys() == whole.keys()
    assert all(torch.equal(value, found[key]) for key, value in whole.items()), (seed, seen)
    assert not list(folder.glob('*.part')) or 'write' in str(seen)
