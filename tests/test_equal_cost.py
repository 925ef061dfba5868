"""IPS at equal cost: what we ship, and what is made of the configs that mmpretrain ships."""
import copy
import functools
import re
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import mmpretrain
import pytest
import torch
from helpers.configs import RECIPES, ROOT, base_of, load, names, twin
from helpers.labels import Labels
from helpers.two_steps import check_two_steps
from mmengine.config import Config
from mmengine.dataset import sampler as mmengine_sampler
from mmengine.optim import OptimWrapper
from mmengine.registry import DATA_SAMPLERS, MODELS
from mmengine.runner import BaseLoop, Runner
from mmpretrain.datasets.samplers import repeat_aug
from mmpretrain.structures import DataSample

from mmips.config import equal_cost
from mmips.config.loading import load_config
from mmips.config.structure import find_preprocessor
from mmips.datasets.samplers import paired_class_sampler
from mmips.errors import UserError

pytestmark = pytest.mark.usefixtures('in_data_root')
SHIPPED = [name for name in names('ips') if '_ips-eqcost' in name or 'prog-eqcost' in name]
# Those that are as to_ips.py writes them, over a hard-label config.
WRITTEN = [name for name in SHIPPED if '_hard_' in base_of(name) or name in RECIPES]
#: Training images, by the last word of a config's name; of others any odd number.
IMAGES = dict(cifar100=50_000, in1k=1_281_167, cub=5_994, dogs=12_000)
# With backbones and heads of all kinds; barlowtwins trains a head alone.
FAMILIES = ('barlowtwins', 'beitv2', 'deit3', 'edgenext', 'efficientnet', 'eva02', 'inception_v3',
            'mobilenet_v3', 'mobileone', 'repvgg', 'revvit', 'vgg', 'vision_transformer')
# Networks of the recipes in small, with as many features as the head takes.
SMALL = dict(
    ResNet=(dict(stem_channels=8, base_channels=8, norm_cfg=dict(type='BN')), 256),
    VisionTransformer=(dict(img_size=64, arch=dict(
        embed_dims=12, num_layers=2, num_heads=3, feedforward_channels=24)), 12),
    SwinTransformer=(dict(img_size=64, pad_small_map=True, arch=dict(
        embed_dims=12, depths=[1] * 4, num_heads=[1, 2, 4, 8])), 96),
    ConvNeXt=(dict(arch=dict(depths=[1] * 4, channels=[8, 12, 16, 24])), 24))


@functools.cache
def parsed(path):
    return load_config(path)


def base(name):
    """The hard-label config that one of ours has the cost of."""
    return parsed(base_of(name)) if name in RECIPES else load(twin(name))


@functools.cache
def images_a_rank(sampler, size, classes, rank, world):
    """In an epoch of classes of nearly one size; the sampler's config as text."""
    data = Labels(number % classes for number in range(size))
    with pytest.MonkeyPatch.context() as patch:
        for module in (mmengine_sampler, repeat_aug, paired_class_sampler):
            patch.setattr(module, 'get_dist_info', lambda: (rank, world))
        return len(DATA_SAMPLERS.build(eval(sampler), default_args=dict(dataset=data, seed=0)))


def unscoped(node):
    """A part of a config without what mmengine notes of where it comes from."""
    if isinstance(node, dict):
        return {key: unscoped(value) for key, value in node.items() if key != '_scope_'}
    return [unscoped(part) for part in node] if isinstance(node, list) else node


def rates(cfg):
    """The learning rate at the end of each of three steps an epoch, in all epochs."""
    optimizer = torch.optim.SGD([torch.zeros(1)], cfg.optim_wrapper.optimizer.lr)
    runner = SimpleNamespace(_train_loop=mock.Mock(spec=BaseLoop), train_dataloader=range(3),
                             max_epochs=cfg.train_cfg.max_epochs, logger=mock.Mock())
    schedules = Runner._build_param_scheduler(runner, cfg.param_scheduler, OptimWrapper(optimizer))
    found = []
    for number in range(1, 1 + 3 * runner.max_epochs):
        for schedule in schedules:
            if not schedule.by_epoch or number % 3 == 0:
                schedule.step()
        found.append(optimizer.param_groups[0]['lr'])
    return found


