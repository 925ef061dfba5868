# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Class activation maps of several checkpoints, by mmpretrain's own tool and grad-cam."""
import argparse
import difflib
import importlib.util
import os.path as osp
import runpy
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from mmips.config import colours
from mmips.errors import UserError
from mmips.evaluation import predictions
from mmips.evaluation.pairs import predict_inputs
from mmips.runs import files, loaders
from mmips.visualization import denormalize
from mmips.visualization.cam import draw_cam

__all__ = ['Result', 'compare_cam', 'import_vis_cam', 'pick_images']

# A map of fewer positions a side says nothing about parts of an object.
_FEW = 4
_HEADER = ('image', 'class', 'checkpoint', 'predicted', 'confidence', 'target',
           'target_confidence')


class Result(NamedTuple):
    """What one checkpoint makes of the chosen images."""
    maps: np.ndarray  # (N, H, W), float32 from 0 to 1, each scaled to its own range.
    probs: np.ndarray  # Class probabilities (N, K).
    targets: np.ndarray  # The classes looked for (N,).
    grid: tuple[int, int]  # Rows and columns of the coarsest layer's positions.


def compare_cam(args: argparse.Namespace) -> dict[str, Result]:
    """Do what ``tools/visualization/compare_cam.py`` is asked for: ``cam.png`` and ``cam.csv``.

    Returns the results by the checkpoints' names; raises a UserError for options, data or
    checkpoints that cannot be.
    """
    if args.num < 1:
        raise UserError(f'--num must be at least 1, got {args.num}.')
    if args.pick == 'disagree' and len(args.checkpoints) < 2:
        raise UserError('--pick disagree compares two checkpoints or more, got one.')
    cfg = predictions.load_classifier_config(args)
    vis_cam = import_vis_cam()
    model = predictions.build_model(cfg, args.device)
    # Before anything is predicted: all checkpoints are read and checked.
    next(predictions.each_checkpoint(model, args.checkpoints, args.names))
    layers, layer_names = _find_layers(vis_cam, model, args)
    loader = loaders.build_loader(cfg, args.split, None if args.images else args.max_images)
    classes = predictions.class_names(loader, getattr(model.head, 'num_classes', 0))
    target = _find_target(args.target, classes)
    chosen = pick_images(cfg, len(loader.dataset), args)
    inputs, labels = _load_images(model, loader, chosen)
    results = {name: _compute(vis_cam, model, layers, inputs, labels, target, args)
               for name in predictions.each_checkpoint(model, args.checkpoints, args.names)}
    # The numbers in the whole split, where --max-images left images out.
    indices = getattr(loader.dataset, 'indices', range(len(loader.dataset)))
    known = [(indices[number], label) for number, label in zip(chosen, labels)]
    folder = Path(args.out)
    folder.mkdir(parents=True, exist_ok=True)
    _write_table(folder / 'cam.csv', known, results, classes)
    looked_for = f'{args.target} class' if target is None else f'class {classes[target]}'
    pictures = denormalize(inputs, model.data_preprocessor,
                           colours.network_order(cfg, args.split) == 'bgr')
    _draw(folder / 'cam.png', pictures, known, results, classes,
          f'{args.method} of the {looked_for}', (
              f'{osp.splitext(osp.basename(args.config))[0]}, {args.split} images',
              _describe_layers(layer_names, results if layers else {})))
    print(f'{folder / "cam.png"}\n{folder / "cam.csv"}')
    return results


def _describe_layers(names: str, results: Mapping[str, Result]) -> str:
    """What the caption says of the layers; a warning where they have few positions."""
    if results:
        rows, columns = min(result.grid for result in results.values())
        names += f', {rows}\u2009\u00d7\u2009{columns} positions'
        if min(rows, columns) < _FEW:
            print(f'The map is a blur ({names}). An earlier stage shows more: --target-layers, of '
                  'a ResNet such as backbone.layer3.')
    return f'{names}; each map scaled to its own range'


