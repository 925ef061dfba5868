# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What the options of train.py and test.py switch on in a config, each in place."""
from copy import deepcopy
from typing import Any

from mmips.config.sources import iter_datasets, type_name
from mmips.errors import UserError


def use_amp(cfg: Any) -> None:
    """Train in mixed precision.

    On a CPU in bfloat16, which mmengine's own wrapper refuses, and on the device path, whose
    CUDA graphs have no place for a loss scaler.
    """
    import torch
    wrapper = cfg.get('optim_wrapper')
    if wrapper is None or type_name(wrapper) not in ('', 'OptimWrapper', 'AmpOptimWrapper'):
        raise UserError(f'--amp: optim_wrapper must be an OptimWrapper or AmpOptimWrapper, got '
                        f'{wrapper}. Set mixed precision in the config.')
    graphs = any(type_name(hook) == 'FastStepHook' and hook.get('cuda_graph', True)
                 for hook in cfg.get('custom_hooks') or [])
    if torch.cuda.is_available() and not graphs:
        wrapper.type = 'AmpOptimWrapper'
        wrapper.setdefault('loss_scale', 'dynamic')
    else:
        wrapper.type = 'mmips.BFloat16OptimWrapper'
        for key in ('loss_scale', 'dtype', 'use_fsdp'):
            wrapper.pop(key, None)


def auto_scale_lr(cfg: Any) -> None:
    """Scale the learning rate by batch size / base batch size."""
    if not (cfg.get('auto_scale_lr') or {}).get('base_batch_size'):
        raise UserError('--auto-scale-lr: the config has no auto_scale_lr.base_batch_size, the '
                        'images a step for its learning rate. '
                        'Write auto_scale_lr = dict(base_batch_size=...).')
    cfg.auto_scale_lr.enable = True


def use_pictures(cfg: Any, folder: str | None, **hook_options: Any) -> None:
    """Draw predictions into a folder; ``show``, ``interval``, ``wait_time`` are the hook's own."""
    if 'visualization' not in cfg.get('default_hooks', {}):
        raise UserError('--show, --show-dir: the config has no default_hooks.visualization. '
                        "Write default_hooks=dict(visualization=dict(type='VisualizationHook')).")
    hook, scope = cfg.default_hooks.visualization, cfg.get('default_scope')
    # mmpretrain's hook is switched on by `enable`, mmseg's and mmdet's by `draw`.
    hook.update({'enable' if scope == 'mmpretrain' else 'draw': True, **hook_options})
    if folder and scope == 'mmseg':
        # Its hook has no folder of its own.
        cfg.visualizer.save_dir = folder
    elif folder:
        hook['out_dir' if scope == 'mmpretrain' else 'test_out_dir'] = folder


def use_tta(cfg: Any) -> None:
    """Wrap the model in test-time augmentation."""
    from mmengine.config import ConfigDict
    if 'tta_model' not in cfg and cfg.get('default_scope') == 'mmpretrain':
        cfg.tta_model = dict(type='mmpretrain.AverageClsScoreTTA')
    if 'tta_model' not in cfg:
        raise UserError('--tta: the config has no tta_model. Write tta_model = dict(...) and '
                        'tta_pipeline = [...], or leave --tta out.')
    parts: list[tuple[str, Any]] = list(iter_datasets(
        cfg.test_dataloader.dataset, 'test_dataloader.dataset'))
    for key, data in parts:
        if not data.get('pipeline'):
            raise UserError(f'--tta: {key} ({type_name(data)}) has no pipeline of its own to make '
                            'several views by. Leave --tta out, or test by a config with one.')
    pipeline = parts[0][1].pipeline
    if 'tta_pipeline' not in cfg:
        # As it is first: mmseg and mmdet evaluate with the annotations of the first.
        flips = [dict(type='RandomFlip', prob=0.), dict(type='RandomFlip', prob=1.)]
        both = dict(type='TestTimeAug', transforms=[flips, [pipeline[-1]]])
        cfg.tta_pipeline = [*deepcopy(pipeline[:-1]), both]
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)
    for _, data in parts:
        data.pipeline = deepcopy(cfg.tta_pipeline)
