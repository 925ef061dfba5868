import importlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers import trees

from mmips.compat import has_package

PATH = Path(__file__).parents[2] / 'tools' / 'compare_transfer.py'
TINY = {'train_cfg.max_epochs': 2, 'default_hooks.checkpoint.interval': 1}
TABLE = """\
| | start | images seen | seeds | mean ± std | above hard label |
|---|---|---|---|---|---|
| pretraining, top-1 % | hard label | 48 | 0: 30.00, 1: 32.00 | 31.00 ± 1.41 |  |
| pretraining, top-1 % | IPS 4x4 | 48 | 0: 33.00, 1: 33.00 | 33.00 ± 0.00 | 2.00 ± 1.41 |
| BCCD detection, SSD300, mAP % | random weights | 9 | 1: 50.00 | 50.00 | -10.00 |
| BCCD detection, SSD300, mAP % | hard label | 9 | 0: 70.00, 1: 60.00 | 65.00 ± 7.07 |  |"""


@pytest.fixture
def tool(monkeypatch):
    # By name rather than by path: worker processes import it too.
    monkeypatch.syspath_prepend(str(PATH.parent))
    return importlib.import_module('compare_transfer')


@pytest.fixture
def argv(npz):
    trees.write_camvid(Path('data/camvid'))
    return ['--npz', str(npz), '--tasks', 'camvid', '--seeds', '1', '--jobs', '1',
            '--work-dir', 'out', '--cfg-options', 'train_cfg.max_epochs=1']


@pytest.mark.slow
@pytest.mark.skipif(not has_package('mmseg'), reason='needs mmseg')
def test_pretrains_transfers_compares_and_draws(tool, argv, monkeypatch, capsys):
    pretraining = tool.pretraining

    def tiny(args):
        found = pretraining(args)
        return replace(found, cells=tuple(replace(cell, options=TINY) for cell in found.cells))

    monkeypatch.setattr(tool, 'pretraining', tiny)
    tool.main(argv)
    table = Path('out/results.md').read_text()
    assert table.count('\n') == 7 and table.strip() in capsys.readouterr().out
    assert '| IPS 4x4 | 96 | 1: ' in Path('out/pretrain/results.md').read_text()
    assert len(Path('out/results.csv').read_text().splitlines()) == 6
    assert Path('out/camvid_predictions/predictions.png').stat().st_size > 10_000
    weights = {}
    for start in tool.STARTS:
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
    monkeypatch.setattr(tool, 'draw', lambda args: None)
    tool.main(argv)
    assert Path('out/results.md').read_text() == table and len(times) == 5
    assert times == [path.stat().st_mtime_ns for path in sorted(Path('out').rglob('result.json'))]
    with pytest.raises(SystemExit):
        tool.main([*argv, 'optim_wrapper.optimizer.lr=0.5'])
    assert 'random/seed1 holds a run of another setup' in capsys.readouterr().err


def test_table_compares_seed_by_seed(tool, tmp_path):
    def run(seed, value, metric=None):
        return dict(seed=seed, images=[value, 48 if metric is None else 9], scores=[1., value],
                    test={metric: value / 100}, seconds=1)

    mean_ap = 'pascal_voc/mAP'
    pretrained = {'hard': [run(0, 30.), run(1, 32.)], 'ips': [run(0, 33.), run(1, 33.)]}
    results = {'bccd': {'random': [run(1, 50., mean_ap)],
                        'hard': [run(0, 70., mean_ap), run(1, 60., mean_ap)], 'ips': []}}
    assert tool.write_table(pretrained, results, tmp_path) == TABLE
    rows = (tmp_path / 'results.csv').read_text().splitlines()
    assert rows[5] == '"BCCD detection, SSD300, mAP %",random,1,50.00,9,1'


def test_pretrains_as_the_sweep_of_backbones_does(tool, argv):
    args = tool.parse_args(argv)
    path = PATH.parents[1] / 'configs' / 'sweeps' / 'npz_backbone.yml'
    ours, theirs = tool.pretraining(args), tool.sweep.read_sweep(path)
    assert [cell.folder for cell in ours.cells] == ['hard', 'ips'] and ours.seeds == (1, )
    # Their folders are named after the cells.
    assert [replace(cell, folder='') for cell in ours.cells] == [
        replace(cell, folder='') for cell in theirs.cells]
    assert ours.curves == theirs.curves


def test_recipes_of_the_starts_are_identical_but_for_the_weights(tool, argv):
    args = tool.parse_args(argv)
    random, given = (tool.load_task('camvid', args, path) for path in (None, Path('x.pth')))
    assert given.model.backbone.init_cfg.checkpoint == 'x.pth'
    assert random.model.backbone.pop('init_cfg') is None
    given.model.backbone.pop('init_cfg')
    assert [hook.type for hook in given.custom_hooks if hook not in random.custom_hooks] == [
        'mmips.CheckPretrained']
    given.pop('custom_hooks'), random.pop('custom_hooks')
    assert random.to_dict() == given.to_dict()


@pytest.mark.parametrize('options, message', [
    (['--npz', 'nowhere.npz'], '--npz must name an existing .npz file, but got nowhere.npz'),
    (['--camvid', 'nowhere'], '--camvid must name the folder of the dataset, but got nowhere: '
     'python tools/misc/check_data.py configs/seg/deeplabv3plus_r18-w16_ips_camvid.py says'),
    (['--jobs', '0'], '--jobs must be at least 1, but got 0'),
])
def test_refuses(tool, argv, options, message, capsys):
    with pytest.raises(SystemExit):
        tool.parse_args([*argv, *options])
    assert message in capsys.readouterr().err


@pytest.mark.parametrize('network, name', [('resnet18-w16', 'r18-w16'), ('resnet50', 'r50')])
def test_every_config_is_there(tool, network, name):
    import mmips
    for task in tool.TASKS:
        path = mmips.cfg(tool.config_of(task, network))
        assert name in path
    for start in ('hard', 'ips'):
        assert mmips.cfg(f'ips/{network}_{start}_npz.py')
