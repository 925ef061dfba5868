import pytest
from mmengine.config import Config
from mmengine.optim import OptimWrapper

from mmips.config import switches
from mmips.errors import UserError

PIPELINE = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]


@pytest.mark.parametrize('wrapper', [
    dict(), dict(type='mmengine.AmpOptimWrapper', loss_scale='dynamic', dtype=None),
    dict(type=OptimWrapper)])
def test_amp_knows_the_wrapper_by_any_name(monkeypatch, wrapper):
    cfg = Config(dict(optim_wrapper=wrapper))
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    switches.use_amp(cfg)
    assert cfg.optim_wrapper == {**wrapper, 'type': 'AmpOptimWrapper', 'loss_scale': 'dynamic'}
    # Where mmengine's wrapper refuses to be built, the arguments that are its own go with it.
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    switches.use_amp(cfg)
    assert cfg.optim_wrapper == dict(type='mmips.BFloat16OptimWrapper')
    # Nor do CUDA graphs take a loss scaler.
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    for graph, kind in ({}, 'mmips.BFloat16OptimWrapper'), (dict(cuda_graph=False), (
            'AmpOptimWrapper')):
        cfg = Config(dict(optim_wrapper=wrapper, custom_hooks=[
            dict(type='mmips.FastStepHook', **graph)]))
        switches.use_amp(cfg)
        assert cfg.optim_wrapper.type == kind


@pytest.mark.parametrize('switch, cfg, words', [
    (switches.use_amp, dict(optim_wrapper=dict(type='Own')), "got {'type': 'Own'}"),
    (switches.use_amp, dict(), '--amp: optim_wrapper must be .*got None'),
    (switches.auto_scale_lr, dict(auto_scale_lr=dict(enable=False)), 'base_batch_size'),
    (switches.use_tta, dict(default_scope='mmseg'), '--tta: the config has no tta_model'),
    (switches.use_tta, dict(default_scope='mmpretrain', test_dataloader=dict(dataset=dict(
        type='mmips.ImagesOnDevice', dataset=dict(type='CIFAR100')))),
     r'test_dataloader.dataset.dataset \(CIFAR100\) has no pipeline of its own'),
    (lambda cfg: switches.use_pictures(cfg, 'x'), dict(default_hooks=dict()),
     'no default_hooks.visualization')])
def test_what_cannot_be_switched_on(monkeypatch, switch, cfg, words):
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    with pytest.raises(UserError, match=words):
        switch(Config(cfg))


@pytest.mark.parametrize('scope, hook, save_dir', [
    ('mmpretrain', dict(enable=True, out_dir='x'), None), ('mmseg', dict(draw=True), 'x'),
    ('mmdet', dict(draw=True, test_out_dir='x'), None)])
def test_pictures_of_each_toolbox(scope, hook, save_dir):
    cfg = Config(dict(default_scope=scope, visualizer=dict(),
                      default_hooks=dict(visualization=dict())))
    switches.use_pictures(cfg, 'x', interval=3)
    assert cfg.default_hooks.visualization == dict(hook, interval=3)
    assert cfg.visualizer.get('save_dir') == save_dir


@pytest.mark.parametrize('own', [{}, dict(tta_model=dict(type='Own'), tta_pipeline=[1])])
def test_tta_wraps_the_model(own):
    cfg = Config(dict(default_scope='mmpretrain', model=dict(type='Net'),
                      test_dataloader=dict(dataset=dict(pipeline=PIPELINE)), **own))
    switches.use_tta(cfg)
    assert cfg.model.module.type == 'Net'
    pipeline = cfg.test_dataloader.dataset.pipeline
    if own:
        assert cfg.model.type == 'Own' and pipeline == [1]
    else:
        assert [step.type for step in pipeline] == ['LoadImageFromFile', 'TestTimeAug']
        assert [flip.prob for flip in pipeline[1].transforms[0]] == [0, 1]


def test_tta_reaches_wrapped_data_sets():
    part = dict(type='A', pipeline=PIPELINE)
    cfg = Config(dict(default_scope='mmpretrain', model=dict(type='Net'), test_dataloader=dict(
        dataset=dict(type='ConcatDataset', datasets=[part, part]))))
    switches.use_tta(cfg)
    assert [data.pipeline[1].type for data in cfg.test_dataloader.dataset.datasets] == [
        'TestTimeAug', 'TestTimeAug']
