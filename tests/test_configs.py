"""Every config builds, its parts train, twins differ in the method alone.

Tiny data sets in each published format lie below ``data/`` of a temporary folder that the tests
run in, so the paths in the configs are used as they are. CIFAR-100 alone is replaced by arrays,
because mmpretrain checks the checksums of its files.
"""
import functools
import re
from pathlib import Path
from unittest import mock

import pytest
import torch
from helpers.configs import MIXING, RECIPES, ROOT, load, mixing, names, twin, untrained
from helpers.labels import Labels
from helpers.methods import METHODS
from helpers.two_steps import check_two_steps, use_small_network
from mmengine.config import Config
from mmengine.registry import DATA_SAMPLERS, MODELS

from mmips.config.metric_checks import metric_mistakes
from mmips.config.type_checks import name_warnings, part_mistakes

pytestmark = pytest.mark.usefixtures('in_data_root')
# Those over a recipe of mmpretrain's are in test_equal_cost.py.
CONFIGS = [name for name in names('ips') if name not in RECIPES]
BASELINES = names('baselines/*')
IPS = [name for name in CONFIGS if '_ips' in name]
# Those of the paper's CIFAR-100, whose labels may be noisy.
CIFAR = [name for name in CONFIGS if re.search('_cifar100(-noise)?\\.py$', name)]
# Configs in which each part of any config is found, numbers aside.
TRAINED = [f'ips/{stem}.py' for stem in (
    'mobilenet-v2_ips_in1k', 'mvitv2-tiny_hard_in1k', 'mvitv2-tiny_ips-mmpretrain_in1k',
    'resnet50_ips_in1k', 'resnet-s_hard_digits',
    'resnet-s_hard_npz-noise', 'resnet-s_ips-prog_npz', 'resnet18-w16_hard_npz',
    'resnet50_ips-eqcost_custom', 'resnet18_hard_cub', 'resnet18_ips_dogs',
    'resnet18_ls_cifar100-noise',
    'resnet50_cutmix_cifar100', 'resnet50_cutout_cifar100', 'resnet50_mixup_cifar100',
    'resnet50_ips-cutmix_cifar100', 'resnet50_ips-cutout_cifar100', 'resnet50_ips-mixup_cifar100',
    'resnet50_swap-only_cifar100', 'shufflenet-v1_ips-eqcost_cifar100',
    'shufflenet-v2_ips-prog_cifar100', 'vgg13bn_ips_cifar100', 'resnet18_ips_cifar100-device',
    'resnet-s_ips_digits-device', 'resnet50_ips_in1k-device')]
# GPUs that a config is written for, by the last word of its name; otherwise one.
GPUS = {'in1k': 8, 'in1k-device': 8}
# Million parameters of the CIFAR networks at 100 classes.
PARAMETERS = {
    'resnet18': 11.22, 'resnet34': 21.33, 'resnet50': 23.71, 'resnet101': 42.70,
    'vgg13bn': 9.46, 'vgg16bn': 14.77, 'shufflenet-v1': 0.949, 'shufflenet-v2': 1.356,
}

def gpus(name):
    return GPUS.get(name.removesuffix('.py').rpartition('_')[2], 1)


@pytest.mark.slow
@pytest.mark.parametrize('name', TRAINED)
def test_config_builds_takes_two_steps_and_validates(name, tmp_path):
    cfg = load(name)
    if re.search('mix|cutout|noise|prog_npz|swap-only', name):
        use_small_network(cfg)
    check_two_steps(name, cfg, tmp_path)


def test_each_part_of_any_config_is_in_one_that_is_trained():
    # By test_finetune_configs.py.
    others = [name for name in CONFIGS if re.search('_ips-finetune|resnet50_hard-finetune', name)]
    assert untrained([*TRAINED, *others, *(name for name, _ in METHODS.values())], CONFIGS) == {}


@functools.cache
def network_of(part):
    """Images of one size through a network that takes no memory; parameters, shape of scores."""
    model, size = eval(part)
    on_cpu = functools.partial(torch.linspace, device='cpu')  # ResNet asks for its values.
    with torch.device('meta'), mock.patch('torch.linspace', on_cpu), torch.no_grad():
        net = MODELS.build(dict(model, type='ImageClassifier'))
        scores = net.head(net.extract_feat(torch.zeros(2, 3, size, size)))
    return sum(value.numel() for value in net.parameters()), tuple(scores.shape)


