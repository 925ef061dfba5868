# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Several checkpoints of one config over one split: what the evaluating tools share.

A split is predicted once for each checkpoint: :func:`predict_split` keeps what comes out in a
folder ``predictions`` beside the checkpoint, where every tool finds it again.
"""
import argparse
import copy
import os
import os.path as osp
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from mmips.config import loading, sources, splits
from mmips.errors import MissingFileError, UserError
from mmips.runs import files, fingerprints, loaders

__all__ = ['Predictions', 'Request', 'build_model', 'check_checkpoints', 'check_images',
           'check_labels', 'class_names', 'each_checkpoint', 'iter_batches',
           'load_classifier_config', 'predict_probs', 'predict_split']


@dataclass(frozen=True)
class Predictions:
    """What a classifier predicts for the images of a split."""

    #: Class probabilities, float32 (N, K).
    probs: np.ndarray
    #: True classes, int64 (N,).
    labels: np.ndarray
    #: The place of each image in the split, int64 (N,).
    indices: np.ndarray


def predict_split(cfg: Any, split: str, checkpoints: Sequence[str], names: Sequence[str],
                  max_images: int | None = None,
                  device: str | None = None) -> dict[str, Predictions]:
    """What each checkpoint predicts for a split, computed only where it is not kept yet.

    Kept is ``predictions/<key>.npz`` beside a checkpoint. Data set and model are built only where
    something is missing, and then all those checkpoints are checked before the first is used.

    Args:
        cfg (Config): As :func:`load_classifier_config` returns it; it is not changed.
        split (str): 'test', 'val' or 'train'.
        checkpoints (Sequence[str]): Their paths.
        names (Sequence[str]): A name for each.
        max_images (int, optional): So many, evenly spread. Defaults to None, all.
        device (str, optional): Where to compute. Defaults to None, the GPU if there is one.

    Returns:
        dict[str, Predictions]: By the names, in their order.

    Raises:
        ValueError: If a checkpoint does not fit, or labels are not single classes of the model.
    """
    paths = dict(zip(names, checkpoints))
    places = {name: _cache_file(cfg, split, path, max_images) for name, path in paths.items()}
    found = {name: kept for name, place in places.items() if (kept := _read(place))}
    missing = [name for name in names if name not in found]
    if missing:
        model, loader = build_model(cfg, device), loaders.build_loader(cfg, split, max_images)
        size = len(loader.dataset)
        indices = np.array(getattr(loader.dataset, 'indices', range(size)), np.int64)
        for name in each_checkpoint(model, [paths[name] for name in missing], missing):
            found[name] = Predictions(*predict_probs(model, loader, name), indices)
            _keep(places[name], found[name])
    return {name: found[name] for name in names}


def _cache_file(cfg: Any, split: str, checkpoint: str, max_images: int | None) -> str:
    """Where the predictions of a checkpoint are kept; '' beside one on a server."""
    if not sources.is_local(checkpoint):
        return ''
    key = fingerprints.result_key(cfg, split, checkpoint, max_images=max_images)
    return osp.join(osp.dirname(osp.abspath(osp.expanduser(checkpoint))), 'predictions',
                    f'{key[:24]}.npz')


def _read(place: str) -> Predictions | None:
    if not osp.isfile(place):
        return None
    try:
        with np.load(place) as arrays:
            return Predictions(arrays['probs'], arrays['labels'], arrays['indices'])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        print(f'{place} is not readable ({error}): predicted again.', file=sys.stderr)
        return None


def _keep(place: str, found: Predictions) -> None:
    if not place:
        return
    try:
        os.makedirs(osp.dirname(place), exist_ok=True)
        with files.replacing(place, 'wb') as file:
            np.savez(file, **vars(found))
    except OSError as error:
        print(f'Not kept, so the next tool predicts again: {error}', file=sys.stderr)


@dataclass(frozen=True)
class Request:
    """What an evaluating tool is asked for: the options of ``cli.add_checkpoint_options``."""
    config: str
    checkpoints: Sequence[str]
    names: Sequence[str]
    out: str
    split: str = 'test'
    max_images: int | None = None
    batch_size: int | None = None
    num_workers: int | None = None
    device: str | None = None
    cfg_options: dict | None = None

    @classmethod
    def of(cls, args: argparse.Namespace) -> 'Request':
        """The part of a command line that all tools share."""
        return cls(**{field.name: getattr(args, field.name) for field in fields(cls)})

    @property
    def paths(self) -> dict[str, str]:
        """Checkpoints by name."""
        return dict(zip(self.names, self.checkpoints))

    @property
    def title(self) -> str:
        """The config's name, for pictures."""
        return osp.splitext(osp.basename(self.config))[0]

    def predict(self, cfg: Any) -> dict[str, Predictions]:
        """See :func:`predict_split`."""
        return predict_split(cfg, self.split, self.checkpoints, self.names, self.max_images,
                             self.device)


