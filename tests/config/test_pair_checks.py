import copy

import pytest
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope

import mmips
from mmips.config.pair_checks import check_config
from mmips.errors import UserError

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
        node = cfg
        for parent in parents:
            node = node[parent]
        node[last] = value if not isinstance(value, dict) else ConfigDict(value)
    return cfg


HARD = dict(model__type='ImageClassifier', custom_hooks=[])


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmpretrain')


def test_a_sound_config_passes_without_a_word():
    assert check_config(make()) == []


@pytest.mark.parametrize('name', [
    'ips/resnet50_ips_in1k.py', 'ips/resnet50_hard_in1k.py', 'ips/resnet18_ips-prog_cifar100.py',
    'ips/resnet-s_ips_digits.py', 'ips/mvitv2-tiny_ips_in1k.py'])
def test_our_own_configs_pass_without_a_word(name):
    assert check_config(Config.fromfile(mmips.cfg(name))) == []


@pytest.mark.parametrize('name', ['mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py',
                                  'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'])
def test_other_toolboxes_are_left_alone(name, tmp_path):
    pytest.importorskip(name.partition('::')[0])
    file = tmp_path / 'config.py'
    file.write_text(f'_base_ = {mmips.base(name)!r}\n')
    assert check_config(Config.fromfile(file)) == []


@pytest.mark.parametrize('sampler', [dict(type='DefaultSampler', shuffle=True),
                                     dict(type='mmpretrain.RepeatAugSampler'), None])
@pytest.mark.parametrize('prefix', ['mmips.', ''])
def test_distilling_without_pairs(sampler, prefix):
    cfg = make(train_dataloader__sampler=sampler, model__type=prefix + 'SelfDistillClassifier')
    with pytest.raises(UserError, match=r'(?s)train_dataloader.sampler = .*pairs of one class.*'
                       r"write: .*sampler=dict\(type='mmips.PairedClassSampler'\)"):
        check_config(cfg)


@pytest.mark.parametrize('size, advised', [(7, 8), (1, 2), (0, 2)])
def test_odd_batch(size, advised):
    with pytest.raises(UserError, match=rf'(?s)batch_size = {size}\n.*an even number.*'
                       rf'batch_size={advised}\)'):
        check_config(make(train_dataloader__batch_size=size))


def test_batch_sampler_that_regroups():
    cfg = make(train_dataloader__batch_sampler=dict(type='AspectRatioBatchSampler'))
    with pytest.raises(UserError, match='(?s)train_dataloader.batch_sampler = .*tears pairs'):
        check_config(cfg)
    check_config(make(train_dataloader__batch_sampler=dict(type='BatchSampler')))


@pytest.mark.parametrize('augment', [
    SWAP, dict(type='mmips.SequentialBatchAugment', augments=[
        dict(type='mmips.PairwiseBatchAugment', augment=MIXUP), SWAP])])
def test_swapping_without_pairs(augment):
    cfg = make(**HARD, model__train_cfg=dict(augments=[augment]),
               train_dataloader__sampler=dict(type='DefaultSampler', shuffle=True))
    with pytest.raises(UserError, match='(?s)model.train_cfg.augments.0.*IntraClassPatchSwap.*'
                       'model is ImageClassifier and the sampler DefaultSampler'):
        check_config(cfg)


def test_augment_merged_into_that_of_the_base():
    cfg = make(model__train_cfg=dict(augments=dict(MIXUP, **SWAP)))
    with pytest.raises(UserError, match='(?s)model.train_cfg.augments = .*alpha came from the '
                       r'augment of the base.*augments=\[dict'):
        check_config(cfg)


def test_probs_left_over():
    cfg = make(model__train_cfg=dict(augments=[SWAP], probs=[0.5, 0.5]))
    with pytest.raises(UserError, match=r'(?s)probs = \[0.5, 0.5\].*as many numbers as augments '
                       r'\(1\).*probs=None'):
        check_config(cfg)


