"""Checkpoints of the smallest classifier config, with random weights."""
import copy
import functools
import importlib.util
from pathlib import Path

import torch
from mmengine.registry import init_default_scope

from mmips.config import loading
from mmips.evaluation import predictions
from mmips.evaluation.predictions import Request

CONFIG = 'ips/resnet-s_hard_npz.py'


@functools.cache
def _parsed():
    return loading.load_config(CONFIG)


def parse_once(monkeypatch, npz):
    """Let the smallest config be parsed once and copied, which saves most of a second each time.

    Nor is garbage collected for each data set, as mmengine does: a third of a second.
    """
    real, parsed = loading.load_config, _parsed()

    def load_config(name, options=None):
        if name != CONFIG:
            return real(name, options)
        cfg = copy.deepcopy(parsed)
        for split in ('train', 'val', 'test'):
            cfg[f'{split}_dataloader'].dataset.ann_file = str(npz)
        cfg.merge_from_dict(options or {})
        return cfg

    monkeypatch.setattr(loading, 'load_config', load_config)
    monkeypatch.setattr('mmengine.dataset.base_dataset.gc.collect', int)


def write_checkpoints(folder, number=2, scale=1., options=None):
    """Save so many; returns their paths.

    Args:
        folder: Where to.
        number: How many, with seeds from 0.
        scale: Of the head's weights; predictions are the sharper the larger it is.
        options: Settings of the config.
    """
    cfg = loading.load_config(CONFIG, options)
    init_default_scope('mmpretrain')
    paths = []
    for seed in range(number):
        torch.manual_seed(seed)
        model = predictions.build_model(cfg, 'cpu')
        model.head.fc.weight.data *= scale
        paths.append(str(Path(folder) / f'epoch_{seed}.pth'))
        torch.save(dict(state_dict=model.state_dict()), paths[-1])
    return paths


def make_request(paths, out='out', **options):
    """A request for these checkpoints, called a, b, and so on."""
    return Request(CONFIG, paths, 'abcdef'[:len(paths)], str(out), device='cpu', **options)


def load_tool(name):
    """Import a tool by its path below ``tools/``."""
    path = Path(__file__).resolve().parents[2] / 'tools' / name
    spec = importlib.util.spec_from_file_location(f'tool_{path.stem}', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
