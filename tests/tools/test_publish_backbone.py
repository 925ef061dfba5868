import hashlib
import json
import re
import runpy
import sys
from pathlib import Path

import pytest
import torch
import torchvision
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader, load_checkpoint
from torch import nn

import mmips

TOOL = Path(__file__).resolve().parents[2] / 'tools/model_converters/publish_backbone.py'
FORMATS = ('mmpretrain', 'torchvision', 'timm', 'hf-safetensors')
SIZE = 64


@pytest.fixture(scope='session')
def publish():
    return runpy.run_path(str(TOOL))['main']


def build(name='ips/resnet50_hard_in1k.py', **backbone):
    """A classifier of 5 classes whose normalisation does something, and its config."""
    from mmpretrain.registry import MODELS
    init_default_scope('mmpretrain')
    cfg = Config.fromfile(mmips.cfg(name))
    cfg.model.backbone.update(backbone)
    cfg.model.head.update(num_classes=5, topk=(1, ),
                          in_channels=512 if backbone.get('depth') == 18 else 2048)
    model = MODELS.build(dict(cfg.model, data_preprocessor=cfg.data_preprocessor)).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -.2, .2)
            nn.init.uniform_(module.running_var, .5, 2.)
            nn.init.uniform_(module.weight, .5, 1.)
            nn.init.uniform_(module.bias, -.2, .2)
            module.num_batches_tracked.fill_(7)
    nn.init.normal_(model.head.fc.weight)
    return model, cfg


def save(model, cfg, path='epoch_3.pth', **more):
    """Save as a training run does, with things that a published file must not hold."""
    meta = dict(epoch=3, iter=300, seed=0, time='20260102_030405', cfg=cfg and cfg.pretty_text,
                experiment_name='my_run_20260102_030405',
                dataset_meta=dict(classes=('a', 'b', 'c', 'd', 'e')))
    torch.save(dict(dict(
        meta={key: value for key, value in meta.items() if value is not None},
        state_dict=model.state_dict(), optimizer=dict(state={0: torch.ones(1000)}),
        param_schedulers=[dict(last_step=3)],
        message_hub=dict(log_scalars={}, runtime_info=dict(last_ckpt='/home/me/epoch_2.pth'))),
        **more), path)
    return path


class Trained:
    """A saved classifier, an image, its stages, pooled features and logits."""

    def __init__(self, folder, **backbone):
        torch.manual_seed(0)
        self.path = str(folder / 'epoch_3.pth')
        model, cfg = build(**backbone)
        save(model, cfg, self.path)
        self.image = torch.randn(2, 3, SIZE, SIZE)
        with torch.no_grad():
            self.stages = model.backbone(self.image)
            self.features = model.neck(self.stages)[0]
            self.logits = model.head(model.neck(self.stages))


@pytest.fixture(scope='session')
def trained(tmp_path_factory):
    return Trained(tmp_path_factory.mktemp('r50'))


@pytest.fixture(scope='session')
def shallow(tmp_path_factory):
    """A smaller file, where the network does not matter."""
    return Trained(tmp_path_factory.mktemp('r18'), depth=18)


def close(given, expected):
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(given, expected, rtol=1e-5, atol=1e-5)


def run(net, image):
    net.eval()
    with torch.no_grad():
        return net(image)


def read(path):
    if str(path).endswith('.safetensors'):
        return pytest.importorskip('safetensors.torch', reason='reads the file').load_file(path)
    content = torch.load(path, weights_only=True)
    return content.get('state_dict', content)


def torchvision_net(path, depth, classes):
    net = getattr(torchvision.models, f'resnet{depth}')(num_classes=classes or 1)
    if not classes:
        net.fc = nn.Identity()
    net.load_state_dict(read(path))
    return net


def timm_net(path, depth, classes):
    timm = pytest.importorskip('timm', reason='its networks load the file')
    net = timm.create_model(f'resnet{depth}', num_classes=classes, checkpoint_path=path)
    # The way of timm's own pretrained weights ends in the same ones.
    other = timm.create_model(f'resnet{depth}', pretrained=True, num_classes=classes,
                              pretrained_cfg_overlay=dict(file=path, num_classes=classes))
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(),
                                                 other.state_dict().values()))
    return net


def hub_net(path, depth, classes):
    timm = pytest.importorskip('timm', reason='its networks load the file')
    net = timm.create_model(f'local-dir:{Path(path).parent}', pretrained=True)
    assert net.num_classes == classes
    return net


@pytest.mark.parametrize('style, load', [
    ('torchvision', torchvision_net), ('timm', timm_net), ('hf-safetensors', hub_net)])
