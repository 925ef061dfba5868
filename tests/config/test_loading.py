import os

import pytest
from mmengine.config import Config

import mmips
from mmips.config import loading, sources
from mmips.config.equal_cost import write_twin
from mmips.errors import MissingFileError, UserError


def test_configs_by_path_and_by_name(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text('train_cfg = dict(max_epochs=1)\n')
    assert loading.find_config(str(path)) == str(path)
    assert loading.find_config('ips/resnet50_ips_in1k.py') == mmips.cfg('ips/resnet50_ips_in1k.py')
    assert loading.load_config(str(path), {'train_cfg.max_epochs': 2}).train_cfg.max_epochs == 2
    with pytest.raises(MissingFileError, match="no config file 'ips/resnet50_ipz_in1k.py', "
                       'neither in .*resnet50_ips_in1k.py'):
        loading.find_config('ips/resnet50_ipz_in1k.py')


@pytest.mark.parametrize('name', ['ips/resnet-s_ips_digits.py', 'ips/resnet50_ips_in1k.py'])
def test_a_base_of_ours_by_name_is_the_config_itself(tmp_path, name):
    path = tmp_path / 'mine.py'
    path.write_text(f"_base_ = 'mmips::{name}'")
    assert loading.load_config(str(path)).to_dict() == loading.load_config(name).to_dict()


LAZY = """
from mmengine.model import PretrainedInit
from mmpretrain.models import ImageClassifier
from torch.optim import SGD

model = dict(type=ImageClassifier, backbone=dict(
    type='ResNet', init_cfg=dict(type=PretrainedInit, checkpoint='nowhere.pth')))
optim_wrapper = dict(optimizer=dict(type=SGD, lr=0.1))
"""


def test_classes_in_place_of_names(tmp_path):
    pytest.importorskip('mmpretrain')
    path = tmp_path / 'mine.py'
    path.write_text(LAZY)
    cfg = loading.load_config(str(path))
    assert cfg.optim_wrapper.optimizer.type == 'torch.optim.sgd.SGD'
    assert sources.type_name(cfg.model) == 'ImageClassifier'
    assert sources.missing_checkpoints(cfg) == [
        ('model.backbone.init_cfg.checkpoint', 'nowhere.pth')]
    with pytest.raises(UserError, match='imports the classes of its types.*docs/drop_in.md'):
        write_twin(str(path), str(tmp_path / 'twin.py'))


MERGED = """_base_ = './base.py'
model = dict(train_cfg=dict(augments=dict(type='mmips.IntraClassPatchSwap')))"""


@pytest.mark.parametrize('text, options, words', [
    ('a = (', None, 'mine.py cannot be used: SyntaxError'),
    ("_base_ = './absent.py'", None, 'mine.py cannot be used: .*absent.py'),
    ('train_cfg = dict(max_epochs=1)', {'train_cfg.max_epoch': 1}, 'did you mean max_epochs'),
    (MERGED, None, r'cannot be used: .*`augments` as a list: write augments=\[dict\(')])
def test_a_config_that_cannot_be_read(tmp_path, text, options, words):
    (tmp_path / 'base.py').write_text(
        "model = dict(train_cfg=dict(augments=[dict(type='Mixup'), dict(type='CutMix')]))")
    path = tmp_path / 'mine.py'
    path.write_text(text)
    with pytest.raises(UserError, match=f'(?s){words}'):
        loading.load_config(str(path), options)


@pytest.mark.parametrize('option, own, expected', [
    ('x', 'y', 'x'), (None, 'y', 'y'), (None, None, os.path.join('./work_dirs', 'name')),
    ('~/x', None, os.path.expanduser('~/x')), (None, 5, 5)])
def test_work_dir_priority(option, own, expected):
    cfg = Config(dict(work_dir=own))
    loading.set_work_dir(cfg, 'a/name.py', option)
    assert cfg.work_dir == expected


def test_loader_defaults_are_those_of_the_toolbox():
    cfg = Config(dict(default_scope='mmpretrain', a=dict(num_workers=2), b=dict(num_workers=0),
                      c=dict(num_workers=2, persistent_workers=False), d=None))
    loading.set_dataloader_defaults(cfg, ('a', 'b', 'c', 'd'))
    assert [cfg[name].persistent_workers for name in 'abc'] == [True, False, False]
    assert cfg.a.collate_fn.type == 'default_collate'
    loading.set_dataloader_defaults(cfg, ('a', ), pin_memory=False, persistent_workers=False)
    assert cfg.a.pin_memory is False and cfg.a.persistent_workers is False
    other = Config(dict(default_scope='mmseg', a=dict(num_workers=2)))
    loading.set_dataloader_defaults(other, ('a', ))
    assert other.a == dict(num_workers=2)


def test_parts_that_are_none_and_loaders_without_a_seed(tmp_path):
    (tmp_path / 'mine.py').write_text('train_dataloader = 3')
    with pytest.raises(UserError, match='train_dataloader = 3\n  expected: a dict'):
        loading.load_config(str(tmp_path / 'mine.py'))
    cfg = Config(dict(a=dict(worker_init_fn=None)))
    loading.set_dataloader_defaults(cfg, ('a', ))
    assert 'worker_init_fn' not in cfg.a


def test_a_config_that_ends_the_program(tmp_path):
    (tmp_path / 'mine.py').write_text('import sys\nsys.exit(0)\n')
    with pytest.raises(UserError, match='mine.py cannot be used: SystemExit: 0'):
        loading.load_config(str(tmp_path / 'mine.py'))
