# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Several checkpoints of one config over one split: what the evaluating tools share.

A split is predicted once for each checkpoint: :meth:`Request.predict` keeps what comes out as
``predictions/<key>.npz`` beside the checkpoint, where every tool finds it again.
"""
import argparse
import copy
import difflib
import functools
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmips.config import colours, loading, sources, splits
from mmips.errors import MissingFileError, UserError, explained
from mmips.runs import files, fingerprints, loaders


@dataclass(frozen=True)
class Predictions:
    """What a classifier predicts for N images of a split, which have these places in it."""
    probs: np.ndarray  # Of the classes, float32 (N, K).
    labels: np.ndarray  # True classes, int64 (N,).
    indices: np.ndarray  # int64 (N,).

    @property
    def right(self) -> np.ndarray:
        """Which images are classified correctly, bool (N,)."""
        return self.probs.argmax(1) == self.labels


class Request(argparse.Namespace):
    """What an evaluating tool is asked for, with what is asked by default.

    Its parser fills in ``config``, ``checkpoints`` and their ``names``, ``out`` and its own
    options, too.
    """
    split: str = 'test'
    max_images: int | None = None
    batch_size: int | None = None
    num_workers: int | None = None
    device: str | None = None
    cfg_options: dict | None = None

    @property
    def paths(self) -> dict[str, str]:
        """Checkpoints by name."""
        return dict(zip(self.names, self.checkpoints))

    @property
    def title(self) -> str:
        """The config's name, for pictures."""
        return Path(self.config).stem

    def build_loader(self, cfg: Any) -> Any:
        """The data loader of the images."""
        with explained(f'{self.split}_dataloader cannot be built'):
            return loaders.build_loader(cfg, self.split, self.max_images)

    def key(self, cfg: Any, path: str, **settings: Any) -> str:
        """By what a checkpoint's number is found again; the data is looked at once for all."""
        return fingerprints.result_key(cfg, self.split, path, self._states,
                                       max_images=self.max_images, **settings)

    @functools.cached_property
    def _states(self) -> dict:
        return {}

    def predict(self, cfg: Any) -> dict[str, Predictions]:
        """What each checkpoint predicts, by the names; computed only where it is not kept yet."""
        kept = {name: Path(path).expanduser().absolute().with_name('predictions')
                / f'{self.key(cfg, path)[:24]}.npz' for name, path in self.paths.items()}
        found = {name: part for name, file in kept.items()
                 if file.is_file() and (part := _read(file))}
        missing = {name: path for name, path in self.paths.items() if name not in found}
        if missing:
            model, loader = build_model(cfg, self.device), self.build_loader(cfg)
            for name in each_checkpoint(model, missing):
                found[name] = predict_all(model, loader, name)
                if sources.is_local(missing[name]):
                    _keep(kept[name], found[name])
        return {name: found[name] for name in self.paths}


def _read(path: Path) -> Predictions | None:
    try:
        return Predictions(**np.load(path))
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        print(f'{path} is not readable ({error}): predicted again.', file=sys.stderr)
        return None


def _keep(path: Path, found: Predictions) -> None:
    try:
        path.parent.mkdir(exist_ok=True)
        with files.replacing(path, 'wb') as file:
            np.savez(file, **vars(found))
    except OSError as error:
        print(f'Not kept, so the next tool predicts again: {error}', file=sys.stderr)


def predict_all(model: Any, loader: Any, title: str) -> Predictions:
    """What a model predicts for every image of a loader."""
    import torch
    with torch.no_grad():
        samples = [(sample.pred_score.float().cpu(), sample.gt_label.cpu())
                   for batch in iter_batches(loader, title) for sample in model.test_step(batch)]
    probs, labels = zip(*samples)
    check_labels(labels, len(probs[0]))
    return Predictions(torch.stack(probs).numpy(), torch.cat(labels).numpy().astype(np.int64),
                       np.array(places(loader), np.int64))


def load_config(args: argparse.Namespace, scope: str = '') -> Any:
    """The config of a command line, whose checkpoints are there; its scope is the default now."""
    from mmengine.registry import init_default_scope
    cfg = loading.load_config(args.config, args.cfg_options)
    own = cfg.get('default_scope', 'mmengine')
    if scope not in ('', own):
        raise UserError(f'{args.config} is a config of {own!r}, but one of {scope!r} is needed.')
    missing = [sources.advise_checkpoint('the command line', path) for path in args.checkpoints
               if sources.is_local(path) and not Path(path).expanduser().is_file()]
    if missing:
        raise MissingFileError('\n\n'.join(missing))
    init_default_scope(own)
    return cfg


def load_split_config(request: Request, scope: str = '') -> Any:
    """The config of a request, ready to evaluate the split, whose data is there."""
    cfg = load_config(request, scope)
    splits.prepare_split(cfg, request.split, request.config)
    loader = cfg[f'{request.split}_dataloader']
    loader.batch_size = request.batch_size or loader.batch_size
    if request.num_workers is not None:
        loader.update(num_workers=request.num_workers, persistent_workers=(
            loader.persistent_workers and request.num_workers > 0))
    return cfg


