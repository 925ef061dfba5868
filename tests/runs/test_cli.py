import os
import urllib.error

import pytest
from mmengine.config import Config

import mmips
from mmips.config import loading
from mmips.runs import cli, launch


def fail(error):
    """A tool that ends in ``error``."""

    def main():
        raise error

    return cli.readable_failures(main)


@pytest.fixture(autouse=True)
def one_process(monkeypatch):
    monkeypatch.delenv(cli.TRACEBACK, raising=False)
    for name in (*launch._RANK_VARIABLES, *launch._LOCAL_RANK_VARIABLES):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize('error, words', [
    (ValueError('bad value'), 'ValueError: bad value'),
    (KeyError('X is not in'), 'KeyError: X is not'),
    (TypeError('unexpected argument'), 'TypeError: unexpected'),
    (AssertionError('split must be'), 'AssertionError: split must be'),
    (FileNotFoundError('no such file'), 'FileNotFoundError: no such')])
def test_what_explains_itself_is_one_message(error, words, capsys):
    with pytest.raises(SystemExit) as caught:
        fail(error)()
    said = capsys.readouterr().err
    assert caught.value.code == launch.USER_ERROR == 2
    assert words in said and 'test_cli.py' in said and 'MMIPS_TRACEBACK=1' in said
    assert 'Traceback' not in said


@pytest.mark.parametrize(
    'error', [RuntimeError('CUDA error'), AssertionError(), ZeroDivisionError()])
def test_what_does_not_keeps_its_traceback(error):
    with pytest.raises(type(error)):
        fail(error)()


def test_traceback_on_request(monkeypatch):
    monkeypatch.setenv(cli.TRACEBACK, '1')
    with pytest.raises(ValueError, match='bad value'):
        fail(ValueError('bad value'))()


def test_our_own_messages_have_no_place(capsys):
    main = cli.readable_failures(lambda: loading.load_config('absent.py'))
    with pytest.raises(SystemExit):
        main()
    said = capsys.readouterr().err
    assert "no config file 'absent.py'" in said and 'cli.py' not in said


def test_after_the_first_step_errors_are_left_alone():

    class Runner:

        def register_hook(self, hook):
            self.hook = hook

    @cli.readable_failures
    def main():
        runner = Runner()
        cli.watch_first_step(runner)
        runner.hook.after_train_iter(runner, 0)
        raise ValueError('in the middle')

    with pytest.raises(ValueError, match='in the middle'):
        main()


@pytest.mark.parametrize('error', [
    urllib.error.URLError('no network'), AssertionError('Download failed or shared storage')])
def test_failed_download_says_what_to_get(error, capsys, monkeypatch):
    cfg = Config(dict(train_dataloader=dict(dataset=dict(type='CIFAR100', data_root='nowhere'))))
    monkeypatch.setattr('mmengine.runner.Runner.from_cfg', lambda cfg: fail_raw(error))

    def fail_raw(error):
        raise error

    main = cli.readable_failures(lambda: cli.build_runner(cfg, ('train_dataloader', )))
    with pytest.raises(SystemExit):
        main()
    said = capsys.readouterr().err
    assert 'cifar-100-python.tar.gz' in said and 'nowhere/cifar-100-python' in said
    assert 'the download failed' in said


def test_other_processes_wait_for_the_first(monkeypatch, capsys):
    slept = []
    monkeypatch.setattr('time.sleep', slept.append)
    monkeypatch.setenv('LOCAL_RANK', '1')
    monkeypatch.setenv('RANK', '5')
    with pytest.raises(SystemExit):
        fail(RuntimeError('Connection closed by peer [127.0.0.1]'))()
    assert slept and '[process 5] Process 5 lost another one' in capsys.readouterr().err


def test_last_line_of_a_worker_is_its_message():
    error = ValueError('Caught ValueError in DataLoader worker process 0.\nOriginal Traceback '
                       '(most recent call last):\n  File "x.py"\nValueError: bad image')
    assert cli._text(error) == 'ValueError: bad image'


def test_configs_by_path_and_by_name(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text('a = dict(b=1)\n')
    assert loading.find_config(str(path)) == str(path)
    assert loading.find_config('ips/resnet50_ips_in1k.py') == mmips.cfg('ips/resnet50_ips_in1k.py')
    assert loading.load_config(str(path), {'a.b': 2}).a.b == 2


def test_a_mistyped_config_names_similar_ones():
    with pytest.raises(FileNotFoundError, match=r"(?s)no config file 'configs/ips/resnet50_ipz_in1"
                       r"k.py'.*looked from .*resnet50_ips_in1k.py"):
        loading.find_config('configs/ips/resnet50_ipz_in1k.py')


@pytest.mark.parametrize('text, options, words', [
    ('a = (', None, 'SyntaxError'), ("_base_ = './absent.py'", None, 'absent.py'),
    ('a = [1]', {'a.7': 1}, 'Index 7')])
def test_a_config_that_cannot_be_read(tmp_path, text, options, words):
    path = tmp_path / 'mine.py'
    path.write_text(text)
    with pytest.raises(ValueError, match=f'(?s)mine.py.*: .*{words}'):
        loading.load_config(str(path), options)


def test_augments_as_a_dict_over_a_list(tmp_path):
    (tmp_path / 'base.py').write_text(
        "model = dict(train_cfg=dict(augments=[dict(type='Mixup'), dict(type='CutMix')]))")
    path = tmp_path / 'mine.py'
    path.write_text("_base_ = './base.py'\nmodel = dict(train_cfg=dict("
                    "augments=dict(type='mmips.IntraClassPatchSwap')))")
    with pytest.raises(ValueError, match=r'(?s)cannot be used: .*`augments` as a list: write '
                       r"augments=\[dict\(type='mmips.IntraClassPatchSwap'"):
        loading.load_config(str(path))


def test_work_dir_priority():
    for option, own, expected in [('x', 'y', 'x'), (None, 'y', 'y'),
                                  (None, None, os.path.join('./work_dirs', 'name'))]:
        cfg = Config(dict(work_dir=own))
        loading.set_work_dir(cfg, 'a/name.py', option)
        assert cfg.work_dir == expected


def test_loader_defaults_are_those_of_the_toolbox():
    cfg = Config(dict(default_scope='mmpretrain', a=dict(num_workers=2), b=dict(num_workers=0),
                      c=dict(num_workers=2, persistent_workers=False), d=None))
    loading.set_dataloader_defaults(cfg, ('a', 'b', 'c', 'd'))
    assert [cfg[name].persistent_workers for name in 'abc'] == [True, False, False]
    assert cfg.a.collate_fn.type == 'default_collate'
    loading.set_dataloader_defaults(cfg, ('a', ), pin_memory=False, persistent_workers=False)
    assert cfg.a.pin_memory is False and cfg.a.persistent_workers is False
    other = Config(dict(default_scope='mmseg', a=dict(num_workers=2)))
    loading.set_dataloader_defaults(other, ('a', ))
    assert other.a == dict(num_workers=2)
