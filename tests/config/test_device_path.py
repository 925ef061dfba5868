"""A config put on the device path: what moves, what stays, what is refused."""
import pytest
from helpers.configs import load, names
from mmengine.config import Config

from mmips.config.device_path import on_device
from mmips.errors import UserError

PACK, READ = dict(type='PackInputs'), dict(type='LoadImageFromFile')
EVALUATED = [READ, dict(type='ResizeEdge', scale=256, edge='short'),
             dict(type='CenterCrop', crop_size=224), PACK]
CROP = dict(type='RandomCrop', crop_size=16, padding=2)
DATA = dict(type='mmips.DigitsDataset', split='train')
VARIANTS = [name for name in names('ips') if '-device' in name]


def config(pipeline, evaluated=(PACK, ), **changes):
    def loader(pipeline):
        return dict(num_workers=2, prefetch_factor=4, collate_fn=dict(type='default_collate'),
                    dataset=dict(DATA, pipeline=pipeline))
    return Config(dict(dict(
        default_scope='mmpretrain', data_preprocessor=dict(num_classes=10), model=dict(),
        custom_hooks=[dict(type='Own')], train_dataloader=loader(pipeline),
        val_dataloader=loader(list(evaluated))), **changes))


def test_crop_and_flip_move_to_the_preprocessor():
    cfg = config([dict(type='mmpretrain.RandomFlip', prob=0.5, direction='horizontal'), CROP, PACK])
    cfg.merge_from_dict(on_device(cfg))
    assert cfg.data_preprocessor == dict(num_classes=10, type='mmips.BatchDataPreprocessor',
                                         crop_size=16, crop_padding=2, flip_prob=0.5)
    assert cfg.train_dataloader == cfg.val_dataloader == dict(
        num_workers=0, persistent_workers=False, pin_memory=False, prefetch_factor=None,
        collate_fn=dict(type='mmips.whole_batch'),
        dataset=dict(type='mmips.ImagesOnDevice', dataset=DATA))
    cfg = config([PACK])
    del cfg.train_dataloader['collate_fn'], cfg.train_dataloader['prefetch_factor']
    cfg.merge_from_dict(on_device(cfg))
    assert cfg.train_dataloader == dict(
        num_workers=0, persistent_workers=False, pin_memory=False,
        collate_fn=dict(type='mmips.whole_batch'),
        dataset=dict(type='mmips.ImagesOnDevice', dataset=DATA))
    assert [hook.type for hook in cfg.custom_hooks] == ['Own', 'mmips.FastStepHook']


@pytest.mark.parametrize('optimizer, clip, captured', [
    (dict(type='SGD'), None, True), (dict(type='AdamW', capturable=True), None, True),
    (dict(type='AdamW'), None, False), (dict(type='SGD'), dict(max_norm=5), False)])
@pytest.mark.parametrize('repeats, model', [
    (True, dict(type='ImageClassifier')), (True, dict(type='mmips.SelfDistillClassifier')),
    (True, dict(type='mmips.SelfDistillClassifier', distill=dict(type='mmips.PairKLLoss'))),
    (False, dict(type='mmips.SelfDistillClassifier', distill=dict(type='mmips.DDGSDLoss'))),
    (False, dict(type='mmips.SelfDistillClassifier', target=dict(type='mmips.X'))),
    (False, dict(type='mmips.MixSelfDistillClassifier'))])
def test_only_steps_that_repeat_become_a_graph(repeats, model, optimizer, clip, captured):
    cfg = config([PACK])
    cfg.model, cfg.optim_wrapper = model, dict(optimizer=optimizer, clip_grad=clip)
    assert on_device(cfg)['custom_hooks'][-1] == dict(
        type='mmips.FastStepHook', **({} if repeats and captured else dict(cuda_graph=False)))


