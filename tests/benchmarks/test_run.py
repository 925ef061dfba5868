"""Every benchmark runs, at the smallest sizes; what it measures is not looked at."""
import pytest
import torch
from helpers.configs import ROOT

pytest.importorskip('mmpretrain')


@pytest.fixture
def run(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import run
    # The caller's environment and number of threads are no business of the tests.
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    yield run
    torch.set_num_threads(1)


def cells(text):
    """Rows of all tables, without their rulers."""
    lines = [line for line in text.splitlines() if line.startswith('|')]
    return [[cell.strip() for cell in line.strip('|').split('|')]
            for line in lines if '---' not in line]


@pytest.mark.slow
@pytest.mark.parametrize(('part', 'titles', 'rows'), [
    ('swap', ['multiple of a copy', 'share of a training step'],
     ['ours, in place', 'loop over cells', 'unfold', 'gather', 'where', '4x3x32²']),
    ('sampler', ['construction and one epoch'],
     ['DefaultSampler', "epoch='queries'", "epoch='images'", 'per-index']),
    ('step', ['Training step'], ['ResNet-18 at 32', 'ResNet-50 at 224']),
    ('monitor', ['Training monitor'], ['small at 32', 'ResNet-18 at 32', 'ResNet-50 at 224']),
])
def test_part_prints_whole_tables(run, capsys, part, titles, rows):
    assert run.main([part, '--tiny']) == 0
    out = capsys.readouterr().out
    assert 'not to be quoted' in out and f'torch {torch.__version__}' in out
    for title in titles:
        assert title in out
    table = cells(out)
    for row in rows:
        assert any(row in line[0] for line in table), row
    assert all(len(line) > 1 for line in table) and 'nan' not in out


def test_wrong_rival_is_found(run, monkeypatch):
    from benchmarks import bench_swap
    monkeypatch.setitem(bench_swap.RIVALS, 'lazy', lambda x, mask: x)
    with pytest.raises(RuntimeError, match='"lazy" does not give what swap_patches gives'):
        bench_swap.run(bench_swap.Options(tiny=True))


def test_unknown_part(run, capsys):
    with pytest.raises(SystemExit):
        run.main(['swop'])
    assert "no part 'swop', only swap, sampler, step, monitor, gpu" in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU to run it')
@pytest.mark.parametrize('args', [['--device', 'cuda'], ['gpu']])
def test_without_a_gpu_one_message_says_so(run, capsys, args):
    assert run.main(args) == 1
    assert 'need a CUDA device, and torch sees none' in capsys.readouterr().err


@pytest.mark.parametrize('recipe', ['plain', 'IPS'])
def test_throughput_counts_images(run, recipe):
    from benchmarks import bench_gpu
    options = bench_gpu.Options(tiny=True)
    speed = bench_gpu.images_per_second(bench_gpu.RECIPES[recipe], options, channels_last=True)
    assert 0 < speed < 1e6


@pytest.mark.gpu
def test_gpu_tables(run, capsys):
    assert run.main(['gpu', '--tiny']) == 0
    assert 'images per second' in capsys.readouterr().out
