# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Where a config has to hold a dict, one with a type, or a list: asked before anything is read."""
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mmips.config.sources import iter_parts
from mmips.errors import UserError

#: A key, its value, what was expected, what to write ('' where nobody knows).
Mistake = tuple[str, Any, str, str]

_LOADER = r'(train|val|test)_dataloader'
# A transform may call an argument of its own so.
_LISTED = r'(?!.*pipeline\.\d+\.).*\.(pipeline|augments)'
# What is built by its type; whatever is built already may stand there too.
_TYPED = '|'.join((
    'model', r'model\.(backbone|neck|head|decode_head|auxiliary_head|bbox_head)(\.\d+)?',
    'visualizer', r'(custom|default)_hooks\.\w+',
    rf'{_LOADER}\.(sampler|batch_sampler|collate_fn|worker_init_fn)',
    rf'{_LOADER}(\.dataset|\.datasets\.\d+)+', rf'{_LISTED}\.\d+', r'.*\.vis_backends\.\d+',
    r'(val|test)_evaluator(\.metrics)?(\.\d+)?', r'optim_wrapper\.optimizer',
    r'param_scheduler\.\d+'))
# Necks, auxiliary heads and metrics may be several.
_SEVERAL = r'model\..*|(val|test)_evaluator(\.metrics)?'
_DICTS = (rf'{_LOADER}|(train|val|test)_cfg|optim_wrapper|default_hooks|env_cfg(\.\w+_cfg)?|'
          r'randomness|auto_scale_lr|(model\.)?data_preprocessor|model\.(train_cfg|test_cfg)')
_LISTS = rf'custom_hooks|{_LISTED}|param_scheduler'


def check_structure(cfg: Any, typed: bool = False) -> None:
    """Raise a UserError that names every part of a config which is none.

    With ``typed`` what is built has to say its type, which a config of data alone need not.
    """
    refuse('This config cannot be read', _mistakes(cfg, '', typed))


def find_preprocessor(cfg: Any) -> Any:
    """The data preprocessor's config: the model's, or else the one the Runner hands to it."""
    return (cfg.get('model') or {}).get('data_preprocessor') or cfg.get('data_preprocessor') or {}


def refuse(problem: str, mistakes: Iterable[Any]) -> None:
    """Raise a UserError with all mistakes, if there are any."""
    texts = [f'\n\n{key} = {plain(value)!r}\n  expected: {expected}' + (
        f'\n  write:    {advice}' if advice else '') for key, value, expected, advice in mistakes]
    if texts:
        raise UserError(f'{problem}:{"".join(texts)}')


def plain(node: Any) -> Any:
    """A config node as plain dicts and lists, which print shorter."""
    if hasattr(node, 'items'):
        return {key: plain(value) for key, value in node.items()}
    return [plain(part) for part in node] if isinstance(node, (list, tuple)) else node


def _mistakes(node: Any, where: str, typed: bool) -> Iterator[Mistake]:
    for key, value in iter_parts(node):
        name = f'{where}.{key}' if where else str(key)
        expected = _expected(name, value, typed)
        if expected:
            yield name, value, expected, ''
        else:
            yield from _mistakes(value, name, typed)


def _expected(name: str, value: Any, typed: bool) -> str:
    if name.endswith(('_scope_', 'default_scope')) and not (
            isinstance(value, str) and value.isidentifier()):
        return 'the name of a toolbox, such as mmpretrain'
    is_simple, is_list = isinstance(value, (str, int, float)), isinstance(value, (list, tuple))
    if re.fullmatch(_TYPED, name):
        kind = value.get('type') if typed and isinstance(value, Mapping) else callable
        if is_simple or is_list and not re.fullmatch(_SEVERAL, name) or not (
                callable(kind) or isinstance(kind, str) and kind):
            return 'a dict with a type, the name of what is built of it'
    # mmengine unpacks those of env_cfg, whatever they are.
    if re.fullmatch(_DICTS, name) and (
            is_simple or is_list or value is None and name.startswith('env_cfg.')):
        return 'a dict'
    return 'a list of dicts' if re.fullmatch(_LISTS, name) and is_simple else ''
