"""The keys of a twin, and what has none; for what is shipped see tests/test_equal_cost.py."""
import copy

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.models import RandomBatchAugment

from mmips.config import equal_cost as module
from mmips.config.equal_cost import equal_cost, write_twin
from mmips.config.loading import load_config
from mmips.config.pair_checks import check_config
from mmips.errors import UserError

SWAP = dict(type='mmips.IntraClassPatchSwap', grid_size=2, prob=0.5)
MIXUP, CUTMIX = dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)


def mixed(augment):
    return dict(type='mmips.SequentialBatchAugment', augments=[
        dict(type='mmips.PairwiseBatchAugment', augment=augment), SWAP])


def make(**changes):
    """A sound hard-label config with some keys changed, ``a__b`` meaning a.b."""
    cfg = Config(copy.deepcopy(dict(
        default_scope='mmpretrain', optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        train_cfg=dict(by_epoch=True, max_epochs=2), data_preprocessor=dict(num_classes=10),
        model=dict(type='ImageClassifier', backbone=dict(type='ResNet', depth=18),
                   neck=dict(type='GlobalAveragePooling'),
                   head=dict(type='LinearClsHead', num_classes=10, in_channels=512)),
        train_dataloader=dict(batch_size=8, dataset=dict(type='CustomDataset', data_root='x'),
                              sampler=dict(type='DefaultSampler', shuffle=True)))))
    cfg.merge_from_dict({key.replace('__', '.'): value for key, value in changes.items()})
    return cfg


@pytest.mark.parametrize('given, expected', [
    (None, dict(augments=[SWAP], _delete_=True)),
    (dict(augments=None), dict(augments=[SWAP])),
    (dict(augments=MIXUP), dict(augments=[mixed(MIXUP)])),
    (dict(augments=[MIXUP, CUTMIX]), dict(augments=[mixed(MIXUP), mixed(CUTMIX)])),
    (dict(augments=[dict(MIXUP, _scope_='mmpretrain')]), dict(augments=[mixed(MIXUP)])),
    (dict(augments=[MIXUP, CUTMIX], probs=[0.5, 0.5]),
     dict(augments=[mixed(MIXUP), mixed(CUTMIX)], probs=[0.5, 0.5])),
    (dict(augments=[MIXUP, CUTMIX], probs=[0.1, 0.2]),
     dict(augments=[mixed(MIXUP), mixed(CUTMIX), SWAP], probs=[0.1, 0.2, 0.7])),
    (dict(augments=MIXUP, probs=0.3), dict(augments=[mixed(MIXUP), SWAP], probs=[0.3, 0.7]))])
def test_augments_of_the_base_come_before_the_swap(given, expected):
    twin = make(model__train_cfg=given)
    own = equal_cost(twin)
    assert own['model']['train_cfg'] == expected
    twin.merge_from_dict(copy.deepcopy(own))
    assert check_config(twin) == []


def test_shares_of_the_base_and_of_the_swap_are_all_of_the_batches():
    init_default_scope('mmpretrain')
    rng = np.random.default_rng(0)
    for probs in rng.dirichlet([1, 1, 1], 40)[:, :2]:
        given = dict(augments=[MIXUP, CUTMIX], probs=probs.round(3).tolist())
        own = equal_cost(make(model__train_cfg=given))['model']['train_cfg']
        augment = RandomBatchAugment(**own)  # Refuses shares of more than 1.
        assert sum(augment.probs[:3]) == pytest.approx(1)
        augment(torch.zeros(4, 3, 8, 8), torch.eye(10)[[1, 1, 2, 2]])


@pytest.mark.parametrize('given, expected', [
    (dict(type='DefaultSampler', shuffle=True), dict(type='mmips.PairedClassSampler')),
    (dict(type='mmpretrain.RepeatAugSampler'), dict(type='mmips.PairedClassSampler')),
    (dict(type='DefaultSampler', shuffle=False, seed=3, round_up=False),
     dict(type='mmips.PairedClassSampler', shuffle=False, seed=3)),
    (dict(type='InfiniteSampler', shuffle=True), dict(type='mmips.InfinitePairedClassSampler'))])
def test_samplers(given, expected):
    own = equal_cost(make(train_dataloader__sampler=dict(given, _delete_=True)))
    assert own['train_dataloader'] == dict(
        sampler=dict(expected, _delete_=True, epoch='images'))


@pytest.mark.parametrize('loss, is_sigmoid', [
    (dict(type='CrossEntropyLoss'), False), (dict(type='CrossEntropyLoss', use_soft=True), False),
    (dict(type='CrossEntropyLoss', use_sigmoid=True), True),
    (dict(type='LabelSmoothLoss', label_smooth_val=0.1), False),
    (dict(type='LabelSmoothLoss', label_smooth_val=0.1, use_sigmoid=True), True),
    (dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='multi_label'), True),
    (dict(type='AsymmetricLoss'), True), (dict(type='FocalLoss'), True),
    (dict(type='SeesawLoss', num_classes=10), False)])
