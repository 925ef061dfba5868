import os

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmpretrain.models import ResNet

import mmips

CONFIG = 'configs/ips/resnet50_ips_in1k.py'


def load(path):
    return torch.load(path, map_location='cpu', weights_only=False)


def test_in1k_trains_evaluates_saves_resumes_and_tests(train, evaluate, small_in1k, scalars,
                                                       elsewhere):
    options = ['--work-dir', 'w', '--cfg-options', *small_in1k]
    train([CONFIG, *options, 'train_cfg.max_epochs=1'])
    first = load('w/epoch_1.pth')
    train([CONFIG, '--resume', *options, 'train_cfg.max_epochs=2'])
    second = load('w/epoch_2.pth')
    assert (first['meta']['epoch'], second['meta']['epoch']) == (1, 2)
    # 24 images, each once a query: 48 images, 8 a step.
    assert (first['meta']['iter'], second['meta']['iter']) == (6, 12)
    moments = second['optimizer']['state']
    assert moments and not torch.equal(first['state_dict']['head.fc.weight'],
                                       second['state_dict']['head.fc.weight'])
    _check_plain(second['state_dict'])
    logged = scalars('w')
    assert [line['iter'] for line in logged if 'loss_kd' in line] == list(range(1, 13))
    assert all(line['loss_ce'] > 0 for line in logged if 'loss_kd' in line)
    validated = [line['accuracy/top1'] for line in logged if 'accuracy/top1' in line]
    assert len(validated) == 2

    metrics = evaluate([CONFIG, 'w/epoch_2.pth', '--out', 'm.json', '--out-item', 'metrics',
                        *options])
    assert metrics['accuracy/top1'] == pytest.approx(validated[-1], abs=1e-4)
    assert Config.fromfile('m.json')['accuracy/top1'] == metrics['accuracy/top1']


def _check_plain(state):
    """The checkpoint is mmpretrain's: its backbone fills a plain ResNet, nothing is left over."""
    prefix = 'backbone.'
    backbone = {key[len(prefix):]: value for key, value in state.items() if key.startswith(prefix)}
    ResNet(depth=50).load_state_dict(backbone, strict=True)
    assert {key for key in state if not key.startswith(prefix)} == {'head.fc.weight',
                                                                     'head.fc.bias'}


def test_options_reach_the_config(train_tool, elsewhere):
    args = train_tool.parse_args([
        CONFIG, '--resume', 'some.pth', '--no-validate', '--auto-scale-lr', '--no-pin-memory',
        '--no-persistent-workers', '--local_rank', '1', '--cfg-options', 'randomness.seed=3'])
    name = mmips.cfg('ips/resnet50_ips_in1k.py')
    cfg = train_tool.merge_args(
        train_tool.loading.load_config(name, args.cfg_options), args)
    assert cfg.resume and cfg.load_from == 'some.pth'
    assert cfg.val_cfg is None and cfg.val_dataloader is None and cfg.val_evaluator is None
    assert cfg.auto_scale_lr.enable and cfg.auto_scale_lr.base_batch_size == 512
    assert cfg.train_dataloader.pin_memory is False
    assert cfg.train_dataloader.persistent_workers is False
    assert cfg.work_dir == './work_dirs/resnet50_ips_in1k'
    assert cfg.randomness.seed == 3 and args.local_rank == 1


@pytest.mark.parametrize('spelling', ['--local-rank', '--local_rank'])
def test_both_spellings_of_local_rank(train_tool, monkeypatch, spelling):
    monkeypatch.delenv('LOCAL_RANK')
    args = train_tool.parse_args(['x.py', f'{spelling}=2', '--launcher', 'pytorch'])
    assert args.local_rank == 2
    assert os.environ['LOCAL_RANK'] == '2'


def test_amp(train_tool, monkeypatch):
    use_amp = train_tool.use_amp
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    with pytest.raises(ValueError, match='--amp: mixed precision needs a GPU'):
        use_amp(Config(dict(optim_wrapper=dict())))
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    cfg = Config(dict(optim_wrapper=dict(type='OptimWrapper')))
    use_amp(cfg)
    assert cfg.optim_wrapper == dict(type='AmpOptimWrapper', loss_scale='dynamic')
    with pytest.raises(ValueError, match="type='Own' is neither"):
        use_amp(Config(dict(optim_wrapper=dict(type='Own'))))
    with pytest.raises(ValueError, match='--amp: the config has no optim_wrapper'):
        use_amp(Config(dict()))