@pytest.mark.parametrize('depth, classes', [(50, 0), (18, 5)])
def test_other_libraries_compute_the_same(publish, request, style, load, depth, classes):
    trained = request.getfixturevalue('trained' if depth == 50 else 'shallow')
    if style == 'hf-safetensors':
        pytest.importorskip('safetensors', reason='writes the file')
    path = publish([trained.path, 'out/', '--format', style, *['--keep-head'] * bool(classes)])
    close(run(load(path, depth, classes), trained.image),
          trained.logits if classes else trained.features)


def test_the_printed_line_loads(publish, shallow, capsys):
    for style in ('torchvision', 'timm'):
        pytest.importorskip(style, reason='its networks load the file')
        for head in ([], ['--keep-head']):
            publish([shallow.path, 'out/', '--format', style, *head])
            line = re.search(r'^load +(.*)$', capsys.readouterr().out, re.MULTILINE).group(1)
            space = dict(torch=torch, **{style: __import__(style)})
            exec(line, space)
            close(run(space['m'], shallow.image), shallow.logits if head else shallow.features)


def test_mmpretrain_loads_by_init_cfg_and_by_load_from(publish, shallow):
    bare = publish([shallow.path, 'out/'])
    assert {key.partition('.')[0] for key in read(bare)} == {'backbone'}
    net, _ = build(depth=18, init_cfg=dict(type='Pretrained', checkpoint=bare, prefix='backbone.'))
    net.init_weights()
    close(run(net.backbone, shallow.image)[0], shallow.stages[0])
    whole = publish([shallow.path, 'out/', '--keep-head'])
    net, _ = build(depth=18)
    content = load_checkpoint(net, whole, strict=True)
    close(run(net, shallow.image), shallow.logits)
    assert content['meta']['dataset_meta']['classes'] == ['a', 'b', 'c', 'd', 'e']


@pytest.mark.parametrize('toolbox', ['mmseg', 'mmdet'])
def test_mmseg_and_mmdet_load_it(publish, shallow, toolbox):
    models = pytest.importorskip(f'{toolbox}.models', reason='its ResNet loads the file')
    path = publish([shallow.path, 'out/'])
    net = models.backbones.ResNet(18, out_indices=(3, ), init_cfg=dict(
        type='Pretrained', checkpoint=path, prefix='backbone.'))
    net.init_weights()
    close(run(net, shallow.image)[0], shallow.stages[0])


@pytest.mark.parametrize('style', FORMATS)
def test_the_file_is_small_plain_named_by_its_hash_and_repeatable(publish, shallow, style,
                                                                  monkeypatch):
    if style == 'hf-safetensors':
        pytest.importorskip('safetensors', reason='writes the file')
    path = Path(publish([shallow.path, 'out/', '--format', style]))
    named = path.parent if style == 'hf-safetensors' else path
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    assert named.name.removesuffix('.pth') == f'my_run_{style}-{digest[:8]}'
    tensors = read(path)
    size = sum(value.numel() * value.element_size() for value in tensors.values())
    assert size < len(data) < 1.005 * size
    assert all(value.dtype in (torch.float32, torch.int64) for value in tensors.values())
    # Nothing of the machine, nothing of the training.
    assert b'/home' not in data and str(Path(shallow.path).parent).encode() not in data
    before = sorted(Path('out').rglob('*'))
    assert publish([shallow.path, 'out/', '--format', style]) == str(path)
    assert sorted(Path('out').rglob('*')) == before and path.read_bytes() == data
    if style != 'hf-safetensors':
        monkeypatch.setenv('TORCH_HOME', 'hub')
        back = torch.hub.load_state_dict_from_url(path.absolute().as_uri(), check_hash=True,
                                                  progress=False)
        assert len(back.get('state_dict', back)) == len(tensors)


def test_other_processes_write_the_same_bytes(publish, shallow, run_command):
    path = publish([shallow.path, 'out/'])
    done = run_command(sys.executable, TOOL, shallow.path, 'again/')
    assert done.returncode == 0, done.stderr
    assert Path(path.replace('out', 'again', 1)).read_bytes() == Path(path).read_bytes()


def facts_of(path, style):
    if style == 'mmpretrain':
        return torch.load(path, weights_only=True)['meta']
    if style == 'hf-safetensors':
        from safetensors import safe_open
        with safe_open(path, 'pt') as file:
            # Text alone: the rest is JSON.
            return {key: text if key.endswith('version') or text[0] not in '[{0123456789'
                    else json.loads(text) for key, text in file.metadata().items()}
    return json.loads(Path(path).with_suffix('.json').read_text())


