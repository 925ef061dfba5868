"""One run a folder, whole checkpoints, nothing finished overwritten."""
import os
import subprocess
import sys

import mmengine
import pytest
import torch
from mmengine.fileio import LocalBackend, register_backend
from mmengine.runner import save_checkpoint

from mmips.errors import UserError
from mmips.runs import work_dir

WHOLE = dict(state_dict=dict(a=torch.ones(1)), optimizer={}, message_hub={})


@pytest.fixture
def run(tmp_path):
    """Function: fill the folder; a name ending in '!' is cut off, one in '-' has no optimizer."""

    def fill(named, *names):
        for moment, name in enumerate(names):
            path = tmp_path / name.rstrip('!-')
            torch.save(WHOLE if name[-1] != '-' else dict(state_dict=WHOLE['state_dict']), path)
            if name[-1] == '!':
                path.write_bytes(path.read_bytes()[:-100])
            os.utime(path, (moment, moment))
        if named is not None:
            (tmp_path / 'last_checkpoint').write_text(named)
            os.utime(tmp_path / 'last_checkpoint', (len(names) - 1, len(names) - 1))
        return tmp_path

    return fill


@pytest.mark.parametrize('named, names, found, damaged', [
    (None, [], None, 0),
    # Not there to be resumed from, which is no reason to start anew without a word.
    ('/gone/epoch_2.pth', [], None, 1), ('s3://bucket/epoch_2.pth', [], None, 1),
    # CheckpointHook(filename_tmpl='net{}-v2.pth')
    ('x/net11-v2.pth', ['net10-v2.pth', 'net9-v2.pth', 'net11-v2.pth!', 'net-a.pth'],
     'net10-v2.pth', 1),
    # The folder was moved, or copied in any order.
    ('/gone/epoch_2.pth', ['epoch_2.pth', 'epoch_1.pth'], 'epoch_2.pth', 0),
    # A kill between a checkpoint and its name, and in the middle of it.
    ('', ['epoch_9.pth', 'epoch_10.pth'], 'epoch_10.pth', 0),
    (None, ['iter_9.pth', 'iter_10.pth'], 'iter_10.pth', 0),
    ('x/epoch_2.pth', ['epoch_1.pth', 'epoch_2.pth!'], 'epoch_1.pth', 1),
    ('x/epoch_2.pth', ['epoch_1.pth!', 'epoch_2.pth!'], None, 2),
    ('\udcff', ['epoch_1.pth'], 'epoch_1.pth', 0),
    # The best one holds no optimizer, and what is published is no checkpoint of a run.
    ('x/epoch_1.pth', ['epoch_1.pth', 'best_acc_epoch_2.pth-', 'net-12345678.pth'],
     'epoch_1.pth', 0),
    (None, ['epoch_3.pth-'], None, 1)])
def test_a_run_goes_on_from_the_newest_whole_checkpoint(run, named, names, found, damaged):
    folder = run(None if named == '\udcff' else named, *names)
    if named == '\udcff':
        (folder / 'last_checkpoint').write_bytes(b'\xff\xfe')
    path, problems = work_dir.newest_whole(folder)
    assert (path and path.name, len(problems)) == (found, damaged)
    assert all(text.startswith(str(folder)) for text in problems)


def test_a_checkpoint_saved_after_the_last_name_is_the_newest(run):
    folder = run('x/epoch_1.pth', 'epoch_1.pth')
    torch.save(WHOLE, folder / 'epoch_2.pth')
    assert work_dir.newest_whole(folder)[0].name == 'epoch_2.pth'


def test_finished_work_is_not_overwritten_unasked(run):
    folder = run('x/epoch_1.pth', 'epoch_1.pth', 'best_x_epoch_1.pth', 'net-12345678.pth')
    with pytest.raises(UserError, match='epoch_1.pth the newest. .*--resume.*--work-dir.*--overwr'):
        work_dir.refuse_finished(folder)
    assert len(list(folder.iterdir())) == 4
    work_dir.refuse_finished(folder, overwrite=True)
    assert [path.name for path in folder.iterdir()] == ['net-12345678.pth']
    work_dir.refuse_finished(folder)


def test_checkpoints_may_lie_in_another_folder(run, tmp_path):
    """CheckpointHook(out_dir=...)"""
    other, own = run(None, 'epoch_1.pth', 'epoch_2.pth'), tmp_path / 'own'
    own.mkdir()
    (own / 'last_checkpoint').write_text(str(other / 'epoch_2.pth'))
    assert work_dir.newest_whole(own) == (other / 'epoch_2.pth', [])
    with pytest.raises(UserError, match='epoch_2.pth the newest'):
        work_dir.refuse_finished(own)
    work_dir.refuse_finished(own, overwrite=True)
    assert not list(own.iterdir()) and (other / 'epoch_2.pth').exists()


HOLD = """
import sys, time
from mmips.runs import work_dir
with work_dir.claimed(sys.argv[1]):
    print('claimed', flush=True)
    time.sleep(60)
"""


def test_a_folder_belongs_to_one_process_while_that_lives(tmp_path):
    folder = tmp_path / 'new' / 'run'
    holder = subprocess.Popen([sys.executable, '-c', HOLD, folder], stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b'claimed\n'
        with pytest.raises(UserError, match=rf'{folder} belongs to another run that is at work '
                           rf'\(process {holder.pid} on .*--work-dir'), work_dir.claimed(folder):
            pass
    finally:
        holder.kill()
        holder.wait()
    for _ in range(2):
        with work_dir.claimed(folder):
            assert f'process {os.getpid()} on' in (folder / '.lock').read_text()


def test_a_folder_that_cannot_be_one_is_refused(tmp_path):
    (tmp_path / 'file').touch()
    for folder in (tmp_path / 'file', tmp_path / 'file' / 'x', f'{tmp_path}/{"x" * 300}'):
        with pytest.raises(UserError, match='cannot be written to: .*--work-dir'), \
                work_dir.claimed(folder):
            pass


@pytest.fixture
def whole_files():
    work_dir.write_whole_files()
    yield
    register_backend('local', LocalBackend, force=True, prefixes='')


def test_a_checkpoint_is_written_in_one_step(tmp_path, whole_files, monkeypatch):
    """And the one that it takes the place of goes afterwards."""
    old, new = str(tmp_path / 'epoch_1.pth'), str(tmp_path / 'deeper' / 'epoch_2.pth')
    save_checkpoint(WHOLE, old)
    backend = mmengine.fileio.get_file_backend(old)
    backend.remove(old)
    assert os.path.isfile(old)

    def fail(*args):
        raise OSError(28, 'No space left on device')

    with monkeypatch.context() as context:
        context.setattr(os, 'replace', fail)
        with pytest.raises(OSError, match='No space left') as error:
            save_checkpoint(WHOLE, new)
        assert error.value.filename == new
    assert os.path.isfile(old) and not os.listdir(tmp_path / 'deeper')
    save_checkpoint(WHOLE, new)
    assert not os.path.exists(old) and torch.load(new)['optimizer'] == {}
    mmengine.dump({'a': 1}, str(tmp_path / 'x.json'))
    assert (tmp_path / 'x.json').read_text() == '{"a":1}' or mmengine.load(
        str(tmp_path / 'x.json')) == {'a': 1}


def test_a_link_to_what_is_gone_is_told(run):
    folder = run('epoch_1.pth', 'epoch_1.pth')
    (folder / 'epoch_2.pth').symlink_to('gone.pth')
    path, (problem, ) = work_dir.newest_whole(folder)
    assert path.name == 'epoch_1.pth' and 'epoch_2.pth does not exist' in problem