def test_the_kl_is_of_the_sigmoid_where_the_loss_is(loss, is_sigmoid):
    model = equal_cost(make(model__head__loss=loss), alpha=0.5)['model']
    assert model['alpha'] == 0.5
    assert model.get('distill') == (
        dict(type='mmips.PairKLLoss', activation='sigmoid') if is_sigmoid else None)


@pytest.mark.parametrize('changes, reason', [
    (dict(model__type='SimCLR'), 'model.type is SimCLR, not ImageClassifier'),
    (dict(model__type='mmips.SelfDistillClassifier'), 'not ImageClassifier'),
    (dict(model__head=None), 'the loss of no head is not'),
    (dict(model__head=dict(type='ArcFaceClsHead')), 'the loss of ArcFaceClsHead is not'),
    (dict(model__head=dict(type='MultiLabelLinearClsHead')), 'MultiLabelLinearClsHead is not'),
    (dict(model__head=dict(type='NoHead')), r'head .* cannot be built: .*NoHead is not in'),
    (dict(optim_wrapper=None), 'it has no optim_wrapper, so it is not for training'),
    (dict(train_dataloader=None), 'it has no train_dataloader'),
    (dict(train_dataloader__dataset__with_label=False), 'train_dataloader.dataset has no labels'),
    (dict(train_dataloader__dataset=dict(_delete_=True, type='RepeatDataset', dataset=dict(
        type='CustomDataset', with_label=False))), 'dataloader.dataset.dataset has no labels'),
    (dict(train_dataloader__sampler=None), 'sampler is None; of DefaultSampler, '),
    (dict(train_dataloader__sampler__type='WeightedSampler'), 'sampler is WeightedSampler'),
    (dict(train_dataloader__batch_size=7), 'batch_size is 7, and pairs take an even number'),
    (dict(model__head=dict(_delete_=True, type='ClsHead'), data_preprocessor__num_classes=None),
     'data_preprocessor.num_classes is missing'),
    (dict(model__train_cfg=dict(augments=[dict(type='Mine')])), 'whether Mine treats both images'),
    (dict(model__data_preprocessor=dict(batch_augments=dict(augments=[MIXUP]))),
     'stand in model.data_preprocessor.batch_augments: move them')])
def test_what_has_no_twin_says_why(changes, reason):
    with pytest.raises(UserError, match=reason):
        equal_cost(make(**changes))


@pytest.mark.parametrize('settings, words', [
    (dict(grid_size=1), 'grid_size must be the number of cells'),
    (dict(prob=1.5), r'prob must be a number in \[0, 1\], but got 1.5'),
    (dict(alpha=-1.0), 'must be at least 0, but is -1.0')])
def test_settings_that_cannot_be(settings, words):
    with pytest.raises(UserError, match=words):
        equal_cost(make(), **settings)


@pytest.mark.parametrize('changes', [
    {}, dict(model__train_cfg=None), dict(train_dataloader__sampler__type='RepeatAugSampler'),
    dict(data_preprocessor__num_classes=None), dict(model__data_preprocessor=dict(to_rgb=True)),
    dict(model__head__loss=dict(type='CrossEntropyLoss', use_sigmoid=True)),
    dict(model__train_cfg=dict(augments=[MIXUP, dict(MIXUP, alpha=0.2), MIXUP], probs=[0.1] * 3))])
def test_the_file_is_the_base_with_these_keys(changes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    base = make(**changes)
    base.dump('base.py')
    out = "new/N's \\Nice/twin.py"
    text = write_twin('base.py', out, grid_size=4, alpha=2.0)
    assert "_base_ = '../../base.py'" in text and max(map(len, text.splitlines())) <= 100
    assert ('sampler.type=DefaultSampler' in text) == ('Repeat' in str(changes))
    found, wanted = load_config(out), base
    wanted.merge_from_dict(equal_cost(base, grid_size=4, alpha=2.0))
    for key in ('model', 'train_dataloader', 'optim_wrapper', 'train_cfg', 'data_preprocessor'):
        assert module.plain(found[key]) == module.plain(wanted[key])
    assert check_config(found) == []
    with pytest.raises(UserError, match='must be a new file .*: give another name'):
        write_twin('base.py', out)


def test_bases_of_mmpretrain_go_by_their_short_name(tmp_path):
    name = 'mmpretrain::resnet/resnet18_8xb16_cifar10.py'
    path = module.find_config(name)
    for given in (name, path):
        text = write_twin(given, str(tmp_path / f'{len(given)}.py'))
        assert f'_base_ = {name!r}\n' in text
    with pytest.raises(UserError, match="mmpretrain has no config 'resnet/nothing.py': see"):
        write_twin('mmpretrain::resnet/nothing.py', str(tmp_path / 'x.py'))
