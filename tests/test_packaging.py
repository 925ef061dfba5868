"""What an installed mmips holds, by installing it; and the files around the package."""
import re
import shutil
import subprocess
import sys
import tarfile
import textwrap
from pathlib import Path

import pytest
from helpers.configs import ROOT, names

import mmips

CONFIG = names('ips')[0]
PARSE = textwrap.dedent("""
    import sys, mmips
    from mmengine.config import Config
    print(mmips.__file__)
    with open('base.py', 'w') as file:
        file.write(f"_base_ = 'mmips::{sys.argv[1]}'")
    print(Config.fromfile('base.py').filename)
    print(mmips.cfg(sys.argv[1]))
""")


def run(*command, **options) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope='module')
def source(tmp_path_factory) -> Path:
    """A copy of the repository as git would give it, so that no build touches ours."""
    target = tmp_path_factory.mktemp('source') / 'mmips'
    skip = shutil.ignore_patterns('.*', '__pycache__', '*.egg-info', 'build', 'work_dirs', 'data')
    shutil.copytree(ROOT, target, ignore=skip)
    return target


@pytest.mark.slow
def test_install_from_an_sdist_carries_configs_and_tools(source, tmp_path):
    run(sys.executable, '-c', 'import sys; from setuptools import build_meta as b; '
        'print(b.build_sdist(sys.argv[1]))', tmp_path, cwd=source)
    archive, = tmp_path.glob('mmips-*.tar.gz')
    with tarfile.open(archive) as file:
        file.extractall(tmp_path)
    tree = tmp_path / archive.name.removesuffix('.tar.gz')
    metadata = (tree / 'PKG-INFO').read_text()
    assert 'Requires-Python: >=3.10' in metadata and f'Version: {mmips.__version__}\n' in metadata
    # Whoever has another line of MM distributions gets none of ours on top.
    assert re.findall(r'^Requires-Dist: ([^;\n]+)$', metadata, re.MULTILINE) == [
        'numpy', 'packaging>=22']
    # Left by an earlier build.
    for name in ('build/lib/mmips/deleted_long_ago.py', 'configs/__pycache__/left.cpython-311.pyc'):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).touch()
    site = tmp_path / 'site'
    run(sys.executable, '-m', 'pip', '--disable-pip-version-check', 'install', '-q', '--no-deps',
        '--no-build-isolation', '--target', site, tree)
    mim = site / 'mmips' / '.mim'
    assert not (site / 'mmips' / 'deleted_long_ago.py').exists()
    for folder in ('configs', 'tools'):
        ours = {path.relative_to(ROOT) for path in (ROOT / folder).rglob('*')
                if path.suffix in {'.py', '.sh', '.yml', '.md'}}
        assert ours and not {path for path in ours if not (mim / path).is_file()}
        assert not (mim / folder).is_symlink()
        assert not list((mim / folder).rglob('left*.pyc'))
    assert (mim / 'model-index.yml').is_file()
    assert (site / 'mmips' / 'py.typed').is_file()
    assert not (site / 'tests').exists() and not (site / 'configs').exists()
    # In a Python that finds this installation first, bases and cfg lead into its .mim.
    (tmp_path / 'elsewhere').mkdir()
    out = run(sys.executable, '-c', f'import sys; sys.path.insert(0, {str(site)!r})\n' + PARSE,
              CONFIG, cwd=tmp_path / 'elsewhere').splitlines()
    assert Path(out[0]).parent.resolve() == (site / 'mmips').resolve()
    assert Path(out[2]).parent.parent == mim / 'configs'


def test_versions_named_by_the_check_are_the_ones_installed_for_tests():
    from mmips.version import STACK
    pinned = (ROOT / 'requirements' / 'constraints.txt').read_text().splitlines()
    assert {row['maintained'] for row in STACK.values()} <= set(pinned)


@pytest.mark.skipif(shutil.which('make') is None, reason='needs make')
@pytest.mark.parametrize('target, other', [('demo', 'test'), ('test', 'demo')])
def test_environments_are_apart_and_keyed_on_the_requirements(target, other):
    plan = run('make', '--no-print-directory', '-n', target, 'VENVS=.venv-not-there', cwd=ROOT)
    assert f'requirements/install.sh {target}' in plan
    assert f'.venv-not-there/{target}/bin/python' in plan
    assert f'.venv-not-there/{other}' not in plan
    if target == 'test':
        steps = [step.partition(' -m ')[2].split()[0] for step in plan.replace('\\\n', '')
                 .splitlines() if ' -m ' in step]
        assert steps == ['ruff', 'mypy', 'nbconvert', 'mkdocs', 'pytest']


@pytest.fixture
def installer(tmp_path):
    """Run install.sh with a Python that only notes what it is asked for."""
    log, python = tmp_path / 'log', tmp_path / 'python3'
    log.touch()
    python.write_text(textwrap.dedent(f"""\
        #!/bin/sh
        echo "$*" >> {log}
        case "$*" in
            "-m venv"*) rm -rf "$4"; mkdir -p "$4/bin" && cp "$0" "$4/bin/python";;
            *" wheel "*) mkdir -p {tmp_path}/venvs/mmcv-ops-tag.part &&
                         touch {tmp_path}/venvs/mmcv-ops-tag.part/mmcv.whl;;
            *torch.__version__*) echo tag;;
        esac
        case "$*" in *"${{FAIL_ON:-nothing at all}}"*) exit 1;; esac
        """), encoding='utf-8')
    python.chmod(0o755)

    def install(name, **environment):
        log.write_text('')
        done = subprocess.run(
            ['bash', 'requirements/install.sh', name], cwd=ROOT, capture_output=True, text=True,
            env={'PYTHON': str(python), 'VENVS': str(tmp_path / 'venvs'), 'PATH': '/usr/bin:/bin',
                 'STAMP': str(tmp_path / 'venvs' / name / '.stamp-1'), 'CXX': 'sh', **environment})
        return done, log.read_text()

    install.venvs = tmp_path / 'venvs'
    return install


@pytest.mark.parametrize('name, last', [('demo', '.[cls,demo]'),
                                        ('test', '.[cls,seg,det,eval,dev]')])
def test_an_install_leaves_a_stamp_unless_interrupted_and_is_not_done_anew(installer, name, last):
    stamp = installer.venvs / name / '.stamp-1'
    done, interrupted = installer(name, FAIL_ON=last)
    assert done.returncode != 0 and not stamp.exists()
    done, whole = installer(name)
    assert done.returncode == 0 and stamp.exists(), done.stderr
    assert whole.count('-m venv --clear') == 1 and '-m venv' not in installer(name)[1]
    line = next(line for line in interrupted.splitlines()
                if (' wheel -q' if name == 'test' else 'onedl-mmcv') in line)
    # The quick wheel of mmcv for the demo stays out of pip's cache; the ops for the tests are
    # built once, with the torch that is there.
    assert '--no-cache-dir' in line and ('--no-build-isolation' in line) == (name == 'test')
    assert ' wheel -q' not in whole and ('import mmcv.ops' in whole) == (name == 'test')


def test_python_that_does_not_fit_is_refused_with_advice(installer, tmp_path):
    old = tmp_path / 'python3.9'
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.0 && exit 0\nexit 1\n')
    old.chmod(0o755)
    done, _ = installer('demo', PYTHON=str(old))
    assert done.returncode == 1 and 'PYTHON=python3.11' in done.stderr
    assert 'Python 3.9.0 does not fit: name a Python from 3.10 to 3.13' in done.stderr
