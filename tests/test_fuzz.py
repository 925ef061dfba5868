"""Random damage: nothing ends wrong in silence, hangs, or ends in words without a file or key.

300 examples in all; ``pytest tests/test_fuzz.py --examples 10000`` for more.
"""
import io

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from mmengine.logging import HistoryBuffer
from mmengine.registry import DATASETS
from PIL import Image

from mmips.datasets.named_samples import name_samples
from mmips.errors import UserError
from mmips.structures.checkpoints import load_file

pytestmark = pytest.mark.slow


@pytest.fixture
def fuzz(request):
    """Function: run a property over a share of the examples."""

    def fuzz(share, strategy, prove):
        number = max(1, round(share * request.config.getoption('examples')))
        settings(max_examples=number, deadline=None, suppress_health_check=list(HealthCheck))(
            given(strategy)(prove))()

    return fuzz


@st.composite
def damage(draw, content):
    """Bytes, cut, overwritten, left out or doubled somewhere."""
    start = draw(st.integers(0, len(content) - 1))
    size = draw(st.integers(1, 200))
    return draw(st.sampled_from([
        content[:start],
        content[:start] + draw(st.binary(min_size=1, max_size=40)) + content[start:],
        content[:start] + bytes([content[start] ^ draw(st.integers(1, 255))]) + content[start + 1:],
        content[:start] + bytes(size) + content[start + size:],
        content[:start] + content[start + size:],
        content[:start] + content[start:start + size] * 2 + content[start + size:]]))


def same(first, second):
    """Whether two contents are equal, tensors and histories included."""
    if isinstance(first, HistoryBuffer):
        return isinstance(second, HistoryBuffer) and same(
            [part.tolist() for part in first.data], [part.tolist() for part in second.data])
    if isinstance(first, torch.Tensor):
        return isinstance(second, torch.Tensor) and torch.equal(first, second)
    if isinstance(first, dict):
        return isinstance(second, dict) and list(first) == list(second) and all(
            same(value, second[key]) for key, value in first.items())
    if isinstance(first, (list, tuple)):
        return type(first) is type(second) and len(first) == len(second) and all(
            map(same, first, second))
    return first == second


def test_damaged_checkpoints_are_refused_or_whole(fuzz, tmp_path):
    path = tmp_path / 'epoch_1.pth'
    history = HistoryBuffer([1., 2.], [1, 1])
    content = dict(state_dict={'a.weight': torch.randn(4, 3), 'b': torch.arange(3)}, meta=dict(
        epoch=1, cfg='model = dict()'), message_hub=dict(log_scalars={'train/loss': history}))
    torch.save(content, buffer := io.BytesIO())

    def prove(damaged):
        assume(damaged != buffer.getvalue())
        path.write_bytes(damaged)
        try:
            found = load_file(str(path), 'cpu')
        except UserError as error:
            assert str(path) in str(error) and '\n' not in str(error)
        else:
            # Damage between the members of the archive, or to their dates, changes nothing.
            assert same(content, found)

    fuzz(0.4, damage(buffer.getvalue()), prove)


@pytest.mark.parametrize('kind', ['png', 'jpg'])
def test_damaged_images_are_refused_by_name(fuzz, tmp_path, kind):
    rng = np.random.default_rng(0)
    picture = Image.fromarray(np.kron(rng.integers(0, 255, (6, 6, 3), np.uint8),
                                      np.ones((4, 4, 1), np.uint8)))
    for name in 'ab':
        (tmp_path / name).mkdir()
        for number in range(2):
            picture.save(tmp_path / name / f'{number}.{kind}')
    path = tmp_path / 'a' / f'0.{kind}'
    content = path.read_bytes()
    dataset = DATASETS.build(dict(type='mmips.ImageFolder', data_root=str(tmp_path), pipeline=[
        dict(type='mmpretrain.LoadImageFromFile')]))
    name_samples(dataset, 2)
    place = [record['img_path'] for record in dataset].index(str(path))
    whole = dataset[place]['img']

    def prove(damaged):
        assume(damaged != content)
        path.write_bytes(damaged)
        try:
            found = dataset[place]['img']
        except UserError as error:
            assert str(path) in str(error) and '\n' not in str(error)
        else:
            # A JPEG has no checksums: other colours are all that its bytes can become.
            assert found.dtype == whole.dtype and found.ndim == 3
            assert kind == 'jpg' or np.array_equal(found, whole)

    fuzz(0.1, damage(content), prove)
