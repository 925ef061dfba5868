"""Files of whole batches, by whatever backend and in whatever process."""
import gc

import mmengine.fileio
import numpy as np
import pytest
import torch
from helpers.photos import KINDS, encode, write_tree
from mmengine.fileio import LocalBackend
from mmengine.runner import Runner
from mmpretrain.datasets import CustomDataset
from mmpretrain.registry import DATASETS
from torch.utils.data._utils.pin_memory import pin_memory

from mmips.errors import UserError, error_text
from mmips.structures.batch_samples import BatchSamples
from mmips.structures.encoded_batch import EncodedBatch


@pytest.fixture
def paths(tmp_path):
    return write_tree(tmp_path / 'data')


def config(paths, **options):
    return dict(type='mmips.EncodedImages', dataset=dict(
        type='mmpretrain.CustomDataset', data_root=str(paths[0].parents[1])), **options)


def loader(paths, workers, **sampler):
    return Runner.build_dataloader(dict(
        batch_size=4, num_workers=workers, collate_fn=dict(type='mmips.whole_batch'),
        sampler=sampler or dict(type='DefaultSampler', shuffle=True), dataset=config(paths)),
        seed=0)


def test_a_batch_is_the_files_as_they_are(paths):
    dataset = DATASETS.build(config(paths))
    batch = dataset.__getitems__([9, 0, 0])
    wanted = [paths[index].read_bytes() for index in (9, 0, 0)]
    assert [file.numpy().tobytes() for file in batch['inputs'].files()] == wanted
    assert batch['inputs'].data.dtype == torch.uint8 and batch['inputs'].shape == (3, )
    samples = batch['data_samples']
    assert samples.target.tolist() == [1, 0, 0] and samples.target.dtype == torch.int64
    assert [(each.sample_idx, each.img_path) for each in samples] == [
        (index, str(paths[index])) for index in (9, 0, 0)]
    assert dataset.get_gt_labels().tolist() == [0] * 7 + [1] * 7 and len(dataset) == 14
    assert dataset[9]['inputs'].numpy().tobytes() == wanted[0]
    assert dataset[9]['data_samples'].gt_label.tolist() == [1]
    assert dataset.metainfo['classes'] == ('n00000000', 'n00000001')


def test_what_every_decoder_reads_alike_is_marked(paths):
    dataset = DATASETS.build(config(paths))
    plain = dataset.__getitems__(range(len(KINDS)))['inputs'].plain
    assert dict(zip(KINDS, plain)) == {kind: kind in ('plain', 'progressive', 'grey')
                                       for kind in KINDS}


@pytest.mark.parametrize('sampler', [{}, dict(type='mmips.PairedClassSampler', epoch='images')])
def test_workers_hand_out_the_same_batches(paths, sampler):
    runs = [list(loader(paths, workers, **sampler)) for workers in (0, 2)]
    assert len(runs[0]) == len(runs[1]) == 4
    for ours, theirs in zip(*runs):
        assert torch.equal(ours['inputs'].data, theirs['inputs'].data)
        assert isinstance(theirs['data_samples'], BatchSamples)
        assert ours['data_samples'].img_path == theirs['data_samples'].img_path
    labels = torch.cat([batch['data_samples'].target for batch in runs[1]])
    # Of a class of 7 one finds no partner; one of the six pairs comes twice in the place of both.
    assert sorted(np.bincount(labels)) == ([6, 8] if sampler else [7, 7])
    if sampler:
        assert torch.equal(labels[0::2], labels[1::2])


def test_pinning_keeps_the_batch_whole(paths, monkeypatch):
    pinned = []
    monkeypatch.setattr(torch.Tensor, 'pin_memory', lambda self, *_: pinned.append(self) or self)
    batch = next(iter(loader(paths, 0)))
    found = pin_memory(batch)
    assert isinstance(found['inputs'], EncodedBatch)
    assert isinstance(found['data_samples'], BatchSamples)
    assert found['data_samples'].img_path == batch['data_samples'].img_path
    assert found['inputs'].plain == batch['inputs'].plain
    assert {id(each) for each in pinned} == {
        id(batch['inputs'].data), id(batch['data_samples'].gt_label)}


