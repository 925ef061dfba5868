"""Which images a batch holds, epoch after epoch, on every rank."""
import pytest
from mmengine.registry import DATA_SAMPLERS

from mmips.datasets.samplers import OverlappingBatchSampler

MODULE = 'mmips.datasets.samplers.overlapping_batch_sampler'


def batches(sampler, epoch, size):
    """Queries and partners of every batch."""
    sampler.set_epoch(epoch)
    order = list(sampler)
    assert len(order) == len(sampler)
    return [(order[start:start + size:2], order[start + 1:start + size:2])
            for start in range(0, len(order), size)]


@pytest.mark.parametrize('world', [1, 2, 3])
@pytest.mark.parametrize('images, size', [(24, 8), (26, 8), (31, 2), (12, 8)])
def test_partners_are_what_was_new_one_step_before(world, images, size, monkeypatch):
    new = [[] for _ in range(4)]
    for rank in range(world):
        monkeypatch.setattr(f'{MODULE}.get_dist_info', lambda rank=rank: (rank, world))
        sampler = OverlappingBatchSampler(range(images), size, seed=3)
        # The epoch before the first has an order of its own.
        last = None
        for epoch in range(4):
            found = batches(sampler, epoch, size)
            assert len(found) == images // (size // 2 * world)
            for query, partner in found:
                assert last is None or partner == last
                assert len(set(partner)) == len(partner) == len(query) == size // 2
                last = query
                new[epoch] += query
    for epoch in new:
        assert len(set(epoch)) == len(epoch) == images - images % (size // 2 * world)
    if images % (size // 2 * world):
        # Others are left out in other epochs.
        assert len({frozenset(epoch) for epoch in new}) > 1
    assert len({tuple(epoch) for epoch in new}) == 4


def test_order_follows_from_seed_and_epoch_alone():
    first, second = (OverlappingBatchSampler(range(20), 4, seed=1) for _ in range(2))
    whole = [batches(first, epoch, 4) for epoch in range(3)]
    assert batches(second, 2, 4) == whole[2]
    assert batches(OverlappingBatchSampler(range(20), 4, seed=2), 0, 4) != whole[0]
    built = DATA_SAMPLERS.build(dict(type='mmips.OverlappingBatchSampler', batch_size=4),
                                default_args=dict(dataset=range(20), seed=1))
    assert batches(built, 0, 4) == whole[0]


@pytest.mark.parametrize('size', [7, 0, -2, 4.0])
def test_refuses_batches_that_are_no_pairs(size):
    with pytest.raises(ValueError, match=f'must be even and positive, but got {size}'):
        OverlappingBatchSampler(range(20), size, seed=0)


def test_refuses_fewer_images_than_a_step_takes(monkeypatch):
    monkeypatch.setattr(f'{MODULE}.get_dist_info', lambda: (0, 2))
    with pytest.raises(ValueError, match='20 images, but one step of 2 process.* 22 new ones'):
        OverlappingBatchSampler(range(20), 22, seed=0)
