# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What is installed, and the shims the MM stack needs, each with its reason.

Two lines of distributions carry the same import names: the maintained one
(``onedl-*``) and upstream OpenMMLab. mmips depends on neither, so it looks, by
metadata alone (no package is imported to be checked), and says in one sentence
what is wrong and which command mends it.

mmengine swallows an ``ImportError`` while it imports a registry and then claims
that the type is not registered; hence all errors here are ``RuntimeError``.
"""
import re
import shlex
import warnings
from importlib import metadata
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path

from mmips.errors import UserError

__all__ = [
    'EnvironmentProblem', 'check_environment', 'extend_config_packages', 'has_mmcv_ops',
    'has_package', 'require_mmcv_ops', 'require_package'
]

MAINTAINED, UPSTREAM = 'maintained', 'upstream'
# import name -> line -> the distributions that provide it, the one to install first.
DISTRIBUTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    'mmengine': {
        MAINTAINED: ('onedl-mmengine', ),
        UPSTREAM: ('mmengine', 'mmengine-lite')
    },
    'mmcv': {
        MAINTAINED: ('onedl-mmcv', ),
        # PyPI has mmcv 2.1.0 as source only, which setuptools >= 82 cannot build (no
        # pkg_resources); mmcv-lite is a wheel of the same files, without compiled ops.
        UPSTREAM: ('mmcv-lite', 'mmcv', 'mmcv-full')
    },
    'mmpretrain': {
        MAINTAINED: ('onedl-mmpretrain', ),
        UPSTREAM: ('mmpretrain', )
    },
    'mmseg': {
        MAINTAINED: ('onedl-mmsegmentation', ),
        UPSTREAM: ('mmsegmentation', )
    },
    'mmdet': {
        MAINTAINED: ('onedl-mmdetection', ),
        UPSTREAM: ('mmdet', )
    },
}
# line -> the distribution of mmcv from which its compiled ops can be built.
MMCV_SOURCE = {MAINTAINED: 'onedl-mmcv', UPSTREAM: 'mmcv'}
TOOLBOXES = ('mmpretrain', 'mmseg', 'mmdet')
# What was tried, as in docs: the stack that the tests run on, and the oldest one.
VERSIONS = {
    MAINTAINED:
    dict(
        torch='2.10.0',
        torchvision='0.25.0',
        mmengine='0.10.12',
        mmcv='2.3.6',
        mmpretrain='1.3.6',
        mmseg='1.4.2',
        mmdet='3.5.1'),
    UPSTREAM:
    dict(
        torch='2.1.2',
        torchvision='0.16.2',
        mmengine='0.10.7',
        mmcv='2.1.0',
        mmpretrain='1.2.0',
        mmseg='1.2.2',
        mmdet='3.3.0'),
}
# import name -> (first tested version, first version beyond the tested ones)
TESTED = {
    'torch': ('2.1', '2.12'),
    'mmengine': ('0.10.7', '0.11'),
    'mmcv': ('2.1', '2.4'),
    'mmpretrain': ('1.2', '1.4'),
    'mmseg': ('1.2.2', '1.5'),
    'mmdet': ('3.3', '3.6'),
}


class EnvironmentProblem(UserError, RuntimeError):
    """Something mmips needs is missing or installed twice; the message says what to run."""


def has_package(name: str) -> bool:
    """Whether the top-level package ``name`` can be imported, without importing it."""
    return find_spec(name) is not None


def installed_distributions(name: str) -> dict[str, str]:
    """The installed distributions that provide an import name.

    Args:
        name: Import name, such as ``'mmcv'``.

    Returns:
        Distribution name to version; empty when nothing is installed, and for
        a source tree that is only on ``PYTHONPATH``.
    """
    lines = DISTRIBUTIONS.get(name, {MAINTAINED: (name, )})
    found = {}
    for distribution in (d for names in lines.values() for d in names):
        try:
            found[distribution] = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return found


def installed_line() -> str:
    """The line of MM distributions that this environment mostly has; ours when undecided."""
    counts = {MAINTAINED: 0, UPSTREAM: 0}
    for name, lines in DISTRIBUTIONS.items():
        found = installed_distributions(name)
        for line, distributions in lines.items():
            counts[line] += any(d in found for d in distributions)
    return UPSTREAM if counts[UPSTREAM] > counts[MAINTAINED] else MAINTAINED


def install_command(*names: str, options: tuple[str, ...] = ()) -> str:
    """The pip command that installs the tested versions of some import names."""
    line = installed_line()
    return shlex.join(['pip', 'install', *options, *(_requirement(n, line) for n in names)])


def _requirement(name: str, line: str) -> str:
    """An import name as pip wants it, with the tested version where there is one."""
    distribution = DISTRIBUTIONS[name][line][0] if name in DISTRIBUTIONS else name
    version = VERSIONS[line].get(name)
    return distribution if version is None else f'{distribution}=={version}'


def ops_command() -> str:
    """The command that builds mmcv with its compiled ops.

    pip's isolated build hides torch from mmcv's setup, which then leaves the ops
    out in silence, and pip's cache does not tell such a wheel from a complete one.
    """
    line = installed_line()
    options = '--no-build-isolation --no-cache-dir --force-reinstall --no-deps'
    build = f"pip install {options} {MMCV_SOURCE[line]}=={VERSIONS[line]['mmcv']}"
    if line == UPSTREAM:
        build = f'MMCV_WITH_OPS=1 {build}'
        if 'mmcv-lite' in installed_distributions('mmcv'):
            build = f'pip uninstall -y mmcv-lite && {build}'  # The two overwrite each other.
    return f"pip install 'setuptools>=80,<82' wheel ninja psutil && {build}"


def has_mmcv_ops() -> bool:
    """Whether the installed mmcv holds its compiled extension, without importing it."""
    spec = find_spec('mmcv')
    folders = list(spec.submodule_search_locations or []) if spec is not None else []
    return any((Path(folder) / f'_ext{suffix}').exists() for folder in folders
               for suffix in EXTENSION_SUFFIXES)


def require_mmcv_ops(why: str = 'detection') -> None:
    """Refuse to go on without mmcv's compiled ops.

    Args:
        why: What needs them, for the message.

    Raises:
        EnvironmentProblem: With the command that builds them.
    """
    if not has_mmcv_ops():
        raise EnvironmentProblem(
            f'{why} needs the compiled ops of mmcv, which this mmcv was installed without; '
            f'build them (about 6 minutes on two cores) with: {ops_command()}')


def require_package(name: str, why: str) -> None:
    """Refuse to go on without one of the toolboxes.

    Args:
        name: Import name, such as ``'mmpretrain'``.
        why: What needs it, for the message.

    Raises:
        EnvironmentProblem: With the command that installs it.
    """
    if not has_package(name):
        raise EnvironmentProblem(
            f'{why} needs {name}, which is not installed; install it with: '
            f'{install_command(name)}')


def check_environment() -> None:
    """Check what is installed.

    Raises:
        EnvironmentProblem: When both lines provide the same package, or when
            torch, mmengine, mmcv or every toolbox is missing.

    Warns:
        UserWarning: About versions outside the tested range, and about mmdet
            beside an mmcv without compiled ops.
    """
    _check_doubles()
    _check_missing()
    _warn_untested()
    if has_package('mmdet') and not has_mmcv_ops():
        _warn('mmdet is installed, but this mmcv has no compiled ops and no detector can be '
              f'built; build them (about 6 minutes on two cores) with: {ops_command()}')


def _check_doubles() -> None:
    """Two distributions of one package overwrite each other's files."""
    line = installed_line()
    doubled: list[str] = []
    names: list[str] = []
    for name in DISTRIBUTIONS:
        found = installed_distributions(name)
        if len(found) > 1:
            doubled += found
            names.append(name)
    if not doubled:
        return
    if 'mmcv' in names and has_package('mmdet'):
        others = [name for name in names if name != 'mmcv']
        steps = ([install_command(*others)] if others else []) + [ops_command()]
    else:
        steps = [install_command(*names, options=('--no-cache-dir', ))]
    raise EnvironmentProblem(
        f'{" and ".join(doubled)} are installed side by side and overwrite each other\'s files '
        f'({", ".join(names)}); keep the {line} line with: '
        + ' && '.join([shlex.join(['pip', 'uninstall', '-y', *doubled]), *steps]))


