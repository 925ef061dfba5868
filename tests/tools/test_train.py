import os
import re
import shutil
import signal
from pathlib import Path

import pytest
import torch
from helpers.configs import load
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmpretrain.models import ResNet

import mmips

CONFIG = 'configs/ips/resnet50_ips_in1k.py'


def test_in1k_trains_evaluates_saves_resumes_and_tests(train, evaluate, small_in1k, scalars,
                                                       elsewhere):
    options = ['--work-dir', 'w', '--cfg-options', *small_in1k]
    train([CONFIG, *options, 'train_cfg.max_epochs=1'])
    first = torch.load('w/epoch_1.pth', weights_only=False)
    train([CONFIG, '--resume', *options, 'train_cfg.max_epochs=2'])
    second = torch.load('w/epoch_2.pth', weights_only=False)
    assert (first['meta']['epoch'], second['meta']['epoch']) == (1, 2)
    # 24 images, each once a query: 48 images, 8 a step.
    assert (first['meta']['iter'], second['meta']['iter']) == (6, 12)
    assert second['optimizer']['state'] and not torch.equal(first['state_dict']['head.fc.weight'],
                                       second['state_dict']['head.fc.weight'])
    # It is a checkpoint of mmpretrain: its backbone fills a plain ResNet, nothing is left over.
    state = {key.removeprefix('backbone.'): value for key, value in second['state_dict'].items()}
    left = ResNet(depth=50).load_state_dict(state, strict=False)
    assert left == ([], ['head.fc.weight', 'head.fc.bias'])
    logged = scalars('w')
    assert [line['iter'] for line in logged if line.get('loss_ce') and 'loss_kd' in line
            ] == list(range(1, 13))
    validated = [line['accuracy/top1'] for line in logged if 'accuracy/top1' in line]
    assert len(validated) == 2

    metrics = evaluate([CONFIG, 'w/epoch_2.pth', '--out', 'm.json', '--out-item', 'metrics',
                        *options])
    assert metrics['accuracy/top1'] == pytest.approx(validated[-1], abs=1e-4)
    assert Config.fromfile('m.json')['accuracy/top1'] == metrics['accuracy/top1']


def test_options_reach_the_config(train_tool, elsewhere):
    cfg = train_tool.read_config(train_tool.parse_args([
        mmips.cfg('ips/resnet50_ips_in1k.py'), '--resume', 'some.pth', '--no-validate',
        '--auto-scale-lr', '--no-pin-memory', '--no-persistent-workers', '--local_rank', '1',
        '--cfg-options', 'randomness.seed=3']))
    assert cfg.resume and cfg.load_from == 'some.pth'
    assert cfg.val_cfg is None and cfg.val_dataloader is None and cfg.val_evaluator is None
    assert cfg.auto_scale_lr.enable and cfg.auto_scale_lr.base_batch_size == 512
    assert cfg.train_dataloader.pin_memory is False
    assert cfg.train_dataloader.persistent_workers is False
    assert cfg.work_dir == './work_dirs/resnet50_ips_in1k'
    assert cfg.randomness.seed == 3


def test_images_on_the_device_by_an_option(train_tool, npz, elsewhere):
    cfg = train_tool.read_config(train_tool.parse_args(
        ['ips/resnet-s_ips_npz.py', '--on-device']))
    wanted = load('ips/resnet-s_ips_npz-device.py')
    assert all(cfg[key].to_dict() == wanted[key].to_dict()
               for key in ('model', 'data_preprocessor', 'default_hooks', 'env_cfg'))
    assert cfg.train_dataloader.dataset == wanted.train_dataloader.dataset


HALF = ('train_dataloader.sampler._delete_=True', 'train_dataloader.sampler.type=DefaultSampler',
        'train_dataloader.batch_size=7')


def ends_in(train, capsys, *argv):
    """Run the tool, expect status 2 and return its message."""
    with pytest.raises(SystemExit) as caught:
        train([str(part) for part in argv])
    said = capsys.readouterr().err
    assert caught.value.code == 2 and 'Traceback' not in said
    return said


@pytest.mark.parametrize('argv, options, words', [
    ([], [], ['image-net.org', 'data/imagenet/train   (in ']),
    (['--resume', 'no.pth'], ['small'], ["'no.pth', named by load_from"]),
    ([], ['small', *HALF], ["sampler=dict(type='mmips.PairedClassSampler')", 'batch_size = 7']),
    ([], ['model.alhpa=1'], ['did you mean alpha?']),
    ([], ['small', 'model.alpha=nan', '+optim_wrapper.optimizer.momentun=1'],
     ['alpha = nan', 'an argument of SGD (did you mean momentum?)'])])
