"""The maps against Grad-CAM by hand, on networks too small to have learned anything."""
import csv
import sys

import numpy as np
import pytest
import torch
from helpers import tiny_classifier
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn
from torch.nn import functional as F

from mmips.errors import UserError
from mmips.evaluation import cam, predictions
from mmips.visualization import style

pytest.importorskip('pytorch_grad_cam', reason='needs grad-cam')
LABELS = [0, 0, 1, 1, 2, 2, 3, 3]


IMAGES = tiny_classifier.blocks(8)


@pytest.fixture
def drawn(monkeypatch):
    """What is handed to the picture, which is not drawn."""
    given = []
    monkeypatch.setattr(cam, 'draw_cam', lambda *args: given.append(args)
                        or style.new_figure(1, 1))
    return given


@pytest.fixture
def run(tiny, drawn):
    """Run on both checkpoints, named a and b."""
    return lambda **change: cam.compare_cam(tiny_classifier.request(**{**dict(
        images=(), pick='spread', num=6, method='gradcam', target_layers=[], target='true',
        vit_like=False, num_extra_tokens=None), **change}))


def table():
    with open('out/cam.csv', newline='') as file:
        return list(csv.DictReader(file))


def scale(maps):
    maps = maps - maps.amin((-2, -1), keepdim=True)
    return maps / (1e-7 + maps.amax((-2, -1), keepdim=True))


def grad_cam(model, layer, images, targets):
    """Channels weighted by their mean gradient, summed, clipped, enlarged, scaled."""
    kept = []

    def keep(module, args, output):
        kept.append(output)
        # What follows adds to it in place.
        return output.clone()

    handle = model.get_submodule(layer).register_forward_hook(keep)
    inputs = (torch.from_numpy(images).float() - tiny_classifier.MEAN) / tiny_classifier.STD
    logits = model(inputs.permute(0, 3, 1, 2))
    handle.remove()
    gradient, = torch.autograd.grad(logits[range(len(targets)), targets].sum(), kept)
    maps = (gradient.mean((2, 3), keepdim=True) * kept[0]).sum(1, keepdim=True).clamp(min=0)
    maps = F.interpolate(scale(maps), (32, 32), mode='bilinear', align_corners=False)
    return logits.softmax(1).detach().numpy(), scale(maps)[:, 0].detach().numpy()


@pytest.mark.parametrize('layer, target', [
    (None, 'true'), ('backbone.layer2', 'predicted'), (None, '2'), ('backbone.layer2', 'class 2')])
def test_maps_are_those_by_hand(run, layer, target):
    results = run(images=list(range(8)), target=target, target_layers=[layer] if layer else [])
    for model, result in zip(tiny_classifier.networks(), results.values()):
        used = layer or [name for name, module in model.named_modules()
                         if isinstance(module, nn.BatchNorm2d)][-1]
        predicted = tiny_classifier.predict(model, IMAGES).argmax(1).tolist()
        targets = {'true': LABELS, 'predicted': predicted}.get(target, [2] * 8)
        probs, expected = grad_cam(model, used, IMAGES, targets)
        assert result.targets.tolist() == targets and expected.max() > 0.99
        np.testing.assert_allclose(result.probs, probs, atol=1e-5)
        np.testing.assert_allclose(result.maps, expected, atol=1e-3)
    first, second = results.values()
    assert not np.allclose(first.maps, second.maps, atol=0.1)


def test_an_image_does_not_depend_on_its_neighbours(run, tmp_path):
    """They go through the network eight at a time; frozen layers change nothing."""
    tiny_classifier.save_arrays(tmp_path, tiny_classifier.blocks(20), np.arange(20) % 4)
    layers = dict(target_layers=['backbone.layer1'])
    whole = run(num=20, **layers)['a']
    assert whole.maps.shape == (20, 32, 32) and whole.targets.tolist() == [0, 1, 2, 3] * 5
    for options in (None, {'model.backbone.frozen_stages': 3}):
        alone = run(images=[18], cfg_options=options, **layers)['a']
        np.testing.assert_allclose(alone.maps[0], whole.maps[18], atol=1e-4)


def test_picture_and_table(run, drawn):
    results = run(images=[6, 1], method='LayerCAM')
    rows = table()
    assert [(row['image'], row['class'], row['checkpoint']) for row in rows] == [
        (number, label, name) for number, label in (('6', 'class 3'), ('1', 'class 0'))
        for name in 'ab']
    (pictures, captions, maps, verdicts, title, notes), = drawn
    for row, (place, name) in zip(rows, ((0, 'a'), (0, 'b'), (1, 'a'), (1, 'b'))):
        probs, label = results[name].probs[place], (3, 0)[place]
        assert row['predicted'] == f'class {probs.argmax()}' and row['target'] == row['class']
        assert float(row['confidence']) == pytest.approx(probs.max(), abs=1e-6)
        assert float(row['target_confidence']) == pytest.approx(probs[label], abs=1e-6)
        text, right = verdicts[name][place]
        assert text.startswith(f'class {probs.argmax()} {probs.max():.2f}')
        assert right == (probs.argmax() == label) and maps[name] is results[name].maps
    assert captions == ['6: class 3', '1: class 0']
    assert np.abs(pictures.astype(int) - IMAGES[[6, 1]]).max() <= 1
    assert title == 'LayerCAM of the true class' and 'test images' in notes[0]
    assert 'backbone.layer3' in notes[1]


