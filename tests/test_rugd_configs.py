"""The networks of the paper's Table 8 build at their real width, take a step and predict.

One recipe for all of them; ``test_transfer_configs.py`` runs it whole with the paper's network.
"""
import logging
import re
from types import SimpleNamespace

import pytest
import torch
from helpers.checkpoints import write_resnet
from helpers.configs import load, names
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import HOOKS, MODELS, PARAM_SCHEDULERS, init_default_scope
from mmengine.runner import IterBasedTrainLoop
from mmengine.structures import PixelData

from mmips.config.sources import iter_parts
from mmips.config.splits import drop_pretrained
from mmips.engine.hooks import CheckPretrained
from mmips.errors import UserError

SegDataSample = pytest.importorskip('mmseg.structures').SegDataSample
pytest.importorskip('mmcv._ext')

CONFIGS = [name for name in names('seg') if name.endswith('_rugd.py')]
IPS = [name for name in CONFIGS if '_ips_' in name]
# Networks that are compared with, whose backbone IPS does not train.
ALONE = [name for name in CONFIGS if not re.search('_(ips|hard)_', name)]
TRANSFORMERS = [name for name in ALONE if re.search('vit|mit', name)]
LIGHT = 'bisenet|cgnet|fastscnn|segformer'
# mmseg's configs whose optimiser ours keep.
ADE20K = [f'mmseg::{name}-512x512.py' for name in (
    'dpt/dpt_vit-b16_8xb2-160k_ade20k', 'segformer/segformer_mit-b0_8xb2-160k_ade20k',
    'segmenter/segmenter_vit-b_mask_8xb1-160k_ade20k', 'setr/setr_vit-l_pup_8xb2-160k_ade20k')]


def load_here(name):
    init_default_scope('mmseg')
    return load(name)


def samples(height, width, number):
    """Random frames with random classes, as mmseg packs them."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (number, 3, height, width), generator=generator).to(torch.uint8)
    labels = torch.randint(6, (number, 1, height, width), generator=generator)
    size = dict.fromkeys(('ori_shape', 'img_shape', 'pad_shape'), (height, width))
    return dict(inputs=list(images), data_samples=[
        SegDataSample(metainfo=size, gt_sem_seg=PixelData(data=label)) for label in labels])


@pytest.mark.parametrize('name', [
    name if re.search(LIGHT, name) else pytest.param(name, marks=pytest.mark.slow)
    for name in [*IPS, *ALONE]])
def test_network_takes_a_step_and_predicts(name):
    cfg = load_here(name)
    drop_pretrained(cfg.model)
    cfg.model.data_preprocessor.size = 64, 80
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    for each in cfg.param_scheduler:
        scheduler = PARAM_SCHEDULERS.build(dict(each, optimizer=optimizer))
    assert scheduler.end == 176_000
    unused = []
    optimizer.optimizer.register_step_pre_hook(lambda *_: unused.extend(
        key for key, value in model.named_parameters() if value.grad is None))

    losses = model.train_step(samples(64, 80, 2), optimizer)

    assert torch.isfinite(losses['loss']) and losses['loss'] > 0.5
    assert unused == []  # Which would end a run on several GPUs.
    # A frame whose size no stride divides.
    model.eval()
    with torch.inference_mode():
        predicted, = model.val_step(samples(71, 93, 1))
    assert predicted.seg_logits.data.shape == (6, 71, 93)


def values_of(node, key):
    """All values of one key below a node of a config."""
    return [value for name, value in iter_parts(node) if name == key] + [
        found for _, value in iter_parts(node) for found in values_of(value, key)]


@pytest.mark.parametrize('name', CONFIGS)
def test_recipe_is_one_for_all(name):
    cfg = load_here(name)
    assert {*values_of(cfg.model, 'num_classes')} == {6}
    assert {*map(str, values_of(cfg.model, 'class_weight'))} <= {'None'}
    assert cfg.model.data_preprocessor.size == cfg.crop_size == (300, 375)
    if 'segmenter' not in name:  # Whose weights were trained at other numbers.
        assert cfg.model.data_preprocessor.std == [58.395, 57.12, 57.375]
    assert (cfg.train_dataloader.batch_size, cfg.train_cfg.max_iters) == (8, 176_000)
    assert cfg.auto_scale_lr.base_batch_size == 8
    if name not in TRANSFORMERS:
        assert cfg.optim_wrapper.optimizer == dict(
            type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4)
        assert cfg.param_scheduler == [dict(
            type='PolyLR', power=0.9, eta_min=0, begin=0, end=176_000, by_epoch=False)]


@pytest.mark.parametrize('name, upstream', zip(TRANSFORMERS, ADE20K))
def test_transformer_keeps_the_optimiser_of_mmseg(name, upstream):
    cfg = load_here(name)
    theirs = Config.fromstring(f"_base_ = [__import__('mmips').base('{upstream}')]", '.py')
    assert cfg.optim_wrapper.optimizer == theirs.optim_wrapper.optimizer
    keys, expected = (wrapper.get('paramwise_cfg', {}).get('custom_keys', {})
                      for wrapper in (cfg.optim_wrapper, theirs.optim_wrapper))
    # What is not in the network does no harm.
    assert {**keys, **expected} == keys
    assert [(each.type, each.power) for each in cfg.param_scheduler[1:]] == [
        (each.type, each.power) for each in theirs.param_scheduler[1:]]


@pytest.mark.parametrize('name', IPS)
def test_backbone_comes_from_the_checkpoint_of_one_key(name, tmp_path):
    source = write_resnet(tmp_path / 'epoch_100.pth')
    cfg = load_here(name)
    cfg.model.backbone.init_cfg.checkpoint = str(tmp_path / 'epoch_100.pth')
    backbone = MODELS.build(dict(cfg.model.backbone, stem_channels=8, base_channels=8))
    backbone.init_weights()
    loaded = backbone.state_dict()
    assert all(torch.equal(value, loaded[key]) for key, value in source.items())


@pytest.mark.parametrize('name', TRANSFORMERS)
def test_transformer_comes_from_its_checkpoint_but_for_positions(name, tmp_path):
    """Of a ViT that was trained on another size; both are smaller than published."""
    cfg = load_here(name)
    is_vit = 'vit' in name
    small = dict(embed_dims=48, num_heads=4, num_layers=1, out_indices=0) if is_vit else {}
    options, path = dict(cfg.model.backbone, **small, init_cfg=None), str(tmp_path / 'vit.pth')
    source = MODELS.build({**options, **(dict(img_size=96) if is_vit else {})})
    source.init_weights()
    torch.save(source.state_dict(), path)
    backbone = MODELS.build(dict(options, pretrained=path))
    runner = SimpleNamespace(model=SimpleNamespace(backbone=backbone), iter=0,
                             logger=logging.getLogger(), _train_loop=object.__new__(
                                 IterBasedTrainLoop))

    def start(hook):
        hook.before_run(runner)
        backbone.init_weights()
        hook.before_train(runner)

    start(HOOKS.build(cfg.custom_hooks[0]))
    if is_vit:
        with pytest.raises(UserError, match='pos_embed'):
            start(CheckPretrained())
