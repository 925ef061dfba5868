"""The small detection config learns a few images by heart."""
import pytest
import torch
from helpers import trees
from helpers.checkpoints import write_resnet
from helpers.configs import ROOT

from mmips.compat import has_mmcv_ops, has_package

pytestmark = pytest.mark.skipif(not (has_package('mmdet') and has_mmcv_ops()),
                                reason='needs mmdet and the compiled ops of mmcv')

SMALL = ['--config', 'det/ssd300_r18-w16_ips_bccd.py']


@pytest.fixture
def overfit(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.chdir(tmp_path)
    from benchmarks import overfit_bccd
    yield overfit_bccd.main
    torch.set_num_threads(1)


@pytest.mark.slow
@pytest.mark.parametrize('width', [16, 8])
def test_status_says_that_nothing_was_learned_from_a_checkpoint_that_fits(overfit, width, tmp_path,
                                                                          capsys):
    trees.write_bccd(tmp_path, images=3)
    write_resnet('given.pth', 18, width)
    arguments = ['--bccd', 'BCCD', '--images', '2', '--steps', '2', '--lr', '0', *SMALL,
                 '--checkpoint', 'given.pth']
    if width == 16:
        assert overfit(arguments) == 1
        assert 'on its own 2 images after 2 steps' in capsys.readouterr().out
    else:
        with pytest.raises(ValueError, match='The backbone is not the one in given.pth'):
            overfit(arguments)


def test_too_few_steps(overfit, capsys):
    with pytest.raises(SystemExit):
        overfit(['--steps', '1'])
    assert '--steps must be at least 2, one of them to warm up, but got 1' in \
        capsys.readouterr().err
