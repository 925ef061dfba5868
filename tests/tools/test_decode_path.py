"""Odd image files through training, resuming and looking, decoded by the data preprocessor."""
import contextlib
import shutil

import numpy as np
import pytest
import torch
from helpers.photos import KINDS, ODD, write_tree
from helpers.tools import load_tool

from mmips.compat import has_package
from mmips.evaluation import pairs

CONFIG = 'configs/ips/resnet50_ips_in1k-device.py'
SIZES = dict(scale=32, resize_edge=36, crop_size=32)


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    """An ImageNet-format tree of two classes, each with every kind of file."""
    root = tmp_path_factory.mktemp('photos')
    (root / 'meta').mkdir()
    for split in ('train', 'val'):
        paths = write_tree(root / split, width=60, height=44)
        (root / 'meta' / f'{split}.txt').write_text('\n'.join(
            f'{path.relative_to(root / split)} {int(path.parent.name[1:])}' for path in paths))
    return root


@pytest.fixture
def options(photos):
    sizes = [f'data_preprocessor.{key}={value}' for key, value in SIZES.items()]
    loaders = [f'{split}_dataloader.{key}={value}' for split in ('train', 'val', 'test')
               for key, value in {'dataset.dataset.data_root': photos, 'batch_size': 4,
                                  'num_workers': 0, 'persistent_workers': False}.items()]
    return [*sizes, *loaders, 'default_hooks.logger.interval=1', 'model.backbone.stem_channels=8',
            'model.backbone.base_channels=8', 'model.head.in_channels=256']


def same(first, second):
    first, second = (torch.load(path, weights_only=False)['state_dict']
                     for path in (first, second))
    return all(torch.equal(value, second[key]) for key, value in first.items())


def test_it_trains_on_whatever_files_and_resumes_in_the_same_bits(train, evaluate, options,
                                                                  scalars, elsewhere):
    runs = {'whole': 0, 'workers': 2}
    for folder, workers in runs.items():
        # The name, since mmengine keeps what is counted by a name with the second in it.
        train([CONFIG, '--work-dir', folder, '--cfg-options', *options, 'train_cfg.max_epochs=2',
               f'train_dataloader.num_workers={workers}', f'experiment_name={folder}'])
    assert same('whole/epoch_2.pth', 'workers/epoch_2.pth')
    # As a run that was killed in its second epoch has left it.
    (elsewhere / 'killed').mkdir()
    shutil.copy('whole/epoch_1.pth', 'killed')
    (elsewhere / 'killed/last_checkpoint').write_text(str(elsewhere / 'killed/epoch_1.pth'))
    train([CONFIG, '--work-dir', 'killed', '--resume', '--cfg-options', *options,
           'train_cfg.max_epochs=2', 'train_dataloader.num_workers=2'])
    assert same('whole/epoch_2.pth', 'killed/epoch_2.pth')
    assert not same('whole/epoch_1.pth', 'killed/epoch_2.pth')
    counts = [line['decoded_by_opencv'] for line in scalars('whole') if 'loss_kd' in line and
              'decoded_by_opencv' in line]
    # Two epochs of queries with their partners: each class has all kinds.
    queries = 2 * 2 * len(ODD)
    assert queries <= counts[-1] <= queries + 2 * 2 * len(KINDS) and counts == sorted(counts)
    metrics = evaluate([CONFIG, 'whole/epoch_2.pth', '--work-dir', 'w', '--cfg-options', *options])
    assert 0 <= metrics['accuracy/top1'] <= 100


@pytest.mark.skipif(not all(map(has_package, ('s3fs', 'moto', 'flask', 'flask_cors'))),
                    reason="needs s3fs and moto: pip install s3fs 'moto[s3]' flask flask-cors")
