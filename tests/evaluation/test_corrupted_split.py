"""Images of the split in one condition after the other, against the library's own."""
import numpy as np
import pytest
from helpers.corrupting import corrupted
from helpers.tiny_classifier import CONFIG, blocks, save_arrays
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope
from PIL import Image

from mmips.errors import UserError
from mmips.evaluation import corrupted_split
from mmips.evaluation.corrupted_split import CLEAN, CorruptedSplit, insert_step
from mmips.runs import loaders

IMAGES = 6
PIPELINE = ('LoadImageFromFile', 'ResizeEdge', 'CenterCrop', 'PackInputs')


@pytest.fixture
def images(monkeypatch):
    # mmengine collects garbage for each data set: a third of a second, with all that is imported.
    monkeypatch.setattr('mmengine.dataset.base_dataset.gc.collect', int)
    return blocks(IMAGES)


@pytest.fixture
def cfg(images, tmp_path):
    """A config whose test split has the images, ready to be evaluated."""
    save_arrays(tmp_path, images, np.arange(IMAGES) % 4)
    init_default_scope('mmpretrain')
    cfg = Config.fromstring(CONFIG, '.py')
    cfg.test_dataloader.dataset.ann_file = str(tmp_path / 'tiny.npz')
    return cfg


def pixels(sample):
    return sample['inputs'].permute(1, 2, 0).numpy()


@pytest.mark.parametrize('where, names, place', [
    ('packed', PIPELINE, 3), ('loaded', PIPELINE, 1), ('loaded', PIPELINE[1:], 0)])
def test_the_corruption_has_its_place(where, names, place):
    pipeline = [dict(type=f'mmpretrain.{name}') for name in names]
    result = insert_step(pipeline, dict(type='X'), where)
    assert result == [*pipeline[:place], dict(type='X'), *pipeline[place:]]
    with pytest.raises(UserError, match='no PackInputs.*--where loaded'):
        insert_step(pipeline[:-1], dict(type='X'), 'packed')


def test_files_are_corrupted_as_arrays_are(images, tmp_path):
    """Images loaded from files, blue first, give the same as those of an array, red first."""
    init_default_scope('mmpretrain')
    (tmp_path / 'tree' / 'cat').mkdir(parents=True)
    Image.fromarray(images[0]).save(tmp_path / 'tree' / 'cat' / '0.png')
    cfg = Config(dict(
        model=dict(), data_preprocessor=dict(to_rgb=True), test_dataloader=dict(dataset=dict(
            type='mmpretrain.CustomDataset', data_root=str(tmp_path / 'tree'),
            pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')]))))
    split = CorruptedSplit(cfg, 'test', seed=2)
    dataset = DATASETS.build(split.config(('frost', 3)).test_dataloader.dataset)
    expected = corrupted(images[:1], 'frost', 3, 2)[0]
    np.testing.assert_array_equal(pixels(dataset[0])[..., ::-1], expected)
    # The config itself is left alone.
    assert len(cfg.test_dataloader.dataset.pipeline) == 2


@pytest.mark.parametrize('wrapper', [
    dict(type='RepeatDataset', times=2), dict(type='ConcatDataset')])
def test_wrapped_data_sets_are_corrupted(cfg, images, monkeypatch, wrapper):
    """In both conditions, one after the other, from one data set."""
    inner = cfg.test_dataloader.dataset
    cfg.test_dataloader.dataset = dict(wrapper, **(
        dict(datasets=[inner, dict(inner)]) if wrapper['type'] == 'ConcatDataset' else
        dict(dataset=inner)))
    built = []
    build = loaders.build_loader
    monkeypatch.setattr(loaders, 'build_loader', lambda *args: built.append(args) or build(*args))
    split = CorruptedSplit(cfg, 'test')
    for condition in (('fog', 2), ('contrast', 5), ('fog', 2)):
        expected = corrupted(images, *condition)
        found = split.loader(condition).dataset
        for number in (3, IMAGES + 5):
            np.testing.assert_array_equal(pixels(found[number]), expected[number % IMAGES])
    np.testing.assert_array_equal(pixels(split.loader(CLEAN).dataset[3]), images[3])
    assert len(built) == 2


def test_wrappers_that_hide_their_pipelines_are_refused(cfg, monkeypatch):
    monkeypatch.setattr(corrupted_split, '_corrupting_steps', lambda dataset: [])
    with pytest.raises(UserError, match='ArrayDataset of the test split does not show'):
        CorruptedSplit(cfg, 'test').loader(('fog', 1))


def test_examples_are_red_first(cfg, images):
    """Of a part of the split, too: its middle image."""
    split = CorruptedSplit(cfg, 'test', max_images=2, seed=1)
    # Of the numbers 1 and 4; the noise depends on the number in the whole split.
    expected = corrupted(images, 'shot_noise', 4, 1)[4]
    np.testing.assert_array_equal(split.example(('shot_noise', 4)), expected)
    cfg.data_preprocessor.to_rgb = True
    np.testing.assert_array_equal(CorruptedSplit(cfg, 'test', 2).example(CLEAN),
                                  images[4, ..., ::-1])
