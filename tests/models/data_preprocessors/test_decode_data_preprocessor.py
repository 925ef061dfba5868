"""The decode path against mmpretrain's own pipeline, at equal draws."""
import io
import logging

import numpy as np
import pytest
import torch
from helpers.photos import KINDS, ODD, GivenDraws, encode, write_tree
from mmcv.transforms import LoadImageFromFile, RandomFlip
from mmengine.dataset import Compose
from mmengine.logging import MessageHub, MMLogger
from mmpretrain.datasets import CenterCrop, PackInputs, RandomResizedCrop, ResizeEdge
from mmpretrain.models import ClsDataPreprocessor
from mmpretrain.registry import MODELS
from PIL import Image
from torchvision.io import decode_jpeg

from mmips.datasets.encoded_images import is_plain
from mmips.errors import UserError
from mmips.models.data_preprocessors import decode_data_preprocessor
from mmips.structures.batch_samples import BatchSamples
from mmips.structures.encoded_batch import EncodedBatch

NORM = dict(mean=[129.3, 124.1, 112.4], std=[1., 1., 1.])
RESIZE_EDGE, SIZE = 80, 64


def build(**options):
    return MODELS.build(dict(type='mmips.DecodeDataPreprocessor', **{
        **NORM, 'scale': SIZE, 'resize_edge': RESIZE_EDGE, 'crop_size': SIZE, **options}))


def make_batch(files, paths=None, labels=None):
    labels = torch.arange(len(files)) if labels is None else labels
    return dict(inputs=EncodedBatch.join(files, list(map(is_plain, files))),
                data_samples=BatchSamples(labels, range(len(files)), img_path=paths or [
                    f'{number}.JPEG' for number in range(len(files))]))


@pytest.fixture
def paths(tmp_path):
    return list(map(str, write_tree(tmp_path)))


class Kept:
    """Stands for the generator, and remembers what it gave."""

    def __init__(self):
        self.rng = np.random.default_rng(5)

    def __call__(self):
        return self

    def integers(self, *args):
        return self.rng.integers(*args)

    def random(self, size):
        self.draws = self.rng.random(size)
        return self.draws


def through_mmpretrain(paths, training, to_rgb, prepare, *steps):
    pipeline, packed = Compose([LoadImageFromFile(), *steps, PackInputs()]), []
    for place, path in enumerate(paths):
        prepare(place)
        packed.append(pipeline(dict(img_path=path, gt_label=place, sample_idx=place)))
    return ClsDataPreprocessor(to_rgb=to_rgb, **NORM)(dict(
        inputs=[item['inputs'] for item in packed],
        data_samples=[item['data_samples'] for item in packed]), training)['inputs']


@pytest.mark.parametrize('to_rgb', [True, False])
def test_training_equals_mmpretrain_at_equal_draws(paths, monkeypatch, to_rgb):
    """Within the rounding of the resize, of every kind of file; channels in the right order."""
    ours = build(to_rgb=to_rgb, flip_prob=0.4)
    ours._rng, ours._crop_rng = flips, crops = Kept(), Kept()
    found = ours(make_batch([open(path, 'rb').read() for path in paths], paths), True)
    crop, flip = RandomResizedCrop(SIZE), RandomFlip(0.4)

    def prepare(place):
        GivenDraws(crops.draws[place]).put(monkeypatch)
        direction = 'horizontal' if flips.draws[place] < 0.4 else None
        monkeypatch.setattr(flip, '_choose_direction', lambda: direction)

    theirs = through_mmpretrain(paths, True, to_rgb, prepare, crop, flip)
    assert set(flips.draws < 0.4) == {True, False}
    difference = (found['inputs'] - theirs).round().abs()
    assert difference.max() <= 1 and difference.mean() < 0.3
    assert [each.img_path for each in found['data_samples']] == paths


def test_evaluation_equals_mmpretrain(paths):
    found = build()(make_batch([open(path, 'rb').read() for path in paths], paths))['inputs']
    theirs = through_mmpretrain(paths, False, False, lambda place: None, ResizeEdge(RESIZE_EDGE),
                                CenterCrop(SIZE))
    difference = (found - theirs).round().abs()
    assert difference.max() <= 1 and difference.mean() < 0.3


def test_draws_follow_the_seed_and_cover_the_image():
    """Uniform corners; another seed, and the flip apart from the crop."""
    ours = build(scale=8, crop_ratio_range=(0.1, 0.2))
    y, x = np.mgrid[:64, :64]
    file = io.BytesIO()
    Image.fromarray(np.stack([x * 4, y * 4, y * 0], -1).astype(np.uint8)).save(
        file, 'JPEG', quality=100, subsampling=0)
    batch = make_batch([file.getvalue()] * 300)

    def means(seed):
        torch.manual_seed(seed)
        return ours(batch, True)['inputs'].mean((2, 3))

    first, other = means(7), means(8)
    assert torch.equal(first, means(7)) and not torch.equal(first, other)
    # BGR: what lies to the right is in the last channel, what is below in the one before it.
    for channel in (1, 2):
        places = first[:, channel] + NORM['mean'][channel]
        assert places.min() < 80 and places.max() > 175 and abs(places.mean() - 126) < 8
    assert not torch.equal(ours(batch, True)['inputs'], ours(batch, True)['inputs'])
    assert torch.equal(ours(batch)['inputs'], ours(batch)['inputs'])