@pytest.mark.parametrize('name', SHIPPED)
def test_images_steps_and_lr_are_the_twins(name):
    ours, theirs = load(name), base(name)
    size = IMAGES.get(re.sub('-device|.py', '', name).rpartition('_')[2], 1001)
    batch, classes = ours.train_dataloader.batch_size, ours.model.head.num_classes
    assert batch == theirs.train_dataloader.batch_size
    for rank, world in ((0, 1), (0, 8), (7, 8)):
        mine, base_images = (images_a_rank(
            repr(cfg.train_dataloader.sampler.to_dict()), size, classes, rank, world)
            for cfg in (ours, theirs))
        assert mine - base_images == base_images % 2
        assert -(-mine // batch) == -(-base_images // batch)
    assert ours.train_cfg == theirs.train_cfg
    assert rates(ours) == rates(theirs)
    for key in ('optim_wrapper', 'auto_scale_lr'):
        assert unscoped(ours.get(key)) == unscoped(theirs.get(key))


def settings(cfg):
    """What trains in a config, without the hook that only logs."""
    known = unscoped(equal_cost.plain(cfg))
    hooks = [hook for hook in known.get('custom_hooks') or []
             if hook['type'] != 'mmips.SelfDistillMonitor']
    return {**{key: value for key, value in known.items() if key not in (
        'swap', 'mixup', 'cutmix')}, 'custom_hooks': hooks}


def test_the_recipes_are_those_that_the_tool_writes(tmp_path):
    assert len(WRITTEN) == 14
    for name in WRITTEN:
        given = base_of(name) if name in RECIPES else f'ips/{base_of(name)}'
        grid = 2 if name.endswith('_in1k.py') else 4
        out = tmp_path / name
        equal_cost.write_twin(given, str(out), grid_size=grid)
        assert settings(load_config(str(out))) == settings(load(name)), name


@pytest.mark.slow
@pytest.mark.parametrize('name', RECIPES)
def test_recipe_takes_two_steps_with_its_own_head_and_loss(name, tmp_path):
    cfg = load(name)
    changes, width = SMALL[cfg.model.backbone.type]
    cfg.model.backbone.update(changes)
    cfg.model.head.in_channels = width
    check_two_steps(name, cfg, tmp_path)


@functools.cache
def converted():
    """mmpretrain's configs of which there is a twin, each with the keys that make it one."""
    root = Path(mmpretrain.__file__).parent / '.mim/configs'
    found = {}
    for path in sorted(root.rglob('*.py')):
        if re.search(equal_cost._SHIPPED, path.stem) and '_base_' not in path.parts:
            try:
                found[path.relative_to(root)] = equal_cost.equal_cost(parsed(str(path)))
            except UserError:
                pass
    return found


def merged(path, own):
    cfg = copy.deepcopy(parsed(str(Path(mmpretrain.__file__).parent / '.mim/configs' / path)))
    cfg.merge_from_dict(copy.deepcopy(own), allow_list_keys=False)
    return cfg


@pytest.mark.slow
def test_the_page_has_the_table_that_the_tool_prints(monkeypatch):
    monkeypatch.setattr(equal_cost, 'load_config', parsed)
    page = (ROOT / 'docs/equal_cost.md').read_text(encoding='utf-8')
    assert equal_cost.table() in page


def test_the_page_shows_what_the_tool_writes(tmp_path):
    page = (ROOT / 'docs/equal_cost.md').read_text(encoding='utf-8')
    for number, block in enumerate(re.findall(r'```python\n(.*?)```', page, re.DOTALL)):
        out = tmp_path / f'{number}.py'
        text = equal_cost.write_twin(re.search("_base_ = '(.*)'", block).group(1), str(out))
        (tmp_path / 'shown.py').write_text(block)
        shown, written = (load_config(str(path)) for path in (tmp_path / 'shown.py', out))
        assert settings(shown) == settings(written)
        # One is by hand.
        assert number == 0 or text.endswith(f'"""\n{block}')
    assert number == 1


@pytest.mark.slow
def test_a_twin_has_the_parts_of_ips_and_all_else_of_its_base():
    for path, own in converted().items():
        cfg, theirs = merged(path, own), merged(path, {})
        assert cfg.model.type == 'mmips.SelfDistillClassifier', path
        assert all('IntraClassPatchSwap' in str(choice) for choice in cfg.model.train_cfg.augments)
        sampler = cfg.train_dataloader.pop('sampler')
        assert sampler == dict(type='mmips.PairedClassSampler', epoch='images'), path
        assert cfg.train_dataloader.batch_size % 2 == 0, path
        assert find_preprocessor(cfg).num_classes > 1, path  # For the labels of augments.
        if 'data_preprocessor' in own:
            theirs.data_preprocessor.num_classes = cfg.model.head.num_classes
        for each in (cfg, theirs):
            each.train_dataloader.pop('sampler', None)
            each.model = {key: each.model[key] for key in ('backbone', 'neck', 'head')
                          if key in each.model}
        assert cfg.to_dict() == theirs.to_dict(), path
    assert len(converted()) > 380
    assert {path.stem for path, own in converted().items() if 'distill' in own['model']} == {
        'resnet50_8xb256-rsb-a1-600e_in1k', 'resnet50_8xb256-rsb-a2-300e_in1k',
        'resnet50_8xb256-rsb-a3-100e_in1k', 'resnet50_8xb256-coslr-300e_in1k'}


@pytest.mark.slow
def test_networks_of_all_kinds_learn_by_both_losses():
    """Shapes alone, on a device without memory, of the first config of some families."""
    on_cpu = functools.partial(torch.linspace, device='cpu')  # Some ask for its values.
    firsts = {path.parts[0]: path for path in reversed(converted())}
    for path in map(firsts.get, FAMILIES):
        cfg = merged(path, converted()[path])
        shape = 4, 3, *[cfg.model.backbone.get('img_size') or 224] * 2
        with torch.device('meta'), mock.patch('torch.linspace', on_cpu):
            score = torch.zeros(cfg.data_preprocessor.num_classes)
            model = MODELS.build({**cfg.model, 'data_preprocessor': cfg.data_preprocessor})
            model._checked = True  # Whose labels are equal cannot be asked here.
            losses = model.loss(torch.zeros(shape), [DataSample(gt_score=score)] * 4)
            (losses['loss_ce'] + losses['loss_kd']).backward()
        assert set(losses) == {'loss_ce', 'loss_kd'}, path
        assert all(value.grad is not None for value in model.head.parameters()), path


@pytest.mark.slow
def test_three_lines_parse_over_every_shipped_network(three_lines):
    own = Config.fromstring(re.sub('_base_ = .*', '', three_lines), '.py').to_dict()
    for path in converted():
        cfg = merged(path, own)
        assert [augment.type for augment in cfg.model.train_cfg.augments] == [
            'mmips.IntraClassPatchSwap'], path
        sampler = cfg.train_dataloader.sampler
        assert sampler.type == 'mmips.PairedClassSampler', path
        assert set(sampler) <= {'type', 'shuffle', 'partner', 'epoch'}, path
        assert cfg.model.backbone == merged(path, {}).model.backbone, path
