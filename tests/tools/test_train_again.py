"""A folder that is trained into twice: resumed, refused, overwritten, copied, damaged, full."""
import errno
import os
import shutil
from pathlib import Path

import pytest
import torch

CONFIG = 'ips/resnet-s_ips_npz.py'
TINY = ['model.backbone.base_channels=4', 'model.backbone.stem_channels=4',
        'model.head.in_channels=16', 'train_dataloader.batch_size=16', 'train_cfg.val_interval=1']


@pytest.fixture
def run(train, npz, capsys):
    """Function: train for some epochs; returns the status and what the user reads."""

    def run(epochs, *argv, work_dir='w', options=()):
        status = 0
        try:
            train([CONFIG, '--work-dir', work_dir, *argv, '--cfg-options', *TINY,
                   f'train_cfg.max_epochs={epochs}', 'default_hooks.checkpoint.interval=1',
                   *options])
        except SystemExit as end:
            status = end.code
        said = capsys.readouterr()
        assert 'Traceback' not in said.err
        return status, said.err if status else said.out

    return run


def state_of(path):
    return torch.load(path, weights_only=False)['state_dict']


def same(first, second):
    first, second = state_of(first), state_of(second)
    return all(torch.equal(value, second[key]) for key, value in first.items())


def test_finished_work_is_overwritten_on_demand_alone(run):
    assert run(1)[0] == 0
    before = os.stat('w/epoch_1.pth').st_mtime_ns
    status, said = run(2, options=['randomness.seed=1'])
    assert status == 2 and 'w holds the checkpoints of a run, epoch_1.pth the newest' in said
    assert os.stat('w/epoch_1.pth').st_mtime_ns == before and not os.path.exists('w/epoch_2.pth')
    assert run(1, '--overwrite', options=['randomness.seed=1'])[0] == 0
    assert os.stat('w/epoch_1.pth').st_mtime_ns > before


def test_a_copied_and_damaged_folder_ends_in_the_same_bits(run):
    options = ['default_hooks.checkpoint.save_best=accuracy/top1',
               'default_hooks.checkpoint.max_keep_ckpts=2']
    assert run(3, work_dir='whole', options=options)[0] == 0
    assert run(2, options=options)[0] == 0
    shutil.copytree('w', 'copy')
    kept = {path: path.read_bytes() for path in Path('w').glob('*.pth')}
    newest = Path('copy/epoch_2.pth')
    newest.write_bytes(newest.read_bytes()[:-1000])
    status, said = run(3, '--resume', work_dir='copy', options=options)
    assert status == 0 and 'copy/epoch_2.pth is cut off' in said
    assert 'Resumed from copy/epoch_1.pth, the newest whole checkpoint' in said
    assert same('whole/epoch_3.pth', 'copy/epoch_3.pth')
    assert {path: path.read_bytes() for path in Path('w').glob('*.pth')} == kept


def test_nothing_to_resume_from(run):
    status, said = run(1, '--resume')
    assert status == 0 and 'w has no checkpoint to resume from: the run starts anew' in said
    Path('w/epoch_1.pth').write_bytes(b'')
    status, said = run(2, '--resume')
    assert status == 2 and 'epoch_1.pth is empty' in said and '--overwrite' in said
    status, said = run(2, '--resume', 'w/epoch_1.pth')
    assert status == 2 and 'epoch_1.pth is empty' in said


def test_a_full_disk_leaves_whole_checkpoints(run, monkeypatch):
    assert run(3, work_dir='whole')[0] == 0
    replace = os.replace

    def fill(source, target):
        if 'epoch_2' in str(target):
            raise OSError(errno.ENOSPC, 'No space left on device')
        replace(source, target)

    with monkeypatch.context() as context:
        context.setattr(os, 'replace', fill)
        status, said = run(3)
    assert status == 2 and 'epoch_2.pth: No space left on device. Make room' in said
    assert sorted(path.name for path in Path('w').glob('epoch*')) == ['epoch_1.pth']
    assert run(3, '--resume')[0] == 0 and same('whole/epoch_3.pth', 'w/epoch_3.pth')


