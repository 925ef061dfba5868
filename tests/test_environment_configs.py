"""What configs take from the environment: paths, limits and checkpoints."""
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.checkpoints import write_resnet
from helpers.configs import ROOT, load
from helpers.published import write_images
from helpers.two_steps import check_two_steps, shrink, use_small_network, write_npz
from mmengine.registry import MODELS
from mmengine.runner import Runner

pytestmark = pytest.mark.usefixtures('in_data_root')


def built_labels(cfg, split):
    return Runner.build_dataloader(cfg[f'{split}_dataloader'], seed=0).dataset.get_gt_labels()


def test_npz_limits_come_from_the_environment(npz, monkeypatch):
    cfg = load('ips/resnet-s_ips_npz.py')
    assert (cfg.model.head.num_classes, cfg.data_preprocessor.num_classes) == (4, 4)
    assert cfg.train_dataloader.dataset.per_class is None
    monkeypatch.setenv('MMIPS_MAX_CLASSES', '3')
    monkeypatch.setenv('MMIPS_PER_CLASS', '5')
    cfg = load('ips/resnet-s_hard_npz.py')
    assert cfg.model.head.num_classes == 3
    assert np.bincount(built_labels(cfg, 'train')).tolist() == [5, 5, 5]
    assert np.bincount(built_labels(cfg, 'val')).tolist() == [2, 2, 2]


@pytest.mark.parametrize('variable', ['MMIPS_MAX_CLASSES', 'MMIPS_PER_CLASS'])
@pytest.mark.parametrize('value', ['two', '-1', '2.5'])
def test_npz_limits_are_whole_numbers(npz, monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=f"^{variable} must be a whole number, .* got '{value}'"):
        load('ips/resnet-s_ips_npz.py')


# What a path may hold; mmengine's own way to read the environment would run the last one.
ODD = ["quote's", 'double"quote', 'back\\slash', 'two  blanks', 'line\nbreak', 'nai\u0308ve-\u65e5',
       '{{$HOME}}', 'a,b [c] (d)', "'+open('ran', 'w').name+'"]


@pytest.mark.parametrize('odd', [*ODD, ''.join(ODD)])
def test_paths_of_any_letters(odd, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / odd
    write_images(folder, [f'{name}/{i}.jpg' for name in ('cat', 'dog') for i in range(5)])
    write_npz(tmp_path / f'{odd}.npz')
    for name, value in dict(NPZ=tmp_path / f'{odd}.npz', DATA=folder, CKPT=folder / 'x.pth',
                            CKPT_PREFIX=odd).items():
        monkeypatch.setenv(f'MMIPS_{name}', str(value))
    custom, npz = (load(f'ips/{name}.py') for name in ('resnet50_ips_custom', 'resnet-s_ips_npz'))
    assert custom.train_dataloader.dataset.data_root == str(folder)
    assert custom.model.backbone.init_cfg == dict(
        type='Pretrained', checkpoint=str(folder / 'x.pth'), prefix=odd)
    assert npz.train_dataloader.dataset.ann_file == str(tmp_path / f'{odd}.npz')
    if odd == ''.join(ODD):
        custom.custom_hooks = custom.custom_hooks[:1]  # the checkpoint is not there
        for cfg in (custom, npz):
            use_small_network(cfg)
            check_two_steps('odd', cfg, tmp_path / f'{cfg.train_dataloader.dataset.type}')
    assert not Path('ran').exists()


def test_an_empty_variable_is_none(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('MMIPS_DATA', '')
    with pytest.raises(FileNotFoundError, match='data/custom does not exist'):
        load('ips/resnet50_ips_custom.py')


def test_no_config_has_the_environment_pasted_into_its_text():
    texts = {path: path.read_text(encoding='utf-8') for path in (ROOT / 'configs').rglob('*.py')}
    assert len(texts) > 100 and not [path for path, text in texts.items()
                                     if re.search(r'\{\{\s*\$', text)]


@pytest.mark.parametrize('name, variable, advice', [
    ('resnet-s_ips_npz', 'MMIPS_NPZ', 'nowhere does not exist. Set MMIPS_NPZ'),
    ('resnet50_ips_custom', 'MMIPS_DATA', 'nowhere.* does not exist.*MMIPS_DATA')])
def test_missing_data_is_named_with_advice(name, variable, advice, monkeypatch):
    monkeypatch.setenv(variable, 'nowhere')
    with pytest.raises(FileNotFoundError, match=advice):
        load(f'ips/{name}.py')


def test_custom_classes_come_from_the_folders(monkeypatch, tmp_path):
    write_images(tmp_path, [f'{name}/{i}.jpg' for name in ('cat', 'dog', 'emu') for i in range(5)])
    monkeypatch.setenv('MMIPS_DATA', str(tmp_path))
    cfg = load('ips/resnet50_ips_custom.py')
    assert cfg.model.head.num_classes == cfg.data_preprocessor.num_classes == 3
    train = Runner.build_dataloader(shrink(cfg).train_dataloader, seed=0).dataset
    assert train.metainfo['classes'] == ('cat', 'dog', 'emu')
    assert np.bincount(train.get_gt_labels()).tolist() == [4, 4, 4]
    assert len(built_labels(cfg, 'val')) == 3


@pytest.mark.parametrize('prefix', ['backbone.', 'none'])
def test_custom_starts_from_a_published_checkpoint(prefix, monkeypatch, tmp_path):
    source = write_resnet(tmp_path / 'published.pth')
    if prefix == 'none':
        torch.save(source, tmp_path / 'published.pth')
    monkeypatch.setenv('MMIPS_CKPT', str(tmp_path / 'published.pth'))
    monkeypatch.setenv('MMIPS_CKPT_PREFIX', prefix)
    cfg = load('ips/resnet50_ips_custom.py')
    for each in (cfg, load('ips/resnet50_hard_custom.py')):
        assert 'mmips.CheckPretrained' in [hook.type for hook in each.custom_hooks]
    backbone = MODELS.build(dict(cfg.model.backbone, stem_channels=8, base_channels=8))
    backbone.init_weights()
    loaded = backbone.state_dict()
    assert all(torch.equal(value, loaded[key]) for key, value in source.items())
