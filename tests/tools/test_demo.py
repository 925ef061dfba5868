import sys
from pathlib import Path
from types import SimpleNamespace

from helpers.tools import load_tool, run_here

TINY = {'train_cfg.max_epochs': 1, 'model.backbone.base_channels': 4,
        'model.backbone.stem_channels': 4, 'model.head.in_channels': 16}


def test_shows_every_seed_curves_and_pairs_and_trains_once(tmp_path, monkeypatch, capsys):
    tool = load_tool('demo.py')
    monkeypatch.setattr(tool.scheduling, 'run_local', run_here)
    read = tool.sweep.read_sweep

    def read_tiny(path):
        found = read(path)
        return found.but(recipes=tuple(
            recipe.but(options={**recipe.options, **TINY}) for recipe in found.recipes))

    monkeypatch.setattr(tool.sweep, 'read_sweep', read_tiny)
    drawn = []
    monkeypatch.setitem(sys.modules, 'mmips.evaluation.pairs', SimpleNamespace(
        browse_pairs=lambda args: drawn.append(Path(args.config).name) or args.out))
    argv = ['--seeds', '2', '--jobs', '1', '--work-dir', str(tmp_path)]
    tool.main(argv)
    out = capsys.readouterr().out
    assert '[2/2] IPS 2x2, seed 2' in out and f'Pairs: {tmp_path}/pairs.png' in out
    rows = [line for line in out.splitlines() if line[:1] == '|'][2:]
    assert [row.partition(': ')[0] for row in rows] == ['| hard label | 100 | 2',
                                                        '| IPS 2x2 | 200 | 2']
    assert (tmp_path / 'curves.png').stat().st_size > 10_000
    assert drawn == ['resnet-s_ips_digits-device.py']

    tool.main(argv)
    again = capsys.readouterr().out
    assert '[1/' not in again and '\n'.join(rows) in again