@pytest.mark.parametrize('name', CONFIGS + BASELINES)
def test_network_fits_the_classes_and_has_the_papers_size(name):
    cfg = load(name)
    size = 32 if re.search('cifar|npz|digits', name) else 224 if 'mvit' in name else 64
    model = {key: value for key, value in cfg.model.to_dict().items()
             if key in ('backbone', 'neck', 'head')}
    parameters, scores = network_of(repr((model, size)))
    assert scores == (2, cfg.model.head.num_classes)
    preprocessor = cfg.model.get('data_preprocessor') or cfg.data_preprocessor
    assert preprocessor.num_classes == cfg.model.head.num_classes
    if name in CIFAR:
        millions = PARAMETERS[Path(name).stem.partition('_')[0]]
        assert parameters / 1e6 == pytest.approx(millions, abs=0.006 if millions > 2 else 0.0006)


@pytest.mark.parametrize('name', names('ips', 'baselines/*', 'seg', 'det'))
def test_nothing_is_found_wrong_with_a_shipped_config(name):
    cfg = load(name)
    assert [*part_mistakes(cfg), *metric_mistakes(cfg), *name_warnings(cfg)] == []


def test_base_names_are_unique():  # mim looks a config up by them
    stems = [path.name for path in (ROOT / 'configs').rglob('*.py')]
    assert sorted(stems) == sorted(set(stems))


@pytest.mark.parametrize('name', IPS)
def test_ips_config_has_every_part_of_the_method(name):
    cfg = load(name)
    augment, = cfg.model.train_cfg.augments
    mix = mixing(name)
    if mix:
        assert augment.type == 'mmips.SequentialBatchAugment'
        pairwise, augment = augment.augments
        assert pairwise.type == 'mmips.PairwiseBatchAugment'
        assert [pairwise.augment] == load(twin(name)).model.train_cfg.augments
        assert mix in pairwise.augment.type.lower()
    coarse = re.search('resnet50_ips(-eqcost)?_in1k|mobilenet-v2|mvitv2|digits|deit', name)
    assert augment == dict(type='mmips.IntraClassPatchSwap', grid_size=2 if coarse else 4,
                           prob=MIXING.get(mix, 0.5))
    sampler = cfg.train_dataloader.sampler
    assert (cfg.default_scope, cfg.model.type, sampler.type, sampler.epoch) == (
        'mmpretrain', 'mmips.SelfDistillClassifier', 'mmips.PairedClassSampler',
        'images' if re.search('-eqcost|-finetune', name) else 'queries')
    assert [hook.type for hook in cfg.custom_hooks] == [
        'mmips.EpochSeedHook', *['mmips.CheckPretrained'] * ('-finetune' in name),
        'mmips.SelfDistillMonitor',
        *['mmips.PatchSwapSchedule'] * ('-prog' in name),
        *['mmips.FastStepHook'] * ('-device' in name)]


@pytest.mark.parametrize('name', CONFIGS + BASELINES)
def test_every_config_resumes_exactly_and_scales_its_own_batch(name):
    # The parts that tests of the hook show to be what a bit-identical resume takes.
    cfg = load(name)
    assert cfg.custom_hooks[0].type == 'mmips.EpochSeedHook'
    assert cfg.train_dataloader.persistent_workers is False
    assert cfg.train_dataloader.worker_init_fn.type == 'mmips.seed_worker'
    assert cfg.randomness.seed == 0
    assert cfg.default_hooks.invalid_loss.type == 'mmips.CheckInvalidLoss'
    images = cfg.train_dataloader.batch_size * gpus(name)
    if 'mvit' in name:  # Whose lr is mmpretrain's for 2,048 images, and is always scaled.
        assert cfg.auto_scale_lr == dict(enable=True, base_batch_size=2048)
    else:
        assert cfg.auto_scale_lr.base_batch_size == images


@pytest.mark.parametrize('name', IPS)
def test_twin_differs_in_the_method_alone(name):
    ips, hard = load(name).to_dict(), load(twin(name)).to_dict()
    assert hard['model']['type'] == 'ImageClassifier'
    assert mixing(name) or not (hard['model'].get('train_cfg') or {}).get('augments')
    assert hard['train_dataloader']['sampler']['type'] == 'DefaultSampler'
    same = ['optim_wrapper', 'data_preprocessor', 'train_dataloader', 'val_dataloader',
            'val_evaluator', 'randomness', 'test_dataloader', 'test_evaluator', 'env_cfg',
            'default_scope']
    # These have half the epochs of 2N images.
    if not re.search('(_ips_digits|_ips(-prog)?_npz)', name):
        same += ['param_scheduler', 'train_cfg', 'default_hooks']
    for config in (ips, hard):
        del config['train_dataloader']['sampler'], config['train_dataloader']['batch_size']
    assert {key: ips[key] for key in same} == {key: hard[key] for key in same}
    for part in ('backbone', 'neck', 'head'):
        assert ips['model'][part] == hard['model'][part]


