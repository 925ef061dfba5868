"""Training that is killed, or whose disk is full, at a given moment; to run in own processes."""
import contextlib
import os
import resource
import signal
from pathlib import Path

CONFIG = 'ips/resnet-s_ips_npz.py'
EPOCHS, STEPS = 4, 12
OPTIONS = ['train_dataloader.batch_size=16', 'train_cfg.val_interval=1',
           f'train_cfg.max_epochs={EPOCHS}', 'default_hooks.checkpoint.interval=1',
           'default_hooks.checkpoint.max_keep_ckpts=1', 'default_hooks.logger.interval=1']


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


class Writing:
    """A file that breaks in its middle: the process is killed, or it cannot grow."""

    def __init__(self, file, kind):
        self.file, self.kind = file, kind

    def write(self, content):
        half = len(content) // 2
        if self.kind == 'full':
            resource.setrlimit(resource.RLIMIT_FSIZE, (half, -1))
        self.file.write(content[:half] if self.kind == 'write' else content)
        self.file.flush()
        if self.kind == 'write':
            kill()


def train(npz, folder, bomb, *argv):
    """Train in a folder, what is said into ``said.txt`` beside it, until the bomb goes off.

    A bomb is a kind and a number: 'step' kills before a step of this start; 'write' in the middle
    of a checkpoint, 'named' between a checkpoint and its name, and by 'full' its file cannot grow
    any more, each at the write of that number.
    """
    os.environ.update(MMIPS_NPZ=str(npz), CUDA_VISIBLE_DEVICES='-1', LOCAL_RANK='0')
    from helpers.tools import load_tool
    from mmengine.hooks import Hook

    import mmips.runs.files as files
    from mmips.registry import HOOKS
    from mmips.runs import runner
    kind, number = bomb or ('', 0)

    class Bomb(Hook):

        def before_train_iter(self, runner, *args, **kwargs):
            if kind == 'step' and runner.iter - self.start == number:
                kill()

        def before_train(self, runner):
            self.start = runner.iter

    writes = iter(range(1000))

    @contextlib.contextmanager
    def replacing(path, mode='w', whole=files.replacing):
        is_due = str(path).endswith('.pth') and next(writes) == number
        with whole(path, mode) as file:
            yield Writing(file, kind) if is_due and kind in ('write', 'full') else file
        if is_due and kind == 'named':
            kill()

    files.replacing = replacing
    HOOKS.register_module(name='Bomb', module=Bomb)
    build = runner.build_runner
    runner.build_runner = lambda *args: (found := build(*args), found.register_hook(Bomb()))[0]
    with open(Path(folder).with_suffix('.txt'), 'a') as said, contextlib.redirect_stdout(said), \
            contextlib.redirect_stderr(said):
        load_tool('train.py').main([CONFIG, '--work-dir', str(folder), *argv, '--cfg-options',
                                    *OPTIONS])
