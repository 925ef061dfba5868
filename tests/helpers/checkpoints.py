"""Checkpoints of narrow classifiers, as mmpretrain's training leaves them."""
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from torch import nn

import mmips


def write_resnet(path, depth=50, width=8):
    """Save a plain ResNet of mmpretrain (stem of ``width``) below ``backbone.``, beside a head.

    Returns what a backbone has to take over, without prefix: all weights, and statistics that no
    network starts from.
    """
    init_default_scope('mmpretrain')
    torch.manual_seed(1)
    state = MODELS.build(dict(type='ResNet', depth=depth, stem_channels=width,
                              base_channels=width)).state_dict()
    for key, value in state.items():
        if 'running' in key:  # Means below 0 leave something to a network that keeps them.
            value.uniform_(*(0.5, 1.5) if 'var' in key else (-0.5, 0.1))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    torch.save(dict(meta=dict(epoch=1), state_dict={
        **{f'backbone.{key}': value for key, value in state.items()},
        'head.fc.weight': torch.zeros(2, 2)}), path)
    return {key: value for key, value in state.items() if value.is_floating_point()}


def check_frozen(source, states, head):
    """The backbones hold the source's weights; their statistics and the heads have learned.

    ``states`` are the model in two epochs of a run whose backbone learns nothing, ``head`` begins
    the names of the head's tensors.
    """
    for key, value in source.items():
        kept = [torch.equal(state[f'backbone.{key}'], value) for state in states]
        assert kept == [False, False] if 'running' in key else kept == [True, True], key
    learned = [key for key in states[0] if key.startswith(head) and key.endswith('weight')]
    assert learned
    for key in learned:
        assert not torch.equal(states[0][key], states[1][key]), key


def build_resnet(name='ips/resnet50_hard_in1k.py', depth=18, **backbone):
    """A classifier of 5 classes whose normalisation does something, and its config."""
    init_default_scope('mmpretrain')
    cfg = Config.fromfile(mmips.cfg(name))
    cfg.model.backbone.update(depth=depth, **backbone)
    cfg.model.head.update(num_classes=5, topk=(1, ), in_channels=512 if depth < 50 else 2048)
    model = MODELS.build(dict(cfg.model, data_preprocessor=cfg.data_preprocessor)).eval()
    for key, value in model.state_dict().items():
        if value.ndim == 1 and 'backbone' in key:
            value.uniform_(.5, 1.)
    nn.init.normal_(model.head.fc.weight)
    return model, cfg
