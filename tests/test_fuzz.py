"""Random damage: nothing ends wrong in silence, hangs, or ends in words without a file or key.

300 examples in all; ``pytest tests/test_fuzz.py --examples 10000`` for more.
"""
import copy
import functools
import io

import numpy as np
import pytest
import torch
from helpers.configs import load
from helpers.tools import load_tool
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.registry import DATASETS
from PIL import Image

from mmips.config.loading import set_dataloader_defaults
from mmips.config.pair_checks import check_config
from mmips.config.stored import flatten
from mmips.config.structure import check_structure
from mmips.datasets.named_samples import name_samples
from mmips.errors import UserError
from mmips.runs import runner
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


CONFIG = 'ips/resnet-s_ips_npz.py'
FIELDS = 'train_dataloader', 'val_dataloader'
ODD = [None, True, -1, 0, 1.5, float('nan'), float('inf'), 10**30, '', 'x', 'a, b', [], [1, 'a'],
       {}, dict(type='Nope'), dict(a=1)]
TEXTS = ['1', '0', '-1', '0.5', '1e400', 'nan', 'None', 'True', 'abc', "'a'", '[1,2]', '(1,2)', '[',
         '[[1,2],[3', 'dict(a=1)', '', ' ', 'a b', '\U0001f642', '$(x)', '{{_base_.x}}', '"', '=']


@pytest.fixture
def tiny_run(npz, tmp_path, monkeypatch):
    """Function: check, build and train a config; words are some of which any error has."""
    monkeypatch.chdir(tmp_path)
    folders = iter(range(10**6))

    def run(cfg, words):
        cfg.work_dir = f'run{next(folders)}'
        cfg.experiment_name = cfg.work_dir
        try:
            # As the tools do.
            check_structure(cfg)
            set_dataloader_defaults(cfg, FIELDS)
            doubts = check_config(cfg)
            runner.prepare(cfg, FIELDS)
            # Built, and not trained: that is what hundreds of examples have time for.
            runner.build_runner(cfg, FIELDS)
        except UserError as error:
            text = str(error)
            assert any(word in text for word in words), text
            return text
        return ' '.join(doubts)

    return run


@st.composite
def misspelt(draw, word):
    """A word with a letter left out, doubled or another."""
    place = draw(st.integers(1, len(word) - 1))
    return word[:place] + draw(st.sampled_from(['', word[place] * 2, 'q'])) + word[place + 1:]


def parts_of(node, path=()):
    """Paths of all parts of a config below its top."""
    items = (node.items() if isinstance(node, dict) else enumerate(node) if isinstance(
        node, list) else ())
    return [path] * bool(path) + [below for key, part in items
                                  for below in parts_of(part, (*path, key))]


def test_options_have_their_effect_or_are_refused_by_name(fuzz, tiny_run, npz, capsys):
    tool, before = load_tool('train.py'), flatten(load(CONFIG))

    @st.composite
    def options(draw):
        *path, last = draw(st.sampled_from(sorted(before))).split('.')
        wrong = draw(st.booleans()) and len(last) > 5 and not last.isdigit()
        last = draw(misspelt(last)) if wrong else last
        return '.'.join([*path, last]), draw(st.sampled_from(TEXTS) | st.text(max_size=8)), wrong

    def prove(option):
        key, text, wrong = option
        assume('\0' not in text)
        words = [key, *key.split('.')[-2:], *filter(None, [text.strip()]), str(npz)]
        # The tool switches it off where there are no workers.
        assume('persistent_workers' not in key)
        try:
            cfg = tool.read_config(tool.parse_args([CONFIG, '--cfg-options', f'{key}={text}']))
        except SystemExit:
            assert '--cfg-options takes KEY=VALUE' in capsys.readouterr().err
        except UserError as error:
            assert any(word in str(error) for word in words), error
        else:
            assert not wrong or key in before, 'a misspelt key is taken'
            after = flatten(cfg)
            read = tool.parse_args([CONFIG, '--cfg-options', f'{key}={text}']).cfg_options[key]
            # A list may be longer or shorter than the one that it takes the place of.
            assert all(after[f'{key}.{name}'.rstrip('.')] == value or value != value
                       for name, value in flatten(read).items())
            tiny_run(cfg, words)

    fuzz(0.2, options(), prove)


def test_configs_are_built_or_refused_by_name(fuzz, tiny_run, tmp_path):
    whole = load(CONFIG).to_dict()
    whole = {key: whole[key] for key in (
        'default_scope', 'model', 'data_preprocessor', 'train_dataloader', 'val_dataloader',
        'val_evaluator', 'train_cfg', 'val_cfg', 'optim_wrapper', 'param_scheduler', 'randomness',
        'default_hooks', 'custom_hooks', 'env_cfg', 'visualizer')}
    places = parts_of(whole)

    @st.composite
    def changes(draw):
        path = draw(st.sampled_from(places))
        change = draw(st.sampled_from(['remove', 'rename', 'replace', 'replace']))
        name = str(path[-1])
        assume(change != 'rename' or len(name) > 5)
        return path, change, (draw(misspelt(name)) if change == 'rename' else
                              draw(st.sampled_from(ODD)) if change == 'replace' else None)

    def prove(change):
        path, kind, new = change
        cfg = copy.deepcopy(whole)
        node = functools.reduce(lambda part, key: part[key], path[:-1], cfg)
        old = node.pop(path[-1]) if kind != 'replace' else node[path[-1]]
        assume(kind != 'replace' or old != new)
        if kind == 'rename':
            node[new] = old
        elif kind == 'replace':
            node[path[-1]] = new
        file = tmp_path / 'config.py'
        file.write_text('\n'.join(['from math import inf, nan', *(
            f'{key} = {value!r}' for key, value in cfg.items())]))
        words = [str(part) for part in (*path, *([new] if kind == 'rename' else ()))
                 if not isinstance(part, int)] + [repr(new)] * isinstance(new, (dict, list))
        said = tiny_run(Config.fromfile(str(file)), words)
        assert kind != 'rename' or new in said or path[-1] in said, 'a misspelt name is taken'

    fuzz(0.2, changes(), prove)
