"""One run of each tool that works on images; what they do is tested by import."""
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import tiny_classifier

from mmips.evaluation import corruptions

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
CORRUPTIONS, CAM = 'analysis_tools/eval_corruptions.py', 'visualization/compare_cam.py'
PAIRS = 'visualization/browse_pairs.py'
BOTH = ['0.pth', '1.pth', '--names', 'a', 'b', '--out', 'out', '--device', 'cpu']


def load(name):
    spec = importlib.util.spec_from_file_location(Path(name).stem, TOOLS / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder, images = tmp_path_factory.mktemp('trained'), tiny_classifier.blocks(8)
    tiny_classifier.save_arrays(folder, images, np.arange(8) % 4)
    tiny_classifier.make(folder, images)
    return folder


@pytest.fixture
def folder(trained, monkeypatch):
    monkeypatch.chdir(trained)
    return trained


@pytest.mark.parametrize('name, argv, files', [
    (CORRUPTIONS, ['config.py', *BOTH, '--corruptions', 'fog', '--severities', '1'],
     ['out/corruptions.png', 'out/corruption_examples.png', 'out/corruptions.json']),
    (CAM, ['config.py', *BOTH, '--num', '2', '--pick', 'spread'], ['out/cam.png', 'out/cam.csv']),
    (PAIRS, ['config.py', '--checkpoint', '0.pth', '--device', 'cpu', '--num-pairs', '3'],
     ['work_dirs/config/pairs.png', 'work_dirs/config/pairs.csv']),
    (PAIRS, ['config.py', '--num-pairs', '1', '--output-dir', 'x', '--prob', '1'],
     ['x/pairs.png'])])
def test_a_tool_writes_its_files(folder, name, argv, files):
    load(name)(argv)
    assert all((folder / file).stat().st_size > 200 for file in files)


@pytest.mark.parametrize('name, argv, words', [
    (CORRUPTIONS, ['config.py', *BOTH, '--severities', '6'], 'got 6'),
    (CAM, ['config.py', *BOTH, '--target', 'clas 2'], 'Did you mean class 2'),
    (CAM, ['config.py', *BOTH, '--images', '3', '--pick', 'disagree'], 'not allowed with'),
    (PAIRS, ['config.py', '--names', 'a'], 'a name for each of the 0 checkpoints')])
def test_errors_are_explained_in_a_message(folder, capsys, name, argv, words):
    with pytest.raises(SystemExit) as error:
        load(name)(argv)
    text = capsys.readouterr().err
    assert error.value.code == 2 and words in text and 'Traceback' not in text


def test_an_interruption_says_how_to_go_on(folder, monkeypatch, capsys):
    def stop(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(corruptions, 'eval_corruptions', stop)
    with pytest.raises(SystemExit) as error:
        load(CORRUPTIONS)(['config.py', *BOTH])
    assert error.value.code == 130
    assert 'Interrupted. What is finished is kept' in capsys.readouterr().err


def test_help_does_not_wait_for_torch():
    code = ('import runpy, sys\n'
            'for path in sys.argv[1:]:\n'
            "    sys.argv = [path, '--help']\n"
            "    try:\n        runpy.run_path(path, run_name='__main__')\n"
            '    except SystemExit as end:\n        assert not end.code\n'
            "assert 'torch' not in sys.modules")
    paths = [str(TOOLS / name) for name in (CORRUPTIONS, CAM, PAIRS)]
    result = subprocess.run([sys.executable, '-c', code, *paths], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count('usage:') == 3
