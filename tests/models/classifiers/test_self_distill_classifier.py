import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.gpu import never_waiting
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmpretrain.apis import FeatureExtractor, get_model
from mmpretrain.models import ImageClassifier
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import nn

from mmips.errors import UserError
from mmips.functional import pair_kl

PLAIN = dict(
    backbone=dict(type='ResNet_CIFAR', depth=18, num_stages=2, strides=(1, 2), dilations=(1, 1),
                  out_indices=(1, ), stem_channels=4, base_channels=4, zero_init_residual=False),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=3, in_channels=8))
SWAP = dict(augments=[dict(type='mmips.IntraClassPatchSwap', grid_size=2)])


def build(type='mmips.SelfDistillClassifier', **kwargs):
    torch.manual_seed(0)
    return MODELS.build({**copy.deepcopy(PLAIN), 'type': type, **kwargs})


def batch(labels=(0, 0, 2, 2, 1, 1)):
    images = torch.randn(len(labels), 3, 8, 8, generator=torch.Generator().manual_seed(1))
    samples = [DataSample().set_gt_label(label) for label in labels]
    for number, sample in enumerate(samples):
        sample.set_metainfo(dict(sample_idx=number, num_classes=3))
    return images, samples


def steps(model, count, labels=(0, 0, 2, 2, 1, 1)):
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), 0.1))
    return [model.train_step(dict(zip(('inputs', 'data_samples'), batch(labels))), wrapper)
            for _ in range(count)]


def logits(**kwargs):
    """A classifier whose logits are a parameter, for exact expectations, and its images."""
    model = build(**kwargs)
    model.table = nn.Parameter(torch.randn(6, 3))
    model.extract_feat = lambda inputs, stage: (inputs.flatten(1)[:, :1].long(), )
    model.neck = None
    model.head.forward = lambda feats: model.table[feats[0].flatten()]
    return model, torch.arange(6.).view(6, 1, 1, 1).expand(6, 3, 8, 8)


def test_loss_is_weighted_cross_entropy_and_kl():
    model, images = logits(alpha=0.5, gamma=2.0)
    losses = model.loss(images, batch()[1])
    labels = torch.tensor([0, 0, 2, 2, 1, 1])
    assert sorted(losses) == ['loss_ce', 'loss_kd']
    assert torch.allclose(losses['loss_ce'], 2.0 * F.cross_entropy(model.table, labels))
    assert torch.allclose(losses['loss_kd'], 0.5 * pair_kl(model.table[0::2], model.table[1::2]))


def test_query_half_alone_without_kl_is_the_swap_ablation():
    model, images = logits(alpha=0.0, ce_on='query')
    losses = model.loss(images, batch()[1])
    assert torch.allclose(losses['loss_ce'],
                          F.cross_entropy(model.table[0::2], torch.tensor([0, 2, 1])))
    sum(losses.values()).backward()
    assert losses['loss_kd'] == 0
    assert (model.table.grad[0::2] != 0).all() and (model.table.grad[1::2] == 0).all()


def test_mismatched_pairs_stay_out_of_the_kl():
    model, images = logits(allow_mismatch=True)
    losses = model.loss(images, batch((0, 0, 2, 1, 1, 1))[1])
    expected = pair_kl(model.table[[0, 4]], model.table[[1, 5]])
    assert torch.allclose(losses['loss_kd'], expected)


def test_any_loss_of_a_step_distils_and_the_step_is_left_behind():
    model, images = logits()
    steps = []
    del model.distill  # a plain function is no child module
    model.distill = lambda step: steps.append(step) or step.logits.square().mean()
    assert model.loss(images, batch()[1])['loss_kd'] == model.table.square().mean()
    step = steps[0]
    assert step.sample_idx.tolist() == [0, 1, 2, 3, 4, 5] and step.matched.all()
    assert torch.equal(step.features[0], torch.arange(6)[:, None])
    named = batch()[1]
    for sample in named:
        sample.set_metainfo(dict(sample_idx='a.jpg'))  # a data set's own, of which none is made
    model.loss(images, named)
    assert steps[1].sample_idx is None
    left = model.last_step
    assert torch.equal(left.logits, step.logits) and not left.logits.requires_grad


@pytest.mark.parametrize('ce_on', ['both', 'query'])
def test_a_target_takes_the_labels_place(ce_on):
    model, images = logits(ce_on=ce_on, gamma=2.0)
    soft = torch.tensor([[.7, .3, 0]]).expand(6, 3)
    del model.target
    model.target = lambda step: soft
    chosen = slice(None) if ce_on == 'both' else slice(0, None, 2)
    expected = 2 * F.cross_entropy(model.table[chosen], soft[chosen])
    assert torch.allclose(model.loss(images, batch()[1])['loss_ce'], expected)


