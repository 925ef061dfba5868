"""The swap against a slow reference that visits every pixel, and the drawing of masks."""
import numpy as np
import pytest
import torch
from helpers.gpu import never_waiting
from hypothesis import given
from hypothesis import strategies as st

from mmips.functional import cell_edges, draw_patch_mask, patch_swap, swap_patches

# The limit that sends every size one way.
SLICES, BITS = 0, 1 << 40
FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


@pytest.fixture(params=[SLICES, BITS], ids=['slices', 'bits'])
def path(request, monkeypatch):
    """Force each of the two implementations, whatever the size."""
    monkeypatch.setattr(patch_swap, '_SLICE_BYTES', request.param)


def reference(x, mask):
    """Choose for every pixel, with its own idea of the cells."""
    row, col = (torch.tensor(cell_of_pixels(*axis)) for axis in zip(x.shape[2:], mask.shape[1:]))
    pixels = mask[:, row][:, :, col].repeat_interleave(2, 0)[:, None]
    return torch.where(pixels, x.unflatten(0, (-1, 2)).flip(1).flatten(0, 1), x)


def cell_of_pixels(size, cells):
    """Cell of every pixel: the largest cell whose exact border i * size / cells is not
    beyond the pixel's far edge, walked along the axis in whole numbers."""
    out, cell = [], 0
    for pixel in range(size):
        while cell + 1 < cells and (cell + 1) * size < (pixel + 1) * cells:
            cell += 1
        out.append(cell)
    return out


LAYOUTS = {
    'contiguous': lambda x: x,
    'channels last': lambda x: x.contiguous(memory_format=torch.channels_last),
    'channels last window': lambda x: torch.nn.functional.pad(x, (1, 2, 2, 1)).contiguous(
        memory_format=torch.channels_last)[:, :, 2:-1, 1:-2],
    'every second channel': lambda x: x.repeat_interleave(2, 1)[:, ::2],
    'transposed': lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
}


@st.composite
def problems(draw):
    """Images whose every value is unique, and a mask, of awkward sizes and layouts."""
    pairs, channels = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    height, width = draw(st.integers(1, 11)), draw(st.integers(1, 11))
    rows, cols = draw(st.integers(1, height)), draw(st.integers(1, width))
    if draw(st.booleans()):  # as nearly always in use, a grid that divides the image
        height, width = height // rows * rows, width // cols * cols
    cells = pairs * rows * cols
    bits = torch.tensor(draw(st.lists(st.booleans(), min_size=cells, max_size=cells)))
    shape = (2 * pairs, channels, height, width)
    dtype = draw(st.sampled_from([torch.float32, torch.float64, torch.int64]))
    x = torch.arange(1, int(np.prod(shape)) + 1).view(shape).to(dtype)
    return (LAYOUTS[draw(st.sampled_from(sorted(LAYOUTS)))](x),
            bits.view(rows, cols, pairs).permute(2, 0, 1))


@given(problems())
def test_every_pixel_comes_from_where_the_mask_says(problem):
    x, mask = problem
    expected = reference(x, mask)
    for way in (SLICES, BITS):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(patch_swap, '_SLICE_BYTES', way)
            assert torch.equal(swap_patches(x, mask), expected)
            mine = torch.empty_strided(x.shape, x.stride(), dtype=x.dtype).copy_(x)
            assert torch.equal(swap_patches(mine, mask, inplace=True), expected)


@given(size=st.integers(1, 300), data=st.data())
def test_cells_partition_the_axis_in_sizes_that_differ_by_at_most_one(size, data):
    cells = data.draw(st.integers(1, size))
    edges = cell_edges(size, cells)
    sizes = np.diff(edges)
    assert len(edges) == cells + 1 and edges[0] == 0 and edges[-1] == size
    assert sizes.min() >= 1 and sizes.max() - sizes.min() <= 1
    assert np.repeat(np.arange(cells), sizes).tolist() == cell_of_pixels(size, cells)


