"""The file backend against moto's S3 server: listings, faults, cache, and a training."""
import itertools
import pickle
import sys
from unittest import mock

import cv2
import fsspec
import numpy as np
import pytest
import torch
from helpers.configs import load
from helpers.trees import write_bccd, write_camvid
from mmengine import fileio
from mmengine.runner import Runner
from torch.utils.data import DataLoader, Dataset

from mmips.compat import EnvironmentProblem, has_package
from mmips.datasets.fsspec_backend import FsspecBackend
from mmips.errors import MissingFileError, UserError, error_text

if not all(map(has_package, ('s3fs', 'moto', 'flask', 'flask_cors'))):
    pytest.skip("needs s3fs and moto: pip install s3fs 'moto[s3]' flask flask-cors",
                allow_module_level=True)

from helpers.object_store import ObjectStore  # noqa: E402


@pytest.fixture(scope='module')
def store():
    store = ObjectStore()
    yield store
    store.close()


@pytest.fixture
def args(store, monkeypatch):
    """Function: ``backend_args`` for the store, whose counts start anew."""
    monkeypatch.setitem(fsspec.config.conf, 's3', store.options)
    store.faults.clear()
    store.requests.clear()
    return lambda **options: dict(backend='mmips.Fsspec', storage_options=store.options,
                                  **{'pause': 0.01, **options})


@pytest.fixture
def backend(args):
    return lambda **options: fileio.get_file_backend(backend_args=args(**options))


@pytest.fixture(scope='module')
def images(store, tmp_path_factory):
    """Eight images of two classes, on the disk and as a URL."""
    folder = tmp_path_factory.mktemp('images')
    rng = np.random.default_rng(0)
    for name, number in itertools.product('ab', range(4)):
        (folder / name).mkdir(exist_ok=True)
        cv2.imwrite(str(folder / name / f'{number}.png'),
                    rng.integers(0, 255, (32, 32, 3), dtype=np.uint8))
    return folder, store.put_folder(folder, 'images')


def urls(images):
    return [f'{images[1]}/{name}/{number}.png' for name in 'ab' for number in range(4)]


def test_listings_are_those_of_a_disk(store, backend, tmp_path):
    for name in ('a/1.jpg', 'a/.hidden.jpg', 'a/deep/2.png', 'b/[x] *?.jpg', '.dot/3.jpg', '4.jpg'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b'x')
    url = store.put_folder(tmp_path, 'tree')
    store.put(**{'tree/a/': b''})  # as a folder made by hand in a store's web page
    store.requests.clear()
    choices = [dict(list_dir=folders, list_file=files, recursive=deep, suffix=suffix)
               for folders, files, deep in itertools.product((True, False), repeat=3)
               for suffix in ((None,) if folders else (None, '.jpg', ('.jpg', '.png')))]
    for choice, root in itertools.product(choices, (url, f'{url}/')):
        assert sorted(backend().list_dir_or_file(root, **choice)) == sorted(
            fileio.list_dir_or_file(tmp_path, **choice)), choice
    for choice, root in itertools.product(choices, (str(tmp_path), f'file://{tmp_path}')):
        assert sorted(backend().list_dir_or_file(root, **choice)) == sorted(
            fileio.list_dir_or_file(tmp_path, **choice)), choice
    assert store.requests == {'list': 2 * len(choices)}
    with pytest.raises(TypeError, match='suffix'):
        backend().list_dir_or_file(url, suffix='.jpg')
    for missing in (f'{url}/none', f'{url}/4.jpg', 's3://none'):
        for deep in (True, False):
            with pytest.raises(FileNotFoundError, match=f'{missing} .*orrect its path'):
                list(backend().list_dir_or_file(missing, recursive=deep))


def test_files(store, backend, tmp_path):
    store.put(**{'x/[1].txt': 'ä'.encode(), 'x/2.txt': b'2'})
    (tmp_path / '3.txt').write_bytes(b'3')
    backend, odd, plain = backend(), 's3://bucket/x/[1].txt', 's3://bucket/x/2.txt'
    local, none = str(tmp_path / '3.txt'), 's3://bucket/x/none.txt'
    store.requests.clear()
    assert backend.get_text(odd) == 'ä' and backend.get(local) == b'3'
    assert backend.get_batch([plain, odd, local, plain]) == [b'2', 'ä'.encode(), b'3', b'2']
    assert backend.get_batch([]) == [] and store.requests == {'GET': 3}
    assert [list(map(check, (plain, 's3://bucket/x', none, local, str(tmp_path)))) for check in (
        backend.exists, backend.isfile, backend.isdir)] == [
            [True, True, False, True, True], [True, False, False, True, False],
            [False, True, False, False, True]]
    assert backend.join_path('s3://bucket/x/', 'y', '/2.txt') == 's3://bucket/x/y/2.txt'
    assert backend.join_path('x', 'y') == 'x/y' and backend.join_path('', '2.txt') == '2.txt'
    with backend.get_local_path(odd) as path, open(path, 'rb') as file:
        assert file.read() == 'ä'.encode() and path.endswith('[1].txt')
    with backend.get_local_path(local) as path:
        assert path == local
    with pytest.raises(MissingFileError, match=r'none\.txt does not exist'):
        backend.get(none)
    assert pickle.loads(pickle.dumps(backend)).get(plain) == b'2'


