import hashlib
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers.checkpoints import build_resnet
from mmengine.config import Config
from mmengine.hooks import EMAHook, Hook
from mmengine.runner import CheckpointLoader, load_checkpoint
from torch import nn

import mmips
from mmips.errors import UserError
from mmips.runs.publish import publish, select

FORMATS = ('mmpretrain', 'torchvision', 'timm', 'hf-safetensors')
CLASSES = ('a', 'b', 'c', 'd', 'e')


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def save(model, cfg, path='epoch_3.pth'):
    """Save as a training run does, with things that a published file must not hold."""
    meta = dict(epoch=3, iter=300, seed=0, time='20260102_030405',
                experiment_name='my_run_20260102_030405', dataset_meta=dict(classes=CLASSES))
    if cfg is not None:
        meta['cfg'] = cfg.pretty_text
    torch.save(dict(
        meta=meta, state_dict=model.state_dict(), optimizer=dict(state={0: torch.ones(1000)}),
        message_hub=dict(log_scalars={}, runtime_info=dict(last_ckpt='/elsewhere/epoch_2.pth'))),
        path)
    return str(path)


@pytest.fixture(scope='session')
def trained(tmp_path_factory):
    """A saved classifier, an image, its last stage, pooled features and logits."""
    torch.manual_seed(0)
    model, cfg = build_resnet()
    path = save(model, cfg, tmp_path_factory.mktemp('r18') / 'epoch_3.pth')
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        stages = model.backbone(image)
        pooled = model.neck(stages)
        return SimpleNamespace(model=model, path=path, image=image, stage=stages[-1],
                               features=pooled[0], logits=model.head(pooled))


def close(net, image, expected):
    assert expected.abs().max() > 0.1
    net.eval()
    with torch.no_grad():
        given = net(image)
    given = given[-1] if isinstance(given, tuple) else given
    torch.testing.assert_close(given, expected, rtol=1e-5, atol=1e-5)


def read(path):
    if path.endswith('.safetensors'):
        return pytest.importorskip('safetensors.torch', reason='reads the file').load_file(path)
    content = torch.load(path, weights_only=True)
    return content.get('state_dict', content)


def facts_of(path):
    if path.endswith('.safetensors'):
        return json.loads((Path(path).parent / 'config.json').read_text())['facts']
    beside = Path(path).with_suffix('.json')
    return json.loads(beside.read_text()) if beside.exists() else torch.load(path)['meta']


@pytest.mark.parametrize('keep_head', [False, True])
@pytest.mark.parametrize('style', FORMATS[1:])
def test_the_printed_line_loads_what_computes_the_same(trained, style, keep_head):
    library = 'torchvision' if style == 'torchvision' else 'timm'
    space = {library: pytest.importorskip(library, reason='loads the file'), 'torch': torch}
    _, report = publish(trained.path, 'out/', style, keep_head)
    exec(re.search(r'^load +(.*)$', report, re.MULTILINE).group(1), space)
    close(space['m'], trained.image, trained.logits if keep_head else trained.features)


def test_mmpretrain_loads_by_init_cfg_and_by_load_from(trained):
    bare, _ = publish(trained.path, 'out/')
    assert {key.partition('.')[0] for key in read(bare)} == {'backbone'}
    assert set(CheckpointLoader.load_checkpoint(bare)) == {'state_dict', 'meta'}
    net, _ = build_resnet(init_cfg=dict(type='Pretrained', checkpoint=bare, prefix='backbone.'))
    net.init_weights()
    close(net.backbone, trained.image, trained.stage)
    whole, _ = publish(trained.path, 'out/', keep_head=True)
    content = load_checkpoint(build_resnet()[0], whole, strict=True)
    assert content['meta']['dataset_meta']['classes'] == list(CLASSES)


@pytest.mark.parametrize('toolbox, own', [
    ('mmseg', dict(contract_dilation=True)), ('mmdet', dict(dcn=None))])
def test_mmseg_and_mmdet_load_it_and_theirs_is_published(trained, toolbox, own):
    models = pytest.importorskip(f'{toolbox}.models', reason='its ResNet loads the file')
    path, _ = publish(trained.path, 'out/')
    net = models.backbones.ResNet(18, init_cfg=dict(
        type='Pretrained', checkpoint=path, prefix='backbone.'))
    net.init_weights()
    close(net, trained.image, trained.stage)
    # Without a scope the type is that of the config's toolbox, as the settings are.
    cfg = Config(dict(default_scope=toolbox, model=dict(backbone=dict(
        type='ResNet', depth=18, init_cfg=dict(checkpoint='/elsewhere/x.pth'), **own))))
    path, report = publish(save(nn.ModuleDict(dict(backbone=net)), cfg), 'out/', 'torchvision')
    assert facts_of(path)['architecture'] == 'resnet18' and 'no config' not in report


