"""The tool on the smallest config: its outputs, what it reuses, and what it refuses."""
import csv
import importlib.util
import json
import os
from pathlib import Path

import pytest
import torch
from matplotlib.image import imread
from mmengine.registry import init_default_scope

from mmips.config import loading, splits
from mmips.evaluation import attacks as adversarial
from mmips.evaluation import predictions
from mmips.runs import loaders
from mmips.visualization.attacks import draw_attacks

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'analysis_tools' / 'eval_attacks.py'
CONFIG = 'ips/resnet-s_hard_npz.py'
SMALL = {'model.backbone.base_channels': 4, 'model.backbone.stem_channels': 4,
         'model.head.in_channels': 16}


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('tool_eval_attacks', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkpoints(quick_configs, tmp_path):
    cfg = loading.load_config(CONFIG, SMALL)
    init_default_scope('mmpretrain')
    paths = []
    for seed in range(2):
        torch.manual_seed(seed)
        paths.append(str(tmp_path / f'epoch_{seed}.pth'))
        torch.save(dict(state_dict=predictions.build_model(cfg, 'cpu').state_dict()), paths[-1])
    return paths


@pytest.fixture
def evaluate(tool, checkpoints):
    """Run the tool on both checkpoints; returns its scores."""

    def run(*options, eps=('0', '0.003', '0.1'), steps='2'):
        return tool.main([CONFIG, *checkpoints, '--names', 'a', 'b|c', '--out', 'out', '--device',
                          'cpu', '--eps', *eps, '--steps', steps, *options, '--cfg-options',
                          *(f'{key}={value}' for key, value in SMALL.items())])

    return run


@pytest.fixture
def calls(monkeypatch):
    """What was computed: attack and radii of every pass."""
    made = []
    real = adversarial.score_attack

    def score(model, batches, name, radii, settings):
        made.append((name, list(radii)))
        return real(model, batches, name, radii, settings)

    monkeypatch.setattr(adversarial, 'score_attack', score)
    return made


@pytest.fixture
def quick(monkeypatch):
    """Neither attacks nor pictures: where only it counts what would be computed."""
    monkeypatch.setattr('mmips.visualization.attacks.draw_attacks', lambda *args: None)
    monkeypatch.setattr(adversarial, 'score_attack', lambda model, batches, name, radii, settings:
                        [adversarial.AttackScore(eps, 8, 4) for eps in radii])


def read_csv():
    with open('out/attacks.csv', newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def test_everything_is_written(evaluate, calls, capsys):
    scores = evaluate()
    one = [('fgsm', [0, 0.003, 0.1]), ('i-fgsm', [0.003]), ('i-fgsm', [0.1]), ('pgd', [0.003]),
           ('pgd', [0.1])]
    assert calls == 2 * one
    rows = read_csv()
    assert len(rows) == 2 * 3 * 3
    assert list(rows[0]) == ['checkpoint', 'attack', 'eps', 'space', 'steps', 'step_size',
                             'images', 'accuracy', 'unmoved']
    found = {(row['checkpoint'], row['attack'], float(row['eps'])): row for row in rows}
    assert found['a', 'fgsm', 0.1]['steps'] == '1' and found['a', 'pgd', 0.1]['steps'] == '2'
    assert float(found['a', 'fgsm', 0.1]['step_size']) == 0.1
    assert float(found['b|c', 'pgd', 0.1]['step_size']) == pytest.approx(0.125)
    for attack, networks in scores.items():
        for name, line in networks.items():
            assert [score.eps for score in line] == [0, 0.003, 0.1]
            for score in line:
                row = found[name, attack, score.eps]
                assert float(row['accuracy']) == score.accuracy and row['images'] == '8'
        assert networks['a'][0] == scores['fgsm']['a'][0]
    content = json.loads(Path('out/attacks.json').read_text())
    assert [str(row['eps']) for row in content['results']] == [row['eps'] for row in rows]
    assert content['settings']['space'] == 'pixel' and content['split'] == 'test'
    text = Path('out/attacks.md').read_text(encoding='utf-8')
    assert text in capsys.readouterr().out
    assert imread('out/attacks.png').shape[1] > 1000
    assert not list(Path('out').rglob('*.part')) and not list(Path('out').rglob('*.tmp'))


def test_the_table_has_the_layout_of_the_paper(tool):
    score = adversarial.AttackScore
    scores = {'fgsm': {'hard': [score(0., 8, 7), score(0.01, 8, 1, 1)], 'a|b': [score(0., 8, 6)]},
              'pgd': {'hard': [], 'a|b': []}}
    settings = adversarial.AttackSettings('normalized', 20, quantize=True, seed=3)
    text = tool.attack_tables(scores, settings, 'val images')
    for words in ('8 val images', 'higher is better', '`--space normalized`',
                  ' PGD: 20 steps, step size 0.125 eps; PGD: random start, seed 3; ',
                  '256 levels.', 'hard: 1 (FGSM)'):
        assert words in text
    assert """
## FGSM

| eps | hard | a\\|b |
|---|---|---|
| 0 | 87.50 | 75.00 |
| 0.01 | 12.50 |  |

## PGD
""" in text
    settings = adversarial.AttackSettings(step_size=0.002)
    plain = tool.attack_tables({'i-fgsm': {'a': [score(0., 8, 7)]}}, settings, 'images')
    assert ' I-FGSM: 10 steps, step size 0.002.\n' in plain
    assert all(word not in plain for word in ('PGD', 'start', 'levels', 'floating'))
    single = tool.attack_tables({'fgsm': {'a': [score(0., 8, 7)]}}, settings, 'images')
    assert 'is no attack.\n' in single and 'steps' not in single


def test_clean_accuracy_is_that_of_the_predictions(evaluate, checkpoints):
    scores = evaluate('--attacks', 'pgd', eps=['0'])
    cfg = loading.load_config(CONFIG, SMALL)
    splits.prepare_split(cfg, 'test', CONFIG)
    model, loader = predictions.build_model(cfg, 'cpu'), loaders.build_loader(cfg, 'test')
    for name in predictions.each_checkpoint(model, checkpoints, ['a', 'b|c']):
        probs, labels = predictions.predict_probs(model, loader, name)
        assert scores['pgd'][name][0].correct == (probs.argmax(1) == labels).sum()


def test_only_what_is_new_is_computed(evaluate, quick, calls, checkpoints, npz):
    first = evaluate()
    calls.clear()
    assert evaluate('--batch-size', '3') == first and calls == []
    evaluate(eps=('0', '0.003', '0.1', '0.2'))
    assert calls == 2 * [('fgsm', [0.2]), ('i-fgsm', [0.2]), ('pgd', [0.2])]
    for options, expected in [
            (['--seed', '1'], ['pgd', 'pgd']),
            (['--rel-step-size', '0.5'], ['i-fgsm', 'i-fgsm', 'pgd', 'pgd']),
            (['--step-size', '0.01'], ['i-fgsm', 'i-fgsm', 'pgd', 'pgd']),
            (['--quantize'], ['fgsm', 'i-fgsm', 'i-fgsm', 'pgd', 'pgd']),
            (['--max-images', '4'], ['fgsm', 'i-fgsm', 'i-fgsm', 'pgd', 'pgd']),
            (['--split', 'train'], ['fgsm', 'i-fgsm', 'i-fgsm', 'pgd', 'pgd']),
            (['--image-range', '-1', '256'], ['fgsm', 'i-fgsm', 'i-fgsm', 'pgd', 'pgd']),
            (['--space', 'normalized'], ['fgsm', 'i-fgsm', 'i-fgsm', 'pgd', 'pgd'])]:
        calls.clear()
        evaluate(*options)
        assert [name for name, _ in calls] == 2 * expected, options
    calls.clear()
    evaluate(steps='3')
    assert [name for name, _ in calls] == 2 * ['i-fgsm', 'i-fgsm', 'pgd', 'pgd']
    # Another file of the same name, or other data.
    calls.clear()
    os.utime(checkpoints[1], (1, 1))
    evaluate()
    assert len(calls) == 5
    calls.clear()
    os.utime(npz, (1, 1))
    evaluate()
    assert len(calls) == 10


def test_a_score_is_kept_in_one_file_before_and_after_the_model_is_built(tool, checkpoints):
    args = tool.parse_args([CONFIG, *checkpoints, '--out', 'out'])
    cfg = loading.load_config(CONFIG, SMALL)
    cells = tool.Cells(cfg, args, tool.read_settings(args))
    before = cells.path(checkpoints[0], 'pgd', 0.1)
    predictions.build_model(cfg, 'cpu')
    assert cells.path(checkpoints[0], 'pgd', 0.1) == before


def test_the_papers_eps_are_the_default(tool):
    args = tool.parse_args([CONFIG, 'x.pth', '--out', 'out'])
    named = tool.parse_args([CONFIG, 'x.pth', '--out', 'out', '--eps', '0.05', '0.01', '0.005',
                             '0.003', '0.001', '0', '0.01'])
    # As text: an integer 0 would be another key of the stored results.
    assert str(args.eps) == str(named.eps) == '[0.0, 0.001, 0.003, 0.005, 0.01, 0.05]'


@pytest.mark.parametrize('error, code', [(KeyboardInterrupt(), 130), (ValueError('nan'), 2)])
def test_what_is_finished_survives(evaluate, quick, calls, monkeypatch, capsys, error, code):
    counted = adversarial.score_attack

    def score(*args):
        if len(calls) == 6:
            raise error
        return counted(*args)

    with monkeypatch.context() as patch:
        patch.setattr(adversarial, 'score_attack', score)
        # As if raised in mmips.
        patch.setattr('mmips.runs.cli._is_ours', lambda frame: True)
        with pytest.raises(SystemExit) as caught:
            evaluate()
    assert caught.value.code == code
    told = capsys.readouterr().err.strip().splitlines()
    assert not any('Traceback' in line for line in told)
    assert code == 2 or told[-1].startswith('Interrupted. What is finished is kept in out')
    # All of the first checkpoint, and one pass of the second.
    assert len(read_csv()) == 9 + 3 + 2
    calls.clear()
    evaluate()
    assert [name for name, _ in calls] == ['i-fgsm', 'i-fgsm', 'pgd', 'pgd']
    assert len(read_csv()) == 18


@pytest.mark.parametrize('options, words', [
    (['--eps', '0', '8'], 'within 0 to 1'),
    (['--eps', '-0.1'], 'got -0.1'),
    (['--eps', '0.1', '--steps', '0'], 'steps must be at least 1, got 0'),
    (['--attacks', 'fgsm', 'cw'], "Unknown attack 'cw': choose from fgsm, i-fgsm, pgd"),
    (['--step-size', '0'], 'positive number, got 0'),
    (['--step-size', '0.1', '--rel-step-size', '0.1'], 'not allowed with'),
    (['--space', 'rgb'], 'invalid choice'),
    (['--image-range', '1', '0'], 'a lower and a higher value'),
    (['--cfg-options', 'model.head.num_classes=7'], 'another number of classes'),
])
def test_refused_in_one_message(tool, evaluate, quick, checkpoints, capsys, options, words):
    evaluate('--attacks', 'fgsm')
    before = {path: path.read_bytes() for path in Path('out').rglob('*') if path.is_file()}
    small = [f'{key}={value}' for key, value in SMALL.items()]
    if '--cfg-options' not in options:
        options = [*options, '--cfg-options']
    with pytest.raises(SystemExit) as caught:
        tool.main([CONFIG, *checkpoints, '--out', 'out', '--device', 'cpu', *options, *small])
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert words in told and 'Traceback' not in told
    assert before == {path: path.read_bytes() for path in Path('out').rglob('*')
                      if path.is_file()}


def test_labels_beyond_the_classes(evaluate, npz, capsys):
    import numpy as np
    arrays = dict(np.load(npz))
    np.savez(npz, **{**arrays, 'labels_test': arrays['labels_test'] + 1})
    with pytest.raises(SystemExit) as caught:
        evaluate()
    assert caught.value.code == 2
    assert 'but the model 4 classes' in capsys.readouterr().err


def test_many_lines_and_values_can_be_drawn(tmp_path):
    curves = {attack: {f'a long name of a checkpoint {n}': [(eps / 255, 9. * n - eps)
                                                          for eps in range(9)]
                       for n in range(1, 11)} for attack in ('FGSM', 'PGD')}
    path = draw_attacks(curves, str(tmp_path / 'a.png'))
    few = draw_attacks({'FGSM': {'a': [(0.1, 50.)]}}, str(tmp_path / 'b.png'))
    assert imread(path).shape[0] > imread(few).shape[0]
    with pytest.raises(ValueError, match='no accuracy'):
        draw_attacks({'FGSM': {'a': []}}, str(tmp_path / 'c.png'))
