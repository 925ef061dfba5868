import urllib.error

import pytest
from mmengine.config import Config

import mmips
from mmips.errors import MissingFileError, UserError
from mmips.runs import runner


def refuse(*args, **kwargs):
    raise urllib.error.URLError('no network')


def test_failed_download_says_what_to_get(monkeypatch, tmp_path):
    monkeypatch.setattr('urllib.request.urlopen', refuse)
    monkeypatch.chdir(tmp_path)
    cfg = Config.fromfile(mmips.cfg('ips/resnet18_ips_cifar100.py'))
    cfg.work_dir = 'w'
    with pytest.raises(UserError, match=r'(?s)CIFAR-100 is missing.*cifar-100-python.tar.gz.*'
                       'the download failed: .*no network'):
        runner.build_runner(cfg, ('train_dataloader', ))


def test_missing_data_is_said_before_anything_is_built():
    cfg = Config(dict(val_dataloader=dict(dataset=dict(type='CUB', data_root='nowhere'))))
    with pytest.raises(MissingFileError, match='CUB-200-2011 is missing'):
        runner.prepare(cfg, ('val_dataloader', ))


@pytest.mark.parametrize('options, words', [
    ({'model.backbone.type': 'ResNett'},
     r'SelfDistillClassifier\(.*KeyError: .*ResNett is not in the'),
    ({'val_dataloader.dataset.split': 'nothing'},
     r"DigitsDataset\(split='nothing', .*ValueError: .*'nothing'"),
    ({'train_cfg.max_epoch': 3}, "TypeError: .*'max_epoch'")])
def test_refusals_of_model_data_and_loops_are_explained(tmp_path, options, words):
    """Of the parts that mmengine builds late too: loops, their loaders and data sets."""
    cfg = Config.fromfile(mmips.cfg('ips/resnet-s_ips_digits.py'))
    cfg.merge_from_dict(dict(options, work_dir=str(tmp_path)))
    with pytest.raises(UserError, match=f'(?s)^The run cannot be built: {words}'):
        runner.build_runner(cfg, ('train_dataloader', 'val_dataloader'))


def test_hooks_of_other_names_are_switched_off_too(tmp_path):
    cfg = Config.fromfile(mmips.cfg('ips/resnet-s_ips_digits.py'))
    cfg.merge_from_dict({'work_dir': str(tmp_path), 'default_hooks.invalid_loss': None,
                         'default_hooks.timer': None})
    kinds = {type(hook).__name__ for hook in runner.build_runner(cfg, ()).hooks}
    assert not kinds & {'CheckInvalidLoss', 'IterTimerHook'} and 'LoggerHook' in kinds


def test_flexible_runner_trains_resumes_and_is_explained(tmp_path):
    """It builds the model only when it trains."""

    def train(epochs, **options):
        cfg = Config.fromfile(mmips.cfg('ips/resnet-s_ips_digits.py'))
        cfg.merge_from_dict({
            'work_dir': str(tmp_path), 'runner_type': 'FlexibleRunner',
            'train_cfg.max_epochs': epochs, 'val_dataloader.dataset.indices': 20,
            'default_hooks.checkpoint.interval': 1,
            **options})
        runner.train(cfg, newest=True)

    with pytest.raises(UserError, match=r'^The run cannot be built: ResNet_CIFAR\(.*KeyError'):
        train(1, **{'model.backbone.depth': 19})
    train(1)
    train(2, resume=True)
    assert (tmp_path / 'epoch_2.pth').is_file()