def _check_missing() -> None:
    """Nothing of mmips works without these."""
    missing = [name for name in ('torch', 'mmengine', 'mmcv') if not has_package(name)]
    wanted = list(missing)
    if not any(has_package(name) for name in TOOLBOXES):
        missing.append('a toolbox (mmpretrain, mmseg or mmdet)')
        wanted.append('mmpretrain')
    # mmpretrain imports torchvision without requiring it.
    if 'mmpretrain' in wanted or has_package('mmpretrain'):
        if not has_package('torchvision'):
            missing.append('torchvision')
            wanted.insert(wanted.index('torch') + 1 if 'torch' in wanted else 0, 'torchvision')
    if not missing:
        return
    steps = []
    if 'mmcv' in wanted and has_package('mmdet'):
        wanted.remove('mmcv')  # A plain install would lack the ops that mmdet needs.
        steps = [f'pip install addict opencv-python && {ops_command()}']
    if wanted:
        steps.insert(0, install_command(*wanted))
    raise EnvironmentProblem(
        f'mmips needs {" and ".join(missing)}, not installed here; install with: '
        + ' && '.join(steps))


def _warn_untested() -> None:
    """Untested is not broken: say it once and go on."""
    line = installed_line()
    for name, (first, beyond) in TESTED.items():
        for distribution, version in installed_distributions(name).items():
            if not _as_numbers(first) <= _as_numbers(version) < _as_numbers(beyond):
                _warn(f'{distribution} {version} is outside the versions mmips was tested with '
                      f'({name} >= {first}, < {beyond}); if something fails, try: '
                      f'pip install {distribution}=={VERSIONS[line][name]}')


def _as_numbers(version: str) -> tuple[int, ...]:
    """``'2.10.0+cu128'`` -> ``(2, 10, 0)``; ``'2.2.0rc1'`` -> ``(2, 2, 0)``."""
    release = re.match(r'\d+(\.\d+)*', version)
    return tuple(int(part) for part in release.group().split('.')) if release else ()


def _warn(message: str) -> None:
    # Python shows one warning per line of code and text: registries may import us again.
    warnings.warn(message, UserWarning, stacklevel=2)


def extend_config_packages() -> None:
    """Let mmengine resolve ``mmips::`` and ``mmseg::`` in ``_base_``.

    mmengine looks a package up in a fixed table from import name to distribution.
    mmips is not in it, and for mmseg it names upstream's distribution, so that with
    the maintained line alone ``mmseg::`` bases fail with "mmsegmentation is not
    installed". Where no distribution has the name, mmengine takes it as an import
    name. For mmips that is the better way always: upstream's mmengine looks for an
    editable install in site-packages, where it is not, but asks Python for a module.
    """
    from mmengine.config.utils import MODULE2PACKAGE
    MODULE2PACKAGE['mmips'] = 'mmips.compat'
    if 'mmsegmentation' not in installed_distributions('mmseg'):
        MODULE2PACKAGE['mmseg'] = 'mmseg'
