# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What is installed, and the shims the MM stack needs, each with its reason.

Two lines of distributions carry the same import names: the maintained one (``onedl-*``) and
upstream OpenMMLab. mmips looks, by metadata alone, and says what is wrong and what mends it.
"""
import shlex
import warnings
from contextlib import suppress
from importlib import metadata
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path

from packaging.specifiers import SpecifierSet

from mmips.errors import UserError
from mmips.version import STACK

MAINTAINED, UPSTREAM = 'maintained', 'upstream'
# Upstream's other distributions of the same files.
_TWINS = {'mmengine': ('mmengine-lite', ), 'mmcv': ('mmcv', 'mmcv-full')}
_MM = tuple(name for name in STACK if name.startswith('mm'))


class EnvironmentProblem(UserError, RuntimeError):
    """Something mmips needs is missing or installed twice; the message says what to run.

    A RuntimeError, since mmengine swallows an ImportError while it imports a registry, and then
    claims that the type is not registered.
    """


def has_package(name: str) -> bool:
    """Whether the top-level package ``name`` can be imported, without importing it."""
    return find_spec(name) is not None


def installed_distributions(name: str, *lines: str) -> dict[str, str]:
    """Versions of what is installed under an import name; a source tree on the path is not."""
    found = {}
    for line in lines or (MAINTAINED, UPSTREAM):
        twins = _TWINS.get(name, ()) if line == UPSTREAM else ()
        for distribution in (STACK[name][line].partition('==')[0], *twins):
            with suppress(metadata.PackageNotFoundError):
                found[distribution] = metadata.version(distribution)
    return found


def installed_line() -> str:
    """The line of MM distributions that this environment mostly has; ours when undecided."""
    ours, theirs = (sum(bool(installed_distributions(name, line)) for name in _MM)
                    for line in (MAINTAINED, UPSTREAM))
    return UPSTREAM if theirs > ours else MAINTAINED


def install_command(names: list[str], *options: str) -> str:
    """What installs the tested versions of some import names, mmcv with its ops for mmdet."""
    with_ops = 'mmcv' in names and has_package('mmdet')
    wanted = [STACK.get(name, {}).get(installed_line(), name) for name in names
              if not (with_ops and name == 'mmcv')]
    steps = [shlex.join(['pip', 'install', *options, *wanted])] if wanted else []
    if with_ops:
        steps.append(f'pip install addict opencv-python && {ops_command()}')
    return ' && '.join(steps)


def ops_command() -> str:
    """The command that builds mmcv with its compiled ops."""
    line = installed_line()
    # pip's isolated build hides torch from mmcv's setup, which then leaves the ops out in
    # silence, and pip's cache does not tell such a wheel from a complete one.
    build = ('pip install --no-build-isolation --no-cache-dir --force-reinstall --no-deps '
             + STACK['mmcv'][line].replace('mmcv-lite', 'mmcv'))
    if line == UPSTREAM:
        build = f'MMCV_WITH_OPS=1 {build}'
        if 'mmcv-lite' in installed_distributions('mmcv'):
            build = f'pip uninstall -y mmcv-lite && {build}'  # The two overwrite each other.
    return f"pip install 'setuptools>=80,<82' wheel ninja psutil && {build}"


def has_mmcv_ops() -> bool:
    """Whether the installed mmcv holds its compiled extension, without importing it."""
    spec = find_spec('mmcv')
    return any((Path(folder) / f'_ext{suffix}').exists() for suffix in EXTENSION_SUFFIXES
               for folder in spec and spec.submodule_search_locations or ())


def require_package(name: str, why: str) -> None:
    """Refuse to go on without a package, given by its import name, which ``why`` needs."""
    if not has_package(name):
        raise EnvironmentProblem(f'{why} needs {name}, which is not installed; install it with: '
                                 f'{install_command([name])}')


def check_environment() -> None:
    """Raise where a package is missing or installed twice; warn where one is untested."""
    _check_doubles()
    _check_missing()
    _warn_untested()
    if has_package('mmdet') and not has_mmcv_ops():
        warnings.warn('mmdet is installed, but this mmcv has no compiled ops, without which no '
                      'detector can be built; build them (about 6 minutes on two cores) with: '
                      + ops_command(), stacklevel=1)


def _check_doubles() -> None:
    """Two distributions of one package overwrite each other's files."""
    doubled = {name: found for name in _MM if len(found := installed_distributions(name)) > 1}
    both = [distribution for found in doubled.values() for distribution in found]
    if doubled:
        raise EnvironmentProblem(
            f'{" and ".join(both)} are installed side by side and overwrite each other\'s files '
            f'({", ".join(doubled)}); keep the {installed_line()} line with: '
            f'{shlex.join(["pip", "uninstall", "-y", *both])} && '
            f'{install_command(list(doubled), "--no-cache-dir")}')


def _check_missing() -> None:
    """Nothing of mmips works without these."""
    missing = {name: name for name in ('torch', 'mmengine', 'mmcv') if not has_package(name)}
    if not any(map(has_package, ('mmpretrain', 'mmseg', 'mmdet'))):
        missing['mmpretrain'] = 'a toolbox (mmpretrain, mmseg or mmdet)'
    # mmpretrain imports torchvision without requiring it.
    if ('mmpretrain' in missing or has_package('mmpretrain')) and not has_package('torchvision'):
        missing['torchvision'] = 'torchvision'
    if missing:
        raise EnvironmentProblem(
            f'mmips needs {" and ".join(missing.values())}, not installed here; install with: '
            + install_command([name for name in STACK if name in missing]))


def _warn_untested() -> None:
    """Untested is not broken: say it once and go on."""
    line = installed_line()
    for name, row in STACK.items():
        first = row[UPSTREAM].partition('==')[2]
        tested = SpecifierSet(f'>={first},<{row["below"]}')
        for distribution, version in installed_distributions(name).items():
            if not tested.contains(version, prereleases=True):
                warnings.warn(f'{distribution} {version} is outside the versions mmips was tested '
                              f'with ({name} >= {first}, < {row["below"]}); if something fails, '
                              f'try: pip install {distribution}=={row[line].partition("==")[2]}',
                              stacklevel=1)


def extend_config_packages() -> None:
    """Let mmengine resolve ``mmips::`` and ``mmseg::`` in ``_base_``."""
    from mmengine.config.utils import MODULE2PACKAGE

    # What is no distribution mmengine takes for an import name, which it finds in an editable
    # install too.
    MODULE2PACKAGE['mmips'] = 'mmips.compat'
    # The table names upstream's distribution, which the maintained line is not.
    if 'mmsegmentation' not in installed_distributions('mmseg'):
        MODULE2PACKAGE['mmseg'] = 'mmseg'