def test_soft_labels_and_settings_of_the_loss():
    model, images = logits(distill=dict(type='mmips.PairKLLoss', temperature=2.))
    scores = torch.tensor([[.7, .3, 0], [0, .5, .5], [1, 0, 0]]).repeat_interleave(2, 0)
    samples = [DataSample().set_gt_score(score) for score in scores]
    losses = model.loss(images, samples)
    assert torch.allclose(losses['loss_ce'], F.cross_entropy(model.table, scores))
    assert torch.allclose(losses['loss_kd'], pair_kl(model.table[0::2], model.table[1::2], 2.))


@pytest.mark.parametrize('loss, activation', [
    (dict(type='CrossEntropyLoss'), 'softmax'),
    (dict(type='CrossEntropyLoss', use_sigmoid=True), 'sigmoid'),
    (dict(type='LabelSmoothLoss', label_smooth_val=0.1, use_sigmoid=True), 'sigmoid')])
def test_the_kl_is_that_of_the_heads_own_probabilities(loss, activation):
    head = dict(PLAIN['head'], loss=loss)
    assert build(head=head).distill.activation == activation
    other = dict(softmax='sigmoid', sigmoid='softmax')[activation]
    with pytest.raises(UserError, match=f"distill: PairKLLoss learns from the {other} of the logits"
                       f", but .*Loss trains them through a {activation}. Write "
                       f"distill=.*activation='{activation}'"):
        build(head=head, distill=dict(type='mmips.PairKLLoss', activation=other))


@pytest.mark.parametrize('activation', [nn.ReLU(), 'relu', None])
def test_a_loss_of_somebodys_own_may_call_anything_its_activation(activation):
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.activation = activation

    assert build(distill=dict(type=Own)).distill.activation is activation


def test_joint_and_separate_forward_differ_by_batch_statistics_alone():
    joint, separate = build(), build(joint_forward=False)
    inputs = batch()
    assert not torch.allclose(joint.loss(*inputs)['loss_ce'], separate.loss(*inputs)['loss_ce'])
    joint.eval(), separate.eval()
    for name, value in joint.loss(*inputs).items():
        # Statistics were updated once by 6 images and twice by 3: compare with equal ones.
        separate.load_state_dict(joint.state_dict())
        assert torch.allclose(value, separate.loss(*inputs)[name], atol=1e-6)


def test_checkpoint_features_and_predictions_are_mmpretrains():
    ours, plain = build(train_cfg=SWAP), build('ImageClassifier')
    steps(ours, 1)
    assert list(ours.state_dict()) == list(plain.state_dict())
    plain.load_state_dict(ours.state_dict())
    ours.eval(), plain.eval()
    images, _ = batch()
    assert type(ours).predict is ImageClassifier.predict
    for a, b in zip(ours.predict(images), plain.predict(images)):
        assert torch.equal(a.pred_score, b.pred_score)
    assert torch.equal(ours.extract_feat(images)[0], plain.extract_feat(images)[0])


def test_amp_keeps_the_kl_in_float32():
    model = build(train_cfg=SWAP)
    seen = []
    model.distill.register_forward_hook(
        lambda module, args, out: seen.append((args[0].logits.dtype, out.dtype)))
    with torch.autocast('cpu', torch.bfloat16):
        steps(model, 1)
    assert seen == [(torch.bfloat16, torch.float32)]


@pytest.mark.gpu
def test_a_step_never_waits_for_the_gpu():
    model = build(train_cfg=SWAP).cuda()
    steps(model, 1)  # the check of the first step may wait
    inputs, samples = model.data_preprocessor.cast_data(batch())
    scores = F.one_hot(torch.tensor([0, 0, 2, 2, 1, 1]), 3).cuda()
    with never_waiting():
        inputs, scores = model.data_preprocessor.batch_augments(inputs, scores)
        for sample, score in zip(samples, scores):
            sample.set_gt_score(score)
        sum(model.loss(inputs, samples).values()).backward()


def test_compiled_train_step_gives_the_same_losses():
    eager, compiled = build(train_cfg=SWAP), build(train_cfg=SWAP)
    compiled.train_step = torch.compile(compiled.train_step, backend='eager')
    results = []
    for model in (eager, compiled):
        torch.manual_seed(0)
        results.append(steps(model, 2))
    for a, b in zip(*results):
        assert torch.allclose(a['loss_kd'], b['loss_kd'], rtol=1e-4)
    assert len(compiled.last_step.matched) == 3


MOBILE = dict(type='MobileNetV2', widen_factor=0.25)


@pytest.mark.parametrize('backbone,head', [
    (dict(type='VisionTransformer', img_size=32, patch_size=8,
          arch=dict(embed_dims=16, num_layers=1, num_heads=2, feedforward_channels=16)),
     dict(type='VisionTransformerClsHead', in_channels=16)),
    (MOBILE, dict(type='LinearClsHead', in_channels=1280)),
    (MOBILE, dict(type='EfficientFormerClsHead', in_channels=1280, distillation=False)),
    (MOBILE, dict(type='StackedLinearClsHead', in_channels=1280, mid_channels=[8]))])
