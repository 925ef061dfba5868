import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers import trees
from helpers.tools import load_tool, run_here

from mmips.compat import has_package
from mmips.evaluation import transfer

TINY = {'train_cfg.max_epochs': 2, 'default_hooks.checkpoint.interval': 1}


@pytest.fixture
def tool(monkeypatch):
    # What the tool sets stays in the process.
    for name in ('NPZ', 'MAX_CLASSES', 'PER_CLASS'):
        monkeypatch.setenv(f'MMIPS_{name}', '0')
    tool = load_tool('compare_transfer.py')
    monkeypatch.setattr(tool.scheduling, 'run_local', run_here)
    return tool


@pytest.fixture
def argv(npz):
    trees.write_camvid(Path('data/camvid'))
    return ['--npz', str(npz), '--tasks', 'camvid', '--seeds', '1', '--jobs', '1',
            '--work-dir', 'out', '--cfg-options', 'train_cfg.max_epochs=1']


@pytest.mark.skipif(not has_package('mmseg'), reason='needs mmseg')
def test_pretrains_transfers_compares_and_draws(tool, argv, monkeypatch, capsys):
    whole, drawn = transfer.transfer_sweep, []

    def tiny(*args):
        found = whole(*args)
        return found.but(recipes=tuple(
            recipe if recipe.start else recipe.but(options=TINY) for recipe in found.recipes))

    monkeypatch.setattr(transfer, 'transfer_sweep', tiny)
    monkeypatch.setitem(sys.modules, 'mmips.evaluation.segdet', SimpleNamespace(
        compare_predictions=drawn.append))
    tool.main(argv)
    table = Path('out/results.md').read_text()
    assert table.count('\n| ') == 6 and table.strip() in capsys.readouterr().out
    assert '| IPS 4x4 | 96 | 1: ' in Path('out/pretrain/results.md').read_text()
    assert len(Path('out/results.csv').read_text().splitlines()) == 6
    asked, = drawn
    assert asked.config == 'out/camvid/ips/seed1/deeplabv3plus_r18-w16_ips_camvid.py'
    assert asked.paths == {
        name: str(Path(f'out/camvid/{start}/seed1/epoch_1.pth').resolve())
        for start, name in transfer.STARTS.items()}
    assert (asked.out, asked.baseline) == (Path('out/camvid_predictions'), 'hard label')
    weights = {}
    for start in transfer.STARTS:
        folder = Path('out/camvid') / start / 'seed1'
        result = json.loads((folder / 'result.json').read_text())
        assert result['seed'] == 1 and result['images'] == [4] and 0 <= result['test']['mIoU']
        log = (folder / 'train.log').read_text()
        said = 'tensors of the backbone come from its checkpoint' in log
        assert said == (start != 'random')
        assert [path.name for path in folder.glob('*.pth')] == ['epoch_1.pth']
        weights[start] = torch.load(folder / 'epoch_1.pth', weights_only=False)['state_dict']
    # The statistics of the stem come from the pretraining, each start's own.
    stems = [state['backbone.bn1.running_var'] for state in weights.values()]
    assert not any(torch.equal(stems[a], stems[b]) for a, b in ((0, 1), (0, 2), (1, 2)))

    times = [path.stat().st_mtime_ns for path in sorted(Path('out').rglob('result.json'))]
    tool.main(argv)
    assert Path('out/results.md').read_text() == table and len(times) == 5
    assert times == [path.stat().st_mtime_ns for path in sorted(Path('out').rglob('result.json'))]
    with pytest.raises(SystemExit):
        tool.main([*argv, 'optim_wrapper.optimizer.lr=0.5'])
    assert 'random/seed1 holds a run of another setup' in capsys.readouterr().err


@pytest.mark.skipif(not has_package('mmseg'), reason='needs mmseg')
def test_missing_data_is_said_first(tool, argv, capsys):
    with pytest.raises(SystemExit):
        tool.main([*argv, '--camvid', 'nowhere'])
    said = capsys.readouterr().err
    assert 'is missing' in said and 'nowhere/images/train' in said and not Path('out').exists()
