# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Read a config, and fill in what the toolboxes' own tools fill in."""
import inspect
import os.path as osp
from collections.abc import Sequence
from typing import Any

from mmips.config import paths
from mmips.config.options import merge_options
from mmips.config.structure import check_structure
from mmips.errors import MissingFileError, UserError, error_text


def load_config(name: str, options: dict | None = None) -> Any:
    """Read a config, found as by :func:`find_config`, and merge ``--cfg-options``."""
    from mmengine.config import Config
    path = find_config(name)
    try:
        cfg = Config.fromfile(path)
    except (Exception, SystemExit) as error:
        hint = ("\n  The base holds `augments` as a list: write augments=[dict("
                "type='mmips.IntraClassPatchSwap', grid_size=2)], a list too."
                if 'augments' in str(error) else '')
        raise UserError(f'The config {path} cannot be used: {type(error).__name__}: '
                        f'{error_text(error)}{hint}') from error
    _tidy(cfg._cfg_dict)
    merge_options(cfg, options or {})
    check_structure(cfg)
    return cfg


def _tidy(node: Any) -> None:
    """Take out the ``_scope_`` of a base ``mmips::x``, in which no type of a toolbox is found.

    And write out the classes that a config with ``read_base`` has for types, as checkpoints do.
    """
    if isinstance(node, dict):
        if node.get('_scope_') == 'mmips':
            del node['_scope_']
        if inspect.isclass(kind := node.get('type')):
            node['type'] = f'{kind.__module__}.{kind.__qualname__}'
        node = list(node.values())
    for part in node if isinstance(node, (list, tuple)) else ():
        _tidy(part)


def find_config(name: str) -> str:
    """The path of a config given by path, by its name inside this package, or as ``toolbox::x``."""
    package, _, rest = name.partition('::')
    if package not in ('', 'mmips') and rest and not osp.isfile(name):
        path = paths.shipped(package, f'The config {name!r}') / rest
        if not path.is_file():
            raise MissingFileError(f'{package} has no config {rest!r}: see {path.parents[1]}.')
        return str(path)
    return name if osp.isfile(name) else paths.cfg(name)


def set_work_dir(cfg: Any, config: str, work_dir: str | None) -> None:
    """The work directory: command line before config before the config's name."""
    path = work_dir or cfg.get('work_dir') or osp.join(
        './work_dirs', osp.splitext(osp.basename(config))[0])
    # No shell does so in a config, nor after `--work-dir=`.
    cfg.work_dir = osp.expanduser(path) if isinstance(path, str) else path


def set_dataloader_defaults(cfg: Any, fields: Sequence[str], pin_memory: bool = True,
                            persistent_workers: bool = True) -> None:
    """Fill in what the toolboxes' tools fill in; ``False`` switches a thing off everywhere."""
    import torch
    # mmseg's and mmdet's own tools leave the Runner's collation alone.
    defaults = dict(pin_memory=torch.cuda.is_available(), persistent_workers=True, collate_fn=dict(
        type='default_collate')) if cfg.get('default_scope') == 'mmpretrain' else {}
    for field in filter(cfg.get, fields):
        loader = cfg[field]
        if loader.get('worker_init_fn', '') is None:
            del loader.worker_init_fn  # mmengine would look for its type.
        loader.update({**defaults, **loader})
        if not pin_memory:
            loader.pin_memory = False
        if not persistent_workers or not loader.get('num_workers'):
            # torch refuses persistent workers where there are no workers.
            loader.persistent_workers = False
