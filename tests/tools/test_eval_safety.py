"""eval_safety: the numbers of the config's own evaluator, files and refusals."""
import json
import sys
from pathlib import Path

import pytest
from helpers.tools import load_tool
from mmengine.config import Config
from mmengine.runner import Runner

import mmips

CONFIG = 'config.py'


@pytest.fixture(scope='module')
def tool():
    return load_tool('analysis_tools/eval_safety.py')


def test_numbers_are_those_of_the_toolbox(tool, tiny, capsys):
    found = tool.main([CONFIG, '0.pth', '1.pth', '--names', 'a', 'b', '--groups', 'x', 'x',
                       '--out', 'out', '--device', 'cpu', '--batch-size', '3', '--num-bins', '4'])
    for number, name in enumerate('ab'):
        cfg = Config.fromfile(CONFIG)
        cfg.pop('train_dataloader')
        cfg.merge_from_dict({
            'load_from': f'{number}.pth', 'work_dir': name, 'experiment_name': name, 'test_cfg': {},
            'test_dataloader.sampler': dict(type='DefaultSampler', shuffle=False),
            'test_dataloader.collate_fn': dict(type='default_collate'), 'test_evaluator': [
                dict(type='Accuracy', topk=(1, )), dict(type='mmips.SafetyMetrics', num_bins=4)]})
        expected = {key.replace('accuracy/', '').replace('safety/', ''): value
                    for key, value in Runner.from_cfg(cfg).test().items()}
        assert found[name] == pytest.approx(expected, abs=1e-4, nan_ok=True)
    assert found['a']['ece'] != pytest.approx(found['b']['ece'], abs=1e-3)
    assert sorted(path.name for path in Path('out').iterdir()) == [
        'reliability.png', 'risk_coverage.png', 'safety.csv', 'safety.json', 'safety.md',
        'safety_groups.csv']
    assert json.loads(Path('out/safety.json').read_text())['config'] == CONFIG
    assert Path('out/safety.md').read_text() in capsys.readouterr().out


@pytest.mark.parametrize('extra, message', [
    (['--groups', 'x'], '--groups needs a group for each of the 2 checkpoints, got 1'),
    (['--num-bins', '0'], '--num-bins must be at least 1, got 0'),
    (['--max-images', '0'], '--max-images: must be at least 1'),
])
def test_options_that_cannot_be_are_refused(tool, capsys, extra, message):
    with pytest.raises(SystemExit):
        tool.main([CONFIG, 'a.pth', 'b.pth', '--out', 'out', *extra])
    assert message in capsys.readouterr().err and not Path('out').exists()


@pytest.mark.parametrize('name', [
    'analysis_tools/eval_safety.py', 'analysis_tools/eval_attacks.py',
    'visualization/predictive_distribution.py'])
def test_help_does_not_wait_for_torch(run_command, name):
    path = Path(mmips.__file__).parents[1] / 'tools' / name
    result = run_command(sys.executable, '-X', 'importtime', path, '--help')
    assert result.returncode == 0 and 'CHECKPOINT' in result.stdout
    assert not any(line.split('|')[-1].strip() == 'torch' for line in result.stderr.splitlines())