def load_classifier_config(args: Any) -> Any:
    """The config of a :class:`Request`, or of the command line that says it, checked.

    It is ready to evaluate the split, and its scope is mmengine's default scope from now on.

    Raises:
        MissingFileError: A file of the data, or a checkpoint, is not there.
        UserError: For a config of another toolbox, or one without the split.
    """
    from mmengine.registry import init_default_scope
    cfg = loading.load_config(args.config, args.cfg_options)
    if cfg.get('default_scope') != 'mmpretrain':
        raise UserError(f'{args.config} is a config of {cfg.get("default_scope")!r}, but '
                        'a classification (mmpretrain) config is needed.')
    splits.prepare_split(cfg, args.split, args.config)
    # With them the data preprocessor would make scores of the labels, which ends in torch's own
    # message for labels that the model does not know.
    (cfg.model.get('train_cfg') or {}).pop('augments', None)
    for preprocessor in (cfg.model.get('data_preprocessor'), cfg.get('data_preprocessor')):
        (preprocessor or {}).pop('batch_augments', None)
    loader = cfg[f'{args.split}_dataloader']
    if args.batch_size:
        loader.batch_size = args.batch_size
    if args.num_workers is not None:
        loader.num_workers = args.num_workers
        loader.persistent_workers = loader.persistent_workers and args.num_workers > 0
    check_checkpoints(args.checkpoints)
    init_default_scope('mmpretrain')
    return cfg


def check_checkpoints(paths: Sequence[str]) -> None:
    """Raise where one of them is not there, and say where checkpoints are made."""
    missing = [sources.advise_checkpoint('the command line', path) for path in paths
               if sources.is_local(path) and not osp.isfile(osp.expanduser(path))]
    if missing:
        raise MissingFileError('\n\n'.join(missing))


def build_model(cfg: Any, device: str | None = None) -> Any:
    """The config's model in evaluation mode, on the GPU if there is one; the config stays."""
    import torch
    from mmengine.model import revert_sync_batchnorm
    from mmengine.registry import MODELS
    # A copy: building fills in settings, and later keys of results would differ from the first.
    cfg = copy.deepcopy(cfg)
    if cfg.get('data_preprocessor'):
        cfg.model.setdefault('data_preprocessor', cfg.data_preprocessor)
    # SyncBN refuses CPU tensors, and does what BN does once it is trained.
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    return model.to(device or ('cuda' if torch.cuda.is_available() else 'cpu')).eval()


def each_checkpoint(model: Any, paths: Sequence[str], names: Sequence[str]) -> Iterator[str]:
    """Load one checkpoint after the other and yield its name; all are checked before the first."""
    # Here, since it brings torch, and a tool's --help shall not wait for that.
    from mmips.structures import state_dicts
    for path in paths:
        state_dicts.check_state(path, state_dicts.read_state(path), model.state_dict())
    for name, path in zip(names, paths):
        model.load_state_dict(state_dicts.read_state(path), strict=False)
        yield name


def check_images(numbers: Sequence[int], size: int, split: str) -> list[int]:
    """The numbers of ``--images``, each once; refused where they are outside the split."""
    outside = [number for number in numbers if not 0 <= number < size]
    if outside:
        raise UserError(f'--images: the {split} split has {size} images, 0 to {size - 1}, but '
                        f'got {outside}.')
    return list(dict.fromkeys(numbers))


def class_names(loader: Any, number: int) -> tuple[str, ...]:
    """Names of so many classes or more; their numbers where the data set has no names."""
    names = (getattr(loader.dataset, 'metainfo', None) or {}).get('classes') or ()
    return (*map(str, names), *(f'class {k}' for k in range(len(names), number)))


def iter_batches(loader: Any, title: str) -> Iterator[dict]:
    """Batches of a loader behind a progress bar on stderr."""
    from rich.console import Console
    from rich.progress import track
    yield from track(loader, title, console=Console(stderr=True))


def predict_probs(model: Any, loader: Any, title: str) -> tuple[Any, Any]:
    """Class probabilities, float32 (N, K), and labels, int64 (N,), of every image of a loader."""
    import torch
    probs, labels = [], []
    with torch.no_grad():
        for batch in iter_batches(loader, title):
            for sample in model.test_step(batch):
                probs.append(sample.pred_score.float().cpu())
                labels.append(sample.gt_label.cpu())
    check_labels(labels, len(probs[0]))
    return torch.stack(probs).numpy(), torch.cat(labels).numpy().astype(np.int64)


def check_labels(labels: Sequence[Any], num_classes: int) -> None:
    """Raise unless every image has one label that the model knows."""
    if any(label.numel() != 1 for label in labels):
        raise UserError('Every image must have one label, but some have none or several: only '
                        'single-label classifiers are evaluated here.')
    outside = [int(label) for label in labels if not 0 <= int(label) < num_classes]
    if outside:
        raise UserError(f'The data has the label {outside[0]}, but the model only {num_classes} '
                        'classes. Is this the data the checkpoint was trained for?')
