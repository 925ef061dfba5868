import copy
import functools
import operator
import re

import pytest
from mmengine.config import Config, ConfigDict
from mmengine.registry import DATA_SAMPLERS, init_default_scope
from torch.utils.data import Sampler

import mmips
from mmips.config.pair_checks import check_config
from mmips.errors import UserError
from mmips.models.batch_augments import IntraClassPatchSwap
from mmips.registry import BATCH_AUGMENTS

SWAP = dict(type='mmips.IntraClassPatchSwap', grid_size=2)
MIXUP = dict(type='Mixup', alpha=0.8)


def make(**changes):
    """A sound IPS config with some keys replaced, ``a__b`` meaning a.b."""
    cfg = Config(copy.deepcopy(dict(
        default_scope='mmpretrain',
        model=dict(type='mmips.SelfDistillClassifier', head=dict(type='LinearClsHead',
                                                                 num_classes=10),
                   train_cfg=dict(augments=[SWAP])),
        data_preprocessor=dict(num_classes=10),
        train_dataloader=dict(batch_size=8, num_workers=2, persistent_workers=False,
                              sampler=dict(type='mmips.PairedClassSampler')),
        val_dataloader=dict(batch_size=7, sampler=dict(type='DefaultSampler', shuffle=False)),
        custom_hooks=[dict(type='mmips.EpochSeedHook'), dict(type='mmips.SelfDistillMonitor')])))
    for key, value in changes.items():
        *parents, last = key.split('__')
        node = functools.reduce(operator.getitem, parents, cfg)
        node[last] = ConfigDict(value) if isinstance(value, dict) else value
    return cfg


HARD = dict(model__type='ImageClassifier', custom_hooks=[])


class SomebodysPairs(Sampler):
    """A pairing that mmips does not know."""


class SomebodysSwap(IntraClassPatchSwap):
    """A swap of a user's own."""


DATA_SAMPLERS.register_module(module=SomebodysPairs, force=True)
BATCH_AUGMENTS.register_module(module=SomebodysSwap, force=True)
OWN_SWAP = dict(type='mmips.SomebodysSwap')


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmpretrain')


@pytest.mark.parametrize('name', [
    'ips/resnet50_hard_in1k.py', 'ips/resnet18_ips-prog_cifar100.py', 'ips/mvitv2-tiny_ips_in1k.py',
    'mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py',
    'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'])
def test_shipped_configs_pass_without_a_word(name, tmp_path):
    file = tmp_path / 'config.py'
    file.write_text(f'_base_ = {(mmips.base if "::" in name else mmips.cfg)(name)!r}\n')
    assert check_config(Config.fromfile(file)) == []


NESTED = dict(type='mmips.SequentialBatchAugment', augments=[
    dict(type='mmips.PairwiseBatchAugment', augment=MIXUP), SWAP])
TORN = dict(type='mmips.SequentialBatchAugment', augments=[MIXUP, SWAP])
ORDINARY = dict(train_dataloader__sampler=dict(type='DefaultSampler', shuffle=True))
PAIRS = (r"train_dataloader.sampler = .*pairs of one class.*write: .*sampler=dict\(type="
         r"'mmips.PairedClassSampler'\)")
UNSWAPPED = ('model.train_cfg.augments.0.*IntraClassPatchSwap.*model is ImageClassifier and the '
             'sampler DefaultSampler')


