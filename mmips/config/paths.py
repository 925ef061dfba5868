# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Where configs are: ours by name, and ``package::path`` bases of other toolboxes."""
import difflib
import importlib
import os
import re
from pathlib import Path

from mmips.compat import extend_config_packages, require_package
from mmips.errors import MissingFileError, UserError


def config_root() -> Path:
    """The folder of our configs: in ``.mim`` once installed, else beside the package."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / '.mim' / 'configs', package.parent / 'configs'):
        if folder.is_dir():
            return folder
    raise MissingFileError(
        f'mmips at {package} has no configs (neither .mim/configs nor ../configs); install it '
        'with `pip install .` or `pip install -e .` from its repository')


def cfg(name: 'str | os.PathLike[str]') -> str:
    """The absolute path of one of our configs, to inherit from or to hand to a tool.

    Works in other people's tools too, which know nothing of mmips:
    ``_base_ = [__import__('mmips').cfg('ips/resnet50_ips_in1k.py')]``.

    Args:
        name (str | os.PathLike): Path below ``configs/``, such as ``'ips/x.py'``, or the bare
            file name if no other folder has it. ``.py`` may be left out.
    """
    wanted = os.fspath(name).replace('\\', '/').removeprefix('mmips::').removeprefix('configs/')
    wanted = wanted if wanted.endswith('.py') else f'{wanted}.py'
    root = config_root()
    known = sorted(path.relative_to(root).as_posix() for path in root.rglob('*.py'))
    found = [path for path in known if wanted in (path, path.rpartition('/')[2])]
    if len(found) > 1:
        raise UserError(f'{wanted!r} is in several folders, name one: {", ".join(found)}')
    if found:
        return str(root / found[0])
    # File names are compared: folders are mistyped rarely.
    names = {path.rpartition('/')[2]: path for path in known if not path.startswith('_base_')}
    close = difflib.get_close_matches(wanted.rpartition('/')[2], names, cutoff=0.5)
    hint = ', '.join(repr(names[name]) for name in close) or f'any file below {root}'
    raise MissingFileError(f'There is no config file {os.fspath(name)!r}, neither in {os.getcwd()} '
                           f'nor in mmips; did you mean {hint}?')


def shipped(package: str, why: str) -> Path:
    """The folder of the configs that a toolbox ships; ``why`` says what needs it."""
    require_package(package, why)
    place = importlib.import_module(package).__file__ or ''
    return Path(place).resolve().parent / '.mim' / 'configs'


def base(name: str) -> str:
    """Make a ``package::path`` base work in tools that have not imported mmips yet.

    ``_base_`` is evaluated, so ``_base_ = [__import__('mmips').base('mmseg::…')]`` mends
    mmengine's table of packages before it is looked at. Returned is ``name`` itself.
    """
    if not isinstance(name, str) or re.fullmatch(r'\w+::[^:/]+(/[^:/]+)+\.py', name) is None:
        raise UserError(f"expected 'package::folder/file.py' (mmengine needs the folder), such as "
                        f"'mmseg::fcn/fcn_r50-d8_4xb4-20k_voc12aug-512x512.py', got {name!r}")
    package = name.partition('::')[0]
    require_package(package, f'_base_ {name!r}')
    extend_config_packages()
    return name