def test_a_run_that_cannot_start_says_why_and_leaves_nothing(train, capsys, elsewhere, small_in1k,
                                                             argv, options, words):
    given = [option for name in options for option in (small_in1k if name == 'small' else [name])]
    said = ends_in(train, capsys, CONFIG, *argv, *(['--cfg-options', *given] if given else []))
    assert all(word in said for word in words)
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize('workers', [0, 2])
def test_a_broken_image_is_named(train, capsys, elsewhere, imagenet, small_in1k, workers):
    """In the sentence alone, from a worker process too; and before training for annotations."""
    shutil.copytree(imagenet, 'data/imagenet')
    Path('data/imagenet/train/n01440761/3.JPEG').write_bytes(b'no image')
    said = ends_in(train, capsys, CONFIG, '--work-dir', 'w', '--cfg-options', *small_in1k,
                   'train_dataloader.dataset.data_root=data/imagenet',
                   f'train_dataloader.num_workers={workers}')
    assert re.search(r'\ndata/imagenet/train/n01440761/3.JPEG cannot be read \(.*check_data.py '
                     r'CONFIG --decode looks through all files\)\.\n\n', said)


def test_the_first_step_explains_itself(train, capsys, digits_config):
    """Pairs of different labels, from a sampler that the config check cannot judge."""
    from mmengine.registry import DATA_SAMPLERS
    from torch.utils.data import SequentialSampler

    class Shifted(SequentialSampler):

        def __init__(self, dataset, seed=None):
            super().__init__(dataset)

    DATA_SAMPLERS.register_module(module=Shifted, force=True)
    sampler = 'train_dataloader.sampler'
    said = ends_in(train, capsys, digits_config, '--cfg-options', f'{sampler}._delete_=True',
                   f'{sampler}.type=Shifted')
    assert 'pairs in the first batch have different labels' in said
    assert 'mmips.PairedClassSampler' in said


class CtrlC(Hook):
    """Presses Ctrl-C at some point of a run."""

    def __init__(self, when):
        setattr(self, when, lambda *args, **kwargs: os.kill(os.getpid(), signal.SIGINT))


@pytest.mark.parametrize('when, words', [
    ('before_run', 'Stopped before a checkpoint was saved: the same command starts anew.'),
    ('after_train_iter', 'Stopped before a checkpoint was saved: the same command starts anew.'),
    ('after_val_iter', 'Stopped. The same command with --resume goes on from w/epoch_1.pth.')])
def test_ctrl_c_says_how_to_go_on(train, capsys, digits_config, when, words):
    HOOKS.register_module(module=CtrlC, force=True)
    # Whoever runs tests in the background may have had it ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(SystemExit) as caught:
            train([str(digits_config), '--work-dir', 'w', '--cfg-options',
                   'default_hooks.stop.type=CtrlC', f'default_hooks.stop.when={when}'])
    finally:
        signal.signal(signal.SIGINT, before)
    assert caught.value.code == 130
    said = capsys.readouterr().err
    assert said.endswith(f'\n{words}\n') and 'Traceback' not in said


def test_doubts_are_kept_in_the_log(train, evaluate, digits_config, elsewhere):
    (elsewhere / 'misspelt.py').write_text(
        f'_base_ = [{str(digits_config)!r}]\nload_form = None\n')
    train(['misspelt.py', '--work-dir', 'w', '--no-validate', '--cfg-options',
           'model.train_cfg=None'])
    # mmengine keeps a logger by this name, which has the second in it.
    evaluate(['misspelt.py', 'w/epoch_1.pth', '--work-dir', 't', '--cfg-options',
              'experiment_name=another'])
    trained, tested = (next(elsewhere.glob(f'{folder}/*/*.log')).read_text() for folder in 'wt')
    assert 'distilled, but not swapped' in trained
    assert all('load_form: nothing reads this name' in log for log in (trained, tested))


def test_amp_on_a_cpu_is_bfloat16(train, digits_config, elsewhere, monkeypatch, capsys):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    monkeypatch.setattr('torch.cpu._is_avx512_bf16_supported', lambda: True)
    train([str(digits_config), '--work-dir', 'w', '--no-validate', '--amp'])
    log, = elsewhere.glob('w/*/*.log')
    assert 'BFloat16OptimWrapper: mixed precision in bfloat16 on this cpu.' in log.read_text()
    monkeypatch.setattr('torch.cpu._is_avx512_bf16_supported', lambda: False)
    assert 'this cpu has no bfloat16 arithmetic. Write' in ends_in(
        train, capsys, digits_config, '--work-dir', 'v', '--amp')