def import_vis_cam() -> Any:
    """The module of mmpretrain's own ``vis_cam`` tool."""
    import mmpretrain
    if importlib.util.find_spec('pytorch_grad_cam') is None:
        raise UserError('Class activation maps need the library grad-cam: '
                        "pip install 'grad-cam>=1.3.7,<1.5'")
    path = osp.join(osp.dirname(mmpretrain.__file__), '.mim', 'tools', 'visualization',
                    'vis_cam.py')
    if not osp.isfile(path):
        raise UserError(f'mmpretrain has no {path}: install its wheel, or in a source checkout run '
                        '`pip install -e .`, which links its tools there.')
    return SimpleNamespace(**runpy.run_path(path))


def _did_you_mean(value: str, known: Sequence[str]) -> str:
    """Names that are close to a mistaken one, as a sentence; some of them, if none is close."""
    close = difflib.get_close_matches(value, known, n=5, cutoff=0.5)
    return f'Did you mean {", ".join(close)}?' if close else f'Some are {", ".join(known[:10])}.'


def _find_layers(vis_cam: Any, model: Any, args: argparse.Namespace) -> tuple[list, str]:
    """The layers to look at and how to call them."""
    method = args.method.lower()
    if method not in vis_cam.METHOD_MAP:
        raise UserError(f'--method must be one of {", ".join(sorted(vis_cam.METHOD_MAP))}, got '
                        f'{args.method!r}.')
    names = {name: layer for name, layer in model.named_modules() if name}
    unknown = [name for name in args.target_layers if name not in names]
    if unknown:
        raise UserError(f'--target-layers: the model has no layer {unknown[0]!r}. '
                        f'{_did_you_mean(unknown[0], list(names))}')
    if method == 'fullgrad':
        if args.target_layers:
            raise UserError('--method fullgrad looks at all layers: leave --target-layers out, '
                            f'got {args.target_layers}.')
        return [], 'all layers'
    try:
        layers = ([names[name] for name in args.target_layers]
                  or vis_cam.get_default_target_layers(model, args))
    except IndexError:
        raise UserError('The backbone has no normalisation that could be looked at: give '
                        '--target-layers.') from None
    return layers, ', '.join(name for name, layer in names.items()
                             if any(layer is wanted for wanted in layers))


def _find_target(target: str, classes: Sequence[str]) -> int | None:
    """The number of the class looked for; None for 'true' and 'predicted'."""
    if target in ('true', 'predicted'):
        return None
    if target in classes:
        return list(classes).index(target)
    if target.isdigit() and int(target) < len(classes):
        return int(target)
    raise UserError(f"--target must be 'true', 'predicted', the name of a class or its number, 0 "
                    f'to {len(classes) - 1}, got {target!r}. {_did_you_mean(target, classes)}')


def pick_images(cfg: Any, size: int, args: argparse.Namespace) -> list[int]:
    """Which of so many images of the split to draw, by ``--images`` or ``--pick``."""
    if args.images:
        return predictions.check_images(args.images, size, args.split)
    candidates = list(range(size))
    if args.pick == 'disagree':
        first, last = args.names[0], args.names[-1]
        found = predictions.predict_split(cfg, args.split, args.checkpoints[::len(args.names) - 1],
                                          [first, last], args.max_images, args.device)
        right = {name: part.probs.argmax(1) == part.labels for name, part in found.items()}
        candidates = np.flatnonzero(right[last] & ~right[first]).tolist()
        print(f'{first} gets {len(candidates)} of {size} images wrong that {last} gets right.')
        if not candidates:
            raise UserError(f'--pick disagree: of {size} images, {first} gets none wrong that '
                            f'{last} gets right. Give more images or --pick spread.')
    return [candidates[place] for place in loaders.spread(len(candidates), args.num)]


