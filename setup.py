# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Packaging of mmips; everything but the ``.mim`` folder is ordinary setuptools.

mmengine resolves ``_base_ = 'mmips::ips/x.py'``, and mim its downloads, below
``<site-packages>/mmips/.mim``. Our configs and tools live at the root of the
repository, so a build copies them there and an editable install links them.
"""
import os
import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
MIM_FILES = ('configs', 'tools', 'model-index.yml')

TORCH = ['torch>=2.10,<2.12', 'torchvision>=0.25,<0.27']
CORE = [
    *TORCH, 'onedl-mmengine>=0.10.12,<0.11', 'onedl-mmcv>=2.3.6,<2.4', 'opencv-python>=4.8,<5'
]
CLS = [*CORE, 'onedl-mmpretrain>=1.3.6,<1.4']
SEG = [*CLS, 'onedl-mmsegmentation>=1.4.2,<1.5']
# pip alone cannot build the compiled ops that mmdet needs: mmips.compat names the command.
DET = [*CLS, 'onedl-mmdetection>=3.5.1,<3.6']
EVAL = ['torchmetrics>=1.0,<2', 'imagecorruptions-imaug>=1.1', 'grad-cam>=1.3.7,<1.5']
DEMO = ['scikit-learn>=1.2', 'matplotlib>=3.6']
DEV = [
    *DEMO, 'foolbox>=3.3', 'hypothesis>=6', 'mypy>=1.8', 'pytest>=8', 'pytest-timeout>=2',
    'pytest-xdist>=3', 'ruff>=0.9', 'safetensors', 'scipy>=1.9', 'timm>=1.0', 'types-PyYAML',
    'wheel'
]
EXTRAS = dict(cls=CLS, seg=SEG, det=DET, eval=EVAL, demo=DEMO, dev=DEV)
EXTRAS['all'] = sorted({requirement for extra in EXTRAS.values() for requirement in extra})


class BuildPyWithMim(build_py):
    """``build_py`` that also provides ``mmips/.mim``."""

    def run(self) -> None:
        """Build the package, then add what lies outside of it."""
        if self.editable_mode:
            link_mim(ROOT / 'mmips' / '.mim')
        else:
            # `build/` survives from one `pip install .` to the next, and with it
            # modules that were deleted since: start from nothing.
            shutil.rmtree(Path(self.build_lib) / 'mmips', ignore_errors=True)
        super().run()
        if not self.editable_mode:
            copy_mim(Path(self.build_lib) / 'mmips' / '.mim')


def remove(path: Path) -> None:
    """Remove a link, a file or a folder, if there is one."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)


def copy_mim(mim: Path, names: tuple = MIM_FILES) -> None:
    """Copy configs, tools and the model index into ``mim``."""
    mim.mkdir(parents=True, exist_ok=True)
    for name in names:
        source, target = ROOT / name, mim / name
        remove(target)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns('__pycache__', '*.pyc'))
        else:
            shutil.copy2(source, target)


def link_mim(mim: Path) -> None:
    """Link them instead, so that an editable install sees every later change."""
    mim.mkdir(parents=True, exist_ok=True)
    for name in MIM_FILES:
        target = mim / name
        remove(target)
        try:
            target.symlink_to(os.path.relpath(ROOT / name, mim))
        except OSError:  # Windows without the right to make links.
            copy_mim(mim, (name, ))


def read_version() -> str:
    """Read the version without importing mmips, which needs mmengine."""
    text = (ROOT / 'mmips' / 'version.py').read_text(encoding='utf-8')
    match = re.search(r"^__version__ = '([^']+)'$", text, flags=re.MULTILINE)
    if match is None:
        raise RuntimeError("mmips/version.py has no line like __version__ = '1.2.3'")
    return match.group(1)


def read_readme() -> str:
    """The README, or nothing where only the package was unpacked."""
    readme = ROOT / 'README.md'
    return readme.read_text(encoding='utf-8') if readme.exists() else ''


if __name__ == '__main__':
    setup(
        name='mmips',
        version=read_version(),
        description='Self-distillation by intra-class patch swap (IPS) for OpenMMLab',
        long_description=read_readme(),
        long_description_content_type='text/markdown',
        license='Apache-2.0',
        license_files=['LICENSE'],
        python_requires='>=3.10',
        packages=find_packages(include=['mmips', 'mmips.*']),
        package_data={'mmips': ['py.typed', 'visualization/templates/*.html']},
        # Neither line of MM distributions is a dependency: users of upstream
        # mmengine/mmcv must not get the maintained line on top of it.
        install_requires=['numpy'],
        extras_require=EXTRAS,
        cmdclass={'build_py': BuildPyWithMim},
        zip_safe=False,
    )
