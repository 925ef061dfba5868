"""eval_safety: the numbers of the config's own evaluator, groups, files and refusals."""
import csv
import importlib.util
import json
import statistics
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

import mmips
from mmips.config import loading
from mmips.evaluation import predictions
from mmips.functional.safety import safety_scores
from mmips.structures import state_dicts

CONFIG = 'ips/resnet-s_hard_npz.py'
TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'analysis_tools' / 'eval_safety.py'


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('tool_eval_safety', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkpoints(quick_configs, tmp_path):
    cfg = loading.load_config(CONFIG)
    init_default_scope('mmpretrain')
    paths = []
    for seed in range(3):
        torch.manual_seed(seed)
        model = predictions.build_model(cfg, 'cpu')
        # Sharper than at the start of a training, so that confidences differ.
        model.head.fc.weight.data *= 30
        paths.append(str(tmp_path / f'epoch_{seed}.pth'))
        torch.save(dict(state_dict=model.state_dict()), paths[-1])
    return paths


@pytest.fixture
def run(tool, checkpoints):
    def evaluate(*extra, names=('a', 'b', 'c')):
        return tool.main([CONFIG, *checkpoints[:len(names)], '--names', *names, '--out', 'out',
                          '--device', 'cpu', *extra])
    return evaluate


def stored():
    return json.loads(Path('out/safety.json').read_text())


def rows(name):
    with open(f'out/{name}', newline='') as file:
        return list(csv.DictReader(file))


def test_numbers_are_those_of_the_toolbox(run, checkpoints, tmp_path):
    found = run('--batch-size', '3', '--num-bins', '4', names='ab')
    for name, path in zip('ab', checkpoints):
        cfg = Config.fromfile(mmips.cfg(CONFIG))
        cfg.merge_from_dict(dict(
            load_from=path, work_dir=str(tmp_path / name), experiment_name=name, test_evaluator=[
                dict(type='Accuracy', topk=(1, )), dict(type='mmips.SafetyMetrics', num_bins=4)]))
        expected = {key.replace('accuracy/', '').replace('safety/', ''): value
                    for key, value in Runner.from_cfg(cfg).test().items()}
        assert found[name] == pytest.approx(expected, abs=1e-4, nan_ok=True)
    assert found['a']['ece'] != pytest.approx(found['b']['ece'], abs=1e-3)
    assert stored()['checkpoints']['a']['metrics']['aurc'] == found['a']['aurc']
    assert Path('out/reliability.png').is_file() and Path('out/risk_coverage.png').is_file()
    assert not list(Path('out').glob('*.part'))


def test_bins_and_curve_are_those_of_the_metrics(run):
    found = run(names='a')['a']
    result = stored()['checkpoints']['a']
    bins = {key: np.array(value, float) for key, value in result['bins'].items()}
    gaps = bins['counts'] * np.abs(bins['accuracy'] - bins['confidence'])
    assert 100 * np.nansum(gaps) / 8 == pytest.approx(found['ece'])
    assert len(bins['counts']) == 15 and result['bins']['accuracy'].count(None) > 0
    curve = result['curve']
    assert curve['coverage'] == pytest.approx(np.arange(1, 9) / 8)
    assert 1000 * np.mean(curve['risk']) == pytest.approx(found['aurc'])
    assert 1000 * np.mean(curve['best']) == pytest.approx(found['aurc'] - found['e_aurc'])


def test_top5_and_a_thinned_curve(tool):
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(7), 1300).astype(np.float32)
    labels = rng.integers(0, 7, 1300)
    result = tool.score(probs, labels, 15)
    order = [sorted(range(7), key=lambda k, row=row: -row[k]) for row in probs]
    for rank in (1, 5):
        assert result['metrics'][f'top{rank}'] == pytest.approx(100 * np.mean(
            [label in row[:rank] for row, label in zip(order, labels)]), abs=1e-3)
    curve = result['curve']
    steps = np.diff(curve['coverage'])
    assert len(curve['risk']) == tool.POINTS and steps.max() <= steps.min() + 1.01 / 1300
    assert curve['coverage'][-1] == 1
    assert curve['risk'][-1] == pytest.approx(1 - result['metrics']['top1'] / 100)


