"""Two tiny networks, the arrays they see and their config, as files in a folder."""
import shutil

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmips.evaluation import predictions

CLASSES = 4
MEAN, STD = torch.tensor([120., 125., 130.]), torch.tensor([60., 65., 70.])
#: A plain config: reading those of the package takes a second each time.
CONFIG = """
default_scope = 'mmpretrain'
model = dict(type='ImageClassifier',
             backbone=dict(type='ResNet_CIFAR', depth=18, num_stages=3, strides=(1, 2, 2),
                           dilations=(1, 1, 1), out_indices=(2, ), stem_channels=4,
                           base_channels=4),
             neck=dict(type='GlobalAveragePooling'),
             head=dict(type='LinearClsHead', num_classes=4, in_channels=16),
             train_cfg=dict(augments=[dict(type='mmips.IntraClassPatchSwap', grid_size=4)]))
data_preprocessor = dict(num_classes=4, mean=[120, 125, 130], std=[60, 65, 70], to_rgb=False)
test_dataloader = dict(
    batch_size=16, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False), dataset=dict(
        type='mmips.ArrayDataset', ann_file='tiny.npz', split='test',
        pipeline=[dict(type='PackInputs')]))
train_dataloader = dict(
    batch_size=12, num_workers=0, sampler=dict(type='mmips.PairedClassSampler'), dataset=dict(
        type='mmips.ArrayDataset', ann_file='tiny.npz', split='train',
        pipeline=[dict(type='PackInputs')]))
"""


def blocks(number):
    """Images of 32 pixels, uint8 RGB, of which networks can tell some from others."""
    rng = np.random.default_rng(1)
    images = np.kron(rng.integers(0, 256, (number, 4, 4, 3)), np.ones((1, 8, 8, 1)))
    return images.astype(np.uint8)


def save_arrays(folder, images, labels):
    np.savez(folder / 'tiny.npz', images_test=images, labels_test=labels,
             images_train=blocks(24), labels_train=np.repeat(np.arange(CLASSES), 6))


def predict(model, images):
    """Logits of a network for uint8 RGB images, without any of the package's loaders."""
    inputs = (torch.from_numpy(np.ascontiguousarray(images)).float() - MEAN) / STD
    with torch.no_grad():
        return model.head(model.neck(model.backbone(inputs.permute(0, 3, 1, 2))))


def make(folder, images):
    """Write ``config.py``, ``0.pth`` and ``1.pth``; return the two networks.

    Each predicts different classes for ``images``.
    """
    init_default_scope('mmpretrain')
    cfg = Config.fromstring(CONFIG, '.py')
    cfg.model.pop('train_cfg')
    models = []
    for seed in range(2):
        torch.manual_seed(seed)
        model = predictions.build_model(cfg, 'cpu')
        for key, value in model.state_dict().items():
            # Statistics that no batch has, so that the mode shows.
            if key.endswith('running_var'):
                value.uniform_(0.1, 0.3)
        with torch.no_grad():
            model.head.fc.bias -= predict(model, images).mean(0)
        torch.save(dict(state_dict=model.state_dict()), folder / f'{seed}.pth')
        models.append(model)
    (folder / 'config.py').write_text(CONFIG)
    return models


def networks():
    """The two networks that :func:`make` has written to the current folder."""
    cfg = predictions.load_classifier_config(request())
    for path in request().checkpoints:
        model = predictions.build_model(cfg, 'cpu')
        model.load_state_dict(torch.load(path)['state_dict'])
        yield model


def enter(folder, trained, monkeypatch):
    """Make a folder the current one, with the files that :func:`make` has written elsewhere."""
    monkeypatch.chdir(folder)
    # mmengine collects garbage for each data set: a third of a second, with all that is imported.
    monkeypatch.setattr('mmengine.dataset.base_dataset.gc.collect', int)
    shutil.copytree(trained, folder, dirs_exist_ok=True)


def request(**change):
    """A command line of the evaluating tools as their parsers return it."""
    given = dict(config='config.py', checkpoints=['0.pth', '1.pth'], names=['a', 'b'], out='out',
                 split='test', max_images=None, batch_size=None, num_workers=None, device='cpu',
                 cfg_options=None)
    return predictions.Request(**{**given, **change})