def test_image_files_are_decoded_there():
    data = dict(crop_ratio_range=(0.2, 1.), interpolation='bilinear', backend='cv2', scale=192)
    read = dict(READ, backend_args=dict(backend='mmips.Fsspec'))
    cfg = config([read, dict(data, type='mmpretrain.RandomResizedCrop'), PACK], EVALUATED)
    cfg.merge_from_dict(on_device(cfg))
    assert cfg.data_preprocessor == dict(
        num_classes=10, type='mmips.DecodeDataPreprocessor', scale=192, flip_prob=0.,
        crop_ratio_range=(0.2, 1.), resize_edge=256, crop_size=224)
    assert cfg.train_dataloader == dict(
        num_workers=2, prefetch_factor=4, collate_fn=dict(type='mmips.whole_batch'),
        dataset=dict(type='mmips.EncodedImages', dataset=DATA, backend_args=read['backend_args']))
    assert 'backend_args' not in cfg.val_dataloader.dataset


@pytest.mark.parametrize('pipeline, evaluated, words', [
    ([READ, PACK], EVALUATED, 'train_dataloader.dataset.pipeline has no RandomResizedCrop'),
    ([READ, dict(type='RandomResizedCrop', scale=8), PACK], [READ, PACK],
     'val_dataloader.dataset.pipeline has no CenterCrop and ResizeEdge'),
    ([READ, dict(type='RandomResizedCrop', scale=8, interpolation='bicubic'), PACK], EVALUATED,
     "'bicubic'}, which is not made on whole batches: here these are RandomResizedCrop, "),
    ([READ, CROP, PACK], EVALUATED, 'RandomCrop.*not made')])
def test_image_files_that_are_made_one_size_otherwise(pipeline, evaluated, words):
    with pytest.raises(UserError, match=words):
        on_device(config(pipeline, evaluated))


def test_a_models_own_preprocessor_and_wrapped_data():
    inner = dict(DATA, pipeline=[CROP, PACK])
    wrapped = dict(type='ConcatDataset', datasets=[
        inner, dict(type='RepeatDataset', times=2, dataset=inner)])
    cfg = config([PACK], model=dict(data_preprocessor=dict(mean=[1.])), data_preprocessor=None)
    cfg.train_dataloader.dataset = wrapped
    cfg.merge_from_dict(on_device(cfg))
    assert cfg.model.data_preprocessor.crop_padding == 2 and cfg.data_preprocessor is None
    assert cfg.train_dataloader.dataset.dataset == dict(type='ConcatDataset', datasets=[
        DATA, dict(type='RepeatDataset', times=2, dataset=DATA)])
    inner['pipeline'] = [PACK]
    cfg = config([PACK])
    cfg.train_dataloader.dataset = dict(wrapped, datasets=[dict(DATA, pipeline=[CROP]), inner])
    with pytest.raises(UserError, match=r'datasets.1.pipeline and .*datasets.0.pipeline differ'):
        on_device(cfg)


@pytest.mark.parametrize('transform', [
    dict(type='ColorJitter'), dict(CROP, padding_mode='reflect'), dict(CROP, padding=(1, 2)),
    dict(type='RandomFlip', prob=0.5, direction='vertical'), dict(type='Resize', scale=64),
    dict(type='RandomFlip', prob=[0.5, 0.5], direction=['horizontal', 'vertical'])])
def test_what_whole_batches_cannot_do(transform):
    with pytest.raises(UserError, match=r"train_dataloader.dataset.pipeline.0 is {'type': .*which "
                                        'is not made on whole batches'):
        on_device(config([transform, PACK]))


@pytest.mark.parametrize('changes, words', [
    (dict(default_scope='mmseg'), "default_scope is 'mmseg'"),
    (dict(data_preprocessor=dict(type='SelfSupDataPreprocessor')), 'type SelfSupDataPreproc'),
    (dict(val_dataloader=dict(dataset=dict(DATA, pipeline=[CROP, PACK]))), 'val_dataloader.*is')])
def test_configs_that_cannot_go_there(changes, words):
    with pytest.raises(UserError, match=words):
        on_device(config([PACK], **changes))


@pytest.mark.parametrize('name', VARIANTS)
def test_a_shipped_variant_differs_in_the_path_alone(name, npz):
    found, wanted = load(name), load(name.replace('-device', ''))
    wanted.merge_from_dict(on_device(wanted))
    if 'cifar100' in name:
        wanted.optim_wrapper.update(type='mmips.BFloat16OptimWrapper')
        wanted.optim_wrapper.optimizer.fused = True
        wanted.train_cfg.val_interval = 10
    assert found.to_dict() == wanted.to_dict()
