import pytest

from mmips.config.colours import network_order, pipeline_order


@pytest.mark.parametrize('wrap', [lambda data: data,
                                  lambda data: dict(type='RepeatDataset', dataset=data),
                                  lambda data: dict(type='ConcatDataset', datasets=[data, {}])])
@pytest.mark.parametrize('first, turned, orders', [
    ('LoadImageFromFile', dict(to_rgb=True), ('bgr', 'rgb')),
    ('mmseg.LoadImageFromFile', dict(bgr_to_rgb=True), ('bgr', 'rgb')),
    ('LoadImageFromFile', dict(to_rgb=False), ('bgr', 'bgr')),
    ('LoadImageFromFile', {}, ('bgr', 'bgr')),
    ('Resize', dict(to_rgb=True), ('bgr', 'rgb')),
    ('Resize', {}, ('rgb', 'rgb'))])
def test_orders_follow_from_loading_and_turning(wrap, first, turned, orders):
    loader = dict(dataset=wrap(dict(type='X', pipeline=[dict(type=first), dict(type='Pack')])))
    for where in (dict(data_preprocessor=turned), dict(model=dict(data_preprocessor=turned))):
        cfg = dict(where, train_dataloader=loader)
        assert (pipeline_order(cfg, 'train'), network_order(cfg, 'train')) == orders


def test_a_config_without_data_is_taken_for_arrays():
    assert pipeline_order({}, 'test') == network_order(dict(test_dataloader=None), 'test') == 'rgb'


@pytest.mark.parametrize('turned, order', [(dict(to_rgb=True), 'rgb'), ({}, 'bgr')])
def test_files_that_the_preprocessor_decodes_are_read_as_any(turned, order):
    cfg = dict(data_preprocessor=turned, test_dataloader=dict(dataset=dict(
        type='mmips.EncodedImages', dataset=dict(type='ImageNet'))))
    assert (pipeline_order(cfg, 'test'), network_order(cfg, 'test')) == ('bgr', order)
