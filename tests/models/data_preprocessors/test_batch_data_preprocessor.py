# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""The batch path against mmpretrain's own transforms, bit for bit."""
import numpy as np
import pytest
import torch
from mmcv.transforms import RandomFlip
from mmpretrain.datasets import PackInputs, RandomCrop
from mmpretrain.models import ClsDataPreprocessor
from mmpretrain.registry import MODELS

from mmips.structures.batch_samples import BatchSamples

NORM = dict(mean=[129.3, 124.1, 112.4], std=[68.2, 65.4, 70.4], to_rgb=True)


def make_batch(images=16, height=10, width=12):
    rng = np.random.default_rng(3)
    pixels = rng.integers(256, size=(images, height, width, 3), dtype=np.uint8)
    labels = torch.arange(images) // 2 % 5
    inputs = torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())
    return pixels, dict(inputs=inputs, data_samples=BatchSamples(labels, range(images)))


def build(**options):
    return MODELS.build(dict(type='mmips.BatchDataPreprocessor', **NORM, **options))


class Draws:
    """Stands for the generator, and remembers what it gave."""

    def __init__(self):
        self.rng, self.offsets = np.random.default_rng(5), []

    def __call__(self):
        return self

    def integers(self, *args):
        self.offsets.append(self.rng.integers(*args))
        return self.offsets[-1]

    def random(self, size):
        self.uniform = self.rng.random(size)
        return self.uniform


@pytest.mark.parametrize('size, padding', [(None, 3), (7, 2), (8, 0)])
def test_equals_mmpretrain_at_equal_draws(monkeypatch, size, padding):
    """RandomCrop, RandomFlip and ClsDataPreprocessor, image by image."""
    pixels, batch = make_batch()
    ours = build(crop_size=size, crop_padding=padding, flip_prob=0.4)
    ours._rng = draws = Draws()
    found = ours(batch, training=True)['inputs']
    cut = (size, size) if size else (10, 12)
    crop, flip, pack = RandomCrop(cut, padding=padding), RandomFlip(0.4), PackInputs()
    packed = []
    for image, *offset, uniform in zip(pixels, *draws.offsets, draws.uniform):
        place, direction = (*offset, *cut), 'horizontal' if uniform < 0.4 else None
        monkeypatch.setattr(crop, 'rand_crop_params', lambda _, place=place: place)
        monkeypatch.setattr(flip, '_choose_direction', lambda direction=direction: direction)
        packed.append(pack(flip(crop(dict(img=image, gt_label=0, sample_idx=0)))))
    theirs = ClsDataPreprocessor(**NORM)(dict(
        inputs=[item['inputs'] for item in packed],
        data_samples=[item['data_samples'] for item in packed]), training=True)['inputs']
    assert torch.equal(found, theirs)


def test_draws_are_uniform_and_repeatable():
    """Every offset and both directions come, equally often; torch's seed sets them."""
    ours = build(crop_padding=2, flip_prob=0.5)
    position = torch.zeros(4000, 3, 9, 9, dtype=torch.uint8)
    position[:, :, 4, 3] = 255
    batch = dict(inputs=position, data_samples=BatchSamples(torch.zeros(4000).long(), range(4000)))

    def places(seed=7):
        torch.manual_seed(seed)
        found = ours(batch, training=True)['inputs'][:, 0].flatten(1).argmax(1)
        return np.stack((found // 9, found % 9))

    rows, cols = places()
    assert set(rows) == set(range(2, 7))
    # Mirrored, column 3 comes from 5.
    assert set(cols) == set(range(1, 8))
    assert np.bincount(rows)[2:].min() > 700
    # 1 to 3: three of five offsets, or mirrored one of five.
    assert abs((cols < 4).mean() - 0.4) < 0.03
    assert (places(8) != (rows, cols)).any() and (places() == (rows, cols)).all()
    assert (ours(batch, training=False)['inputs'][:, 0].flatten(1).argmax(1) == 4 * 9 + 3).all()


def test_scores_and_augments_equal_mmpretrains():
    """One-hot scores through the patch swap, as floats, with the pictures of the other path."""
    _, batch = make_batch()
    augments = dict(augments=[dict(type='mmips.IntraClassPatchSwap', grid_size=2, prob=1.)])
    torch.manual_seed(2)
    found = build(num_classes=5, batch_augments=augments)(batch, training=True)
    theirs = ClsDataPreprocessor(num_classes=5, batch_augments=augments, **NORM)
    torch.manual_seed(2)
    wanted = theirs(dict(inputs=batch['inputs'], data_samples=list(batch['data_samples'])), True)
    assert torch.equal(found['inputs'], wanted['inputs'])
    score = torch.stack([sample.gt_score for sample in found['data_samples']])
    assert torch.equal(score, torch.stack([s.gt_score for s in wanted['data_samples']]).float())
    assert found['data_samples'][3].sample_idx == 3


def test_a_crop_larger_than_the_padded_images():
    with pytest.raises(ValueError, match=r'crop_size=13 is larger than the images, \(10, 12\)'):
        build(crop_size=13, crop_padding=1)(make_batch()[1], training=True)


@pytest.mark.parametrize('options', [dict(crop_padding=-1), dict(flip_prob=1.5)])
def test_bad_options(options):
    """Values that cannot be are named."""
    name, value = next(iter(options.items()))
    with pytest.raises(ValueError, match=f'{name}={value}'):
        build(**options)