@pytest.mark.parametrize('style', FORMATS)
def test_the_file_is_small_plain_named_by_its_hash_and_repeatable(trained, style):
    if style == 'hf-safetensors':
        pytest.importorskip('timm', reason='writes the file')
    path, again = (Path(publish(trained.path, folder, style, top1=77.85)[0])
                   for folder in ('out/', 'again/'))
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()[:8]
    named = path.parent if style == 'hf-safetensors' else path
    assert named.name.removesuffix('.pth') == f'my_run_{style}-{digest}'
    size = sum(value.numel() * value.element_size() for value in read(str(path)).values())
    assert size < len(data) < 1.005 * size
    # Nothing of the machine, nothing of the training.
    assert b'/elsewhere' not in data and str(Path(trained.path).parent).encode() not in data
    assert all(file.read_bytes() == (again.parent / file.name).read_bytes()
               for file in path.parent.iterdir())
    facts = facts_of(str(path))
    assert facts.items() >= dict(
        config='my_run', dataset='ImageNet', source='epoch_3.pth', epoch=3, iter=300, top1=77.85,
        top1_source='option', mmips_version=mmips.__version__, input_size=[224, 224],
        torch_version=torch.__version__, format=style).items()
    assert not {'cfg', 'time', 'experiment_name', 'classes'} & set(facts)


def test_a_published_file_can_be_published_again(trained):
    first, _ = publish(trained.path, 'out/', top1=70)
    again, _ = publish(first, 'out/', 'torchvision')
    assert Path(again).read_bytes() == Path(publish(trained.path, 'b/', 'torchvision')[0]
                                            ).read_bytes()
    assert facts_of(again).items() >= dict(top1=70, source='epoch_3.pth').items()


def test_config_for_timm(trained):
    timm = pytest.importorskip('timm', reason='the config is compared with timm itself')
    path, _ = publish(trained.path, 'out/', 'hf-safetensors', keep_head=True)
    config = json.loads((Path(path).parent / 'config.json').read_text())
    net = timm.create_model('resnet18', num_classes=5)
    assert config.items() >= dict(num_features=net.num_features, label_names=list(CLASSES)).items()
    assert config['pretrained_cfg'].items() >= dict(
        input_size=[3, 224, 224], crop_pct=0.875, mean=[0.485, 0.456, 0.406],
        **{key: net.pretrained_cfg[key] for key in ('first_conv', 'classifier')}).items()
    assert facts_of(publish(trained.path, 'out/', 'timm', keep_head=True)[0])['classes'] == list(
        CLASSES)


@pytest.mark.parametrize('out, name', [
    ('there', r'there/my_run_mmpretrain-\w{8}\.pth'),
    ('new/', r'new/my_run_mmpretrain-\w{8}\.pth'),
    ('new/net-1.0', r'new/net-1_0-\w{8}\.pth'), ('net.pth', r'net-\w{8}\.pth')])
def test_out_is_a_folder_or_a_stem(out, name):
    Path('there').mkdir()
    path, report = publish(save(nn.ModuleDict(dict(backbone=nn.Linear(2, 2))), None), out)
    assert re.fullmatch(name, path)
    for words in ('kept      backbone 2 tensors', 'entries optimizer, message_hub',
                  'top-1 left out', 'strides and style do not show in tensors'):
        assert words in report
    # What torch.hub takes for the hash is the hash.
    torch.hub.load_state_dict_from_url(Path(path).absolute().as_uri(), 'hub', check_hash=True,
                                       progress=False, weights_only=True)


ODD = [
    dict(experiment_name='../../x_20260102_030405', dataset_meta=dict(
        classes=['../../x', '\0', '\ud800', 'a\nb', 'e'])),
    dict(source='/etc/x'), dict(source='a\0b.pth'), dict(config='a\nb/../..'), dict(config='...'),
    dict(experiment_name=f'{"x" * 300}_20260102_030405')]


@pytest.mark.parametrize('style, meta', [
    *((style, ODD[0]) for style in FORMATS), *((FORMATS[0], meta) for meta in ODD[1:])])
