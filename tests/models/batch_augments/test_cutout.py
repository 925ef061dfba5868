"""CutOut: size, place and distribution of the squares."""
import numpy as np
import pytest
import torch
from helpers.gpu import never_waiting

from mmips.models.batch_augments import CutOut


def blanked(number=2000, size=(9, 12), length=4, **kwargs):
    """Which pixels of each image were blanked, bool (N, H, W)."""
    images = torch.ones(number, 2, *size)
    out, _ = CutOut(length, **kwargs)(images, torch.ones(number, 1))
    assert out is images
    gone = out == 0
    assert torch.equal(gone[:, 0], gone[:, 1]), 'all channels lose the same pixels'
    return gone[:, 0]


def box(mask):
    """Top, bottom, left, right of a mask that must be a full rectangle."""
    rows, columns = mask.any(1).nonzero().flatten(), mask.any(0).nonzero().flatten()
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    assert mask.sum() == (bottom - top) * (right - left)
    return int(top), int(bottom), int(left), int(right)


@pytest.mark.parametrize('length', [1, 3, 4, 8, 100])
def test_one_square_an_image_cut_only_at_the_border(length):
    for mask in blanked(300, length=length):
        top, bottom, left, right = box(mask)
        # The centre lies inside the image, so no side is cut by more than half.
        for start, end, size in ((top, bottom, 9), (left, right, 12)):
            assert end - start == length or start == 0 or end == size
            assert end - start >= min(length // 2, size)


@pytest.mark.parametrize('length', [3, 4])
def test_centre_is_uniform_over_the_image(length):
    """Share of images that lose a pixel: the share of centres that reach it."""
    share = blanked(20000, length=length).double().mean(0)
    axes = [np.mean([[0 <= p - (c - length // 2) < length for p in range(size)]
                     for c in range(size)], 0) for size in (9, 12)]
    np.testing.assert_allclose(share.numpy(), np.outer(*axes), atol=.016)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32])
def test_fill_dtype_and_memory_format(dtype):
    images = torch.ones(4, 3, 8, 8, dtype=dtype).contiguous(memory_format=torch.channels_last)
    out, _ = CutOut(3, fill=-2.)(images, torch.ones(4, 2))
    assert out is images and out.is_contiguous(memory_format=torch.channels_last)
    assert set(out.float().unique().tolist()) == {-2., 1.}


def test_has_a_seed_of_its_own():
    first = blanked(50, seed=1)
    assert torch.equal(blanked(50, seed=1), first)
    assert not torch.equal(blanked(50, seed=2), first)


@pytest.mark.parametrize('length', [0, -3, 2.5, '8', None, True])
def test_length_that_cannot_be(length):
    with pytest.raises(ValueError, match='positive number of pixels, but got'):
        CutOut(length)


@pytest.mark.gpu
def test_cuda_gives_the_cpu_s_squares_and_never_waits():
    expected, _ = CutOut(3, seed=0)(torch.ones(8, 3, 9, 9), torch.eye(8))
    augment, images, scores = CutOut(3, seed=0), torch.ones(8, 3, 9, 9).cuda(), torch.eye(8).cuda()
    CutOut(3, seed=1)(images.clone(), scores)
    with never_waiting():
        out, _ = augment(images, scores)
    assert torch.equal(out.cpu(), expected)
