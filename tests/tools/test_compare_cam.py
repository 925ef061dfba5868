"""The tool against Grad-CAM by hand, on networks too small to have learned anything."""
import csv
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn
from torch.nn import functional as F

import mmips
from mmips.config import loading
from mmips.evaluation import predictions

pytest.importorskip('pytorch_grad_cam', reason='needs grad-cam')
TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'visualization' / 'compare_cam.py'
CONFIG = 'ips/resnet-s_ips_npz.py'
SMALL = {'model.backbone.base_channels': 4, 'model.backbone.stem_channels': 4,
         'model.head.in_channels': 16, 'test_dataloader.num_workers': 0}
LABELS = [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('tool_compare_cam', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def networks(quick_configs, tmp_path):
    """Two networks and their checkpoints."""
    cfg = loading.load_config(CONFIG, SMALL)
    init_default_scope('mmpretrain')
    models, paths = [], []
    for seed in range(2):
        torch.manual_seed(seed)
        model = predictions.build_model(cfg, 'cpu')
        for key, value in model.state_dict().items():
            # Statistics that no batch of noise has, so that the mode shows.
            if key.endswith('running_var'):
                value.uniform_(0.1, 0.3)
        models.append(model)
        paths.append(str(tmp_path / f'epoch_{seed}.pth'))
        torch.save(dict(state_dict=model.state_dict()), paths[-1])
    return models, paths


@pytest.fixture
def drawn(monkeypatch):
    """What the tool hands to the picture, which is not drawn."""
    import mmips.visualization.cam as drawing
    given = {}
    monkeypatch.setattr(drawing, 'draw_cam', lambda examples, names, path, title, notes:
                        given.update(examples=examples, names=names, title=title, notes=notes))
    return given


@pytest.fixture
def run(tool, networks, tmp_path, drawn):
    """Run the tool on both checkpoints, named a and b."""

    def start(*extra, checkpoints=networks[1], names=('a', 'b'), options=()):
        return tool.main([
            CONFIG, *checkpoints, '--names', *names, '--out', str(tmp_path / 'out'), '--device',
            'cpu', *extra, '--cfg-options', *(f'{k}={v}' for k, v in SMALL.items()), *options])

    return start


def table(tmp_path):
    with open(tmp_path / 'out' / 'cam.csv', newline='') as file:
        return list(csv.DictReader(file))


def images(npz, numbers, model):
    pixels = torch.from_numpy(np.load(npz)['images_test'][numbers]).permute(0, 3, 1, 2).float()
    return (pixels - model.data_preprocessor.mean) / model.data_preprocessor.std


def scale(maps):
    maps = maps - maps.amin((-2, -1), keepdim=True)
    return maps / (1e-7 + maps.amax((-2, -1), keepdim=True))


def grad_cam(model, layer, inputs, targets):
    """Channels weighted by their mean gradient, summed, clipped, enlarged, scaled."""
    kept = []

    def keep(module, args, output):
        kept.append(output)
        # What follows adds to it in place.
        return output.clone()

    handle = model.get_submodule(layer).register_forward_hook(keep)
    logits = model.extract_feat(inputs)
    logits = model.head.fc(logits[-1])
    handle.remove()
    gradient, = torch.autograd.grad(logits[range(len(targets)), targets].sum(), kept)
    cam = (gradient.mean((2, 3), keepdim=True) * kept[0]).sum(1, keepdim=True).clamp(min=0)
    cam = F.interpolate(scale(cam), inputs.shape[-2:], mode='bilinear', align_corners=False)
    return scale(cam)[:, 0].detach().numpy()


@pytest.mark.parametrize('layer, target', [
    (None, 'true'), ('backbone.layer2', 'predicted'), (None, '2'), ('backbone.layer2', 'class 2')])
def test_maps_are_those_by_hand(run, networks, npz, layer, target):
    numbers = list(range(8))
    results = run('--images', *map(str, numbers), '--target', target,
                  *(['--target-layers', layer] if layer else []))
    used = layer or [name for name, module in networks[0][0].named_modules()
                     if isinstance(module, nn.BatchNorm2d)][-1]
    for model, result in zip(networks[0], results.values()):
        inputs = images(npz, numbers, model)
        with torch.no_grad():
            probs = model(inputs).softmax(1)
        targets = {'true': LABELS, 'predicted': probs.argmax(1).tolist()}.get(target, [2] * 8)
        np.testing.assert_allclose(result.probs, probs, atol=1e-5)
        assert result.targets.tolist() == targets
        expected = grad_cam(model, used, inputs, targets)
        assert expected.max() > 0.99
        np.testing.assert_allclose(result.maps, expected, atol=1e-3)
    first, second = results.values()
    assert not np.allclose(first.maps, second.maps, atol=0.1)


def test_an_image_does_not_depend_on_its_neighbours(run):
    together = run('--images', *map(str, range(8)))
    alone = run('--images', '5')
    for name, result in alone.items():
        np.testing.assert_allclose(result.maps[0], together[name].maps[5], atol=1e-4)


def test_more_images_than_one_part(run, npz):
    """They go through the network eight at a time."""
    arrays = dict(np.load(npz))
    rng = np.random.default_rng(1)
    np.savez(npz, **{**arrays, 'images_test': rng.integers(0, 255, (20, 32, 32, 3), np.uint8),
                     'labels_test': np.arange(20) % 4})
    whole = run('--num', '20')['a']
    assert whole.maps.shape == (20, 32, 32) and whole.targets.tolist() == [0, 1, 2, 3] * 5
    np.testing.assert_allclose(run('--images', '18')['a'].maps[0], whole.maps[18], atol=1e-4)


def test_the_network_is_left_as_it_was(run, networks, monkeypatch):
    kept = []
    build = predictions.build_model
    monkeypatch.setattr(predictions, 'build_model',
                        lambda *args: kept.append(build(*args)) or kept[-1])
    run()
    model, = kept
    for key, value in networks[0][1].state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key
    assert not model.training and not any(module._forward_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_frozen_networks_have_the_same_maps(run):
    layers = ['--target-layers', 'backbone.layer1']
    plain = run(*layers)
    frozen = run(*layers, options=['model.backbone.frozen_stages=3'])
    for name in plain:
        np.testing.assert_allclose(frozen[name].maps, plain[name].maps, atol=1e-5)


def test_picture_and_table(run, tmp_path, capsys):
    results = run('--images', '6', '1')
    rows = table(tmp_path)
    assert [(row['image'], row['class'], row['checkpoint']) for row in rows] == [
        (number, label, name) for number, label in (('6', 'class 3'), ('1', 'class 0'))
        for name in 'ab']
    for row, (place, name) in zip(rows, ((0, 'a'), (0, 'b'), (1, 'a'), (1, 'b'))):
        probs = results[name].probs[place]
        assert row['predicted'] == f'class {probs.argmax()}' and row['target'] == row['class']
        assert float(row['confidence']) == pytest.approx(probs.max(), abs=1e-6)
        assert float(row['target_confidence']) == pytest.approx(probs[(3, 0)[place]], abs=1e-6)
    assert 'The map is a blur' not in capsys.readouterr().out


def test_writes_a_picture(tool, networks, tmp_path, capsys):
    """Two rows and two columns, with the map of a stage that is too coarse."""
    tool.main([CONFIG, networks[1][0], '--out', str(tmp_path / 'out'), '--device', 'cpu', '--num',
               '2', '--cfg-options', *(f'{key}={value}' for key, value in SMALL.items()),
               'model.backbone.strides=(1,4,4)'])
    assert sorted(file.name for file in (tmp_path / 'out').iterdir()) == ['cam.csv', 'cam.png']
    height, width = imread(str(tmp_path / 'out' / 'cam.png')).shape[:2]
    assert width > 650 and height > 600
    assert '2\u2009\u00d7\u20092 positions' in capsys.readouterr().out


def test_what_is_handed_to_the_picture(run, drawn, npz):
    results = run('--images', '6', '1', '--method', 'LayerCAM')
    given = drawn
    assert given['names'] == ['a', 'b'] and given['title'] == 'LayerCAM of the true class'
    assert 'resnet-s_ips_npz, test images' in given['notes'][0]
    assert 'backbone.layer3' in given['notes'][1] and '8\u2009\u00d7\u20098' in given['notes'][1]
    for place, (number, one) in enumerate(zip((6, 1), given['examples'])):
        assert one.caption == f'{number}: class {LABELS[number]}'
        assert np.abs(one.image.astype(int) - np.load(npz)['images_test'][number]).max() <= 1
        for column, result in enumerate(results.values()):
            best = result.probs[place].argmax()
            np.testing.assert_array_equal(one.maps[column], result.maps[place])
            assert one.predictions[column].startswith(
                f'class {best} {result.probs[place, best]:.2f}')
            assert one.right[column] == (best == LABELS[number])


@pytest.fixture
def stubborn(networks, tmp_path):
    """Checkpoints that see the same class in everything."""

    def write(*classes):
        paths = []
        for label in classes:
            state = {key: value.clone() for key, value in networks[0][0].state_dict().items()}
            state['head.fc.weight'] *= 1e-6
            state['head.fc.bias'][:] = F.one_hot(torch.tensor(label), 4)
            paths.append(str(tmp_path / f'always_{label}.pth'))
            torch.save(dict(state_dict=state), paths[-1])
        return dict(checkpoints=paths, names=[f'always {label}' for label in classes])

    return write


@pytest.mark.parametrize('extra, expected', [
    ([], [0, 2, 3, 4, 6, 7]), (['--num', '2'], [2, 6]), (['--num', '99'], list(range(8))),
    (['--images', '3', '1', '3'], [3, 1]), (['--max-images', '4', '--num', '2'], [3, 7]),
    (['--images', '7', '--max-images', '2'], [7]),
    (['--pick', 'disagree'], [4, 5]), (['--pick', 'disagree', '--num', '1'], [5]),
    (['--pick', 'disagree', '--max-images', '4'], [5])])
def test_picks(run, stubborn, tmp_path, extra, expected):
    """The first is right about class 0, the last about class 2; the other does not count."""
    run(*extra, **stubborn(0, 3, 2))
    numbers = [int(row['image']) for row in table(tmp_path)]
    assert numbers[::3] == expected and len(numbers) == 3 * len(expected)


def test_nothing_that_only_the_last_gets_right(run, stubborn, capsys):
    with pytest.raises(SystemExit):
        run('--pick', 'disagree', '--max-images', '4', '--split', 'test',
            **{**stubborn(1, 3), 'checkpoints': stubborn(1, 1)['checkpoints']})
    error = capsys.readouterr().err
    assert 'of 4 images, always 1 gets none wrong that always 3 gets right' in error


@pytest.mark.parametrize('method', ['gradcam++', 'EigenCAM', 'fullgrad', 'randomcam'])
def test_other_methods(run, method):
    first, second = (run('--images', '1', '--method', method)['a'].maps for _ in range(2))
    assert first.shape == (1, 32, 32) and first.max() > 0.9
    np.testing.assert_array_equal(first, second)


def test_vision_transformers(tool, npz, tmp_path, capsys, drawn):
    path = tmp_path / 'vit.py'
    path.write_text(f"""
_base_ = [{mmips.cfg('ips/resnet-s_hard_npz.py')!r}]
model = dict(
    _delete_=True, type='ImageClassifier',
    backbone=dict(type='VisionTransformer', img_size=32, patch_size=8, arch=dict(
        embed_dims=8, num_layers=2, num_heads=2, feedforward_channels=8)),
    head=dict(type='VisionTransformerClsHead', num_classes=4, in_channels=8))
test_dataloader = dict(num_workers=0)
""")
    init_default_scope('mmpretrain')
    model = predictions.build_model(Config.fromfile(path), 'cpu')
    torch.save(model.state_dict(), tmp_path / 'vit.pth')
    command = [str(path), str(tmp_path / 'vit.pth'), '--out', 'out', '--device', 'cpu']
    with pytest.raises(SystemExit):
        tool.main(command)
    assert '--vit-like' in capsys.readouterr().err
    result, = tool.main([*command, '--vit-like']).values()
    assert result.grid == (4, 4) and result.maps.shape == (6, 32, 32)


@pytest.mark.parametrize('extra, words', [
    (['--target-layers', 'backbone.layr3'], "no layer 'backbone.layr3'. Did you mean backbone.lay"),
    (['--target-layers', 'xxxx'], 'There are'), (['--target-layers', ''], "no layer ''"),
    (['--target-layers', 'backbone'], "['backbone'] returns a tuple"),
    (['--target-layers', 'head.fc'], 'Unsupported tensor shape'),
    (['--method', 'gradcm'], 'must be one of ablationcam, eigencam'),
    (['--method', 'fullgrad', '--target-layers', 'backbone.layer3'], 'leave --target-layers out'),
    (['--target', 'clas 2'], 'Did you mean class 2'), (['--target', '4'], "0 to 3, got '4'"),
    (['--images', '3', '8'], 'the test split has 8 images, 0 to 7, but got [8]'),
    (['--num', '0'], '--num must be at least 1'),
    (['--images', '3', '--pick', 'disagree'], 'not allowed with'),
])
def test_messages(run, capsys, tmp_path, extra, words):
    with pytest.raises(SystemExit):
        run(*extra)
    assert words in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_one_checkpoint_disagrees_with_nothing(run, networks, capsys):
    with pytest.raises(SystemExit):
        run('--pick', 'disagree', checkpoints=networks[1][:1], names=['a'])
    assert 'two checkpoints or more' in capsys.readouterr().err


def test_wrong_checkpoints_are_refused_before_anything_is_predicted(run, networks, capsys,
                                                                    monkeypatch, tmp_path):
    monkeypatch.setattr(predictions, 'predict_probs', None)
    torch.save(dict(state_dict={'x': torch.zeros(1)}), tmp_path / 'other.pth')
    first, last = networks[1]
    with pytest.raises(SystemExit):
        run('--pick', 'disagree', checkpoints=[first, str(tmp_path / 'other.pth'), last],
            names='abc')
    assert 'other.pth is not a checkpoint of this config' in capsys.readouterr().err


def test_missing_library_and_missing_tool(tool, run, capsys, monkeypatch, tmp_path):
    import mmpretrain
    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, 'find_spec', lambda name: None)
        with pytest.raises(ImportError, match="pip install 'grad-cam>=1.3.7,<1.5'"):
            tool.import_vis_cam()
    monkeypatch.setattr(mmpretrain, '__file__', str(tmp_path / '__init__.py'))
    with pytest.raises(ImportError, match='vis_cam.py: install its wheel'):
        tool.import_vis_cam()


def test_a_backbone_without_normalisation(tool):
    model = nn.Module()
    model.backbone = nn.Sequential(nn.Conv2d(3, 3, 1))
    args = tool.parse_args([CONFIG, 'x.pth', '--out', 'x'])
    with pytest.raises(ValueError, match='no normalisation that could be looked at'):
        tool.find_layers(tool.import_vis_cam(), model, args)


def test_labels_that_the_network_does_not_know(run, npz, capsys):
    arrays = dict(np.load(npz))
    np.savez(npz, **{**arrays, 'labels_test': arrays['labels_test'] + 4})
    with pytest.raises(SystemExit):
        run(options=['model.head.num_classes=4'])
    assert 'the label 7, but the model only 4 classes' in capsys.readouterr().err
