"""What the tests of the command line tools share."""
import numpy as np
import pytest
from helpers.tools import free_port, load_tool, read_scalars, run
from PIL import Image

import mmips

#: Options that bring an ImageNet config down to 32 pixels and a few images a step.
SMALL_IN1K = {
    'train_dataloader.dataset.pipeline.1.scale': 32,
    'train_dataloader.batch_size': 8, 'val_dataloader.batch_size': 4,
    'test_dataloader.batch_size': 3,
    **{f'{name}_dataloader.num_workers': 0 for name in ('train', 'val', 'test')},
    **{f'{name}_dataloader.dataset.pipeline.1.scale': 36 for name in ('val', 'test')},
    **{f'{name}_dataloader.dataset.pipeline.2.crop_size': 32 for name in ('val', 'test')},
    'env_cfg.cudnn_benchmark': False, 'default_hooks.logger.interval': 1}


@pytest.fixture(scope='session')
def train_tool():
    return load_tool('train.py')


@pytest.fixture(scope='session')
def train(train_tool):
    return train_tool.main


@pytest.fixture(scope='session')
def evaluate():
    return load_tool('test.py').main


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Run in an empty folder, as the only process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('MMIPS_TRACEBACK', raising=False)
    monkeypatch.setenv('LOCAL_RANK', '0')
    return tmp_path


@pytest.fixture(scope='session')
def imagenet(tmp_path_factory):
    """An ImageNet-format tree of four classes with 6 training and 2 validation images each."""
    root = tmp_path_factory.mktemp('imagenet')
    rng = np.random.default_rng(0)
    # With lists, four folders are enough for the thousand classes of the head.
    (root / 'meta').mkdir()
    for split, count in (('train', 6), ('val', 2)):
        names = [f'n0144076{label}/{number}.JPEG {label}' for label in range(4)
                 for number in range(count)]
        (root / 'meta' / f'{split}.txt').write_text('\n'.join(names))
        for name, label in (line.split() for line in names):
            image = rng.integers(0, 80, (40, 48, 3), dtype=np.uint8)
            image[..., int(label) % 3] += np.uint8(120)
            (root / split / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(root / split / name)
    return root


@pytest.fixture
def small():
    """``--cfg-options`` of an ImageNet config for small images."""
    return [f'{key}={value}' for key, value in SMALL_IN1K.items()]


@pytest.fixture
def small_in1k(imagenet, small):
    """``--cfg-options`` that run an ImageNet config on the small tree."""
    return small + [f'{name}_dataloader.dataset.data_root={imagenet}'
                    for name in ('train', 'val', 'test')]


@pytest.fixture(scope='session')
def run_command():
    return run


@pytest.fixture
def port():
    return str(free_port())


@pytest.fixture(scope='session')
def scalars():
    return read_scalars


@pytest.fixture
def digits_config(tmp_path):
    """A config of seconds over the digits demo; returns its path."""
    path = tmp_path / 'tiny_digits.py'
    path.write_text(f"""
_base_ = [{mmips.cfg('ips/resnet-s_ips_digits.py')!r}]
train_cfg = dict(_delete_=True, by_epoch=True, max_epochs=1, val_interval=1)
train_dataloader = dict(num_workers=0)
val_dataloader = dict(num_workers=0, dataset=dict(indices=200))
test_dataloader = dict(num_workers=0, dataset=dict(indices=200))
""")
    return path