def test_scores_and_augments_are_as_on_the_ordinary_path():
    augments = dict(augments=[dict(type='mmips.IntraClassPatchSwap', grid_size=2, prob=1.)])
    batch = make_batch([encode('plain', number) for number in range(4)],
                       labels=torch.tensor([1, 1, 0, 0]))
    torch.manual_seed(3)
    plain = build(num_classes=2)(batch, True)['inputs']
    torch.manual_seed(3)
    found = build(num_classes=2, batch_augments=augments)(batch, True)
    assert found['data_samples'].target.tolist() == [[0, 1], [0, 1], [1, 0], [1, 0]]
    # Swapped between the two of a pair, and nothing else.
    swapped = (found['inputs'] != plain).any(1)
    assert swapped.any()
    assert torch.equal(found['inputs'][0::2] + found['inputs'][1::2], plain[0::2] + plain[1::2])


def test_what_goes_to_opencv_is_counted_and_told_once(caplog):
    logger = MMLogger.get_instance('mmengine')
    logger.addHandler(caplog.handler)
    hub, ours = MessageHub.get_current_instance(), build()
    files = list(map(encode, KINDS))
    ours(make_batch(files))
    assert 'train/decoded_by_opencv' not in hub.log_scalars  # not in evaluation
    with caplog.at_level(logging.INFO, logger=logger.name):
        for _ in range(3):
            ours(make_batch(files), True)
    assert hub.get_scalar('train/decoded_by_opencv').current() == 3 * len(ODD)
    said = [line for line in caplog.messages if 'OpenCV' in line]
    assert said == ['3.JPEG is decoded by OpenCV, on the CPU: not an upright JPEG of one or three '
                    'channels. The log counts such images as decoded_by_opencv.']


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('kind', ['plain', 'deep'])
def test_a_broken_file_is_named(kind, training):
    files = [encode(kind, number) for number in range(3)]
    files[1] = files[1][:len(files[1]) // 2]
    why = r'^b\.JPEG cannot be decoded, by OpenCV neither \((.*trunc|not an upr).*\): replace'
    with pytest.raises(UserError, match=why):
        build()(make_batch(files, ['a.JPEG', 'b.JPEG', 'c.JPEG']), training)


def test_a_list_that_a_gpu_refuses_is_decoded_one_by_one(monkeypatch):
    """As nvJPEG does because of a single file."""
    calls = []

    def decode(given, mode, device):
        calls.append(len(given) if isinstance(given, list) else 'one')
        if isinstance(given, list) and 13 in map(len, given) or len(given) == 13:
            raise RuntimeError('refused')
        return [device for _ in given] if isinstance(given, list) else Decoded()

    class Decoded:

        def to(self, device):
            return device

    monkeypatch.setattr(decode_data_preprocessor, 'decode_jpeg', decode)
    ours = build()
    ours._device = gpu = torch.device('cuda')
    files = [torch.zeros(size, dtype=torch.uint8) for size in (9, 13, 7)]
    assert list(ours._decode_jpegs(files[:1])) == [gpu]
    assert list(ours._decode_jpegs(files)) == [gpu, 'RuntimeError: refused', gpu]
    assert calls == [1, 3, 'one', 'one', 'one'] and list(ours._decode_jpegs([])) == []


@pytest.mark.parametrize('options', [
    dict(scale=0), dict(crop_size=81), dict(crop_size=0), dict(crop_ratio_range=(0.5, 0.2)),
    dict(crop_ratio_range=(0.5, 1.2)), dict(aspect_ratio_range=(0, 1)), dict(flip_prob=1.5)])
def test_bad_options(options):
    name, value = next(iter(options.items()))
    with pytest.raises(ValueError, match=f'{name}.*{str(value)[:2]}'.replace('(', '\\(')):
        build(**options)


@pytest.mark.parametrize('training', [True, False])
def test_arrays_are_cut_as_files_are(training):
    """In RGB, which their data sets have, where files come in BGR."""
    files = [encode('plain', number) for number in range(4)]
    ours, batch = build(), make_batch(files)
    arrays = torch.stack([decode_jpeg(file) for file in batch['inputs'].files()])
    torch.manual_seed(1)
    wanted = ours.make_images(batch, training)
    torch.manual_seed(2), ours._rng(), ours._crop_rng(), torch.manual_seed(1)
    found = ours.make_images(dict(batch, inputs=arrays), training)
    assert torch.equal(found, wanted.flip(1))


@pytest.mark.gpu
def test_a_gpu_decodes_nearly_alike(paths):
    """nvJPEG's own rounding, and smoother colours."""
    batch = make_batch([open(path, 'rb').read() for path in paths], paths)
    ours = build()
    found = [ours.to(device)(batch)['inputs'].cpu() for device in ('cpu', 'cuda')]
    assert (found[0] - found[1]).abs().mean() < 2