def test_folders_and_batches_that_train_nothing(run, tmp_path):
    Path('file').touch()
    status, said = run(1, work_dir='file')
    assert status == 2 and 'The work directory file cannot be written to' in said
    status, said = run(1, options=['train_dataloader.batch_size=64',
                                   'train_dataloader.drop_last=True'])
    assert status == 2 and 'train_dataloader.batch_size=64: drop_last leaves out' in said
    status, said = run(1, options=['val_dataloader.drop_last=True'])
    assert status == 2 and 'val_dataloader.batch_size=256: drop_last leaves out' in said
    status, said = run(1, options=['optim_wrapper.clip_grad.type=valu',
                                   'optim_wrapper.clip_grad.max_norm=1'])
    assert status == 2 and 'ValueError: type of clip_grad should be "norm" or' in said


@pytest.mark.parametrize('name', ['RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK'])
def test_a_rank_without_a_launcher_opens_no_folder_of_another_run(run, monkeypatch, name):
    Path('w').mkdir()
    Path('w/epoch_1.pth').touch()
    monkeypatch.setenv(name, '1')
    status, said = run(1)
    assert status == 2 and 'w holds the checkpoints of a run' in said


def test_weights_of_another_network_are_neither_tested_nor_trained_on(run, evaluate, capsys, npz):
    assert run(1)[0] == 0
    wide = [part.replace('channels=4', 'channels=8').replace('=16', '=32') for part in TINY[:3]]
    with pytest.raises(SystemExit):
        evaluate([CONFIG, 'w/epoch_1.pth', '--work-dir', 't', '--cfg-options', *wide])
    said = capsys.readouterr().err
    assert 'w/epoch_1.pth is not a checkpoint of this config' in said
    assert 'Give the config that it was trained by' in said
    status, said = run(1, work_dir='v', options=['load_from=w/epoch_1.pth', *wide])
    assert status == 2 and 'w/epoch_1.pth is not a checkpoint of this config' in said
    assert 'Traceback' not in said and not list(Path('v').glob('*.pth'))
    content = torch.load('w/epoch_1.pth', weights_only=False)
    content['state_dict']['head.fc.bias'][0] = float('nan')
    torch.save(content, 'nan.pth')
    with pytest.raises(SystemExit):
        evaluate([CONFIG, 'nan.pth', '--work-dir', 't', '--cfg-options', *TINY[:3]])
    assert 'nan.pth holds NaN or infinity in 1 of its tensors' in capsys.readouterr().err


def test_what_training_begins_from_is_kept_where_there_is_nothing_to_resume(run):
    """A job that a kill met before its first checkpoint, started by the same command."""
    assert run(1)[0] == 0
    begin = dict(work_dir='v', options=['load_from=w/epoch_1.pth'])
    status, said = run(1, '--resume', **begin)
    assert status == 0 and 'Load checkpoint from w/epoch_1.pth' in said
    status, said = run(2, '--resume', **begin)
    assert status == 0 and 'Resumed from v/epoch_1.pth' in said
    status, said = run(2, '--resume', **begin)
    assert status == 0 and 'v/epoch_2.pth has done all 2 epochs: there is nothing left' in said


def test_resuming_from_elsewhere_overwrites_nothing_unasked(run):
    assert run(2)[0] == 0 and run(1, work_dir='v')[0] == 0
    before = os.stat('v/epoch_1.pth').st_mtime_ns
    status, said = run(3, '--resume', 'w/epoch_2.pth', work_dir='v')
    assert status == 2 and 'v holds the checkpoints of a run' in said
    assert os.stat('v/epoch_1.pth').st_mtime_ns == before and not os.path.exists('v/epoch_3.pth')
    assert run(3, '--resume', 'w/epoch_2.pth')[0] == 0
    status, said = run(2, '--resume', '--overwrite')
    assert status == 2 and '--overwrite removes what --resume goes on from' in said
    status, said = run(2, '--resume', '')
    assert status == 2 and "The checkpoint '', named by load_from" in said


def test_a_checkpoint_that_cannot_be_resumed_from_is_named(run):
    assert run(1)[0] == 0
    content = torch.load('w/epoch_1.pth', weights_only=False)
    for key, value in (('message_hub', None), ('optimizer', None), ('meta', {
            **content['meta'], 'mmips': 3})):
        torch.save({**content, key: value}, 'w/epoch_1.pth')
        status, said = run(2, '--resume')
        assert status == 2 and 'w/epoch_1.pth cannot be resumed from. Take another' in said
