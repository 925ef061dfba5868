"""Environments that are not here, faked through the two functions that look at them."""
import subprocess
import sys
import textwrap
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from mmips import compat

MAINTAINED = {'onedl-mmengine': '0.10.12', 'onedl-mmcv': '2.3.6', 'onedl-mmpretrain': '1.3.6',
              'torch': '2.10.0+cu128'}
UPSTREAM = {'mmengine': '0.10.7', 'mmcv': '2.1.0', 'mmpretrain': '1.2.0', 'torch': '2.1.2'}
PACKAGES = ('torch', 'torchvision', 'mmengine', 'mmcv', 'mmpretrain')


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """Pretend that some packages, distributions and mmcv ops are installed."""

    def pretend(packages=PACKAGES, distributions=None, ops=False):
        distributions = MAINTAINED if distributions is None else distributions
        folder = tmp_path / 'mmcv'
        folder.mkdir(exist_ok=True)
        if ops:
            (folder / f'_ext{compat.EXTENSION_SUFFIXES[0]}').touch()

        def find_spec(name):
            return SimpleNamespace(
                submodule_search_locations=[str(folder)]) if name in packages else None

        def version(name):
            if name not in distributions:
                raise metadata.PackageNotFoundError(name)
            return distributions[name]

        monkeypatch.setattr(compat, 'find_spec', find_spec)
        monkeypatch.setattr(compat.metadata, 'version', version)

    return pretend


pytestmark = pytest.mark.filterwarnings('error::UserWarning')
MAINTAINED_OPS = ("pip install 'setuptools>=80,<82' wheel ninja psutil && pip install "
                  '--no-build-isolation --no-cache-dir --force-reinstall --no-deps '
                  'onedl-mmcv==2.3.6')


def without(names, missing):
    kept = [name for name in names if name != missing]
    return {name: names[name] for name in kept} if isinstance(names, dict) else kept


@pytest.mark.parametrize('packages, distributions, ops', [
    (PACKAGES, MAINTAINED, False), (PACKAGES, UPSTREAM, False),
    (PACKAGES, {}, False),  # A source tree without metadata.
    # One toolbox is enough, and this needs no torchvision.
    (('torch', 'mmengine', 'mmcv', 'mmdet'), None, True)])
def test_what_is_enough(environment, packages, distributions, ops):
    environment(packages, distributions, ops)
    compat.check_environment()


MISSING = 'mmips needs {}, not installed here; install with: {}'


@pytest.mark.parametrize('packages, distributions, message', [
    (without(PACKAGES, 'torchvision'), None,
     MISSING.format('torchvision', 'pip install torchvision==0.25.0')),
    (without(PACKAGES, 'mmcv'), without(UPSTREAM, 'mmcv'),
     MISSING.format('mmcv', 'pip install mmcv-lite==2.1.0')),
    ((), {}, MISSING.format(
        'torch and mmengine and mmcv and a toolbox (mmpretrain, mmseg or mmdet) and torchvision',
        'pip install torch==2.10.0 torchvision==0.25.0 onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 '
        'onedl-mmpretrain==1.3.6')),
    (('torch', 'mmengine', 'mmdet'), None, MISSING.format(
        'mmcv', f'pip install addict opencv-python && {MAINTAINED_OPS}')),
    (PACKAGES, {**UPSTREAM, 'onedl-mmengine': '0.10.12'},
     "onedl-mmengine and mmengine are installed side by side and overwrite each other's files "
     '(mmengine); keep the upstream line with: pip uninstall -y onedl-mmengine mmengine && '
     'pip install --no-cache-dir mmengine==0.10.7'),
    ((*PACKAGES, 'mmdet'), {**MAINTAINED, 'mmcv': '2.1.0', 'onedl-mmdetection': '3.5.1'},
     "onedl-mmcv and mmcv are installed side by side and overwrite each other's files (mmcv); "
     'keep the maintained line with: pip uninstall -y onedl-mmcv mmcv && pip install addict '
     f'opencv-python && {MAINTAINED_OPS}')])
def test_what_is_missing_or_doubled_is_named_with_its_command(environment, packages, distributions,
                                                              message):
    environment(packages, distributions)
    with pytest.raises(compat.EnvironmentProblem) as info:
        compat.check_environment()
    assert str(info.value) == message


@pytest.mark.parametrize(('distribution', 'version'), [
    ('torch', '2.0.1'), ('torch', '2.12.0'), ('onedl-mmcv', '2.4.0rc1')])
