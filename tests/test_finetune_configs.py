"""Fine-tuning: a published checkpoint is found, loaded whole, trained on, or refused."""
import re

import numpy as np
import pytest
import timm
import torch
import torchvision
from helpers.configs import load, names, narrow
from helpers.two_steps import check_two_steps, shrink
from mmengine.hooks import Hook
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import Runner
from PIL import Image

from mmips.errors import UserError
from mmips.runs.runner import build_runner
from mmips.structures.state_dicts import compare

CONFIGS = [name for name in names('ips') if '-finetune_' in name]
RESNET, DEIT = (f'ips/{net}_ips-finetune_custom.py' for net in ('resnet50', 'deit-small'))


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    """A folder of images, and a scope to build in."""
    for number in range(8):
        path = tmp_path / f'data/{"train" if number < 4 else "val"}/{"ab"[number % 2]}/{number}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(number).integers(
            0, 255, (40, 40, 3), dtype=np.uint8)).save(path)
    monkeypatch.setenv('MMIPS_DATA', str(tmp_path / 'data'))
    for name in ('MMIPS_CKPT', 'MMIPS_CKPT_PREFIX'):
        monkeypatch.delenv(name, raising=False)
    init_default_scope('mmpretrain')


@pytest.fixture
def publish(tmp_path, monkeypatch):
    """Function: name a file with this content to the configs."""

    def save(content):
        torch.save(content, tmp_path / 'published.pth')
        monkeypatch.setenv('MMIPS_CKPT', str(tmp_path / 'published.pth'))

    return save


class Start(Hook):
    """Keeps the weights at the start, and the part of the lr by which each tensor learns."""

    def before_train(self, runner):
        Start.weights = {key: value.clone() for key, value in runner.model.state_dict().items()}
        Start.scales = {group['param_name']: group['lr_scale']
                        for group in runner.optim_wrapper.optimizer.param_groups}


def backbone_of(name, **options):
    """The tensors of a config's backbone, drawn anew."""
    return MODELS.build({**load(name).model.backbone, 'init_cfg': None, **options}).state_dict()


@pytest.mark.slow
@pytest.mark.parametrize('name, stem, layers', [
    (RESNET, 'backbone.conv1.weight', 8), (DEIT, 'backbone.pos_embed', 14)])
def test_a_published_network_is_trained_for_two_steps(name, stem, layers, publish, tmp_path):
    """torchvision's ResNet-50; a DeiT-S of mmpretrain. The stem learns most slowly."""
    state = backbone_of(name) if name == DEIT else torchvision.models.resnet50().state_dict()
    publish(state if name == RESNET else dict(state_dict={
        f'backbone.{key}': value for key, value in state.items()}))
    cfg = load(name)
    cfg.custom_hooks.append(dict(type=Start))
    check_two_steps(name, cfg, tmp_path / 'run')
    taken = {key.removeprefix('backbone.'): value for key, value in Start.weights.items()
             if key.startswith('backbone.')}
    assert taken.keys() == state.keys() - {'fc.weight', 'fc.bias'}
    assert all(torch.equal(value, state[key]) for key, value in taken.items())
    assert Start.scales[stem] == pytest.approx(0.8 ** (layers - 1))
    assert {scale for key, scale in Start.scales.items() if key.startswith('head.')} == {1}


@pytest.mark.parametrize('name', CONFIGS)
def test_by_default_it_starts_from_weights_that_are_published(name):
    init = load(name).model.backbone.init_cfg
    assert init.prefix == 'auto' and re.match(
        r'torchvision://resnet50$|https://\S+/deit-small_\S+\.pth$', init.checkpoint)


@pytest.mark.parametrize('library', ['torchvision', 'timm'])
def test_resnet_has_the_tensors_of_other_libraries(library):
    with torch.device('meta'):
        theirs = (torchvision.models.resnet50() if library == 'torchvision' else
                  timm.create_model('resnet50')).state_dict()
    found = compare(backbone_of(RESNET), theirs)
    assert found.unexpected == ['fc.weight', 'fc.bias'] and len(found) == 2


def test_frozen_stages_keep_their_weights(publish, tmp_path):
    publish(backbone_of(RESNET, stem_channels=8, base_channels=8))
    cfg = load(RESNET.replace('_ips', '_hard'))
    narrow(cfg.model)
    cfg.model.backbone.frozen_stages = 2
    cfg.model.head.in_channels = 256
    cfg.custom_hooks.append(dict(type=Start))
    shrink(cfg)
    cfg.work_dir = str(tmp_path / 'run')
    runner = Runner.from_cfg(cfg)
    runner.train()
    after = runner.model.state_dict()
    learned = {key for key, value in Start.weights.items() if not torch.equal(value, after[key])}
    assert {key.split('.')[1] for key in learned if key.startswith('backbone.')} == {
        'layer3', 'layer4'}
    assert not any('layer2' in key for key in Start.scales)


def test_a_transformer_of_another_library_is_refused(publish, tmp_path):
    publish(timm.create_model('deit_small_patch16_224', depth=2).state_dict())
    cfg = shrink(load(DEIT))
    cfg.work_dir = str(tmp_path / 'run')
    with pytest.raises(UserError, match=r'(?s)published.pth \(prefix=None\).*missing in the file: '
                       r'.*another network or depth'):
        Runner.from_cfg(cfg).train()


def test_a_backbone_without_numbered_layers_is_refused_with_advice(publish, tmp_path):
    cfg = shrink(load(RESNET))
    cfg.merge_from_dict({'model.backbone.depth': 18, 'model.backbone.init_cfg': None,
                         'model.head.in_channels': 512, 'work_dir': str(tmp_path / 'run')})
    del cfg.custom_hooks[1]
    runner = build_runner(cfg, ('train_dataloader', ))
    with pytest.raises(UserError, match='layers of this backbone are not numbered.*=Default'):
        runner.train()
