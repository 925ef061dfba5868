import argparse
import os
import signal

import pytest

from mmips.compat import EnvironmentProblem
from mmips.errors import MissingFileError, UserError
from mmips.runs import cli, launch


def fail(error):
    """A tool that ends in ``error``."""

    def main():
        raise error

    return cli.readable_failures(main)


@pytest.fixture(autouse=True)
def one_process(monkeypatch):
    monkeypatch.delenv(cli.TRACEBACK, raising=False)
    for names in launch._VARIABLES.values():
        for name in names:
            monkeypatch.setenv(name, '')  # Whatever a test sets is undone after it.
            monkeypatch.delenv(name)


@pytest.mark.parametrize('kind', [UserError, MissingFileError, EnvironmentProblem])
def test_what_its_user_can_mend_is_one_message(kind, capsys):
    with pytest.raises(SystemExit) as caught:
        fail(kind('x is 3; write 4'))()
    said = capsys.readouterr().err
    assert caught.value.code == 2
    assert said.startswith('\nx is 3; write 4\n') and 'MMIPS_TRACEBACK=1' in said
    assert 'Traceback' not in said


@pytest.mark.parametrize('error, asked', [
    (ValueError('x'), '0'), (RuntimeError('CUDA error'), '0'), (UserError('bad value'), '1')])
def test_other_errors_keep_their_traceback_and_all_on_request(monkeypatch, error, asked):
    monkeypatch.setenv(cli.TRACEBACK, asked)
    with pytest.raises(type(error)):
        fail(error)()


@pytest.mark.parametrize('said, rank, expected', [
    ('Stopped. Go on by x.', '0', '\nStopped. Go on by x.\n'), ('', '0', '\nStopped.\n'),
    ('', '1', '')])
def test_ctrl_c_ends_in_one_line_of_the_first_process(monkeypatch, capsys, said, rank, expected):
    monkeypatch.setenv('RANK', rank)
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(SystemExit) as caught:
            fail(KeyboardInterrupt(said))()
        # A launcher sends it to each process once more.
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert caught.value.code == 130 and capsys.readouterr().err == expected


@pytest.mark.parametrize('launcher, local', [('none', '0'), ('pytorch', '0'), ('slurm', None)])
def test_slurm_keeps_its_own_local_rank(monkeypatch, launcher, local):
    monkeypatch.setenv('LOCAL_RANK', '')  # Put back after the test.
    del os.environ['LOCAL_RANK']
    parser = argparse.ArgumentParser()
    cli.add_run_options(parser)
    cli.parse_run_args(parser, ['x.py', '--launcher', launcher])
    assert os.environ.get('LOCAL_RANK') == local


def test_other_processes_wait_for_the_first(monkeypatch, capsys):
    slept = []
    monkeypatch.setattr('time.sleep', slept.append)
    monkeypatch.setenv('LOCAL_RANK', '1')
    monkeypatch.setenv('RANK', '5')
    with pytest.raises(SystemExit):
        fail(UserError('no data'))()
    assert slept and '[process 5] no data' in capsys.readouterr().err


def test_a_process_whose_peer_has_ended_says_no_more(monkeypatch, capsys):

    @cli.readable_failures
    def main():
        raise RuntimeError('Read error [127.0.0.1]:1: Connection reset by peer')

    monkeypatch.setenv('RANK', '1')
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    assert capsys.readouterr().err == '[process 1] ended, since another one has.\n'
    monkeypatch.setenv('RANK', '0')
    with pytest.raises(RuntimeError):
        main()
