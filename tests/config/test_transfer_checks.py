import pytest
from mmengine.config import Config

from mmips.config.transfer_checks import transfer_mistakes, transfer_warnings

FILE = 'work_dirs/resnet50_ips_in1k/epoch_100.pth'


def make(scope='mmseg', checkpoint=FILE, std=(58.4, 57.1, 57.4), head=None,
         **backbone):
    init = checkpoint and dict(type='Pretrained', checkpoint=checkpoint)
    return Config(dict(default_scope=scope, val_cfg=dict(), model=dict(
        backbone=dict(type='ResNet', init_cfg=init, **backbone), bbox_head=head,
        data_preprocessor=dict(std=list(std)))))


def test_two_checkpoints():
    cfg = make()
    cfg.model.pretrained = 'open-mmlab://resnet50_v1c'
    (key, value, _, advice), = transfer_mistakes(cfg)
    assert (key, value) == ('model.pretrained', 'open-mmlab://resnet50_v1c')
    assert advice == 'model = dict(pretrained=None)'
    cfg.model.backbone.init_cfg = None
    assert [*transfer_mistakes(cfg)] == []


@pytest.mark.parametrize('kind, refused', [
    ('SSDHead', True), ('mmdet.SSDHead', True), ('mmips.SSDHead', False), ('RetinaHead', False)])
def test_a_head_that_cannot_predict(kind, refused):
    cfg = make('mmdet', head=dict(type=kind))
    keys = [key for key, *_ in transfer_mistakes(cfg)]
    assert keys == (['model.bbox_head.type'] if refused else [])
    cfg.val_cfg = None
    assert [*transfer_mistakes(cfg)] == []


@pytest.mark.parametrize('options, words', [
    (dict(std=(1, 1, 1)), 'model.data_preprocessor.std is [1, 1, 1], as caffe-style'),
    *((options, None) for options in (
        {}, dict(std=(1, 1, 1), style='caffe'), dict(std=(1, 1, 1), checkpoint=None),
        dict(scope='mmpretrain', std=(1, 1, 1))))])
def test_warnings(options, words):
    cfg = make(**options)
    assert [*transfer_mistakes(cfg)] == []
    said = [*transfer_warnings(cfg)]
    assert words in said[0] and len(said) == 1 if words else not said
