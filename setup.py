# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Packaging of mmips; everything but the ``.mim`` folder is ordinary setuptools.

mmengine resolves ``_base_ = 'mmips::ips/x.py'``, and mim its downloads, below
``<site-packages>/mmips/.mim``. Our configs and tools live at the root of the
repository, so a build copies them there and an editable install links them.
"""
import contextlib
import os
import runpy
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
README = ROOT / 'README.md'
MIM_FILES = ('configs', 'tools', 'model-index.yml')

VERSIONS = runpy.run_path(str(ROOT / 'mmips' / 'version.py'))


def tested(*names: str) -> list:
    """Requirements of the maintained line: from the version tried up to the first untried one."""
    rows = [VERSIONS['STACK'][name] for name in names]
    return [f"{row['maintained'].replace('==', '>=')},<{row['below']}" for row in rows]


# Without the tables and drawings of pandas and matplotlib, neither data nor a run can be looked at.
CORE = [*tested('torch', 'torchvision', 'mmengine', 'mmcv'), 'fsspec>=2023.5',
        'matplotlib>=3.6', 'opencv-python>=4.8,<5', 'pandas>=2.1', 'Pillow', 'pydantic>=2',
        'PyYAML', 'rich', 'scipy>=1.9']
CLS = [*CORE, *tested('mmpretrain'), 'mat4py>=0.6']
SEG = [*CLS, *tested('mmseg')]
# pip alone cannot build the compiled ops that mmdet needs: mmips.compat names the command.
DET = [*CLS, *tested('mmdet')]
# Many runs, and the report on them.
SWEEP = ['Jinja2>=3.1', 'Markdown>=3.4']
EVAL = [*SWEEP, 'torchmetrics>=1.0,<2', 'imagecorruptions-imaug>=1.1', 'grad-cam>=1.3.7,<1.5']
DEMO = [*SWEEP, 'scikit-learn>=1.2']
SLURM = ['submitit>=1.5']
PUBLISH = ['safetensors>=0.4', 'timm>=1.0']
S3 = ['s3fs>=2024.10']
# The site of docs/, whose first page is a notebook that is run; ruff lays out signatures.
DOCS = ['ipykernel>=6', 'latex2mathml>=3.77', 'mkdocs>=1.6,<2', 'mkdocs-material>=9.5,<10',
        'mkdocstrings[python]>=0.27', 'nbconvert>=7.16', 'ruff>=0.9']
DEV = [
    # The server of moto[server] needs no more than flask for S3.
    *DEMO, *SLURM, *PUBLISH, *S3, *DOCS, 'flask>=2.2', 'flask-cors', 'foolbox>=3.3',
    'hypothesis>=6', 'moto[s3]>=5', 'mypy>=1.8', 'pytest>=8', 'pytest-cov>=5',
    'pytest-timeout>=2', 'pytest-xdist>=3', 'tensorboard>=2.11', 'types-PyYAML', 'wheel'
]
EXTRAS = dict(cls=CLS, seg=SEG, det=DET, eval=EVAL, demo=DEMO, slurm=SLURM, publish=PUBLISH,
              s3=S3, docs=DOCS, dev=DEV)
EXTRAS['all'] = sorted({requirement for extra in EXTRAS.values() for requirement in extra})


class BuildPyWithMim(build_py):
    """``build_py`` that also provides ``mmips/.mim``."""

    def run(self) -> None:
        """Build the package, then add what lies outside of it."""
        package = (ROOT if self.editable_mode else Path(self.build_lib)) / 'mmips'
        if not self.editable_mode:
            # `build/` survives from one `pip install .` to the next, and with it
            # modules that were deleted since: start from nothing.
            shutil.rmtree(package, ignore_errors=True)
        super().run()
        provide_mim(package / '.mim', self.editable_mode)


def provide_mim(mim: Path, link: bool) -> None:
    """Copy configs, tools and the model index, or link them, to see every later change."""
    mim.mkdir(parents=True, exist_ok=True)
    for name in MIM_FILES:
        source, target = ROOT / name, mim / name
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        target.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # Windows without the right to make links.
            if link:
                target.symlink_to(os.path.relpath(source, mim))
                continue
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns('__pycache__', '*.pyc'))
        else:
            shutil.copy2(source, target)


if __name__ == '__main__':
    setup(
        name='mmips',
        version=VERSIONS['__version__'],
        description='Self-distillation by intra-class patch swap (IPS) for OpenMMLab',
        long_description=README.read_text('utf-8') if README.exists() else '',
        long_description_content_type='text/markdown',
        author='mmips contributors',
        license='Apache-2.0',
        license_files=['LICENSE'],
        keywords='self-distillation, image classification, OpenMMLab, mmpretrain, PyTorch',
        project_urls={'Paper': 'https://arxiv.org/abs/2505.14124'},
        classifiers=[
            'Development Status :: 4 - Beta',
            'Intended Audience :: Science/Research',
            'Operating System :: POSIX :: Linux',
            'Programming Language :: Python :: 3',
            'Topic :: Scientific/Engineering :: Artificial Intelligence',
            'Typing :: Typed',
        ],
        python_requires='>=3.10',
        packages=find_packages(include=['mmips', 'mmips.*']),
        package_data={'mmips': ['py.typed', 'config/*.yml', 'visualization/templates/*.html']},
        # Neither line of MM distributions is a dependency: users of upstream
        # mmengine/mmcv must not get the maintained line on top of it.
        install_requires=['numpy', 'packaging>=22'],
        extras_require=EXTRAS,
        cmdclass={'build_py': BuildPyWithMim},
        zip_safe=False,
    )
