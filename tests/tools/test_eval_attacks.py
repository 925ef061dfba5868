"""eval_attacks: one run with real attacks, its command line, what is told when it stops."""
from pathlib import Path

import pytest
from helpers.tools import load_tool

CONFIG = 'config.py'


@pytest.fixture(scope='module')
def tool():
    return load_tool('analysis_tools/eval_attacks.py')


def test_attacks_lower_the_accuracy(tool, tiny, capsys):
    scores = tool.main([
        CONFIG, '0.pth', '1.pth', '--names', 'a', 'b|c', '--out', 'out', '--device', 'cpu',
        '--eps', '0.3', '0', '--steps', '2', '--split', 'train'])
    table = scores.pivot(index=['attack', 'checkpoint'], columns='eps', values='accuracy')
    assert len(table) == 6 and list(table) == [0, 0.3] and set(scores.images) == {24}
    assert (table[0.3] <= table[0]).all() and (table[0.3] < table[0])['pgd'].any()
    text = Path('out/attacks.md').read_text(encoding='utf-8')
    assert text in capsys.readouterr().out and '| eps | a | b\\|c |' in text


def test_the_papers_eps_are_the_default(tool):
    args = tool.parse_args([CONFIG, 'x.pth', '--out', 'out'])
    named = tool.parse_args([CONFIG, 'x.pth', '--out', 'out', '--eps', '0.05', '0.01', '0.005',
                             '0.003', '0.001', '0', '0.01'])
    # As text: an integer 0 would be another key of the stored results.
    assert str(args.eps) == str(named.eps) == '[0.0, 0.001, 0.003, 0.005, 0.01, 0.05]'


def test_an_interruption_is_told(tool, monkeypatch, capsys):
    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(tool, 'evaluate_attacks', stop)
    with pytest.raises(SystemExit) as caught:
        tool.main([CONFIG, 'x.pth', '--out', 'out'])
    assert caught.value.code == 130
    assert 'Interrupted. What is finished is kept in out' in capsys.readouterr().err


@pytest.mark.parametrize('options, words', [
    (['--eps', '0', '8'], 'within 0 to 1'),
    (['--attacks', 'fgsm', 'cw'], "invalid choice: 'cw'"),
    (['--step-size', '0.1', '--rel-step-size', '0.1'], 'not allowed with'),
])
def test_refused_in_one_message(tool, capsys, options, words):
    with pytest.raises(SystemExit) as caught:
        tool.main([CONFIG, 'x.pth', '--out', 'out', *options])
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert words in told and 'Traceback' not in told and not Path('out').exists()
