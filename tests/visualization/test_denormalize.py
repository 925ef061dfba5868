import numpy as np
import pytest
import torch
from mmpretrain.models.utils import ClsDataPreprocessor

from mmips.visualization import denormalize


@pytest.mark.parametrize('to_rgb', [True, False])
def test_undoes_the_preprocessor(to_rgb):
    images = torch.randint(0, 256, (2, 3, 5, 7), dtype=torch.uint8)
    preprocessor = ClsDataPreprocessor(mean=[123., 116., 104.], std=[58., 57., 56.], to_rgb=to_rgb)
    inputs = preprocessor(dict(inputs=images))['inputs']
    pictures = denormalize(inputs, preprocessor, order='rgb' if to_rgb else 'bgr')
    assert pictures.dtype == np.uint8
    # The images were blue, green, red; pictures are red, green, blue.
    assert (pictures == images.flip(1).permute(0, 2, 3, 1).numpy()).all()


def test_without_normalisation_values_are_clipped_not_wrapped():
    pictures = denormalize(torch.tensor([-3.0, 300.0, 12.6]).view(1, 1, 1, 3))
    assert pictures.shape == (1, 1, 3, 3)
    assert pictures[0, 0, :, 0].tolist() == [0, 255, 13]


@pytest.mark.parametrize('shape', [(3, 4, 4), (1, 2, 4, 4)])
def test_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match='Expected images of shape'):
        denormalize(torch.zeros(shape))


