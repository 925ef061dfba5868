"""Configs that check_data is to check."""
from collections import OrderedDict

import pytest
from mmengine.registry import DefaultScope

import mmips
from mmips.config.check_data import check_data

BASES = {
    'voc12aug': ('mmseg', mmips.base('mmseg::_base_/datasets/pascal_voc12_aug.py')),
    'cityscapes': ('mmseg', mmips.base('mmseg::_base_/datasets/cityscapes.py')),
    'camvid': ('mmseg', mmips.cfg('_base_/datasets/camvid.py')),
    'rugd': ('mmseg', mmips.cfg('_base_/datasets/rugd_coarse_300x375.py')),
    'voc0712': ('mmdet', mmips.base('mmdet::_base_/datasets/voc0712.py')),
    'ade20k': ('mmseg', mmips.base('mmseg::_base_/datasets/ade20k.py')),
    'coco': ('mmdet', mmips.base('mmdet::_base_/datasets/coco_instance.py')),
    'cifar100': ('mmpretrain', mmips.base('mmpretrain::_base_/datasets/cifar100_bs16.py')),
}


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Write a config by name or text into an empty folder; returns its path."""
    monkeypatch.chdir(tmp_path)

    def write(what, extra=''):
        path = tmp_path / 'config.py'
        if what in BASES:
            scope, base = BASES[what]
            what = f'_base_ = {base!r}\ndefault_scope = {scope!r}\n'
        path.write_text(what + extra)
        return str(path)

    return write


@pytest.fixture
def check(capsys, monkeypatch):
    """Check; returns whether all is right, what was printed and the findings of each split."""

    def run(config, **settings):
        monkeypatch.setattr(DefaultScope, '_instance_dict', OrderedDict())
        right, found = check_data(config, **settings)
        return right, capsys.readouterr().out, found['splits']

    return run
