"""predictive_distribution: one run, and its command line."""
from pathlib import Path

import numpy as np
import pytest
from helpers.tools import load_tool


@pytest.fixture(scope='module')
def tool():
    return load_tool('visualization/predictive_distribution.py')


def test_images_that_the_first_gets_wrong(tool, tiny, capsys):
    found = tool.main(['config.py', '0.pth', '1.pth', '--names', 'a', 'b', '--out', 'out',
                       '--device', 'cpu', '--num', '2', '--batch-size', '3'])
    assert sorted(path.name for path in Path('out').iterdir()) == [
        'distribution_classes.png', 'distribution_images.png', 'distributions.csv',
        'distributions.json', 'distributions.md']
    assert list(found.probs) == ['a', 'b']
    assert np.array_equal(found.labels, [0, 0, 1, 1, 2, 2, 3, 3])
    assert Path('out/distributions.md').read_text() in capsys.readouterr().out


@pytest.mark.parametrize('extra, message', [
    (['--num', '0'], '--num must be at least 1, got 0'),
    (['--topk', '0'], '--topk must be at least 1, got 0'),
    (['--images', '1', '--pick', 'random'], 'not allowed with'),
    (['--pick', 'disagree'], 'compares two checkpoints or more, got one'),
])
def test_what_cannot_be_is_refused(tool, capsys, extra, message):
    with pytest.raises(SystemExit):
        tool.main(['config.py', 'x.pth', '--out', 'out', *extra])
    assert message in capsys.readouterr().err and not Path('out').exists()