def test_other_backbones_and_heads(backbone, head):
    neck = PLAIN['neck'] if backbone is MOBILE else None
    model = build(backbone=backbone, neck=neck, head=dict(num_classes=3, **head))
    losses = model.loss(torch.randn(4, 3, 32, 32), batch((1, 1, 0, 0))[1])
    sum(losses.values()).backward()
    assert all(torch.isfinite(loss) for loss in losses.values())


def test_odd_batch_is_refused_before_the_forward():
    model = build()
    model.extract_feat = None
    with pytest.raises(ValueError, match='even number of images, but got 5.*PairedClassSampler'):
        model.loss(*batch((0, 0, 1, 1, 2)))


def test_unpaired_batch_is_refused_before_any_weight_changes():
    model = build(train_cfg=SWAP)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match='2 of 3 pairs .* different labels.*PairedClassSampler'):
        steps(model, 1, (0, 1, 2, 2, 0, 1))
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_only_the_first_step_waits_for_the_check():
    model = build()
    model.loss(*batch())
    model.loss(*batch((0, 1, 2, 2, 0, 1)))  # later mismatches are left out, not raised
    assert model.last_step.matched.tolist() == [False, True, False]


@pytest.mark.parametrize('kwargs,error,message', [
    (dict(alpha=-1.), ValueError, 'alpha=-1.0'),
    (dict(gamma=-0.5), ValueError, 'gamma=-0.5'),
    (dict(ce_on='partner'), ValueError, "ce_on must be 'both' or 'query', but got 'partner'"),
    (dict(distill=dict(type='mmips.PairKLLoss', temperature=0)), ValueError,
     'positive and finite, but got 0'),
    (dict(distill=dict(type='mmips.PairKLLoss', detach=None)), ValueError,
     "'none', 'query', 'partner'., but got None"),
    *((dict(head=dict(type=head, num_classes=3, in_channels=8)), TypeError, message)
      for head, message in {
          'ArcFaceClsHead': "does not compute .* dict\\(type='LinearClsHead'",
          'LeViTClsHead': 'second classifier for a teacher', 'DeiTClsHead': 'second classifier',
          'MultiLabelLinearClsHead': 'does not compute',
          'EfficientFormerClsHead': 'second classifier'}.items())])
def test_refuses(kwargs, error, message):
    with pytest.raises(error, match=message):
        build(**kwargs)


def test_training_accuracy_is_switched_off_beside_augments():
    head = dict(PLAIN['head'], cal_acc=True)
    assert build(head=head).head.cal_acc is True
    model = build(head=head, train_cfg=SWAP)
    assert 'loss_ce' in steps(model, 1)[0]


def test_without_a_head_it_learns_nothing():
    with pytest.raises(UserError, match='model.head is None, for features alone: write head=dict'):
        build(head=None).loss(*batch())


@pytest.mark.parametrize('backbone, given', [
    (dict(type='mmips.VGG_CIFAR', depth=11, out_indices=(2, 3)), r'\(2, 3\).*5 stages, number 4'),
    (dict(PLAIN['backbone'], out_indices=[0]), r'\(0,\).*2 stages, number 1')])
def test_a_last_stage_that_the_head_would_not_see_is_no_shorter_network(backbone, given):
    """Of a VGG it is as wide as the one before."""
    with pytest.raises(UserError, match=f'out_indices={given}: add it to model.backbone.out_ind'):
        build(backbone=backbone, head=dict(PLAIN['head'], in_channels=512)).loss(*batch())


@pytest.mark.parametrize('change', [
    {}, dict(head=None), dict(head=None, neck=None), dict(backbone=dict(out_indices=(0, 1)))])
def test_features_are_those_of_an_image_classifier(change):
    """By mmpretrain's ``get_model`` and ``FeatureExtractor``."""
    steps = [dict(type='LoadImageFromFile'), dict(type='Resize', scale=8), dict(type='PackInputs')]
    cfg = Config(dict(
        model=dict(PLAIN, train_cfg=SWAP), data_preprocessor=dict(num_classes=3),
        test_dataloader=dict(dataset=dict(type='CustomDataset', pipeline=steps))))
    picture = np.random.default_rng(0).integers(0, 255, (9, 10, 3), np.uint8)
    found = []
    for kind in ('ImageClassifier', 'mmips.SelfDistillClassifier'):
        cfg.model.type = kind
        torch.manual_seed(0)
        model = get_model(cfg, device='cpu', **copy.deepcopy(change))
        stages = ['backbone', 'neck'] + (['pre_logits'] if model.with_head else [])
        with torch.no_grad():
            features = [model.extract_feat(batch()[0], stage=stage) for stage in stages]
            features.append(model(batch()[0], mode='tensor'))
        features += [FeatureExtractor(model)(picture, stage=stage)[0] for stage in stages]
        found.append(features)
    torch.testing.assert_close(*found, rtol=0, atol=0)
