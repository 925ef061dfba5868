import pytest
from mmengine.config import Config

from mmips.config import sources
from mmips.config.sources import DATA_SOURCES, check_paths
from mmips.errors import MissingFileError

TRAIN = ('train_dataloader', )


def data_config(**data):
    return Config(dict(train_dataloader=dict(dataset=data)))


def fill(folder, *files):
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('x')
    return str(folder)


@pytest.mark.parametrize('name', sorted(DATA_SOURCES))
def test_every_source_says_what_to_get_and_where_to_put_it(name, tmp_path):
    kind, root = DATA_SOURCES[name], str(tmp_path / 'absent')
    data = dict(type=name, data_root=root, download=False)
    if name == 'ArrayDataset':
        data['ann_file'] = 'cifar.npz'
    with pytest.raises(MissingFileError) as caught:
        check_paths(data_config(**data), TRAIN)
    text = str(caught.value)
    assert kind['name'] in text and root in text
    assert all(line in text for line in kind['get'].splitlines())
    assert 'train_dataloader.dataset' in text and '--cfg-options' in text
    # Whatever stood in braces was filled in, and doubled braces were undone.
    assert not any(part in text for part in ('{root', '{parent', '{{', '}}', '{}'))


@pytest.mark.parametrize('data, there, missing', [
    (dict(type='ImageNet', split='train'), [], ['train']),
    (dict(type='ImageNet', split='train'), ['train'], []),
    (dict(type='mmpretrain.ImageNet', data_prefix='train', ann_file='meta/train.txt'),
     ['train'], ['meta/train.txt']),
    # Each of two names.
    (dict(type='mmips.StanfordDogs'), ['Images', 'lists/test_list.mat', 'train_list.mat'], []),
    (dict(type='mmips.RUGDDataset'), ['frames'], ['labels']),
    (dict(type='mmips.RUGDDataset', data_prefix=dict(img_path='x')), [], ['x']),
    (dict(type='mmips.ArrayDataset', images='x.npy', labels='y.npy'), ['x.npy'], ['y.npy']),
    (dict(type='mmips.CIFARCDataset', corruption='fog'), ['fog.npy'], ['labels.npy']),
    (dict(type='CIFAR100', download=False), [], ['cifar-100-python']),
    (dict(type='VOCDataset', ann_file='VOC2007/ImageSets/Main/trainval.txt',
          data_prefix=dict(sub_data_root='VOC2007/')), ['VOC2007/'],
     ['VOC2007/ImageSets/Main/trainval.txt']),
    (dict(type='SomebodysDataset', ann_file='list.json'), [], ['list.json']),
])
def test_paths_are_those_of_the_dataset(data, there, missing, tmp_path):
    root = fill(tmp_path / 'data', 'other.txt', *(
        name if '.' in name else f'{name}/1.jpg' for name in there))
    data = dict(data, data_root=root)
    found = sources.missing_datasets(data_config(**data), TRAIN)
    assert [path for _, _, paths in found for path in paths] == [f'{root}/{m}' for m in missing]
    both = dict(type='ConcatDataset', datasets=[data, dict(type='RepeatDataset', dataset=data)])
    for each in (data, both):
        # Not all of the root, where other things may lie, if the images are elsewhere.
        assert sources.present_paths(each) == (
            [f'{root}/{name}' for name in there] or [root])


@pytest.mark.parametrize('root, classes, says', [
    ('data/VOCdevkit', ('cat', 'dog'), 'VOCtest_06-Nov-2007.tar'),
    ('data/bccd/BCCD', ('RBC', 'WBC'), 'github.com/Shenggan/BCCD_Dataset')])
def test_a_set_in_the_format_of_voc_need_not_be_voc(root, classes, says):
    with pytest.raises(MissingFileError, match=says):
        check_paths(data_config(type='VOCDataset', data_root=root, ann_file='train.txt',
                                metainfo=dict(classes=classes)), TRAIN)


@pytest.mark.parametrize('cfg', [
    data_config(type='mmips.DigitsDataset', split='train'),
    *[data_config(type='ImageNet', data_root=root, split='train') for root in (
        's3://bucket/imagenet', 'petrel:s3://x/y', 'openmmlab:s3://x')],
    *[Config(dict(model=dict(pretrained=path), load_from=path)) for path in (
        'https://x.y/r50.pth', 'open-mmlab://resnet50')]])
def test_nothing_to_look_for(cfg):
    check_paths(cfg, TRAIN)


def test_a_dataset_that_fetches_itself_may_try():
    cfg = data_config(type='CIFAR100', data_root='nowhere')
    check_paths(cfg, TRAIN)
    (key, _, paths), = sources.pending_downloads(cfg, TRAIN)
    assert key == 'train_dataloader.dataset' and paths == ['nowhere/cifar-100-python']


NESTED = [dict(type='Kaiming'), dict(type='Pretrained', checkpoint='no.pth')]


@pytest.mark.parametrize('cfg, words', [
    (dict(model=dict(backbone=dict(init_cfg=NESTED))),
     "'no.pth', named by model.backbone.init_cfg.1.checkpoint, does not exist.*"
     '--cfg-options model.backbone.init_cfg.1.checkpoint='),
    (dict(model=dict(pretrained='no.pth')), "'no.pth', named by model.pretrained"),
    (dict(load_from='run/epoch_3.pth'), 'epoch_3.pth.*named by load_from.*there are: '
     'epoch_1.pth, epoch_2.pth\n'),
    (dict(load_from='run'), 'is a folder, not a file')])
def test_missing_checkpoints(cfg, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / 'run', 'epoch_1.pth', 'epoch_2.pth', 'log.txt')
    with pytest.raises(MissingFileError, match=f'(?s){words}'):
        check_paths(Config(cfg), ())


def test_a_teacher_is_missing_in_training_alone():
    cfg = Config(dict(model=dict(teacher=dict(config='x.py', checkpoint='no.pth'))))
    check_paths(cfg, ('test_dataloader', ))
    with pytest.raises(MissingFileError, match="'no.pth', named by model.teacher.checkpoint, does"):
        check_paths(cfg, ('train_dataloader', 'val_dataloader'))


def test_two_splits_of_one_dataset_are_one_message_through_any_wrapper():
    inner = dict(type='CUB', data_root='data/cub')
    cfg = Config(dict(
        train_dataloader=dict(dataset=dict(type='ConcatDataset', datasets=[
            dict(type='mmips.DigitsDataset'), dict(type='RepeatDataset', dataset=inner)])),
        val_dataloader=dict(dataset=inner)))
    with pytest.raises(MissingFileError) as caught:
        check_paths(cfg, ('train_dataloader', 'val_dataloader'))
    text = str(caught.value)
    train = 'train_dataloader.dataset.datasets.1.dataset'
    assert text.count('get it') == text.count('data/cub/images ') == 1
    assert f'named by   {train}, val_dataloader.dataset\n' in text
    assert f'{train}.data_root=/path/to/cub val_dataloader.dataset.data_root=/path/to/cub' in text
