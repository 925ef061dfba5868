"""What every test shares."""
import copy
import functools
import os
import re
import shutil
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace

# Several test processes share the cores; before torch is imported by anything.
os.environ.setdefault('OMP_NUM_THREADS', '1')
os.environ.setdefault('MPLBACKEND', 'Agg')

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from helpers.two_steps import tiny_runner  # noqa: E402
from hypothesis import settings  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.config import utils as config_utils  # noqa: E402
from mmengine.dataset import base_dataset  # noqa: E402
from mmengine.hooks import Hook  # noqa: E402
from mmengine.logging import MessageHub, MMLogger  # noqa: E402
from mmengine.registry import DefaultScope, init_default_scope  # noqa: E402
from mmengine.visualization import Visualizer  # noqa: E402
from yapf.yapflib import yapf_api  # noqa: E402

# Shared cores make single examples slow without being wrong; CI tries the same examples
# each time, a developer's machine new ones.
settings.register_profile('shared', deadline=None, derandomize='CI' in os.environ)
settings.load_profile('shared')
torch.set_num_threads(1)

# What mmengine spends most of a short run on: it reads all of a toolbox's metafiles and its bases
# anew for each `_base_ = 'toolbox::...'`, lays the config out four times with yapf, and collects
# garbage for each data set.
config_utils.load = functools.cache(config_utils.load)
read_config = Config._file2dict
read_base = functools.cache(read_config)
Config._file2dict = staticmethod(lambda filename, *args, **kwargs: (
    copy.deepcopy(read_base(os.path.normpath(filename), *args, **kwargs))
    if re.search(r'/mm(pretrain|seg|det)/\.mim/configs/_base_/', os.path.normpath(filename))
    else read_config(filename, *args, **kwargs)))
yapf_api.FormatCode = lambda text, **_: (text, True)
base_dataset.gc = SimpleNamespace(collect=int)


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Start every test from one random state and from nothing that mmengine has kept.

    Its default scope is that of the last Runner; a logger of an earlier test writes to that
    test's captured, now closed, stream; a visualizer to its folder, which may be gone.
    """
    torch.manual_seed(0)
    for kind in (DefaultScope, MMLogger, MessageHub, Visualizer, *Visualizer.__subclasses__()):
        monkeypatch.setattr(kind, '_instance_dict', OrderedDict())


def pytest_addoption(parser):
    """Add the long modes of what is random."""
    parser.addoption('--examples', type=int, default=300, help='random examples (default: 300)')
    parser.addoption('--kills', type=int, default=3, help='runs to kill (default: 3)')


def pytest_collection_modifyitems(items):
    """Leave out, by name, what this machine cannot run."""
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker('gpu') is not None:
            item.add_marker(pytest.mark.skip(reason='needs a CUDA device'))


@pytest.fixture(scope='session')
def three_lines():
    """The config that the README prints below its marker."""
    text = (Path(__file__).parents[1] / 'README.md').read_text(encoding='utf-8')
    return re.search(r'<!-- three-lines -->\s*```python\n(.*?)```', text, re.DOTALL).group(1)


@pytest.fixture(scope='session')
def data_root(tmp_path_factory):
    """A folder with every data set that the configs name, four training images in each."""
    from helpers.published import write_all
    return write_all(tmp_path_factory.mktemp('configs'))


@pytest.fixture
def in_data_root(data_root, monkeypatch):
    """Be there, with none of our variables set."""
    monkeypatch.chdir(data_root)
    for name in [name for name in os.environ if name.startswith('MMIPS_')]:
        monkeypatch.delenv(name)
    init_default_scope('mmpretrain')


class StopAt(Hook):
    """Break off training after some iteration, as a kill would."""

    def __init__(self, iteration):
        self.iteration = iteration

    def after_train_iter(self, runner, *args, **kwargs):
        if runner.iter == self.iteration:
            raise InterruptedError


@pytest.fixture(scope='session')
def tiny_npz(tmp_path_factory):
    """A tiny data set in the format of the npz configs, 4 classes of 6 and 2 images."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp('npz') / 'tiny.npz'
    np.savez(path, images_train=rng.integers(0, 255, (24, 32, 32, 3), np.uint8),
             labels_train=np.repeat(np.arange(4), 6),
             images_test=rng.integers(0, 255, (8, 32, 32, 3), np.uint8),
             labels_test=np.repeat(np.arange(4), 2))
    return path


@pytest.fixture
def npz(tiny_npz, monkeypatch):
    """The same, named to the configs."""
    monkeypatch.setenv('MMIPS_NPZ', str(tiny_npz))
    return tiny_npz


@pytest.fixture(scope='session')
def _tiny(tmp_path_factory):
    from helpers import tiny_classifier
    folder, images = tmp_path_factory.mktemp('tiny'), tiny_classifier.blocks(8)
    tiny_classifier.save_arrays(folder, images, np.repeat(np.arange(4), 2))
    tiny_classifier.make(folder, images)
    return folder


@pytest.fixture
def tiny(_tiny, tmp_path, monkeypatch):
    """The current folder, with two tiny checkpoints and what they see (8 and 24 images)."""
    shutil.copytree(_tiny, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def make_runner(npz, tmp_path):
    """Function: a runner of a shipped npz config, made tiny, which may stop as if killed."""

    def make(name='ips/resnet-s_ips_npz.py', work_dir='run', stop_at=None, **options):
        runner = tiny_runner(name, tmp_path / work_dir, **options)
        if stop_at is not None:
            runner.register_hook(StopAt(stop_at))
        return runner

    return make