@pytest.mark.parametrize('change, expected', [
    (dict(num=2), [2, 6]), (dict(images=[3, 1, 3]), [3, 1]), (dict(max_images=4, num=2), [3, 7]),
    (dict(pick='disagree'), [4, 5]), (dict(pick='disagree', max_images=4), [5])])
def test_picks(run, tmp_path, change, expected):
    """The first is right about class 0, the last about class 2; the other does not count."""
    for label in (0, 3, 2):
        state = torch.load('0.pth')['state_dict']
        state['head.fc.weight'] *= 1e-6
        state['head.fc.bias'][:] = F.one_hot(torch.tensor(label), 4)
        torch.save(dict(state_dict=state), tmp_path / f'always_{label}.pth')
    run(**change, checkpoints=[f'always_{label}.pth' for label in (0, 3, 2)], names='xyz')
    numbers = [int(row['image']) for row in table()]
    assert numbers[::3] == expected and len(numbers) == 3 * len(expected)


@pytest.mark.parametrize('method', ['fullgrad', 'randomcam'])
def test_other_methods(run, method):
    first, second = (run(images=[1], method=method)['a'].maps for _ in range(2))
    assert first.shape == (1, 32, 32) and first.max() > 0.9
    np.testing.assert_array_equal(first, second)


def test_vision_transformers(run, tmp_path):
    model = dict(
        _delete_=True, type='ImageClassifier',
        backbone=dict(type='VisionTransformer', img_size=32, patch_size=8, arch=dict(
            embed_dims=8, num_layers=2, num_heads=2, feedforward_channels=8)),
        head=dict(type='VisionTransformerClsHead', num_classes=4, in_channels=8))
    (tmp_path / 'vit.py').write_text(f"_base_ = ['config.py']\nmodel = {model!r}")
    init_default_scope('mmpretrain')
    network = predictions.build_model(Config.fromfile(tmp_path / 'vit.py'), 'cpu')
    torch.save(network.state_dict(), tmp_path / 'vit.pth')
    change = dict(config='vit.py', checkpoints=['vit.pth'], names=['a'])
    with pytest.raises(UserError, match='--vit-like'):
        run(**change)
    with pytest.raises(UserError, match='perfect square'):
        run(**change, vit_like=True, num_extra_tokens=2)
    result, = run(**change, vit_like=True).values()
    assert result.maps.shape == (6, 32, 32)


@pytest.mark.parametrize('change, words', [
    (dict(target_layers=['backbone.layr3']), "no layer 'backbone.layr3'. Did you mean backbone.l"),
    (dict(target_layers=['']), "no layer ''. Some are "),
    (dict(target_layers=['backbone']), r"\['backbone'\] returns a tuple"),
    (dict(target_layers=['head.fc']), 'Unsupported tensor shape'),
    (dict(method='gradcm'), 'must be one of ablationcam, eigencam'),
    (dict(target='clas 2'), 'Did you mean class 2'), (dict(target='4'), "0 to 3, got '4'"),
    (dict(images=[3, 8]), r'the test split has 8 images, 0 to 7, but got \[8\]'),
    (dict(pick='disagree', max_images=4, checkpoints=['0.pth'] * 2),
     'of 4 images, a gets none wrong that b gets right'),
    (dict(checkpoints=['0.pth', 'other.pth']), 'other.pth is not a checkpoint of this config'),
    (dict(num=8, labels=4), 'its label 4 is no class, there are 4, from 0')])
def test_what_cannot_be_is_refused(run, tmp_path, change, words):
    labels = np.array(LABELS) + change.pop('labels', 0)
    tiny_classifier.save_arrays(tmp_path, tiny_classifier.blocks(8), labels)
    torch.save(dict(state_dict={'x': torch.zeros(1)}), tmp_path / 'other.pth')
    with pytest.raises(ValueError, match=words):
        run(**change)
    assert not (tmp_path / 'out').exists()


def test_missing_library_or_tool_and_a_backbone_without_normalisation(monkeypatch, tmp_path):
    import mmpretrain
    model = nn.Module()
    model.backbone = nn.Sequential(nn.Conv2d(3, 3, 1))
    with pytest.raises(UserError, match='no normalisation that could be looked at'):
        cam._find_layers(cam.import_vis_cam(), model, tiny_classifier.request(
            method='gradcam', target_layers=[], vit_like=False))
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, 'pytorch_grad_cam', None)
        with pytest.raises(UserError, match="pip install 'grad-cam>=1.3.7,<1.5'"):
            cam.import_vis_cam()
    monkeypatch.setattr(mmpretrain, '__file__', str(tmp_path / '__init__.py'))
    with pytest.raises(UserError, match="mmpretrain's own tools .*vis_cam.py"):
        cam.import_vis_cam()