def test_mixing_that_tears_pairs():
    torn = dict(type='mmips.SequentialBatchAugment', augments=[MIXUP, SWAP])
    cfg = make(model__train_cfg=dict(augments=[torn]))
    with pytest.raises(UserError, match=r'(?s)augments.0.augments.0 = .*mixes single images.*'
                       'write: .*mmips.PairwiseBatchAugment'):
        check_config(cfg)
    whole = dict(type='mmips.SequentialBatchAugment', augments=[
        dict(type='mmips.PairwiseBatchAugment', augment=MIXUP), SWAP])
    assert check_config(make(model__train_cfg=dict(augments=[whole]))) == []


def test_augments_in_two_places():
    cfg = make(data_preprocessor=dict(num_classes=10, batch_augments=dict(augments=[SWAP])))
    with pytest.raises(UserError, match='(?s)model.train_cfg.augments.*one place for augments'):
        check_config(cfg)


def test_num_classes():
    with pytest.raises(UserError, match=r'(?s)data_preprocessor.num_classes = None.*one-hot.*'
                       r'num_classes=10\)'):
        check_config(make(data_preprocessor=dict(mean=[0, 0, 0])))
    with pytest.raises(UserError, match='(?s)num_classes = 1000.*head.num_classes, which is 10'):
        check_config(make(data_preprocessor=dict(num_classes=1000)))


def test_hooks_with_nothing_to_do():
    schedule = dict(type='mmips.PatchSwapSchedule', milestones=[0.5], values=[0.1, 0.5])
    cfg = make(custom_hooks=[schedule], model__train_cfg=dict(augments=[]))
    with pytest.raises(UserError, match='(?s)PatchSwapSchedule.*a patch swap to schedule'):
        check_config(cfg)
    cfg = make(model__type='ImageClassifier', model__train_cfg=None,
               train_dataloader__sampler=dict(type='DefaultSampler'))
    with pytest.raises(UserError, match='(?s)SelfDistillMonitor.*a model with pairs to watch'):
        check_config(cfg)


def test_reseeding_needs_fresh_workers():
    with pytest.raises(UserError, match='(?s)persistent_workers = True.*EpochSeedHook'):
        check_config(make(train_dataloader__persistent_workers=True))


def test_evaluating_on_pairs():
    cfg = make(val_dataloader__sampler=dict(type='mmips.PairedClassSampler'))
    with pytest.raises(UserError, match='(?s)val_dataloader.sampler = .*every image once'):
        check_config(cfg)


def test_all_mistakes_come_at_once():
    cfg = make(train_dataloader__batch_size=7, data_preprocessor=dict())
    with pytest.raises(UserError, match='(?s)batch_size = 7.*num_classes = None'):
        check_config(cfg)


@pytest.mark.parametrize('changes, words', [
    (HARD, 'pairs are swapped but not distilled'),
    (dict(HARD, model__train_cfg=None), 'pairs are neither swapped nor distilled'),
    (dict(model__train_cfg=None), 'distilled, but not swapped'),
    (dict(train_dataloader__sampler=dict(type='SomebodysPairs')), 'SomebodysPairs, not one of'),
    (dict(model__train_cfg=dict(augments=[SWAP, dict(type='mmips.CutOut')])),
     'picks one for each batch'),
    (dict(train_dataloader__collate_fn=dict(type='shuffle_collate')), 'keep the order'),
])
def test_what_may_be_meant_is_only_a_warning(changes, words):
    doubts = check_config(make(**changes))
    assert len(doubts) == 1 and words in doubts[0]


def test_a_subclass_of_the_sampler_is_a_paired_one():
    from mmips.datasets.samplers import PairedClassSampler
    from mmips.registry import DATA_SAMPLERS

    class MyPairs(PairedClassSampler):
        pass

    DATA_SAMPLERS.register_module(module=MyPairs)
    try:
        assert check_config(make(train_dataloader__sampler=dict(type='mmips.MyPairs'))) == []
    finally:
        DATA_SAMPLERS._module_dict.pop('MyPairs')