@pytest.mark.parametrize('method', ['hard', 'ips'])
def test_mvit_is_plain_and_its_variant_augmented_as_mmpretrains(method):
    plain = load(f'ips/mvitv2-tiny_{method}_in1k.py')
    variant = load(f'ips/mvitv2-tiny_{method}-mmpretrain_in1k.py')
    theirs = Config.fromstring("_base_ = 'mmpretrain::mvit/mvitv2-tiny_8xb256_in1k.py'", '.py')
    assert variant.train_dataloader.dataset == theirs.train_dataloader.dataset
    assert variant.model.head == theirs.model.head
    assert variant.optim_wrapper == theirs.optim_wrapper
    # The floor of the lr is the same part of it, whatever the lr is scaled to.
    assert variant.param_scheduler[1].eta_min_ratio * theirs.optim_wrapper.optimizer.lr \
        == pytest.approx(theirs.param_scheduler[1].eta_min)
    assert [step.type for step in plain.train_dataloader.dataset.pipeline] == [
        'LoadImageFromFile', 'RandomResizedCrop', 'RandomFlip', 'PackInputs']
    variant.model.head.loss = dict(type='CrossEntropyLoss')
    variant.train_pipeline = variant.train_dataloader.dataset.pipeline = plain.train_pipeline
    assert variant.to_dict() == plain.to_dict()


@pytest.mark.parametrize('first, second, change', [
    # IPS with neither KL nor the second image.
    ('resnet50_ips', 'resnet50_swap-only', {'model.alpha': 0, 'model.ce_on': 'query'}),
    ('resnet18_hard', 'resnet18_ls', {'model.head.loss.type': 'LabelSmoothLoss',
                                      'model.head.loss.label_smooth_val': 0.1})])
def test_relatives_differ_in_nothing_else(first, second, change):
    cfg = load(f'ips/{first}_cifar100.py')
    cfg.merge_from_dict(change)
    assert cfg.to_dict() == load(f'ips/{second}_cifar100.py').to_dict()


@pytest.mark.parametrize('name', [name for name in CONFIGS if '-noise' in name])
def test_noise_is_in_the_training_labels_alone(name):
    noisy, clean = load(name), load(name.replace('-noise', ''))
    clean.train_dataloader.dataset = dict(type='mmips.NoisyLabelDataset', rate=0.2,
                                          dataset=clean.train_dataloader.dataset)
    assert noisy.to_dict() == clean.to_dict()


def steps_per_epoch(name, size, classes):
    """As the sampler counts them, over classes of equal size."""
    cfg = load(name)
    dataset = Labels(number % classes for number in range(size))
    sampler = DATA_SAMPLERS.build(dict(cfg.train_dataloader.sampler),
                                  default_args=dict(dataset=dataset, seed=0))
    return -(-len(sampler) // (cfg.train_dataloader.batch_size * gpus(name)))


@pytest.mark.parametrize('name', CIFAR)
def test_cifar_recipe_is_the_papers(name):
    cfg = load(name)
    assert steps_per_epoch(name, 50_000, 100) == 782
    assert cfg.train_cfg.max_epochs == 240
    assert cfg.optim_wrapper.optimizer == dict(
        type='SGD', lr=0.01 if 'shuffle' in name else 0.05, momentum=0.9, weight_decay=5e-4)
    assert cfg.param_scheduler.milestones == [150, 180, 210]
    assert cfg.train_pipeline[0] == dict(
        cfg.train_pipeline[0], type='RandomCrop', crop_size=32, padding=4)
    if '-prog' in name:
        schedule = cfg.custom_hooks[-1]
        assert [round(240 * m, 6) for m in schedule.milestones] == [30, 80, 120]
        assert (schedule['values'][0], schedule['values'][-1]) == (0.1, 0.5)


@pytest.mark.parametrize('name', [name for name in IPS if name.endswith('_in1k.py')])
def test_imagenet_twins_take_as_many_steps(name):
    steps = [steps_per_epoch(each, 1_281_167, 1000) for each in (name, twin(name))]
    assert steps == [6673 if 'mvit' in name else 5005] * 2


@pytest.mark.parametrize('name', [name for name in IPS if re.search('npz|digits', name)])
def test_small_data_twins_see_as_many_images(name):
    seen = []
    for cfg in (load(name), load(twin(name))):
        epochs = cfg.train_cfg.max_epochs
        doubled = cfg.train_dataloader.sampler.get('epoch') == 'queries'
        seen.append(epochs * (2 if doubled else 1))
        cuts = [cut / epochs for cut in cfg.param_scheduler.get('milestones', [])]
        # Half an epoch is as near as whole ones come.
        assert cuts == pytest.approx([0.625, 0.75, 0.875][:len(cuts)],
                                     abs=max(0.01, 0.5 / epochs + 1e-9))
        assert cfg.param_scheduler.get('T_max', epochs) == epochs
    assert seen[0] == seen[1]
