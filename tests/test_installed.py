"""An installed mmips: what it holds, and that it works far from the repository."""
import os
import re
import shutil
import subprocess
import sys
import tarfile
import textwrap
import zipfile
from pathlib import Path

import pytest
from helpers.configs import ROOT

import mmips

pytestmark = pytest.mark.slow
BUILD = 'import sys; from setuptools import build_meta; build_meta.build_{}(sys.argv[1])'
SKIP = ('.*', '__pycache__', '*.egg-info', 'build', 'dist', 'work_dirs', 'data', '*.log', '*.pth')


def run(*command, cwd, **environment) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True,
                          env=dict(os.environ, CUDA_VISIBLE_DEVICES='-1', **environment))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files(folder) -> set:
    """All files below a folder, but for what a build or an installation adds."""
    paths = (path.relative_to(folder) for path in folder.rglob('*') if path.is_file())
    return {path.as_posix() for path in paths
            if not re.search(r'__pycache__|-info/|^(PKG-INFO|setup.cfg)$', path.as_posix())}


@pytest.fixture(scope='module')
def source(tmp_path_factory) -> Path:
    """A copy of the repository as git would give it, so that no build touches ours."""
    return Path(shutil.copytree(ROOT, tmp_path_factory.mktemp('source') / 'mmips',
                                ignore=shutil.ignore_patterns(*SKIP)))


@pytest.fixture(scope='module')
def tree(source, tmp_path_factory) -> Path:
    """What the sdist holds."""
    folder = tmp_path_factory.mktemp('sdist')
    run(sys.executable, '-c', BUILD.format('sdist'), folder, cwd=source)
    archive, = folder.glob('mmips-*.tar.gz')
    with tarfile.open(archive) as file:
        file.extractall(folder, filter='data')
    return folder / archive.name.removesuffix('.tar.gz')


@pytest.fixture(scope='module')
def site(tree, tmp_path_factory) -> Path:
    """Where pip has installed the sdist."""
    tree = Path(shutil.copytree(tree, tmp_path_factory.mktemp('tree') / 'mmips'))
    # Left by an earlier build.
    for name in ('build/lib/mmips/deleted_long_ago.py', 'configs/__pycache__/left.cpython-311.pyc'):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).touch()
    folder = tmp_path_factory.mktemp('installed') / 'site'
    run(sys.executable, '-m', 'pip', '--disable-pip-version-check', 'install', '-q', '--no-deps',
        '--no-build-isolation', '--target', folder, tree, cwd=tree)
    return folder


def test_the_sdist_holds_the_repository_and_what_it_says_of_itself(source, tree):
    assert files(tree) == files(source)
    metadata = (tree / 'PKG-INFO').read_text(encoding='utf-8')
    assert 'Requires-Python: >=3.10\n' in metadata and 'Typing :: Typed\n' in metadata
    assert f'Version: {mmips.__version__}\n' in metadata
    # Whoever has another line of MM distributions gets none of ours on top.
    assert re.findall(r'^Requires-Dist: ([^;\n]+)$', metadata, re.MULTILINE) == [
        'numpy', 'packaging>=22']


def test_the_wheel_holds_the_package_configs_and_tools(source, site, tmp_path):
    run(sys.executable, '-c', BUILD.format('wheel'), tmp_path, cwd=source)
    wheel, = tmp_path.glob('mmips-*-py3-none-any.whl')
    held = {name for name in zipfile.ZipFile(wheel).namelist() if '-info/' not in name}
    wanted = {f'mmips/{name}' for name in files(source / 'mmips')}
    for folder in ('configs', 'tools'):
        wanted |= {f'mmips/.mim/{folder}/{name}' for name in files(source / folder)}
    assert held == wanted | {'mmips/.mim/model-index.yml'} == files(site)


def test_an_installed_mmips_trains_from_a_config_that_inherits_one_of_its_own(site, tmp_path):
    (tmp_path / 'mine.py').write_text(textwrap.dedent("""
        _base_ = 'mmips::ips/resnet-s_ips_digits.py'
        train_cfg = dict(max_epochs=1)
        train_dataloader = dict(batch_size=100, num_workers=0, persistent_workers=False)
    """))
    out = run(sys.executable, '-c', 'import mmips; print(mmips.__file__, mmips.cfg("digits.py"))'
              .replace('digits', 'resnet-s_ips_digits'), cwd=tmp_path, PYTHONPATH=str(site))
    package = site / 'mmips'
    assert [Path(path) for path in out.split()] == [
        package / '__init__.py', package / '.mim/configs/ips/resnet-s_ips_digits.py']
    run(sys.executable, package / '.mim/tools/train.py', 'mine.py', '--no-validate', cwd=tmp_path,
        PYTHONPATH=str(site))
    assert (tmp_path / 'work_dirs/mine/epoch_1.pth').is_file()


# What a user may write, and from `mmips.cfg(50)` on what is wrong.
TYPED = textwrap.dedent("""\
    import torch
    from typing_extensions import assert_type

    import mmips
    from mmips.datasets.samplers import PairedClassSampler
    from mmips.functional import pair_kl, swap_patches
    from mmips.structures import Step

    images, mask = torch.zeros(4, 3, 8, 8), torch.ones(2, 2, 2, dtype=torch.bool)
    step = Step(logits=torch.zeros(4, 3), target=torch.arange(4))
    assert_type(mmips.cfg('ips/resnet50_ips_in1k.py'), str)
    assert_type(pair_kl(*step.pairs, temperature=2.0), torch.Tensor)
    assert_type(swap_patches(images, mask, inplace=True), torch.Tensor)
    assert_type(step.sample_idx, torch.Tensor | None)
    assert_type(list(PairedClassSampler([0, 0], partner='self')), list[int])

    mmips.cfg(50)
    pair_kl(step.logits, step.target, temperature='4')
    swap_patches(images)
    Step(step.logits)
    PairedClassSampler(2)
    step.epoch = 1
""")
# All of the real one takes mypy 15 seconds to read.
TORCH = textwrap.dedent("""\
    from typing import Any
    class Tensor: ...
    def __getattr__(name: str) -> Any: ...
""")


def test_mypy_sees_the_types_of_an_installed_mmips(site, tmp_path):
    (tmp_path / 'stubs/torch').mkdir(parents=True)
    (tmp_path / 'stubs/torch/__init__.pyi').write_text(TORCH)
    (tmp_path / 'mypy.ini').write_text('[mypy]\nstrict = true\nfollow_imports = skip\n'
                                       '[mypy-mmips.*]\nfollow_imports = silent\n')
    (tmp_path / 'user.py').write_text(TYPED)
    done = subprocess.run([sys.executable, '-m', 'mypy', 'user.py'], cwd=tmp_path, text=True,
                          capture_output=True,
                          env=dict(os.environ, PYTHONPATH=str(site), MYPYPATH='stubs'))
    first = TYPED[:TYPED.index('mmips.cfg(50)')].count('\n') + 1
    assert re.findall(r'^user.py:(\d+): error.*\[([\w-]+)\]$', done.stdout, re.MULTILINE) == [
        (str(first + line), kind) for line, kind in enumerate(
            ('arg-type', 'arg-type', 'call-arg', 'call-arg', 'arg-type', 'misc'))], done.stdout