@pytest.mark.parametrize('style', FORMATS)
def test_facts_are_in_every_format(publish, shallow, style):
    if style == 'hf-safetensors':
        pytest.importorskip('safetensors', reason='writes the file')
    facts = facts_of(publish([shallow.path, 'out/', '--format', style, '--top1', '77.85']), style)
    assert facts.items() >= dict(
        config='my_run', dataset='ImageNet', source='epoch_3.pth', epoch=3, iter=300, top1=77.85,
        top1_source='option', mmips_version=mmips.__version__, input_size=[224, 224],
        format='pt' if style == 'hf-safetensors' else style).items()
    assert facts['torch_version'] == torch.__version__
    assert not {'cfg', 'time', 'experiment_name', 'classes'} & set(facts)


def test_a_published_file_can_be_published_again(publish, shallow):
    first = publish([shallow.path, 'out/', '--top1', '70'])
    again = publish([first, 'out/', '--format', 'torchvision'])
    direct = publish([shallow.path, 'other/', '--format', 'torchvision'])
    assert Path(again).read_bytes() == Path(direct).read_bytes()
    facts = facts_of(again, 'torchvision')
    assert (facts['top1'], facts['source'], facts['format']) == (70, 'epoch_3.pth', 'torchvision')


@pytest.mark.parametrize('out, name', [
    ('there', r'there/my_run_torchvision-\w{8}\.pth'),
    ('new/', r'new/my_run_torchvision-\w{8}\.pth'),
    ('new/net-1.0', r'new/net-1_0-\w{8}\.pth'), ('net.pth', r'net-\w{8}\.pth')])
def test_out_is_a_folder_or_a_stem(publish, elsewhere, out, name):
    (elsewhere / 'there').mkdir()
    save(*build(depth=18))
    path = publish(['epoch_3.pth', out, '--format', 'torchvision'])
    assert re.fullmatch(name, path) and Path(path).is_file()
    # What torch.hub takes for the hash is the hash.
    assert re.search(r'-([a-f0-9]*)\.', Path(path).name).group(1) == \
        hashlib.sha256(Path(path).read_bytes()).hexdigest()[:8]
    assert not list(elsewhere.rglob('*.tmp'))


def test_scores_and_averages_of_a_real_run(publish, make_runner, monkeypatch, capsys):
    """Three epochs with EMAHook and save_best: weights and scores go where they belong."""
    from mmpretrain.evaluation import Accuracy
    given = iter((30., 20., 40.))
    monkeypatch.setattr(Accuracy, 'compute_metrics', lambda *_: dict(top1=next(given)))
    raw, average = {}, {}
    runner = make_runner(
        'ips/resnet-s_hard_npz.py', custom_hooks=[dict(type='EMAHook', momentum=0.5)],
        **{'default_hooks.checkpoint.save_best': 'accuracy/top1',
           'default_hooks.checkpoint.max_keep_ckpts': -1})

    def after(epoch):
        hook = next(hook for hook in runner.hooks if type(hook).__name__ == 'EMAHook')
        raw[epoch] = copy_of(hook.src_model)
        average[epoch] = copy_of(hook.ema_model.module)

    runner.register_hook(watcher(after), priority='NORMAL')
    runner.train()
    scores = {1: 30, 2: 20, 3: 40}
    log, = Path(runner.work_dir).glob('*/vis_data/scalars.json')
    best, = Path(runner.work_dir).glob('best_*.pth')
    for epoch in scores:
        path = f'{runner.work_dir}/epoch_{epoch}.pth'
        # mmengine writes the checkpoint of a best epoch anew after its validation; that of
        # epoch 2 knows the score of epoch 1 alone.
        known = None if epoch == 2 else scores[epoch]
        for which, expected, top1 in (('auto', average, known), ('ema', average, known),
                                      ('raw', raw, None)):
            out = publish([path, 'out/', '--weights', which])
            assert_same(read(out), expected[epoch])
            facts = facts_of(out, 'mmpretrain')
            assert facts['weights'] == ('raw' if which == 'raw' else 'ema')
            assert (facts.get('top1'), facts['epoch']) == (top1, epoch)
        logged = facts_of(publish([path, 'out/', '--log', str(log)]), 'mmpretrain')
        assert (logged['top1'], logged['top1_source']) == (scores[epoch], 'log')
    assert_same(read(publish([str(best), 'out/'])), average[3])
    facts = facts_of(publish([str(best), 'out/']), 'mmpretrain')
    assert (facts['top1'], facts['epoch'], facts['config']) == (40, 3, 'run')
    assert not all(torch.equal(raw[3][key], average[3][key]) for key in raw[3])
    assert 'validated the average, not the raw' in capsys.readouterr().out


def copy_of(model):
    return {key: value.clone() for key, value in model.state_dict().items()
            if key.startswith('backbone.')}