@pytest.mark.parametrize('wrapper', [
    dict(), dict(type='mmengine.OptimWrapper'), dict(type='mmengine.AmpOptimWrapper'),
    dict(type=OptimWrapper)])
def test_amp_knows_the_wrapper_by_any_name(train_tool, monkeypatch, wrapper):
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    cfg = Config(dict(optim_wrapper=wrapper))
    train_tool.use_amp(cfg)
    assert cfg.optim_wrapper == dict(type='AmpOptimWrapper', loss_scale='dynamic')


def ends_in(capsys, train, argv):
    """Run the tool, expect status 2 and return its message."""
    with pytest.raises(SystemExit) as caught:
        train([str(part) for part in argv])
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert 'Traceback' not in said
    return said


def test_missing_data_config_and_checkpoints(capsys, train, elsewhere, small_in1k):
    said = ends_in(capsys, train, [CONFIG])
    assert 'image-net.org' in said and f'data/imagenet/train   (in {elsewhere})' in said
    assert "no config file 'nothing.py'" in ends_in(capsys, train, ['nothing.py'])
    options = ['--cfg-options', *small_in1k]
    assert "'no.pth', named by load_from" in ends_in(
        capsys, train, [CONFIG, '--resume', 'no.pth', *options])
    assert 'named by model.backbone.init_cfg.checkpoint' in ends_in(
        capsys, train, [CONFIG, *options, 'model.backbone.init_cfg.type=Pretrained',
                        'model.backbone.init_cfg.checkpoint=no.pth'])
    assert not list(elsewhere.iterdir()), 'a run that cannot start leaves nothing behind'


def test_cifar_without_a_network(capsys, train, monkeypatch, elsewhere):

    def refuse(*args, **kwargs):
        raise OSError('no network')

    monkeypatch.setattr('urllib.request.urlopen', refuse)
    said = ends_in(capsys, train, ['configs/ips/resnet18_ips_cifar100.py', '--cfg-options',
                                   'train_dataloader.num_workers=0'])
    assert 'cifar-100-python.tar.gz' in said and 'the download failed: no network' in said


def test_own_folder_that_is_missing(capsys, train, monkeypatch, elsewhere):
    monkeypatch.setenv('MMIPS_DATA', 'no/such/folder')
    said = ends_in(capsys, train, ['configs/ips/resnet50_ips_custom.py'])
    assert 'no/such/folder' in said and 'MMIPS_DATA' in said


def test_a_half_configured_run_does_not_start(capsys, train, small_in1k, elsewhere):
    said = ends_in(capsys, train, [CONFIG, '--cfg-options', *small_in1k,
                                   'train_dataloader.sampler._delete_=True',
                                   'train_dataloader.sampler.type=DefaultSampler',
                                   'train_dataloader.batch_size=7'])
    assert "sampler=dict(type='mmips.PairedClassSampler')" in said and 'batch_size = 7' in said


def test_the_first_step_explains_itself(capsys, train, digits_config):
    """Pairs of different labels, from a sampler that the config check cannot judge."""
    from mmengine.registry import DATA_SAMPLERS
    from torch.utils.data import SequentialSampler

    class Shifted(SequentialSampler):

        def __init__(self, dataset, seed=None):
            super().__init__(dataset)

    DATA_SAMPLERS.register_module(module=Shifted, force=True)
    text = digits_config.read_text() + """
train_dataloader.update(sampler=dict(_delete_=True, type='Shifted'))
"""
    digits_config.write_text(text)
    said = ends_in(capsys, train, [digits_config])
    assert 'pairs in the first batch have different labels' in said
    assert 'mmips.PairedClassSampler' in said


def test_unknown_type_names_itself(capsys, train, digits_config):
    said = ends_in(capsys, train, [digits_config, '--cfg-options', 'model.backbone.type=ResNett'])
    assert 'KeyError: ResNett is not in the' in said


def test_auto_scale_lr_needs_a_base(capsys, train, digits_config):
    said = ends_in(capsys, train, [digits_config, '--auto-scale-lr', '--cfg-options',
                                   'auto_scale_lr=None'])
    assert 'no auto_scale_lr.base_batch_size' in said


def test_doubts_are_kept_in_the_log(train, digits_config, elsewhere):
    train([str(digits_config), '--work-dir', 'w', '--no-validate', '--cfg-options',
           'model.train_cfg=None'])
    log, = elsewhere.glob('w/*/*.log')
    assert 'distilled, but not swapped' in log.read_text()