@pytest.mark.parametrize('dtype', FLOATS)
def test_bits_survive_in_every_float_dtype(path, dtype):
    """NaN payloads, infinities, signed zeros and subnormals arrive bit for bit."""
    generator = torch.Generator().manual_seed(1)
    integers = {2: torch.int16, 4: torch.int32, 8: torch.int64}[dtype.itemsize]
    info = torch.iinfo(integers)
    bits = torch.randint(info.min, info.max, (4, 2, 5, 7), generator=generator, dtype=integers)
    special = torch.tensor([torch.nan, torch.inf, -torch.inf, -0.0], dtype=dtype).view(integers)
    bits[0, 0, 0, :4] = special
    bits[1, 0, 0, 0] = special[0] + 1  # another NaN
    mask = torch.rand(2, 3, 2, generator=generator) < .5
    mask[0, 0, 0] = True
    out = swap_patches(bits.view(dtype), mask)
    assert out.dtype == dtype
    assert torch.equal(out.view(integers), reference(bits, mask))
    assert out.view(integers)[1, 0, 0, 0] == special[0]


def test_whole_numbers_and_booleans_too(path):
    mask = torch.tensor([[[True, False]]])
    for dtype in (torch.uint8, torch.int8, torch.bool, torch.int16, torch.int32, torch.complex64):
        x = torch.tensor([1, 1, 0, 0]).view(2, 1, 1, 2).to(dtype)
        assert swap_patches(x, mask).flatten().tolist() == [0, 1, 1, 0]
        assert swap_patches(x, mask).dtype == dtype


MASKS = torch.tensor([[[True, False], [False, False]], [[False, True], [True, True]]])


@pytest.mark.parametrize('view', [
    lambda: torch.randn(8, 2, 6, 5)[::2], lambda: torch.randn(4, 2, 9, 9)[:, :, 1:7, 2:7],
    lambda: torch.randn(4, 2, 5, 6).transpose(2, 3), lambda: torch.randn(4, 4, 6, 5)[:, 1::2]])
def test_views_are_written_in_place_and_nothing_around_them(path, view):
    x = view()
    base = x._base
    before, expected = base.clone(), reference(x, MASKS)
    assert swap_patches(x, MASKS, inplace=True) is x and torch.equal(x, expected)
    swap_patches(x, MASKS, inplace=True)
    assert torch.equal(base, before)


def test_neither_input_nor_gradients_are_touched_unless_inplace(path):
    leaf = torch.randn(4, 3, 8, 8, requires_grad=True)
    before, mask = leaf.detach().clone(), MASKS.clone()
    out = swap_patches(leaf, mask)
    assert torch.equal(leaf, before) and torch.equal(mask, MASKS)
    assert not out.requires_grad and torch.equal(out, reference(before, mask))
    # Even an empty mask must not hand out the caller's own memory.
    assert swap_patches(leaf, torch.zeros_like(mask)).data_ptr() != leaf.data_ptr()
    assert swap_patches(leaf, mask, inplace=True) is leaf
    assert leaf.requires_grad and leaf.is_leaf and torch.equal(leaf.detach(), out)


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(('size', 'grid'), [
    ((32, 32), (4, 4)), ((224, 224), (2, 2)), ((224, 224), (4, 4)), ((33, 30), (4, 4)),
    ((225, 223), (4, 4)), ((8, 8), (8, 8)), ((16, 24), (2, 3))])
def test_sizes_of_real_use_by_whichever_way_is_chosen_for_them(size, grid, layout):
    x = torch.randn(4, 3, *size).contiguous(memory_format=layout)
    mask = torch.rand(2, *grid) < .5
    out, expected = swap_patches(x, mask), reference(x, mask)
    assert torch.equal(out, expected) and out.stride() == x.stride()
    assert torch.equal(swap_patches(x, mask, inplace=True), expected)