def test_untested_version_warns_and_goes_on(environment, distribution, version):
    environment(distributions={**MAINTAINED, distribution: version})
    with pytest.warns(UserWarning, match=f'^{distribution} {version} is outside the versions'):
        compat.check_environment()


@pytest.mark.parametrize('distributions, command', [
    (MAINTAINED, f'with: {MAINTAINED_OPS}'), (UPSTREAM, 'psutil && MMCV_WITH_OPS=1 pip install '),
    # The two overwrite each other.
    ({**without(UPSTREAM, 'mmcv'), 'mmcv-lite': '2.1.0'},
     'psutil && pip uninstall -y mmcv-lite && MMCV_WITH_OPS=1 pip install ')])
def test_mmdet_without_ops_warns_with_the_build_command(environment, distributions, command):
    environment(packages=(*PACKAGES, 'mmdet'), distributions=distributions)
    with pytest.warns(UserWarning, match='no compiled ops') as caught:
        compat.check_environment()
    said = str(caught[0].message)
    assert command in said and said.endswith(' onedl-mmcv==2.3.6' if distributions is MAINTAINED
                                             else ' mmcv==2.1.0')


def test_a_package_that_somebody_needs(environment):
    environment()
    for name, requirement in (('mmseg', 'onedl-mmsegmentation==1.4.2'), ('mmpose', 'mmpose')):
        with pytest.raises(compat.EnvironmentProblem,
                           match=f'x needs {name}, .*install {requirement}$'):
            compat.require_package(name, 'x')
    compat.require_package('mmcv', 'x')


@pytest.mark.parametrize('installed, expected', [
    ('onedl-mmsegmentation', 'mmseg'), ('mmsegmentation', 'mmsegmentation')])
def test_mmseg_bases_are_mended_only_without_upstream(environment, monkeypatch, installed,
                                                      expected):
    from mmengine.config.utils import MODULE2PACKAGE
    monkeypatch.setitem(MODULE2PACKAGE, 'mmseg', 'mmsegmentation')
    environment(distributions={installed: '1.4.2'})
    compat.extend_config_packages()
    assert MODULE2PACKAGE['mmseg'] == expected


@pytest.mark.filterwarnings('ignore:pkg_resources')  # Upstream's mmengine looks by it.
def test_mmips_bases_are_found_however_mmips_is_installed():
    from mmengine.config.utils import MODULE2PACKAGE
    from mmengine.utils import get_installed_path, is_installed
    assert is_installed(MODULE2PACKAGE['mmips'])
    assert Path(get_installed_path(MODULE2PACKAGE['mmips'])) == Path(compat.__file__).parent


HIDE = """
import importlib.util, sys
from importlib import metadata

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in HIDDEN:
            raise ModuleNotFoundError(f'No module named {name!r} (hidden)', name=name)

HIDDEN = set(sys.argv[1].split(','))
sys.meta_path.insert(0, Hide())
real_find_spec, real_version = importlib.util.find_spec, metadata.version
importlib.util.find_spec = lambda name, *a: None if name in HIDDEN else real_find_spec(name, *a)
"""


def run_hidden(hidden, code):
    """Run code in a new Python in which some packages cannot be imported."""
    return subprocess.run([sys.executable, '-c', HIDE + textwrap.dedent(code), hidden],
                          capture_output=True, text=True)


def test_registry_imports_without_mmpretrain(tmp_path):
    # Where no other toolbox is installed, an empty mmseg stands for one: mmips wants one of them.
    (tmp_path / 'mmseg').mkdir()
    (tmp_path / 'mmseg' / '__init__.py').touch()
    done = run_hidden('mmpretrain', f"""
        sys.path.append({str(tmp_path)!r})
        import mmips.registry as registry
        assert not hasattr(registry, 'BATCH_AUGMENTS')
        from mmengine.registry import METRICS, DATA_SAMPLERS
        assert DATA_SAMPLERS.get('mmips.PairedClassSampler') is not None
        assert METRICS.build(dict(type='mmips.SafetyMetrics')).default_prefix == 'safety'
        assert 'mmpretrain' not in sys.modules
    """)
    assert done.returncode == 0, done.stderr


def test_missing_toolbox_is_said_through_a_registry_of_somebody_else():
    done = run_hidden('mmpretrain,mmseg,mmdet', """
        from mmengine.registry import DATA_SAMPLERS
        DATA_SAMPLERS.build(dict(type='mmips.PairedClassSampler'))
    """)
    assert done.returncode != 0
    assert 'EnvironmentProblem: mmips needs a toolbox (mmpretrain, mmseg or mmdet)' in done.stderr
    assert 'is not in the' not in done.stderr
