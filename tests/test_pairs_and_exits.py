"""Methods on pairs and with further exits: each config builds and takes a step as it says."""
import pytest
import torch
from helpers.configs import load, names
from helpers.labels import Labels
from mmengine.registry import DATA_SAMPLERS, init_default_scope
from mmpretrain.registry import MODELS
from torch.nn import functional as F

from mmips.config.metric_checks import metric_mistakes
from mmips.config.pair_checks import check_config
from mmips.config.type_checks import name_warnings, part_mistakes
from mmips.models.memory import find_memories
from mmips.structures.batch_samples import BatchSamples

FOLDERS = ('hard-2n', 'cs-kd', 'r-drop', 'ddgsd', 'dlb', 'mixskd', 'byot', 'bake', 'drg-dsr')
CONFIGS = names(*(f'baselines/{folder}' for folder in FOLDERS))
#: Eight images in pairs of one class; two make a group of four.
LABELS = torch.tensor([0, 0, 2, 2, 2, 2, 1, 1])


@pytest.fixture(autouse=True)
def scope(npz):
    init_default_scope('mmpretrain')


def build(name, **options):
    """A config's classifier, narrow, with what it remembers."""
    cfg = load(name)
    expansion = 4 if cfg.model.backbone.depth > 34 else 1
    cfg.merge_from_dict({'model.backbone.stem_channels': 4, 'model.backbone.base_channels': 4,
                         'model.head.in_channels': 32 * expansion, 'model.head.num_classes': 5,
                         **options})
    if 'in_channels' in (cfg.model.get('distill') or {}):
        cfg.model.distill.update(in_channels=8 * expansion, num_classes=5)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    for _, memory in find_memories(model):
        memory.allocate(memory.plan(8, 5, 8), torch.device('cpu'))
    return model, cfg


def batch(size=32):
    images = torch.randn(8, 3, size, size, generator=torch.Generator().manual_seed(1))
    return images, BatchSamples(LABELS, range(8))


@pytest.mark.parametrize('name', CONFIGS)
def test_every_config_builds_and_takes_a_step(name):
    model, cfg = build(name)
    losses = model.loss(*batch())
    loss = sum(value for key, value in losses.items() if 'loss' in key)
    loss.backward()
    lacking = {key for key, value in model.named_parameters()
               if value.requires_grad and value.grad is None}
    assert torch.isfinite(loss) and not lacking
    sampler = DATA_SAMPLERS.build(dict(cfg.train_dataloader.sampler), default_args=dict(
        dataset=Labels(number % 4 for number in range(1000)), seed=0))
    assert len(list(sampler)) == len(sampler)
    gpus = 8 if name.endswith('in1k.py') else 1
    assert cfg.auto_scale_lr.base_batch_size == cfg.train_dataloader.batch_size * gpus
    assert cfg.custom_hooks[0].type == 'mmips.EpochSeedHook'


@pytest.mark.parametrize('name', CONFIGS)
def test_nothing_is_found_wrong_before_training(name):
    cfg = load(name)
    assert [*part_mistakes(cfg), *metric_mistakes(cfg), *name_warnings(cfg)] == []
    # What may be meant otherwise: these methods swap nothing.
    assert all('no swap' in doubt for doubt in check_config(cfg))


def test_cs_kd_teaches_the_query_alone():
    model, _ = build('baselines/cs-kd/resnet18-s_cs-kd_npz.py')
    images, samples = batch()
    images.requires_grad_()
    losses = model.loss(images, samples)
    # Both forwards leave their statistics behind, the partners' after the queries'.
    assert model.backbone.norm1.num_batches_tracked == 2
    sum(losses.values()).backward()
    assert (images.grad[1::2] == 0).all() and (images.grad[0::2] != 0).any()

    query, partner = (z.double() for z in model.last_step.pairs)
    student, teacher = ((z / 4).softmax(1) for z in (query, partner))
    expected = sum(p * (p / q).log() for p, q in zip(teacher.ravel(), student.ravel())) * 16 / 4
    assert losses['loss_kd'].item() == pytest.approx(expected.item(), rel=1e-5)
    expected = F.cross_entropy(query, LABELS[0::2])
    assert losses['loss_ce'].item() == pytest.approx(expected.item(), rel=1e-5)


def test_r_drop_shows_every_image_twice():
    model, cfg = build('baselines/r-drop/resnet18-s_r-drop_npz.py')
    sampler = DATA_SAMPLERS.build(dict(cfg.train_dataloader.sampler), default_args=dict(
        dataset=Labels(range(6)), seed=0))
    order = list(sampler)
    assert order[0::2] == order[1::2] and sorted(order[0::2]) == list(range(6))
    losses = model.loss(*batch())
    first, second = (z.double().softmax(1) for z in model.last_step.pairs)
    expected = ((first - second) * (first / second).log()).sum() / 2 / 4
    assert losses['loss_kd'].item() == pytest.approx(expected.item(), rel=1e-4)


def test_hard_label_at_the_images_of_ips():
    hard, ips = load('baselines/hard-2n/resnet18_hard-2n_cifar100.py'), load(
        'ips/resnet18_ips_cifar100.py')
    assert hard.train_dataloader.dataset == dict(
        type='RepeatDataset', times=2, dataset=ips.train_dataloader.dataset)
    for key in ('train_cfg', 'param_scheduler', 'optim_wrapper', 'auto_scale_lr'):
        assert hard[key] == ips[key]
    assert hard.train_dataloader.batch_size == ips.train_dataloader.batch_size
