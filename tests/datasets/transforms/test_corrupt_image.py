"""Corruptions: the library's own, repeatable image by image, whatever surrounds them."""
import sys
import types

import cv2
import imagecorruptions
import numpy as np
import pytest
from mmengine.registry import DATASETS, init_default_scope
from torch.utils.data import DataLoader

from mmips.datasets.transforms import CorruptImage, corrupt_image
from mmips.errors import UserError
from mmips.functional.corruptions import CORRUPTIONS


@pytest.fixture(scope='module')
def images():
    """Eight smooth colour pictures, 32 x 40."""
    rng = np.random.default_rng(0)
    return [cv2.resize(rng.integers(0, 256, (4, 5, 3), np.uint8), (40, 32)) for _ in range(8)]


# Severity 3 of glass blur would be compiled separately.
def corrupt(image, corruption, severity=2, number=0, **options):
    step = CorruptImage(corruption, severity, **options)
    return step(dict(img=image.copy(), sample_idx=number))['img']


@pytest.mark.parametrize('corruption', CORRUPTIONS)
def test_every_corruption_repeats_itself_and_differs_between_images(images, corruption):
    image = images[0]
    np.random.seed(3)
    expected = np.random.rand()
    np.random.seed(3)
    first = corrupt(image, corruption, number=7)
    assert np.random.rand() == expected, 'the random state of NumPy was changed'
    assert first.shape == image.shape and first.dtype == np.uint8
    assert (first != image).any()
    np.testing.assert_array_equal(corrupt(image, corruption, number=7), first)
    drawn = corruption not in ('defocus_blur', 'zoom_blur', 'brightness', 'contrast', 'pixelate',
                               'jpeg_compression', 'gaussian_blur', 'saturate')
    for other in (dict(number=8), dict(number=7, seed=1)):
        assert (corrupt(image, corruption, **other) != first).any() == drawn
    if corruption in ('brightness', 'saturate'):
        np.testing.assert_array_equal(first, imagecorruptions.corrupt(image, 2, corruption))
    assert (corrupt(image, corruption, severity=5, number=7) != first).any()


def test_corruptions_of_one_image_are_drawn_independently(images):
    noises = [corrupt(np.full((32, 32, 3), 128, np.uint8), 'gaussian_noise', severity) - 128.
              for severity in (1, 2)]
    assert abs(np.corrcoef(noises[0].ravel(), noises[1].ravel())[0, 1]) < 0.1


def test_the_colour_order_is_respected(images):
    for corruption in ('frost', 'jpeg_compression'):
        rgb = corrupt(images[0], corruption)
        bgr = corrupt(images[0][..., ::-1], corruption, channel_order='bgr')
        np.testing.assert_array_equal(bgr[..., ::-1], rgb)
        assert bgr.flags['C_CONTIGUOUS']
        assert (corrupt(images[0][..., ::-1], corruption)[..., ::-1] != rgb).any()


@pytest.mark.parametrize('shape, order', [((32, 40), 'rgb'), ((32, 40, 1), 'bgr')])
def test_grey_images_stay_grey(images, shape, order):
    grey = images[0][..., 0].reshape(shape)
    result = corrupt(grey, 'frost', channel_order=order)
    assert result.shape == shape and result.dtype == np.uint8 and (result != grey).any()


def test_an_image_that_no_drop_hits_stays_clean(images):
    results = [corrupt(images[0][:, :32], 'spatter', 1, number=number) for number in range(250)]
    assert all(result.max() > 0 for result in results)
    # The library's own result for one of these is black.
    assert any((result == images[0][:, :32]).all() for result in results)


IMAGE = np.zeros((32, 32, 3), np.uint8)


@pytest.mark.parametrize('options, image, number, message', [
    (dict(corruption='fogg'), IMAGE, 4, r"no corruption 'fogg' \(did you mean fog"),
    *((dict(severity=severity), IMAGE, 4, f'from 1 .mild. to 5 .strong., got {severity}')
      for severity in (0, 6, True)),
    (dict(channel_order='gbr'), IMAGE, 4, "'rgb' or 'bgr', got 'gbr'"),
    ({}, IMAGE[1:], 4, r'32 pixels .*got image 4, uint8 \(31, 32, 3\).*Resize'),
    ({}, IMAGE.astype(np.float32), 4, 'uint8 image .* float32'),
    ({}, IMAGE.transpose(2, 0, 1), 4, r'uint8 \(3, 32, 32\)'),
    ({}, IMAGE, None, 'sample_idx')])
def test_what_cannot_be_is_refused(options, image, number, message):
    with pytest.raises(ValueError, match=message):
        corrupt(image, **{'corruption': 'fog', **options}, number=number)


def test_the_package_is_asked_for(monkeypatch):
    for module in (None, types.ModuleType('imagecorruptions')):
        if module is not None:  # As in the older package of this name.
            module.corrupt = lambda image, severity=1, corruption_name=None: image
        monkeypatch.setitem(sys.modules, 'imagecorruptions', module)
        corrupt_image.load_library.cache_clear()
        with pytest.raises(UserError, match='pip install imagecorruptions-imaug'):
            CorruptImage('fog', 1)
    corrupt_image.load_library.cache_clear()


def test_workers_and_order_change_nothing(npz):
    init_default_scope('mmpretrain')
    dataset = DATASETS.build(dict(
        type='mmips.ArrayDataset', ann_file=str(npz), split='test', pipeline=[
            dict(type='mmips.CorruptImage', corruption='impulse_noise', severity=2)]))
    assert repr(dataset.pipeline.transforms[0]) == (
        "CorruptImage(corruption='impulse_noise', severity=2, seed=0, channel_order='rgb')")
    places = [5, 2, 7, 0]
    loader = DataLoader(dataset, 3, sampler=places, num_workers=2, collate_fn=list)
    for place, sample in zip(places, [sample for batch in loader for sample in batch], strict=True):
        np.testing.assert_array_equal(sample['img'], dataset[place]['img'])
