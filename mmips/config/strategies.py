# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""How processes share a model: the Runner's wrapper, or the strategy of FlexibleRunner."""
from typing import Any

from mmips.config.sources import type_name
from mmips.errors import UserError

_PLAIN = 'MMDistributedDataParallel', 'DistributedDataParallel'


def wrap_on_cpu(cfg: Any, kind: str) -> None:
    """Put a wrapper of this kind, for CPUs, into the place of the config's own, with its options.

    Raises:
        UserError: For another wrapper or strategy than mmengine's by default.
    """
    strategy = dict(cfg.get('strategy') or dict(type='DDPStrategy'))
    is_flexible = cfg.get('runner_type') == 'FlexibleRunner'
    if is_flexible and strategy['type'] != 'DDPStrategy':
        raise UserError(f'strategy.type={strategy["type"]!r} cannot run without a GPU. Remove '
                        'strategy to rehearse on CPUs, or run where GPUs are.')
    own = strategy.get('model_wrapper') if is_flexible else cfg.get('model_wrapper_cfg')
    wrapper = dict(own or dict(
        broadcast_buffers=False, find_unused_parameters=cfg.get('find_unused_parameters', False)))
    if wrapper.get('type', kind) not in (*_PLAIN, kind):
        raise UserError(f'model_wrapper_cfg.type={wrapper["type"]!r} cannot run without a GPU. '
                        'Remove model_wrapper_cfg to rehearse on CPUs, or run where GPUs are.')
    wrapper.update(type=kind, device_ids=None)
    if is_flexible:
        cfg.strategy = {**strategy, 'model_wrapper': wrapper}
    else:
        cfg.model_wrapper_cfg = wrapper


def strategy_mistakes(cfg: Any) -> list[tuple]:
    """What mmengine's FSDP cannot do for a run of ours: key, value, what is expected, advice."""
    strategy = cfg.get('strategy') or {}
    if type_name(strategy) != 'FSDPStrategy':
        return []
    stored, mistakes = strategy.get('state_dict_cfg', 'local'), []
    if stored == 'local':
        mistakes.append((
            'strategy.state_dict_cfg', stored, "'full', which saves the file of a plain model; "
            "'local' saves a folder of parts", "strategy = dict(state_dict_cfg='full')"))
    if cfg.get('resume'):  # It gives torch the state of the optimizer as torch 2.0 wanted it.
        mistakes.append((
            'strategy.type', 'FSDPStrategy', 'a strategy that can resume; with this one start '
            'from the weights, by load_from', "strategy = dict(type='DDPStrategy')"))
    return mistakes
