# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Where data and checkpoints come from, and which of them a config names but the disk lacks.

Checked on the config, since a set that is missing would be a traceback after the model was built,
or after the first epoch.
"""
import os
import os.path as osp
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from mmips.errors import MissingFileError, UserError

#: Dataset type without its scope -> how to obtain it; the file says what the fields are.
DATA_SOURCES: dict[str, dict] = yaml.safe_load(
    Path(__file__).with_name('data_sources.yml').read_text(encoding='utf-8'))


def type_name(cfg: Any) -> str:
    """The ``type`` of a config without its scope, ``''`` where there is none."""
    kind = cfg.get('type', '') if hasattr(cfg, 'get') else ''
    name = kind.rpartition('.')[2] if isinstance(kind, str) else getattr(kind, '__name__', '')
    return 'Pretrained' if name == 'PretrainedInit' else name  # As its registry calls it.


def _source_of(cfg: Any) -> dict:
    """How to obtain the data set of a dataset config."""
    kind, named = type_name(cfg), (cfg.get('metainfo') or {}).get('classes')
    # A choice of VOC's own classes is still VOC.
    if kind == 'VOCDataset' and named and 'VOC' not in str(cfg.get('data_root')):
        kind = 'own VOC'
    unknown = {**DATA_SOURCES['unknown'], 'name': f'the dataset ({kind})'}
    return DATA_SOURCES.get(kind, unknown)


def iter_datasets(cfg: Any, key: str) -> Iterator[tuple[str, dict]]:
    """Yield ``(config key, config)`` of every dataset below the wrappers at ``key``."""
    if not hasattr(cfg, 'get'):
        return
    wrapped = cfg.get('dataset'), cfg.get('datasets')
    if wrapped == (None, None):
        yield key, cfg
    if wrapped[0] is not None:
        yield from iter_datasets(wrapped[0], f'{key}.dataset')
    for number, part in enumerate(wrapped[1] or ()):
        yield from iter_datasets(part, f'{key}.datasets.{number}')


def is_local(path: str) -> bool:
    """Whether a path is one of this machine."""
    # s3://, http://, torchvision:// and the like are the business of mmengine's backends.
    return re.match(r'^[\w+-]+:(//|(?=[^\\/]+[:/]))', path) is None


def _present(path: str) -> bool:
    """Whether a remote path is named, or a file or folder with something in it exists."""
    path = osp.expanduser(path)
    return not is_local(path) or (any(os.scandir(path)) if osp.isdir(path) else osp.exists(path))


def _expected_paths(cfg: dict) -> list[list[str]]:
    """The paths one dataset config needs, each with its alternatives, joined as by mmengine."""
    source, root, prefix = _source_of(cfg), cfg.get('data_root') or '', cfg.get('data_prefix') or {}
    prefixes = [prefix] if isinstance(prefix, str) else list(prefix.values())
    if 'needs' in source:
        root = root or next(iter(prefixes), '')
        return [[osp.join(root, path) for path in need.split('|')]
                for need in source['needs']] if root else []
    if type_name(cfg) == 'ImageNet' and not any(prefixes):
        prefixes = [cfg.get('split') or '']
    files = [cfg.get(name) for name in ('ann_file', 'images', 'labels')]
    if 'corruption' in cfg:
        files += [f'{cfg["corruption"]}.npy', 'labels.npy']
    named = [part for part in [*files, *(prefixes or source.get('prefixes', ()))]
             if isinstance(part, str) and part]
    return [[osp.join(root, part)] for part in named] or ([[root]] if root else [])


def present_paths(cfg: Any) -> list[str]:
    """Files and folders that a dataset config, or what it wraps, reads and the disk has."""
    found: set[str] = set()
    for _, data in iter_datasets(cfg, ''):
        paths = list(filter(osp.exists, map(osp.expanduser, sum(_expected_paths(data), []))))
        # Of a list alone, unless it holds the images, they may be anywhere below the root.
        whole = any(osp.isdir(path) or path.endswith(('.npz', '.npy')) for path in paths)
        found.update(paths, [] if whole else [osp.expanduser(data.get('data_root') or '')])
    return sorted(filter(osp.exists, found))


def _root(cfg: dict) -> str:
    return (cfg.get('data_root') or osp.dirname((_expected_paths(cfg) or [['data/x']])[0][0])
            or '.').rstrip('/')


def missing_datasets(cfg: Any, fields: tuple[str, ...], downloading: bool = False
                     ) -> list[tuple[str, dict, list[str]]]:
    """Config key, config and missing paths of every dataset that is not all on the disk.

    Only of those that fetch themselves with ``downloading``, or else of the others.
    """
    found = []
    for field in fields:
        dataset = (cfg.get(field) or {}).get('dataset')
        for key, data in iter_datasets(dataset, f'{field}.dataset'):
            refuse_no_text(key, data)
            missing = [paths[0] for paths in _expected_paths(data) if not any(map(_present, paths))]
            fetches = _source_of(data).get('downloads') and data.get('download', True)
            if missing and downloading == bool(fetches):
                found.append((key, data, missing))
    return found


def refuse_no_text(key: str, data: dict) -> None:
    """Raise where an option that names a folder or file was read as a list or number."""
    for name in ('data_root', 'ann_file'):
        value = data.get(name)
        if value is not None and not isinstance(value, (str, os.PathLike)):
            raise UserError(f'{key}.{name} is {value!r}, but must be a path. An option with '
                            'commas, brackets or digits alone takes quotes that reach the tool: '
                            f'{key}.{name}="\'...\'"')


def pending_downloads(cfg: Any, fields: tuple[str, ...]) -> list[tuple[str, dict, list[str]]]:
    """Datasets that are missing and will try to fetch themselves."""
    return missing_datasets(cfg, fields, downloading=True)


def advise(found: list[tuple[str, dict, list[str]]]) -> str:
    """One paragraph for each missing dataset: what was looked for, what to get, where to put it."""
    blocks: dict[tuple[str, str], list[tuple[str, dict, list[str]]]] = {}
    for row in found:
        blocks.setdefault((type_name(row[1]), _root(row[1])), []).append(row)
    texts = []
    for rows in blocks.values():
        keys, (cfg, *_), missing = zip(*rows)
        source, root = _source_of(cfg), _root(cfg)
        get, layout, convert, converted = (
            source.get(name, '').replace('{root}', root).replace(
                '{parent}', osp.dirname(root) or '.').replace('\n', '\n' + ' ' * 13)
            for name in ('get', 'layout', 'convert', 'converted'))
        option = 'data_root' if 'data_root' in cfg or not cfg.get('ann_file') else 'ann_file'
        there = f'/path/to/{osp.basename(root) or "data"}'
        texts.append('\n'.join([
            f'{source["name"]} is missing, or its folder is empty:',
            *(f'    {path}' + ('' if osp.isabs(path) else f'   (in {os.getcwd()})')
              for path in dict.fromkeys(sum(missing, []))),
            f'  named by   {", ".join(keys)}',
            f'  get it     {get}',
            f'  put it     {layout}',
            *([f'  then run   {convert}', f'             ({converted})'] if convert else []),
            '  or say where it is:  --cfg-options '
            + ' '.join(f'{key}.{option}={there}' for key in keys)]))
    return '\n\n'.join(texts)


def iter_parts(node: Any) -> list[tuple[Any, Any]]:
    """Keys, or numbers, and what is below them in a node of a config."""
    if hasattr(node, 'items') and not isinstance(node, type):
        return list(node.items())
    return list(enumerate(node)) if isinstance(node, (list, tuple)) else []


def _iter_checkpoints(node: Any, key: str) -> Iterator[tuple[str, str]]:
    """Yield ``(config key, path)`` of every checkpoint that a model config loads."""
    for name, value in iter_parts(node):
        loads = name == 'pretrained' or name == 'checkpoint' and (
            type_name(node) == 'Pretrained' or key == 'model.teacher')
        if loads and value and isinstance(value, str):
            yield f'{key}.{name}', value
        else:
            yield from _iter_checkpoints(value, f'{key}.{name}')


def missing_checkpoints(cfg: Any) -> list[tuple[str, str]]:
    """``(config key, path)`` of every local checkpoint that a config names and the disk lacks."""
    return [(key, path) for key, path in local_checkpoints(cfg)
            if not osp.isfile(osp.expanduser(path))]


def local_checkpoints(cfg: Any) -> list[tuple[str, str]]:
    """``(config key, path)`` of every checkpoint of this machine that a config names."""
    named = list(_iter_checkpoints(cfg.get('model') or {}, 'model'))
    if cfg.get('load_from') is not None:
        named.append(('load_from', cfg.load_from))
    return [(key, path) for key, path in named if is_local(path)]


def advise_checkpoint(key: str, path: str) -> str:
    """What to do about a checkpoint that ``missing_checkpoints`` has found."""
    place = Path(path).expanduser()
    folder = place if place.is_dir() else place.parent
    beside = sorted(file.name for file in folder.glob('*.pt*') if file.suffix in ('.pth', '.pt'))
    said = 'is a folder, not a file.' if place.is_dir() else 'does not exist.'
    there = f'\n  in {folder} there are: {", ".join(beside[:8])}' if beside else ''
    advice = ('train it, or download it and put it there, or give another path or an https:// '
              f'address:  --cfg-options {key}=...' if key.startswith('model.') else
              'give the path of a .pth file that a training run has saved (its work directory '
              'names the newest one in last_checkpoint)')
    return f'The checkpoint {path!r}, named by {key}, {said}{there}\n  {advice}'


def check_paths(cfg: Any, fields: tuple[str, ...]) -> None:
    """Raise a ``MissingFileError`` for all data and checkpoints that a config names and lacks.

    ``fields`` are the data loaders that the run builds. A ``UserError`` for data sets that do not
    go together, see ``data_checks``.
    """
    from mmips.config.data_checks import data_mistakes
    # A student is tested without its teacher.
    problems = [advise_checkpoint(*item) for item in missing_checkpoints(cfg)
                if item[0] != 'model.teacher.checkpoint' or 'train_dataloader' in fields]
    problems.append(advise(missing_datasets(cfg, fields)))
    if any(problems):
        raise MissingFileError('\n\n'.join(filter(None, problems)))
    if mistakes := data_mistakes(cfg):
        raise UserError('\n\n'.join(mistakes))