def _load_images(model: Any, loader: Any, chosen: Sequence[int]) -> tuple[Any, list[int]]:
    """Chosen images as the network sees them, (N, C, H, W), and their classes."""
    batch = loader.collate_fn([loader.dataset[number] for number in chosen])
    data = model.data_preprocessor(batch, False)
    labels = [sample.get('gt_label') for sample in data['data_samples']]
    if any(label is None or label.numel() != 1 for label in labels):
        raise UserError('Every image must have one label, but some have none or several.')
    return data['inputs'], [int(label) for label in labels]


def _compute(vis_cam: Any, model: Any, layers: Sequence[Any], inputs: Any, labels: Sequence[int],
             target: int | None, args: argparse.Namespace) -> Result:
    """Maps and predictions of the checkpoint that the model holds."""
    from mmengine.runner import set_random_seed
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    probs = predict_inputs(model, inputs, labels)
    wanted = {'true': np.array(labels), 'predicted': probs.argmax(1)}.get(
        args.target, np.full(len(labels), target))
    # For randomcam, the baseline of random weights.
    set_random_seed(0)
    cam = vis_cam.init_cam(args.method, model, layers, inputs.is_cuda,
                           partial(_to_maps, vis_cam=vis_cam, model=model, args=args))
    try:
        # Few at a time, since some methods keep a copy for each channel. The inputs ask for a
        # gradient, which would not reach a layer behind frozen ones otherwise.
        maps = [cam(part.detach().clone().requires_grad_(),
                    [ClassifierOutputTarget(int(label)) for label in some])
                for part, some in zip(inputs.split(8), np.split(wanted, range(8, len(wanted), 8)))]
        grid = min(tuple(kept.shape[-2:]) for kept in cam.activations_and_grads.activations)
    finally:
        cam.activations_and_grads.release()
        model.zero_grad(set_to_none=True)
    return Result(np.concatenate(maps), probs, wanted, grid)


def _to_maps(tensor: Any, vis_cam: Any, model: Any, args: argparse.Namespace) -> Any:
    """What a layer returns as feature maps (N, C, H, W)."""
    if not hasattr(tensor, 'ndim'):
        raise UserError(f'--target-layers: {args.target_layers} returns a '
                        f'{type(tensor).__name__} of several things: choose a layer inside it.')
    try:
        # A copy, as on a GPU: on a CPU the library keeps the tensor itself, to which residual
        # blocks add in place after their last normalisation.
        return vis_cam.reshape_transform(tensor.clone(), model=model, args=args)
    except (ValueError, AssertionError) as error:
        raise UserError(str(error)) from error


def _write_table(path: Path, images: Sequence[tuple[int, int]], results: Mapping[str, Result],
                 classes: Sequence[str]) -> None:
    """Write a line for each image, given by number and class, and each checkpoint."""
    rows = []
    for place, (number, label) in enumerate(images):
        for name, result in results.items():
            probs, target = result.probs[place], result.targets[place]
            found = probs.argmax()
            rows.append([number, classes[label], name, classes[found], f'{probs[found]:.6f}',
                         classes[target], f'{probs[target]:.6f}'])
    files.write_csv(path, _HEADER, rows)


def _draw(path: Path, pictures: np.ndarray, images: Sequence[tuple[int, int]],
          results: Mapping[str, Result], classes: Sequence[str], *texts: Any) -> None:
    """Draw the maps of all checkpoints and write the picture."""
    verdicts = {name: [
        # A map of zeros: nothing speaks for the class anywhere.
        (f'{classes[probs.argmax()]} {probs.max():.2f}{"" if cam.any() else ", map 0"}',
         probs.argmax() == label)
        for probs, cam, (_, label) in zip(result.probs, result.maps, images)]
        for name, result in results.items()}
    captions = [f'{number}: {classes[label]}' for number, label in images]
    files.write_picture(path, draw_cam(pictures, captions, {
        name: result.maps for name, result in results.items()}, verdicts, *texts))