@pytest.mark.gpu
@pytest.mark.parametrize('dtype', FLOATS)
def test_cuda_gives_the_cpu_s_bits_and_never_waits(dtype):
    x = torch.randn(8, 3, 17, 13).to(dtype)
    mask = torch.rand(4, 4, 3) < .5
    on_device, device_mask = x.cuda(), mask.cuda()
    swap_patches(on_device.clone(), device_mask)
    with never_waiting():
        out = swap_patches(on_device, device_mask)
        swap_patches(on_device, device_mask, inplace=True)
    assert torch.equal(out.cpu(), swap_patches(x, mask))
    assert torch.equal(on_device.cpu(), out.cpu())


IMAGES, MASK = torch.zeros(4, 3, 8, 8), torch.zeros(2, 2, 2, dtype=torch.bool)


@pytest.mark.parametrize('images, mask, message', [
    (IMAGES[0], MASK, r'images \(2P, C, H, W\) .* got \(3, 8, 8\) and'),
    (IMAGES[:3], MASK, r'got \(3, 3, 8, 8\) and'), (IMAGES, MASK.float(), 'bool mask.*float32'),
    (IMAGES, MASK[0], r'torch.bool \(2, 2\)'), (IMAGES, MASK.repeat(2, 1, 1), r'bool \(4, 2, 2\)'),
    *((IMAGES, torch.zeros(shape, dtype=torch.bool),
       'grid_size counts cells, not pixels.*between 1 and 8')
      for shape in ((2, 9, 2), (2, 2, 16), (2, 0, 2)))])
def test_refused_before_anything_is_written(path, images, mask, message):
    x = torch.randn_like(images)
    before = x.clone()
    with pytest.raises(ValueError, match=message):
        swap_patches(x, mask, inplace=True)
    assert torch.equal(x, before)


def draw(seed, num_pairs=20000, grid=(2, 3), prob=1.0, **kwargs):
    return draw_patch_mask(num_pairs, grid, prob, rng=np.random.default_rng(seed), **kwargs)


@pytest.mark.parametrize(('kwargs', 'counts'), [
    ({}, range(1, 6)), (dict(max_patches=6), range(1, 7)),
    (dict(min_patches=2, max_patches=4), range(2, 5)),
    (dict(min_patches=3, max_patches=3), [3])])
def test_number_of_cells_is_uniform_in_its_range(kwargs, counts):
    found = draw(1, **kwargs).flatten(1).sum(1)
    share = torch.bincount(found, minlength=7) / len(found)
    assert share.nonzero().flatten().tolist() == list(counts)
    # Five standard deviations of a share of 20,000 draws are at most 0.018.
    assert share[list(counts)].numpy() == pytest.approx(1 / len(counts), abs=.018)


def test_every_cell_and_every_couple_of_cells_equally_often():
    mask = draw(2, min_patches=2, max_patches=2).flatten(1).double()
    together = mask.T @ mask / len(mask)
    expected = torch.full((6, 6), 2 / 6 * 1 / 5).double().fill_diagonal_(2 / 6)
    torch.testing.assert_close(together, expected, atol=.018, rtol=0)


@pytest.mark.parametrize('prob', [0.1, 0.5, 0.9])
def test_pairs_are_swapped_independently_with_prob(prob):
    swapped = draw(3, prob=prob).flatten(1).any(1).double()
    assert abs(swapped.mean() - prob) < 5 * (prob * (1 - prob) / 20000)**.5
    neighbours = torch.corrcoef(torch.stack((swapped[:-1], swapped[1:])))[0, 1]
    assert abs(neighbours) < 5 / 20000**.5


@pytest.mark.parametrize('prob', [0., .3, 1.])
def test_prob_only_thins_out_and_does_not_shift_the_stream(prob):
    """A schedule of prob leaves every other decision as it was."""
    one, other = np.random.default_rng(11), np.random.default_rng(11)
    full = draw_patch_mask(200, (2, 2), 1., rng=one)
    thin = draw_patch_mask(200, (2, 2), prob, rng=other)
    taken = thin.flatten(1).any(1)
    assert torch.equal(thin, full & taken[:, None, None])
    assert one.bit_generator.state == other.bit_generator.state