@pytest.mark.parametrize('changes, words', [
    (ORDINARY, PAIRS),
    (dict(train_dataloader__sampler=dict(type='mmpretrain.RepeatAugSampler')), PAIRS),
    (dict(train_dataloader__batch_size=7), r'batch_size = 7\n.*an even number.*batch_size=8\)'),
    (dict(train_dataloader__batch_size='abc'), "batch_size = 'abc'\n  expected: a whole number"),
    (dict(train_dataloader__sampler=dict(type='mmips.OverlappingBatchSampler', batch_size=16)),
     r'sampler.batch_size = 16\n.*train_dataloader.batch_size, which is 8\n.*\(batch_size=8\)'),
    (dict(HARD, train_dataloader__sampler=dict(type='mmips.GroupedClassSampler', num_partners=2)),
     r'batch_size = 8\n.*a multiple of 3: .*\n?.*\(batch_size=9\)'),
    (dict(HARD, **ORDINARY, model__distill=dict(type='mmips.BAKELoss'), model__train_cfg={}),
     r'sampler.*mmips.GroupedClassSampler, whose batches hold what mmips.BAKELoss learns from'),
    (dict(model__distill=dict(type='mmips.LastBatchLoss')),
     r'mmips.OverlappingBatchSampler, whose batches.*\n.*_delete_=True'),
    (dict(train_cfg=dict(by_epoch=False, max_iters=9), model__distill=dict(
        type='mmips.SumLoss', losses=[dict(type='mmips.MaxSupLoss')])),
     'train_cfg = .*from one to the next of which mmips.MaxSupLoss rises\n.*by_epoch=True'),
    (dict(train_dataloader__batch_size=0), r'batch_size = 0\n.*an even number.*batch_size=2\)'),
    (dict(HARD, **ORDINARY), UNSWAPPED),
    (dict(HARD, **ORDINARY, model__train_cfg=dict(augments=[NESTED])), UNSWAPPED),
    (dict(HARD, **ORDINARY, model__train_cfg=dict(augments=[OWN_SWAP])),
     'augments.0.*pairs of one'),
    (dict(model__train_cfg=dict(augments=dict(MIXUP, **SWAP))),
     r'model.train_cfg.augments = .*alpha came from the augment of the base.*augments=\[dict'),
    (dict(model__train_cfg=dict(augments=[TORN])), r'augments.0.augments.0 = .*mixes single '
     'images.*write: .*mmips.PairwiseBatchAugment'),
    (dict(data_preprocessor=dict(num_classes=10, batch_augments=dict(augments=[SWAP]))),
     'model.train_cfg.augments.*one place for augments'),
    (dict(data_preprocessor=dict(mean=[0, 0, 0])),
     r'data_preprocessor.num_classes = None.*one-hot.*num_classes=10\)'),
    (dict(data_preprocessor=dict(num_classes=1000)),
     'num_classes = 1000.*head.num_classes, which is 10'),
    (dict(train_dataloader__persistent_workers=True), 'persistent_workers = True.*EpochSeedHook'),
    (dict(val_dataloader__sampler=dict(type='mmips.PairedClassSampler')),
     'val_dataloader.sampler = .*every image once'),
    # All mistakes come at once, and what is wrong as a whole is not said of its parts again.
    (dict(train_dataloader__batch_size=7, data_preprocessor=dict(), model__alpha='a',
          val_evaluator=dict(type='Accuracy'),
          default_hooks=dict(checkpoint=dict(type='CheckpointHook', save_best='top1'))),
     'batch_size = 7.*num_classes = None.*alpha = .a.\n  expected: float\n\n'
     'default_hooks.checkpoint.save_best = .top1.*yields, such as accuracy/top1'),
])
def test_mistakes(changes, words):
    with pytest.raises(UserError, match=f'(?s){words}'):
        check_config(make(**changes))


@pytest.mark.parametrize('key, value', [
    ('model', 'x'), ('train_dataloader', 3), ('custom_hooks', 'x'), ('val_evaluator', 'Accuracy'),
    ('train_cfg', 'x'), ('optim_wrapper', 3), ('param_scheduler', 'x'), ('default_hooks', 3)])
def test_what_is_no_part_at_all_is_named(key, value):
    with pytest.raises(UserError, match=f'\n{key} = {value!r}\n  expected: .*[Dd]ict'):
        check_config(make(**{key: value}))


@pytest.mark.parametrize('changes', [
    {}, dict(model__train_cfg=dict(augments=[NESTED])),
    dict(model__train_cfg=dict(augments=[OWN_SWAP])),
    dict(model__train_cfg=dict(augments=[NESTED, SWAP])),
    # Pairs that are made of an ordinary batch.
    dict(model__allow_mismatch=True, train_dataloader__sampler=dict(type='DefaultSampler'))])
def test_sound_configs_pass_without_a_word(changes):
    assert check_config(make(**changes)) == []


@pytest.mark.parametrize('changes, words', [
    (HARD, 'pairs are swapped but not distilled'),
    (dict(HARD, model__train_cfg=None), 'pairs are neither swapped nor distilled'),
    (dict(model__train_cfg=None), 'distilled, but not swapped'),
    (dict(train_dataloader__sampler=dict(type='SomebodysPairs')), 'SomebodysPairs, not one of'),
    (dict(model__train_cfg=dict(augments=[SWAP, dict(type='mmips.CutOut')])),
     'lacks IntraClassPatchSwap in 1 of its entries, of which mmpretrain picks one'),
    (dict(load_form='x.pth'), r'load_form: nothing reads this name .*\(did you mean load_from'),
])
def test_what_may_be_meant_is_only_a_warning(changes, words):
    doubts = check_config(make(**changes))
    assert len(doubts) == 1 and re.search(words, doubts[0])


def test_what_stands_in_the_place_of_a_part_is_named_before_what_looks_into_it():
    for key, value in (('head', 'LinearClsHead'), ('train_cfg', [1])):
        with pytest.raises(UserError, match=f'model.{key} = .*\n  expected: a (part|dict)'):
            check_config(make(**{f'model__{key}': value}))
    with pytest.raises(UserError, match=r'augments = \[\]\n  expected: None'):
        check_config(make(model__train_cfg=dict(augments=[])))