def test_groups(run):
    found = run('--groups', 'hard', 'hard', 'ips')
    groups = stored()['groups']
    pair = [found['a']['ece'], found['b']['ece']]
    assert groups['hard']['checkpoints'] == 2 and groups['ips']['checkpoints'] == 1
    assert groups['hard']['mean']['ece'] == pytest.approx(statistics.mean(pair))
    assert groups['hard']['std']['ece'] == pytest.approx(statistics.stdev(pair))
    assert groups['ips']['mean']['ece'] == found['c']['ece'] and groups['ips']['std']['ece'] is None
    table = Path('out/safety.md').read_text()
    both = f'{statistics.mean(pair):.2f} \u00b1 {statistics.stdev(pair):.2f}'
    assert f'| {both} |' in next(line for line in table.splitlines() if '**hard**' in line)
    assert '\u00b1' not in next(line for line in table.splitlines() if '**ips**' in line)
    row, = (row for row in rows('safety_groups.csv')
            if row['group'] == 'hard' and row['metric'] == 'ece')
    assert float(row['mean']) == pytest.approx(statistics.mean(pair), rel=1e-5)
    assert [row['group'] for row in rows('safety.csv')] == ['hard', 'hard', 'ips']


def test_tables_name_unit_and_direction(run, capsys):
    found = run(names='ab')
    table = Path('out/safety.md').read_text()
    assert table in capsys.readouterr().out
    for part in ('| checkpoint | top-1 % \u2191 | AURC x1000 \u2193 |', 'AUROC % \u2191', '| b | '):
        assert part in table
    assert 'top-5' not in table  # Of four classes.
    first = rows('safety.csv')[0]
    assert first['checkpoint'] == 'a' and 'group' not in first
    for key, value in found['a'].items():
        assert float(first[key] or 'nan') == pytest.approx(value, rel=1e-5, nan_ok=True)


def test_training_images_and_kept_probabilities(run):
    found = run('--split', 'train', '--save-probs', names=('x/y z', 'x_y_z'))
    files = [result['probs'] for result in stored()['checkpoints'].values()]
    assert stored()['images'] == 24 and len(set(files)) == 2
    for name, file in zip(found, files):
        kept = np.load(Path('out') / file)
        assert kept['labels'].tolist() == np.repeat(np.arange(4), 6).tolist()
        assert kept['probs'].shape == (24, 4) and kept['probs'].dtype == np.float32
        scores = safety_scores(kept['probs'], kept['labels'])
        assert {key: found[name][key] for key in scores} == pytest.approx(scores, nan_ok=True)


def test_a_diverged_checkpoint_is_named_and_the_others_stay(run, checkpoints, capsys):
    state = state_dicts.read_state(checkpoints[1])
    state['head.fc.weight'][0, 0] = torch.nan
    torch.save(dict(state_dict=state), checkpoints[1])
    with pytest.raises(SystemExit):
        run()
    message = capsys.readouterr().err
    assert f'b ({checkpoints[1]}): ' in message and 'NaN' in message and 'Traceback' not in message
    assert list(stored()['checkpoints']) == ['a'] and len(rows('safety.csv')) == 1


@pytest.mark.parametrize('extra, message', [
    (['--groups', 'x'], '--groups needs a group for each of the 3 checkpoints, got 1'),
    (['--num-bins', '0'], '--num-bins must be at least 1, got 0'),
    (['--max-images', '0'], '--max-images must be at least 1'),
])
def test_options_that_cannot_be_are_refused(run, capsys, extra, message):
    with pytest.raises(SystemExit):
        run(*extra)
    assert message in capsys.readouterr().err and not Path('out').exists()