@pytest.mark.parametrize('scheme', ['s3', 'http'])
@pytest.mark.parametrize('fault, words', [
    ('500', r'\(OSError.*InternalError|Oops.*, at try 2'), ('cut', 'not completed.*, at try 2'),
    ('stall', 'no answer within 1 s, at try 2')])
def test_what_may_pass_is_tried_again_and_then_told(scheme, fault, words, store, args, images):
    root, reached = ('s3:/', store.options) if scheme == 's3' else (store.url, {})
    paths = [url.replace('s3:/', root) for url in urls(images)]
    if fault == 'stall':
        del paths[1:]  # a busy machine may take as long as the store for all of them
    backend = FsspecBackend(reached, 1, 0.01, timeout=1 if fault == 'stall' else 60)
    right = backend.get(paths[0])
    store.requests.clear()
    store.faults['images/a/0.png'] = [fault]
    assert backend.get_batch(paths)[0] == right and store.requests == {'GET': len(paths) + 1}
    store.faults['images/a/0.png'] = [fault] * 2
    said = f'^{paths[0]} cannot be read .*({words}).*raise retries'
    with pytest.raises(UserError, match=said) as error:
        backend.get_batch(paths)
    assert '\n' not in str(error.value) and not store.faults['images/a/0.png']


def test_pauses_grow(store, backend, images):
    store.faults['images/a/0.png'] = ['500'] * 3
    with mock.patch('time.sleep') as sleep:
        backend(retries=3, pause=2).get(urls(images)[0])
    assert [call.args[0] for call in sleep.call_args_list if call.args[0] >= 2] == [2, 4, 8]


def test_what_cannot_pass_is_told_at_once(store, backend, images):
    store.faults['images/a/0.png'] = ['denied']
    with pytest.raises(UserError, match=r'a/0\.png cannot be read \(PermissionError: .*anon=True'):
        backend().get(urls(images)[0])
    assert store.requests == {'GET': 1}
    with pytest.raises(UserError, match='nope://x cannot be reached .*Protocol not known'):
        backend().get('nope://x')
    with mock.patch.dict(sys.modules, gcsfs=None), pytest.raises(
            EnvironmentProblem, match='gs://x/y needs gcsfs.*: pip install gcsfs'):
        backend().get('gs://x/y')


@pytest.mark.parametrize('options, words', [
    (dict(retries=-1), 'retries must be a number of at least 0, got -1'),
    (dict(timeout='long'), "timeout must be a number of at least 0.001, got 'long'"),
    (dict(cache='/dev/null/x'), "cannot make the folder cache='/dev/null/x' .NotADirectory")])
def test_bad_arguments_are_refused(options, words):
    with pytest.raises(UserError, match=words):
        FsspecBackend(**options)


class Read(Dataset):
    """What workers read, in batches; the backend comes from the parent."""

    def __init__(self, paths, backend):
        self.paths, self.backend = paths, backend

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        return len(self.backend.get(self.paths[index]))

    def __getitems__(self, indices):
        return list(map(len, self.backend.get_batch([self.paths[i] for i in indices])))


def test_a_worker_says_it_in_the_same_sentence(backend):
    # The parent has a connection of its own, which no worker can use.
    assert not backend().exists('s3://bucket/none.png')
    with pytest.raises(MissingFileError) as error:
        next(iter(DataLoader(Read(['s3://bucket/none.png'], backend()), None, num_workers=1)))
    assert error_text(error.value).startswith('s3://bucket/none.png does not exist (')


@pytest.mark.parametrize('batch_size', [None, 4])
def test_a_second_epoch_comes_from_the_cache(batch_size, store, backend, images, tmp_path):
    cached, paths = backend(cache=str(tmp_path / 'cache')), urls(images)
    sizes = [len(backend().get(path)) for path in paths]

    def epoch():
        store.requests.clear()
        loader = DataLoader(Read(paths, cached), batch_size, num_workers=2)
        assert np.ravel([np.asarray(part) for part in loader]).tolist() == sizes
        return dict(store.requests)

    assert epoch() == {'GET': 8}
    assert epoch() == {}
    with cached.get_local_path(paths[0]) as path:
        assert path.startswith(str(tmp_path)) and store.requests == {}
    # A full disk: what is not kept is read from the store.
    (tmp_path / 'cache').rename(tmp_path / 'gone')
    assert epoch() == epoch() == {'GET': 8}


