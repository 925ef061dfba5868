"""Packed images: the same pictures, whole files, and a training on them."""
import gc

import numpy as np
import pytest
import torch
from helpers.photos import KINDS, picture, write_tree
from helpers.tools import load_tool
from mmpretrain.registry import DATASETS
from PIL import Image

import mmips
from mmips.errors import UserError


@pytest.fixture(scope='module')
def pack():
    return load_tool('dataset_converters/pack_images.py').main


@pytest.fixture
def folder(tmp_path):
    """Two classes with a train and a val of their own, all kinds of files and two shapes."""
    write_tree(tmp_path / 'own/train')
    write_tree(tmp_path / 'own/val', ('plain', ), width=40, height=80)
    return tmp_path / 'own'


def test_a_folder_becomes_a_file_that_array_dataset_reads(pack, folder, capsys):
    assert pack([str(folder), '--size', '32', '--out', 'new/x.npz', '--workers', '2']) == 0
    assert 'new/x.npz: images_train uint8 (14, 32, 32, 3)' in capsys.readouterr().out
    train, test = (DATASETS.build(dict(type='mmips.ArrayDataset', ann_file='new/x.npz',
                                       split=split)) for split in ('train', 'test'))
    assert train.metainfo['classes'] == test.metainfo['classes'] == ('n00000000', 'n00000001')
    assert train.get_gt_labels().tolist() == [0] * 7 + [1] * 7
    assert test.get_gt_labels().tolist() == [0, 1] and test.images.shape == (2, 32, 32, 3)
    # The middle of the picture, in RGB.
    wide = np.asarray(Image.fromarray(picture(0)).resize((42, 32), Image.BICUBIC))[:, 5:37]
    tall = np.asarray(Image.fromarray(picture(0, 40, 80)).resize((32, 64), Image.BICUBIC))[16:48]
    assert np.abs(train.images[0].astype(int) - wide).mean() < 2
    assert np.abs(test.images[0].astype(int) - tall).mean() < 2
    # Turned by its EXIF data, as in training: rows have become columns.
    turned = list(KINDS).index('turned')
    straight = np.asarray(Image.fromarray(np.rot90(picture(turned), -1)).resize(
        (32, 42), Image.BICUBIC))[5:37]
    assert np.abs(train.images[turned].astype(int) - straight).mean() < 2


def test_data_sets_of_a_config_with_equal_ones_once(pack, folder, tmp_path):
    (tmp_path / 'c.py').write_text(f"""
default_scope = 'mmpretrain'
def data(split, **options):
    return dict(type='CustomDataset', data_root={str(folder)!r}, data_prefix=split, **options)
data_preprocessor = dict(type='mmips.DecodeDataPreprocessor')
train_dataloader = dict(collate_fn=dict(type='mmips.whole_batch'), dataset=dict(
    type='mmips.EncodedImages', dataset=data('train')))
val_dataloader = dict(dataset=data('val', pipeline=[
    dict(type='LoadImageFromFile', color_type='grayscale'), dict(type='PackInputs')]))
test_dataloader = val_dataloader
""")
    pack(['c.py', '--out', 'c.npz', '--size', '24', '--workers', '0'])
    pack([str(folder), '--out', 'f.npz', '--size', '24', '--workers', '0'])
    ours, theirs = (dict(np.load(name)) for name in ('c.npz', 'f.npz'))
    assert list(ours) == ['labels_train', 'images_train', 'labels_test', 'images_test', 'classes']
    assert all((ours[key] == theirs[key]).all() for key in theirs if key != 'images_test')
    # Read as its pipeline says.
    grey = ours['images_test']
    assert (grey == grey[..., :1]).all() and not (theirs['images_test'] == grey).all()


def test_arrays_are_scaled_in_their_own_colours(pack, tmp_path):
    image = np.stack([picture(number, 32, 32) for number in range(4)])
    np.savez('in.npz', images_train=image, labels_train=[0, 1, 0, 1], images_test=image,
             labels_test=[0, 1, 0, 1])
    (tmp_path / 'c.py').write_text("""
default_scope = 'mmpretrain'
train_dataloader = dict(dataset=dict(type='RepeatDataset', times=2, dataset=dict(
    type='mmips.ArrayDataset', ann_file='in.npz')))
""")
    pack(['c.py', '--out', 'out.npz', '--size', '32', '--workers', '0'])
    with np.load('out.npz') as found:
        assert sorted(found.files) == ['images_train', 'labels_train']
        assert (found['images_train'] == np.concatenate([image, image])).all()
        assert found['labels_train'].tolist() == [0, 1, 0, 1] * 2


@pytest.mark.parametrize('workers', ['0', '1'])
def test_a_broken_file_is_named_and_nothing_is_left(pack, folder, capsys, tmp_path, workers,
                                                    monkeypatch):
    # After an error torch waits so long for each worker before it ends it.
    monkeypatch.setattr(torch.utils.data._utils, 'MP_STATUS_CHECK_INTERVAL', 0.2)
    broken = folder / 'train/n00000001/1-progressive.JPEG'
    broken.write_bytes(broken.read_bytes()[:400])
    (tmp_path / 'x.npz').write_bytes(b'old')
    with pytest.raises(SystemExit) as caught:
        pack([str(folder), '--out', 'x.npz', '--workers', workers])
    said, code = capsys.readouterr().err, caught.value.code
    del caught
    gc.collect()
    assert code == 2 and 'Traceback' not in said
    assert f'{broken} cannot be read' in said
    assert (tmp_path / 'x.npz').read_bytes() == b'old' and not list(tmp_path.glob('*.part'))


def test_other_classes_and_names_are_refused(pack, folder, capsys, tmp_path):
    from mmips.datasets.packing import pack as pack_arrays
    both = {split: dict(type='mmpretrain.CustomDataset', data_root=str(folder), data_prefix=prefix)
            for split, prefix in (('train', 'train'), ('test', ''))}
    with pytest.raises(UserError, match=r"splits \['train', 'test'\] have different classes"):
        pack_arrays(both, 8)
    with pytest.raises(SystemExit):
        pack([str(folder), '--out', 'x.npy'])
    assert '--out must end in .npz, got x.npy' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        pack(['nowhere', '--out', 'x.npz'])
    assert 'nowhere is no folder, and no config, which ends in .py' in capsys.readouterr().err


def test_it_trains_with_the_images_on_the_device(pack, folder, train, scalars, monkeypatch):
    pack([str(folder), '--out', 'x.npz', '--size', '32', '--workers', '0'])
    monkeypatch.setenv('MMIPS_NPZ', 'x.npz')
    train([mmips.cfg('ips/resnet-s_ips_npz.py'), '--on-device', '--work-dir', 'w',
           '--cfg-options', 'train_cfg.max_epochs=1', 'train_cfg.val_interval=1',
           'train_dataloader.batch_size=8', 'default_hooks.logger.interval=1'])
    logged = scalars('w')
    assert sum('loss_kd' in line for line in logged) == 4
    assert 0 <= logged[-1]['accuracy/top1'] <= 100