def assert_same(given, expected):
    assert given.keys() == expected.keys()
    assert all(torch.equal(given[key], value) for key, value in expected.items())


def watcher(after):
    from mmengine.hooks import Hook

    class Watcher(Hook):
        def after_train_epoch(self, runner):
            after(runner.epoch + 1)
    return Watcher()


@pytest.mark.parametrize('argv, words', [
    (['absent.pth', 'out/'], "The checkpoint 'absent.pth' does not exist"),
    (['text.pth', 'out/'], 'text.pth is not a checkpoint that torch can read'),
    (['flat.pth', 'out/'], 'flat.pth is no checkpoint of mmengine: it has no state_dict'),
    (['other.pth', 'out/'], "no key of the checkpoint starts with 'backbone.'"),
    (['epoch_3.pth', 'out/', '--format', 'keras'], "invalid choice: 'keras'"),
    (['epoch_3.pth', 'out/', '--weights', 'raw'], '--weights raw: the checkpoint has no ema_state'),
    (['epoch_3.pth', 'out/', '--log', 'absent.json'], 'absent.json'),
    (['epoch_3.pth', 'out/', '--top1', '0.7e3'], '--top1 must be per cent'),
    (['epoch_3.pth', 'text.pth/x/y'], 'text.pth'),
])
def test_wrong_input_is_one_message(publish, elsewhere, argv, words, capsys):
    (elsewhere / 'text.pth').write_text('no checkpoint')
    torch.save({'conv1.weight': torch.ones(1)}, 'flat.pth')
    torch.save(dict(state_dict={'model.x': torch.ones(1)}), 'other.pth')
    save(nn.ModuleDict(dict(backbone=nn.Linear(2, 2))),
         Config(dict(train_cfg=dict(by_epoch=True))))
    with pytest.raises(SystemExit) as caught:
        publish(argv)
    assert caught.value.code == 2
    message = capsys.readouterr().err
    assert words in message and 'Traceback' not in message
    assert not (elsewhere / 'out').exists()


@pytest.mark.parametrize('style, name, change, words', [
    ('torchvision', 'ips/resnet18_hard_cifar100.py', dict(depth=18), 'type is ResNet_CIFAR'),
    ('timm', 'ips/vgg13bn_hard_cifar100.py', {}, 'type is VGG_CIFAR'),
    ('torchvision', 'ips/resnet50_hard_in1k.py', dict(depth=18, type='ResNetV1c'),
     'stem.0.conv.weight'),
    ('hf-safetensors', 'ips/resnet50_hard_in1k.py', dict(style='caffe'), "style='caffe'"),
    ('hf-safetensors', 'ips/resnet50_hard_in1k.py', dict(depth=18, base_channels=32),
     'are of another shape: layer1'),
])
def test_networks_that_others_lack_are_refused_and_kept_for_mmpretrain(
        publish, style, name, change, words, capsys):
    model, cfg = build(name, **change)
    save(model, cfg)
    with pytest.raises(SystemExit):
        publish(['epoch_3.pth', 'out/', '--format', style])
    message = capsys.readouterr().err
    assert words in message and 'Traceback' not in message and not Path('out').exists()
    state = read(publish(['epoch_3.pth', 'out/']))
    assert state.keys() == {f'backbone.{key}' for key in model.backbone.state_dict()}


def test_without_a_stored_config_the_tensors_tell_the_depth(publish, capsys):
    save(build(depth=18)[0], None)
    path = publish(['epoch_3.pth', 'out/', '--format', 'torchvision'])
    assert facts_of(path, 'torchvision')['architecture'] == 'resnet18'
    assert 'strides and style do not show in tensors' in capsys.readouterr().out


def test_it_says_what_was_kept_and_dropped(publish, capsys):
    model, cfg = build(depth=18)
    save(model, cfg)
    publish(['epoch_3.pth', 'out/'])
    out = capsys.readouterr().out
    count = len(model.backbone.state_dict())
    assert f'kept      backbone {count} tensors' in out
    assert 'dropped   head 2 tensors; entries optimizer, param_schedulers, message_hub' in out
    assert 'top-1 left out' in out and "prefix='backbone.'" in out


def test_an_interrupted_write_leaves_nothing(publish, elsewhere, monkeypatch):
    save(nn.ModuleDict(dict(backbone=nn.Linear(2, 2))), None)

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr('os.replace', fail)
    with pytest.raises(KeyboardInterrupt):
        publish(['epoch_3.pth', 'out/'])
    assert list((elsewhere / 'out').iterdir()) == []


def test_the_plain_loader_of_mmengine_reads_it(publish, shallow):
    content = CheckpointLoader.load_checkpoint(publish([shallow.path, 'out/']))
    assert set(content) == {'state_dict', 'meta'}