@pytest.fixture
def bucket(monkeypatch):
    """A backend of its own; the calls that it has had."""
    calls = []

    class Bucket(LocalBackend):

        def __init__(self, batches=True):
            if batches:
                self.get_batch = lambda paths: calls.append(len(paths)) or [
                    LocalBackend().get(path) for path in paths]

        def get(self, path):
            calls.append(1)
            return super().get(path)

    monkeypatch.setattr(mmengine.fileio.io, 'backend_instances', {})
    monkeypatch.setitem(mmengine.fileio.backends.registry_utils.backends, 'bucket', Bucket)
    return calls


def test_a_backend_that_knows_batches_is_asked_once(paths, bucket, monkeypatch):
    args = dict(backend='bucket')
    assert len(DATASETS.build(config(paths, backend_args=args)).__getitems__([1, 2, 3])[
        'inputs'].files()) == 3
    assert bucket == [3]
    DATASETS.build(config(paths, backend_args=dict(args, batches=False))).__getitems__([1, 2])
    assert bucket == [3, 1, 1]
    # That of the data set, if there is none.
    monkeypatch.setattr(CustomDataset, 'backend_args', args, raising=False)
    DATASETS.build(config(paths)).__getitems__([1, 2])
    assert bucket == [3, 1, 1, 2]


@pytest.mark.parametrize('workers', [0, 2])
@pytest.mark.parametrize('spoil, words', [
    (lambda path: path.unlink(), 'does not exist'),
    (lambda path: path.write_bytes(b''), 'is empty'),
    (lambda path: (path.unlink(), path.mkdir()), 'is a folder, not a file')])
def test_a_file_that_cannot_be_read_is_named(paths, workers, spoil, words, monkeypatch):
    # After an error torch waits so long for each worker before it ends it.
    monkeypatch.setattr(torch.utils.data._utils, 'MP_STATUS_CHECK_INTERVAL', 0.2)
    batches = loader(paths, workers)
    spoil(paths[5])
    with pytest.raises(UserError) as caught:
        list(batches)
    said = error_text(caught.value)
    del caught
    gc.collect()
    assert said.startswith(f'{paths[5]} {words}: put it right')


def test_images_in_memory_and_pipelines_are_refused(paths):
    with pytest.raises(UserError, match='DigitsDataset holds its images in memory.*OnDevice'):
        DATASETS.build(dict(type='mmips.EncodedImages', dataset=dict(type='mmips.DigitsDataset')))
    inner = config(paths)['dataset']
    both = dict(type='ConcatDataset', datasets=[inner, dict(
        inner, pipeline=[dict(type='LoadImageFromFile')])])
    with pytest.raises(UserError, match='CustomDataset has a pipeline, which whole batches do'):
        DATASETS.build(dict(type='mmips.EncodedImages', dataset=both))
    both['datasets'][1]['pipeline'] = []
    assert np.bincount(DATASETS.build(dict(
        type='mmips.EncodedImages', dataset=both)).get_gt_labels()).tolist() == [14, 14]


def test_a_broken_header_is_not_plain():
    from mmips.datasets.encoded_images import is_plain
    whole = encode('turned')
    assert not any(is_plain(whole[:cut]) for cut in (0, 2, 20, 60))
    assert is_plain(encode())


def test_other_data_sets_and_wrappers_of_labels(paths):
    folder = dict(type='mmips.ImageFolder', data_root=str(paths[0].parents[1]))
    noisy = dict(type='mmips.NoisyLabelDataset', rate=0.5, dataset=folder)
    plain, wrapped = (DATASETS.build(dict(type='mmips.EncodedImages', dataset=each))
                      for each in (folder, noisy))
    every = range(len(plain))
    batches = [dataset.__getitems__(every) for dataset in (plain, wrapped)]
    assert torch.equal(batches[0]['inputs'].data, batches[1]['inputs'].data)
    assert (batches[0]['data_samples'].target != batches[1]['data_samples'].target).sum() == 6
