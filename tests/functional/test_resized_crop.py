"""Cuts and scaling against mmpretrain's and mmcv's own."""
import numpy as np
import pytest
import torch
from helpers.photos import GivenDraws, picture
from mmcv.transforms import CenterCrop
from mmpretrain.datasets import RandomResizedCrop, ResizeEdge

from mmips.functional.resized_crop import centre_crop, random_box, resize_short_edge


@pytest.mark.parametrize('area, aspect', [((0.08, 1.), (3 / 4, 4 / 3)), ((0.3, 0.4), (0.5, 0.6)),
                                          ((0.95, 1.), (3 / 4, 4 / 3))])
def test_random_boxes_are_mmpretrains_at_equal_draws(monkeypatch, area, aspect):
    rng, central = np.random.default_rng(0), 0
    crop = RandomResizedCrop(8, crop_ratio_range=area, aspect_ratio_range=aspect)
    for height, width in rng.integers(1, 120, (300, 2)).tolist():
        draws = rng.random((10, 4))
        given = GivenDraws(draws)
        given.put(monkeypatch)
        wanted = crop.rand_crop_params(np.empty((height, width, 3)))
        assert random_box(height, width, draws, area, aspect) == wanted
        central += next(given.attempts, None) is None
    assert 0 < central < 300


@pytest.mark.parametrize('height, width, edge, size', [
    (97, 130, 64, 56), (130, 97, 64, 33), (40, 40, 81, 80), (90, 31, 60, 60)])
def test_edge_and_centre_are_mmcvs(height, width, edge, size):
    image = picture(width=width, height=height)
    wanted = CenterCrop(size)(ResizeEdge(edge)(dict(img=image)))['img']
    found = centre_crop(resize_short_edge(torch.from_numpy(image).permute(2, 0, 1), edge), size)
    difference = np.abs(found.permute(1, 2, 0).numpy().astype(int) - wanted)
    assert found.shape == (3, size, size) and found.dtype == torch.uint8
    assert difference.max() <= 1 and difference.mean() < 0.2
