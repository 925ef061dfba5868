"""The files around the package: how environments are made, and of what versions."""
import shutil
import subprocess
import textwrap

import pytest
from helpers.configs import ROOT


def run(*command, **options) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


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
            *" wheel "*|*" download "*) mkdir -p {tmp_path}/venvs/mmcv-ops-tag.part &&
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


@pytest.mark.parametrize('fails, said, built', [
    ('', "a ready wheel from 'shelf'", False),
    (' download ', "no ready wheel that fits in 'shelf', building them", True),
    ('import _ext', "no ready wheel that fits in 'shelf', building them", True)])
def test_a_ready_wheel_of_mmcv_is_taken_where_one_is_named_and_fits(installer, fails, said, built):
    done, log = installer('test', MMCV_WHEELS="'shelf'", FAIL_ON=fails or 'nothing at all')
    assert done.returncode == 0 and f"mmcv's compiled ops: {said}" in done.stdout, done.stderr
    assert (' wheel -q' in log) == built
    # One version, from there alone, and soon given up.
    fetch = next(line for line in log.splitlines() if ' download ' in line)
    for option in ("--find-links 'shelf'", '--no-index', '--only-binary :all:', '--retries 0',
                   'onedl-mmcv=='):
        assert option in fetch


def test_no_wheel_of_mmcv_is_fetched_unasked(installer):
    done, log = installer('test')
    assert ' download ' not in log and "mmcv's compiled ops: building them" in done.stdout


def test_python_that_does_not_fit_is_refused_with_advice(installer, tmp_path):
    old = tmp_path / 'python3.9'
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.0 && exit 0\nexit 1\n')
    old.chmod(0o755)
    done, _ = installer('demo', PYTHON=str(old))
    assert done.returncode == 1 and 'PYTHON=python3.11' in done.stderr
    assert 'Python 3.9.0 does not fit: name a Python from 3.10 to 3.13' in done.stderr
