"""Every benchmark runs, at the smallest sizes; what it measures is not looked at."""
import pytest
import torch
from helpers.configs import ROOT

from mmips.compat import has_package

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
    ('scale', ['each pair on one rank', 'One rank'], ['1', '16', 'ImageNet-21k, queries']),
    ('step', ['Training step'], ['ResNet-18 at 32', 'ResNet-50 at 224']),
    ('device', ['Host time of a step', 'as a multiple of'], [
        '**device path**', 'resnet-s', 'ResNet-18 of width 16']),
    ('monitor', ['Training monitor'], ['small at 32', 'ResNet-18 at 32', 'ResNet-50 at 224']),
    ('elastic', ['the same bits at the end'], ['0', '1']),
    ('methods', ['Methods: a step of'], ['hard label', 'IPS', 'KD', 'CRD']),
    ('decode', ['JPEG files of 500x375'], ['training', "a worker's part", 'evaluation']),
    pytest.param('storage', ['images from a store'], ['one by one', 'ours, at once'], marks=(
        pytest.mark.skipif(not has_package('s3fs'), reason='needs s3fs: pip install s3fs'))),
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


@pytest.mark.parametrize('args, status, words', [
    (['swop'], 2, "no part 'swop', only swap, sampler, "),
    *([] if torch.cuda.is_available() else [
        (['--device', 'cuda'], 1, 'need a CUDA device, and torch sees none'),
        (['gpu'], 1, 'need a CUDA device, and torch sees none')])])
def test_refuses(run, capsys, args, status, words):
    try:
        given = run.main(args)
    except SystemExit as end:
        given = end.code
    assert given == status and words in capsys.readouterr().err


def test_throughput_counts_images(run):
    from benchmarks import bench_gpu
    options = bench_gpu.Options(tiny=True)
    for settings in (dict(channels_last=True), dict(device=True)):
        speed = bench_gpu.images_per_second(bench_gpu.RECIPES['IPS'], options, **settings)
        assert 0 < speed < 1e6


def test_photographs_are_trained_on_each_way(run):
    from benchmarks import bench_gpu
    rows = cells(bench_gpu.photographs(bench_gpu.Options(tiny=True)))
    assert [float(row[1].replace(',', '')) > 0 for row in rows[1:4]] == [True] * 3


@pytest.mark.gpu
def test_gpu_tables(run, capsys):
    assert run.main(['gpu', '--tiny']) == 0
    assert 'images/s' in capsys.readouterr().out
