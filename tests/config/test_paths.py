"""Finding configs, with and without a typing mistake."""
from pathlib import Path

import pytest
from mmengine.config import Config

import mmips
from mmips.compat import EnvironmentProblem
from mmips.config import paths
from mmips.errors import MissingFileError, UserError


@pytest.fixture
def configs(tmp_path, monkeypatch):
    """A small tree in place of ours."""
    for name in ('ips/resnet18_ips_cifar100.py', 'ips/resnet50_ips_in1k.py', 'seg/same.py',
                 'det/same.py', '_base_/resnet18_ips_base.py'):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('a = 1\n', encoding='utf-8')
    monkeypatch.setattr(paths, 'config_root', lambda: tmp_path)
    return tmp_path


@pytest.mark.parametrize('name', [
    'ips/resnet50_ips_in1k.py', 'ips/resnet50_ips_in1k', 'resnet50_ips_in1k.py',
    'mmips::ips/resnet50_ips_in1k.py', 'configs/ips/resnet50_ips_in1k.py',
    Path('ips') / 'resnet50_ips_in1k.py'])
def test_cfg_finds_a_config(configs, name):
    assert mmips.cfg(name) == str(configs / 'ips' / 'resnet50_ips_in1k.py')


@pytest.mark.parametrize('name, error, words', [
    ('wrong/resnet50-isp_in1k.py', MissingFileError, r"did you mean 'ips/resnet50_ips_in1k\.py'"),
    ('zzz', MissingFileError, 'did you mean any file below'),
    ('same.py', UserError, 'several folders, name one: det/same.py, seg/same.py')])
def test_cfg_names_what_may_be_meant(configs, name, error, words):
    with pytest.raises(error, match=words):
        mmips.cfg(name)


def test_config_root_without_configs(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, '__file__', str(tmp_path / 'mmips' / 'paths.py'))
    with pytest.raises(MissingFileError, match=r'pip install -e \.'):
        paths.config_root()


def test_base_mends_mmseg(tmp_path, monkeypatch):
    from mmengine.config.utils import MODULE2PACKAGE
    pytest.importorskip('mmseg')
    monkeypatch.setitem(MODULE2PACKAGE, 'mmseg', 'mmsegmentation')
    name = 'mmseg::fcn/fcn_r50-d8_4xb4-20k_voc12aug-512x512.py'
    config = tmp_path / 'seg.py'
    config.write_text(f"_base_ = [__import__('mmips').base('{name}')]\n", encoding='utf-8')
    assert Config.fromfile(config).model.type == 'EncoderDecoder'
    assert mmips.base(name) == name


@pytest.mark.parametrize('name, error, words', [
    *((name, UserError, "expected 'package::folder/file.py'")
      for name in ('fcn/x.py', 'mmseg::x.py', 'mmseg::a::b/x.py', None)),
    ('mmabsent::a/b.py', EnvironmentProblem, 'needs mmabsent, which is not installed')])
def test_bases_that_cannot_be(name, error, words):
    with pytest.raises(error, match=words):
        mmips.base(name)