def test_a_bucket_gives_the_same_bits_and_is_packed(train, photos, options, elsewhere,
                                                    monkeypatch):
    import fsspec
    from helpers.object_store import ObjectStore
    with contextlib.closing(ObjectStore()) as store:
        monkeypatch.setitem(fsspec.config.conf, 's3', store.options)
        bucket, fetched = store.put_folder(photos, 'photos'), store.requests
        fetched.clear()
        for folder, root, workers in (('disk', photos, 0), ('bucket', bucket, 0),
                                      ('workers', bucket, 2)):
            train([CONFIG, '--work-dir', folder, '--no-validate', '--cfg-options', *options,
                   'train_cfg.max_epochs=1', f'train_dataloader.num_workers={workers}',
                   f'train_dataloader.dataset.dataset.data_root={root}'])
        assert same('disk/epoch_1.pth', 'bucket/epoch_1.pth')
        assert same('disk/epoch_1.pth', 'workers/epoch_1.pth')
        # Two runs in which an image is read up to twice, and the list of them once.
        assert 2 * 2 * len(KINDS) < fetched['GET'] <= 2 * (2 * 2 * len(KINDS) + 1)
        pack = load_tool('dataset_converters/pack_images.py')
        for name, root in dict(disk=photos, bucket=bucket).items():
            assert pack.main([f'{root}/train', '--out', f'{name}.npz', '--size', '16',
                              '--workers', '0']) == 0
    packed = [dict(np.load(f'{name}.npz')) for name in ('disk', 'bucket')]
    assert packed[0].keys() == packed[1].keys()
    assert all((packed[1][key] == value).all() for key, value in packed[0].items())


def test_a_broken_file_ends_the_run_by_its_name(train, photos, options, capsys, tmp_path):
    shutil.copytree(photos, tmp_path / 'copy')
    broken = tmp_path / 'copy/train/n00000001/0-plain.JPEG'
    broken.write_bytes(broken.read_bytes()[:-500])
    with pytest.raises(SystemExit):
        train([CONFIG, '--work-dir', 'w', '--cfg-options', *options, *(
            f'{split}_dataloader.dataset.dataset.data_root={tmp_path / "copy"}'
            for split in ('train', 'val', 'test'))])
    said = capsys.readouterr().err
    assert (f'{broken} cannot be decoded, by OpenCV neither (RuntimeError: Image is incomplete or '
            'truncated): replace the file or leave it out') in said
    assert 'Traceback' not in said


def test_a_collation_that_tears_batches_is_refused_before_training(train, options, capsys):
    with pytest.raises(SystemExit):
        train([CONFIG, '--work-dir', 'w', '--cfg-options', *options,
               'train_dataloader.collate_fn.type=default_collate'])
    assert "dict(collate_fn=dict(type='mmips.whole_batch'))" in capsys.readouterr().err


def test_the_data_is_looked_through_and_pairs_are_drawn(options, capsys, monkeypatch):
    check, browse = (load_tool(name) for name in ('misc/check_data.py',
                                                  'visualization/browse_pairs.py'))
    check.main([CONFIG, '--decode', '--workers', '0', '--cfg-options', *options])
    said = capsys.readouterr().out
    assert f'train: {2 * len(KINDS)} images' in said and '--decode' not in said
    drawn = {}
    draw = pairs.draw_pairs
    monkeypatch.setattr(pairs, 'draw_pairs', lambda *args, **options: (
        drawn.update(zip(('before', 'after', 'mask'), args)), draw(*args, **options))[1])
    browse.main([CONFIG, '--num-pairs', '6', '--out', 'p.png', '--cfg-options', *options])
    # What is drawn beside each other is the same crop: cells that were not swapped are equal.
    swapped = drawn['mask'].reshape(-1, 2, 2).repeat(16, 1).repeat(16, 2)
    different = np.abs(np.asarray(drawn['before'], int) - drawn['after']).max(-1) > 0
    assert not (different[0::2] & ~swapped).any() and different[0::2].any()


@pytest.mark.parametrize('tool', [
    'analysis_tools/eval_attacks.py', 'analysis_tools/eval_corruptions.py',
    'visualization/compare_cam.py', 'visualization/predictive_distribution.py'])
def test_tools_that_want_pictures_name_the_other_config(tool, options, capsys, tmp_path):
    (tmp_path / 'x.pth').touch()
    for config, given in ((CONFIG, ['--cfg-options', *options]),
                          ('ips/resnet-s_hard_digits-device.py', [])):
        with pytest.raises(SystemExit):
            load_tool(tool).main([config, 'x.pth', '--out', 'o', *given])
        said = capsys.readouterr().err
        assert f'{config} hands whole batches' in said and '(for x-device.py x.py)' in said