def test_nothing_half_is_ever_in_the_cache(store, backend, images, tmp_path):
    cached, url = backend(cache=str(tmp_path), retries=0), urls(images)[0]
    store.faults['images/a/0.png'] = ['cut']
    with pytest.raises(UserError):
        cached.get(url)
    assert not list(tmp_path.iterdir())
    right = cached.get(url)
    with mock.patch('os.replace', side_effect=OSError(28, 'No space left on device')):
        assert cached.get(urls(images)[1])
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [right]
    store.requests.clear()
    # What is in a full cache is still read from there.
    assert cached.get(url) == right and not store.requests


def test_mmpretrain_lists_folders_and_lists(store, args, images):
    from mmpretrain.registry import DATASETS
    store.put(**{'images/meta.txt': b'a/0.png 1\nb/3.png 0\n'})
    store.requests.clear()
    pipeline = [dict(type='LoadImageFromFile', backend_args=args())]
    folders = DATASETS.build(dict(type='CustomDataset', data_prefix=images[1], pipeline=pipeline))
    assert folders.get_gt_labels().tolist() == [0] * 4 + [1] * 4
    # Nothing but listings: of the root, and of each class.
    assert store.requests == {'list': 3}
    # The URL alone is enough.
    listed = DATASETS.build(dict(type='ImageNet', data_root=images[1], ann_file='meta.txt',
                                 pipeline=[dict(type='LoadImageFromFile')]))
    assert listed.get_gt_labels().tolist() == [1, 0] and store.requests == {'list': 3, 'GET': 1}
    assert (folders[7]['img'] == cv2.imread(str(images[0] / 'b/3.png'))).all()
    assert (folders[7]['img'] == listed[1]['img']).all()


def test_mmseg_reads_images_and_labels(store, args, tmp_path):
    from mmseg.registry import DATASETS
    write_camvid(tmp_path, images=2)
    url = store.put_folder(tmp_path, 'camvid')
    store.requests.clear()
    both = [DATASETS.build(dict(
        type='mmips.CamVidDataset', data_root=root, backend_args=given,
        data_prefix=dict(img_path='images/train', seg_map_path='labels/train'), pipeline=[
            dict(type='LoadImageFromFile', backend_args=given),
            dict(type='mmseg.LoadAnnotations', backend_args=given)]))
        for root, given in ((url, args()), (str(tmp_path), None))]
    assert len(both[0]) == len(both[1]) == 2 and store.requests == {'list': 1}
    for key in ('img', 'gt_seg_map'):
        assert (both[0][1][key] == both[1][1][key]).all()


def test_mmdet_reads_voc(store, args, tmp_path):
    from mmdet.registry import DATASETS
    write_bccd(tmp_path, images=2)
    url = store.put_folder(tmp_path / 'BCCD', 'bccd')
    store.requests.clear()
    dataset = DATASETS.build(dict(
        type='XMLDataset', data_root=url, ann_file='ImageSets/Main/train.txt',
        data_prefix=dict(sub_data_root=''), metainfo=dict(classes=('RBC', 'WBC', 'Platelets')),
        backend_args=args(), pipeline=[dict(type='LoadImageFromFile', backend_args=args()),
                                       dict(type='LoadAnnotations', with_bbox=True)]))
    # The list and a file of boxes for each image.
    assert store.requests == {'GET': 3}
    assert dataset[1]['img'].shape == (48, 64, 3) and len(dataset[1]['gt_bboxes']) == 2


def trained(root, backend_args, workers, work_dir):
    """Weights after two steps of IPS on images in class folders."""
    cfg = load('ips/resnet-s_ips_npz.py')
    cfg.model.backbone.update(base_channels=4, stem_channels=4)
    cfg.model.head.update(in_channels=16, num_classes=2)
    cfg.data_preprocessor.num_classes = 2
    dataset = dict(type='CustomDataset', data_prefix=str(root), pipeline=[
        dict(type='LoadImageFromFile', backend_args=backend_args), dict(type='PackInputs')])
    cfg.train_dataloader.pop('dataset')
    cfg.train_dataloader.update(dataset=dataset, num_workers=workers, batch_size=8,
                                persistent_workers=False)
    cfg.update(work_dir=str(work_dir / f'{workers}'), experiment_name=work_dir.name + str(workers),
               train_cfg=dict(by_epoch=True, max_epochs=1), val_cfg=None, val_dataloader=None,
               val_evaluator=None, test_cfg=None, test_dataloader=None, test_evaluator=None,
               param_scheduler=None, randomness=dict(seed=0))
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.iter == 2
    return runner.model.state_dict()


def test_training_from_a_bucket_gives_the_same_bits(store, args, images, npz, tmp_path):
    reference = trained(images[0], None, 0, tmp_path / 'disk')
    for workers in (0, 2):
        store.requests.clear()
        weights = trained(images[1], args(), workers, tmp_path / 'bucket')
        # Each image as a query and as a partner.
        assert store.requests == {'list': 3, 'GET': 16}
        assert all(torch.equal(value, weights[key]) for key, value in reference.items())