def test_nothing_in_a_checkpoint_leads_out_of_the_folder(trained, style, meta):
    if style in ('timm', 'hf-safetensors'):
        pytest.importorskip('timm', reason='writes the file')
    content = torch.load(trained.path, weights_only=False)
    content['meta'] = {**content['meta'], 'experiment_name': None, **meta}
    Path('x/y').mkdir(parents=True)
    torch.save(content, 'run.pth')
    path = Path(publish('run.pth', 'x/y/out/', style, keep_head=True)[0]).resolve()
    out = Path('x/y/out').resolve()
    assert path.parent == out or path.parent.parent == out
    written = [file for file in Path().resolve().rglob('*') if file.is_file()]
    assert path in written and all(
        out in file.parents or file.name == 'run.pth' for file in written)


@pytest.mark.parametrize('content, words', [
    ({'backbone.x': torch.tensor([1, float('inf')]), 'head.x': torch.tensor(float('nan'))},
     'run.pth holds NaN or infinity in 2 of its tensors, the first is backbone.x'),
    ({'backbone.x': torch.ones(1), 5: torch.ones(1)}, 'run.pth holds 5, which is no name of an'),
    (dict(state_dict={'backbone.x': torch.ones(1)}, ema_state_dict=5),
     'has a state_dict of type int'),
    ([1, 2], 'run.pth is no checkpoint, but holds a list')])
def test_what_is_no_checkpoint_or_diverged_is_refused(content, words):
    torch.save(content, 'run.pth')
    with pytest.raises(UserError, match=words):
        publish('run.pth', 'out/')
    assert not Path('out').exists()


def test_networks_that_others_lack_are_refused_and_kept_for_mmpretrain(trained):
    cfg = build_resnet()[1]
    cfg.data_preprocessor.to_rgb = False
    with pytest.raises(UserError, match='in BGR order .*torchvision reads RGB'):
        publish(save(trained.model, cfg), 'out/', 'torchvision')
    model, cfg = build_resnet('ips/resnet18_hard_cifar100.py')
    save(model, cfg)
    with pytest.raises(UserError, match=r'its resnet18, .*\n.*conv1.weight \(64, 3, 3, 3\) '):
        publish('epoch_3.pth', 'out/', 'torchvision')
    assert not Path('out').exists()
    state = read(publish('epoch_3.pth', 'out/')[0])
    assert state.keys() == {f'backbone.{key}' for key in model.backbone.state_dict()}


def test_scores_and_averages_of_a_real_run(make_runner, monkeypatch):
    """Three epochs with EMAHook and save_best: weights and scores go where they belong."""
    scores = {1: 30, 2: 20, 3: 40}
    given = iter(scores.values())
    monkeypatch.setattr('mmpretrain.evaluation.Accuracy.compute_metrics',
                        lambda *_: dict(top1=float(next(given))))
    raw, average = {}, {}

    class Watcher(Hook):
        def after_train_epoch(self, runner):
            ema, = (hook for hook in runner.hooks if isinstance(hook, EMAHook))
            for kept, model in ((raw, ema.src_model), (average, ema.ema_model.module)):
                kept[runner.epoch + 1] = select(model.state_dict())

    runner = make_runner(
        'ips/resnet-s_hard_npz.py', custom_hooks=[dict(type='EMAHook', momentum=0.5)],
        **{'default_hooks.checkpoint.save_best': 'accuracy/top1',
           'default_hooks.checkpoint.max_keep_ckpts': -1})
    runner.register_hook(Watcher(), priority='NORMAL')
    runner.train()
    work_dir = Path(runner.work_dir)
    log, = work_dir.glob('*/vis_data/scalars.json')
    best, = work_dir.glob('best_*.pth')
    assert not same(raw[3], average[3])
    # mmengine writes the checkpoint of a best epoch anew after its validation; that of epoch 2
    # knows the score of epoch 1 alone.
    for path, epoch, known in [(best, 3, 40), *((work_dir / f'epoch_{epoch}.pth', epoch, score)
                                                for epoch, score in {**scores, 2: None}.items())]:
        for which, weights, top1 in (('auto', average, known), ('ema', average, known),
                                     ('raw', raw, None)):
            out, report = publish(str(path), 'out/', weights=which)
            facts = facts_of(out)
            assert same(read(out), weights[epoch])
            assert facts['weights'] == ('raw' if which == 'raw' else 'ema')
            assert (facts.get('top1'), facts['epoch'], facts['config']) == (top1, epoch, 'run')
            assert ('validated the average, not the raw' in report) == (which == 'raw')
        logged = facts_of(publish(str(path), 'out/', log=str(log))[0])
        assert (logged['top1'], logged['top1_source']) == (scores[epoch], 'log')


def same(state, other):
    return state.keys() == other.keys() and all(
        torch.equal(state[key], value) for key, value in other.items())
