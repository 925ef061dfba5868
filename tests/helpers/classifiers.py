"""Checkpoints of the smallest classifier config, with random weights."""
import importlib.util
from pathlib import Path

import torch
from mmengine.registry import init_default_scope

from mmips.config import loading
from mmips.evaluation import predictions
from mmips.evaluation.predictions import Request

CONFIG = 'ips/resnet-s_hard_npz.py'


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