def load_classifier_config(request: Request, pictures: bool = True) -> Any:
    """The same of a config of mmpretrain, without batch augments.

    With them the data preprocessor would make scores of the labels, which ends in torch's own
    message for labels that the model does not know. ``pictures`` are wanted in the batches by
    whatever changes or shows them.
    """
    cfg = load_split_config(request, 'mmpretrain')
    dataset = cfg[f'{request.split}_dataloader'].dataset
    if pictures and sources.type_name(dataset) in ('EncodedImages', 'ImagesOnDevice'):
        raise UserError(f'{request.config} hands whole batches to its data preprocessor, but here '
                        'single images are needed before it. Give the config with an ordinary '
                        'data set (for x-device.py x.py): the checkpoints are the same.')
    for node in (cfg.model.get('train_cfg'), cfg.model.get('data_preprocessor'),
                 cfg.get('data_preprocessor')):
        for key in ('augments', 'batch_augments'):
            (node or {}).pop(key, None)
    return cfg


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
    with explained('The model cannot be built'):
        model = revert_sync_batchnorm(MODELS.build(cfg.model))
    device = device or ('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        return model.to(device).eval()
    except (RuntimeError, AssertionError) as error:
        raise UserError(f'--device {device}: {str(error).splitlines()[0]}') from error


def each_checkpoint(model: Any, paths: Mapping[str, str]) -> Iterator[str]:
    """Load one checkpoint after the other and yield its name; all are checked before the first."""
    # Here, since it brings torch, and a tool's --help shall not wait for that.
    from mmips.structures import state_dicts
    for path in paths.values():
        state_dicts.load_checked(model, state_dicts.read_state(path), path)
    for name, path in paths.items():
        state_dicts.load_checked(model, state_dicts.read_state(path), path)
        yield name


def places(loader: Any) -> Sequence[int]:
    """The places of a loader's images in the whole split, of which it may have a part."""
    return getattr(loader.dataset, 'indices', range(len(loader.dataset)))


def find_images(numbers: Sequence[int], known: Sequence[int], split: str) -> list[int]:
    """Where the numbers of ``--images``, each once, stand among those known of the split."""
    outside = [number for number in numbers if number not in known]
    if outside:
        raise UserError(f'--images: the {split} split has {len(known)} images, {known[0]} to '
                        f'{known[-1]}, but got {outside}. (--max-images leaves some out.)')
    return [known.index(number) for number in dict.fromkeys(numbers)]


def load_images(cfg: Any, model: Any, loader: Any, chosen: Sequence[int], split: str
                ) -> tuple[Any, list, np.ndarray]:
    """Chosen images as the network gets them (N, C, H, W), their labels, and as pictures."""
    # Here, since it brings torch.
    from mmips.visualization import denormalize
    batch = loader.collate_fn([loader.dataset[number] for number in chosen])
    data = model.data_preprocessor(batch, False)
    pictures = denormalize(data['inputs'], model.data_preprocessor,
                           colours.network_order(cfg, split))
    return data['inputs'], [sample.get('gt_label') for sample in data['data_samples']], pictures


def class_names(loader: Any, number: int) -> tuple[str, ...]:
    """Names of so many classes or more; their numbers where the data set has no names."""
    names = (getattr(loader.dataset, 'metainfo', None) or {}).get('classes') or ()
    return (*map(str, names), *(f'class {k}' for k in range(len(names), number)))


def did_you_mean(value: str, known: Sequence[str]) -> str:
    """Names that are close to a mistaken one, as a sentence; some of them, if none is close."""
    close = [*(name for name in known if value and value.lower() in name.lower()),
             *difflib.get_close_matches(value, known, n=5, cutoff=0.5)]
    return (f'Did you mean {", ".join(dict.fromkeys(close[:5]))}?' if close else
            f'Some are {", ".join(known[:10])}.')


def iter_batches(loader: Any, title: str) -> Iterator[dict]:
    """Batches of a loader behind a progress bar on stderr."""
    from rich.console import Console
    from rich.progress import track
    yield from track(loader, title, console=Console(stderr=True))


def predict_inputs(model: Any, inputs: Any, labels: Sequence[Any]) -> np.ndarray:
    """Class probabilities (N, K) of preprocessed images, whose labels the model must know."""
    import torch
    device = next(model.parameters()).device
    with torch.no_grad():
        # In parts for the memory's sake: in evaluation mode it makes no difference.
        probs = torch.stack([sample.pred_score for part in inputs.split(64)
                             for sample in model(part.to(device), mode='predict')]).cpu().numpy()
    check_labels(labels, probs.shape[1])
    return probs


def check_labels(labels: Sequence[Any], num_classes: int) -> None:
    """Raise unless every image has one label that the model knows."""
    if any(label is None or label.numel() != 1 for label in labels):
        raise UserError('Every image must have one label, but some have none or several: only '
                        'single-label classifiers are evaluated here.')
    outside = [int(label) for label in labels if not 0 <= int(label) < num_classes]
    if outside:
        raise UserError(f'The data has the label {outside[0]}, but the model only {num_classes} '
                        'classes. Is this the data the checkpoint was trained for?')


def write(folder: str | Path, name: str, text: str = '', rows: Sequence[dict] = (),
          content: Any = None, dpi: int = 110, **pictures: Any) -> None:
    """Write ``<name>.md``, ``.csv`` (a dict a row) and ``.json``, and pictures by their names."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if text:
        files.write_text(folder / f'{name}.md', text)
    if rows:
        files.write_csv(folder / f'{name}.csv', rows[0], map(dict.values, rows))
    if content:
        files.write_json(folder / f'{name}.json', files.plain(content))
    for picture, figure in pictures.items():
        files.write_picture(folder / f'{picture}.png', figure, dpi)
    print(f'{text}\nWritten to {folder}: {", ".join(dict.fromkeys((name, *pictures)))}')
