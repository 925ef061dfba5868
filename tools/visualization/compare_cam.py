# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Class activation maps of several checkpoints of one config side by side.

::

    python tools/visualization/compare_cam.py CONFIG CHECKPOINT [CHECKPOINT ...] \\
        --names 'hard label' 'IPS 4x4' --out DIR

As Figure 9 of the IPS paper: ``DIR/cam.png`` has a row for each image and a column for each
checkpoint, with its prediction; ``DIR/cam.csv`` has the predictions as numbers. The images come
through the config's own data set and pipeline. Maps, default layers and the handling of
vision transformers are those of mmpretrain's ``tools/visualization/vis_cam.py``, on the grad-cam
library. The networks are in evaluation mode.

The default layer is the last normalisation of the backbone. On small images it has few
positions (a ResNet at 64 pixels: 2x2), and the map is a blur: an earlier stage says more,
such as ``--target-layers backbone.layer3``.
"""
import argparse
import difflib
import importlib.util
import os
import os.path as osp
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import mmips  # noqa: F401  (first: it makes 'mmips::' bases readable)
from mmips.evaluation import predictions
from mmips.runs import cli, files, loaders
from mmips.structures import state_dicts

INSTALL = "pip install 'grad-cam>=1.3.7,<1.5'"
# A map of fewer positions a side says nothing about parts of an object.
FEW = 4


class Result(NamedTuple):
    """What one checkpoint makes of the chosen images.

    Attributes:
        maps (np.ndarray): (N, H, W), float32 from 0 to 1, each scaled to its own range.
        probs (np.ndarray): Class probabilities (N, K).
        targets (np.ndarray): The classes looked for (N,).
        grid (tuple[int, int]): Rows and columns of the coarsest layer's positions.
    """
    maps: Any
    probs: Any
    targets: Any
    grid: tuple[int, int]


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Compare where checkpoints look')
    predictions.add_checkpoint_options(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument('--images', nargs='+', type=int, metavar='N',
                       help='numbers of the images to draw, from 0')
    which.add_argument('--pick', choices=['spread', 'disagree'], default='spread',
                       help='images evenly spread over the split, or over those that the first '
                       'checkpoint gets wrong and the last right (default: spread)')
    parser.add_argument('--num', type=int, default=6, help='how many to pick (default: 6)')
    parser.add_argument('--method', default='gradcam',
                        help='gradcam, gradcam++, layercam, ... of grad-cam (default: gradcam)')
    parser.add_argument('--target-layers', nargs='+', metavar='NAME', default=[],
                        help="layers to look at, such as backbone.layer3 (default: the backbone's "
                        'last normalisation)')
    parser.add_argument('--target', default='true', metavar='CLASS',
                        help="the class looked for: 'true', 'predicted' or the name or number of "
                        'one (default: true)')
    parser.add_argument('--vit-like', action='store_true',
                        help='for backbones whose features are tokens')
    parser.add_argument('--num-extra-tokens', type=int,
                        help="tokens that are no part of the image (default: the backbone's)")
    args = parser.parse_args(argv)
    predictions.check_names(parser, args)
    if args.num < 1:
        parser.error(f'--num must be at least 1, got {args.num}')
    if args.pick == 'disagree' and len(args.checkpoints) < 2:
        parser.error('--pick disagree compares two checkpoints or more, got one')
    return args


def import_vis_cam() -> Any:
    """The module of mmpretrain's own tool.

    Raises:
        ImportError: If grad-cam, or the tool, is not installed.
    """
    import mmpretrain
    if importlib.util.find_spec('pytorch_grad_cam') is None:
        raise ImportError(f'Class activation maps need the library grad-cam: {INSTALL}')
    path = osp.join(osp.dirname(mmpretrain.__file__), '.mim', 'tools', 'visualization',
                    'vis_cam.py')
    if not osp.isfile(path):
        raise ImportError(f'mmpretrain has no {path}: install its wheel, or in a source checkout '
                          'run `pip install -e .`, which links its tools there.')
    spec = importlib.util.spec_from_file_location('mmpretrain_vis_cam', path)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module


def did_you_mean(value: str, known: Sequence[str]) -> str:
    """Names that are close to a mistaken one, as a sentence; some of them, if none is close."""
    close = difflib.get_close_matches(value, known, n=5, cutoff=0.5)
    return (f'Did you mean {", ".join(close)}?' if close else
            f'There are {len(known)}, such as {", ".join(known[:10])}.')


def check_method(vis_cam: Any, method: str) -> None:
    """Raise for a method that grad-cam does not have."""
    known = sorted(vis_cam.METHOD_MAP)
    if method.lower() not in known:
        raise ValueError(f'--method must be one of {", ".join(known)}, got {method!r}.')


def find_layers(vis_cam: Any, model: Any, args: argparse.Namespace) -> tuple[list, str]:
    """The layers to look at and how to call them."""
    names = {name: layer for name, layer in model.named_modules() if name}
    unknown = [name for name in args.target_layers if name not in names]
    if unknown:
        raise ValueError(f'--target-layers: the model has no layer {unknown[0]!r}. '
                         f'{did_you_mean(unknown[0], list(names))}')
    if args.method.lower() == 'fullgrad':
        if args.target_layers:
            raise ValueError('--method fullgrad looks at all layers: leave --target-layers out, '
                             f'got {args.target_layers}.')
        return [], 'all layers'
    if args.target_layers:
        layers = [vis_cam.get_layer(name, model) for name in args.target_layers]
    else:
        try:
            layers = vis_cam.get_default_target_layers(model, args)
        except IndexError:
            raise ValueError('The backbone has no normalisation that could be looked at: give '
                             '--target-layers.') from None
    return layers, ', '.join(name for name, layer in names.items()
                             if any(layer is one for one in layers))


def find_target(target: str, classes: Sequence[str]) -> int | None:
    """The number of the class looked for; None for 'true' and 'predicted'."""
    if target in ('true', 'predicted'):
        return None
    if target in classes:
        return list(classes).index(target)
    if target.isdigit() and int(target) < len(classes):
        return int(target)
    raise ValueError(f"--target must be 'true', 'predicted', the name of a class or its number, 0 "
                     f'to {len(classes) - 1}, got {target!r}. {did_you_mean(target, classes)}')


def pick_images(model: Any, loader: Any, args: argparse.Namespace) -> list[int]:
    """The numbers of the images to draw, within the loader's data set."""
    size = len(loader.dataset)
    if args.images:
        return predictions.check_images(args.images, size, args.split)
    candidates = list(range(size))
    if args.pick == 'disagree':
        ends = [list(part)[::len(part) - 1] for part in (args.checkpoints, args.names)]
        first, last = (right_ones(model, loader, name)
                       for name in predictions.each_checkpoint(model, *ends))
        candidates = [number for number in candidates if last[number] and not first[number]]
        print(f'{args.names[0]} gets {len(candidates)} of {size} images wrong that '
              f'{args.names[-1]} gets right.')
        if not candidates:
            raise ValueError(f'--pick disagree: of {size} images, {args.names[0]} gets none wrong '
                             f'that {args.names[-1]} gets right. Give more images or --pick '
                             'spread.')
    return [candidates[place] for place in loaders.spread(len(candidates), args.num)]


def right_ones(model: Any, loader: Any, name: str) -> Any:
    """Which images of a split the model gets right, bool (N,)."""
    probs, labels = predictions.predict_probs(model, loader, name)
    return probs.argmax(1) == labels


def load_images(model: Any, loader: Any, chosen: Sequence[int]) -> tuple[Any, list[int]]:
    """Chosen images as the network sees them, (N, C, H, W), and their classes."""
    batch = loader.collate_fn([loader.dataset[number] for number in chosen])
    data = model.data_preprocessor(batch, False)
    labels = [sample.get('gt_label') for sample in data['data_samples']]
    if any(label is None or label.numel() != 1 for label in labels):
        raise ValueError('Every image must have one label, but some have none or several.')
    return data['inputs'], [int(label) for label in labels]


def compute(vis_cam: Any, model: Any, layers: Sequence[Any], inputs: Any, labels: Sequence[int],
            target: int | None, args: argparse.Namespace) -> Result:
    """Maps and predictions of the checkpoint that the model holds."""
    import numpy as np
    import torch
    from mmengine.runner import set_random_seed
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    with torch.no_grad():
        probs = torch.stack([sample.pred_score for part in inputs.split(64)
                             for sample in model(part, mode='predict')]).cpu().numpy()
    if max(labels) >= probs.shape[1]:
        raise ValueError(f'The data has the label {max(labels)}, but the model only '
                         f'{probs.shape[1]} classes: set model.head.num_classes.')
    wanted = {'true': np.array(labels), 'predicted': probs.argmax(1)}.get(
        args.target, np.full(len(labels), target))
    # For randomcam, the baseline of random weights.
    set_random_seed(0)
    cam = vis_cam.init_cam(args.method, model, layers, inputs.is_cuda,
                           partial(to_maps, vis_cam=vis_cam, model=model, args=args))
    try:
        # Few at a time, since some methods keep a copy for each channel. The inputs ask for a
        # gradient, which would not reach a layer behind frozen ones otherwise.
        maps = [cam(part.detach().clone().requires_grad_(),
                    [ClassifierOutputTarget(int(label)) for label in some])
                for part, some in zip(inputs.split(8), np.split(wanted, range(8, len(wanted), 8)))]
        grid = min(tuple(one.shape[-2:]) for one in cam.activations_and_grads.activations)
    finally:
        cam.activations_and_grads.release()
        model.zero_grad(set_to_none=True)
    return Result(np.concatenate(maps), probs, wanted, grid)


def to_maps(tensor: Any, vis_cam: Any, model: Any, args: argparse.Namespace) -> Any:
    """What a layer returns as feature maps (N, C, H, W)."""
    if not hasattr(tensor, 'ndim'):
        raise ValueError(f'--target-layers: {args.target_layers} returns a '
                         f'{type(tensor).__name__} of several things: choose a layer inside it.')
    # A copy, as on a GPU: on a CPU the library keeps the tensor itself, to which residual blocks
    # add in place after their last normalisation.
    return vis_cam.reshape_transform(tensor.clone(), model=model, args=args)


def write_table(path: str, numbers: Sequence[int], labels: Sequence[int],
                results: dict[str, Result], classes: Sequence[str]) -> None:
    """Write a line for each image and checkpoint."""
    rows = []
    for place, (number, label) in enumerate(zip(numbers, labels)):
        for name, result in results.items():
            probs, target = result.probs[place], result.targets[place]
            found = probs.argmax()
            rows.append([number, classes[label], name, classes[found], f'{probs[found]:.6f}',
                         classes[target], f'{probs[target]:.6f}'])
    files.write_csv(path, ['image', 'class', 'checkpoint', 'predicted', 'confidence', 'target',
                           'target_confidence'], rows)


def draw(path: str, images: Any, numbers: Sequence[int], labels: Sequence[int],
         results: dict[str, Result], classes: Sequence[str], title: str,
         notes: Sequence[str]) -> str:
    """Draw the maps of all checkpoints and write the picture; returns its path."""
    from mmips.visualization.cam import CamExample, draw_cam
    examples = []
    for place, (number, label) in enumerate(zip(numbers, labels)):
        found = [int(result.probs[place].argmax()) for result in results.values()]
        maps = [result.maps[place] for result in results.values()]
        texts = [f'{classes[one]} {result.probs[place, one]:.2f}'
                 for one, result in zip(found, results.values())]
        examples.append(CamExample(
            images[place], maps, f'{number}: {classes[label]}',
            # Nothing speaks for the class anywhere.
            [f'{text}{"" if cam.any() else ", map 0"}' for text, cam in zip(texts, maps)],
            [one == label for one in found]))
    return draw_cam(examples, list(results), path, title, notes)


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> dict[str, Result]:
    """Draw, and return the results by name."""
    from mmips.visualization import denormalize, is_bgr
    args = parse_args(argv)
    cfg = predictions.load_classifier_config(args)
    vis_cam = import_vis_cam()
    check_method(vis_cam, args.method)
    model = predictions.build_model(cfg, args.device)
    layers, layer_names = find_layers(vis_cam, model, args)
    loader = loaders.build_loader(cfg, args.split, None if args.images else args.max_images)
    for checkpoint in args.checkpoints:
        state_dicts.check_state(checkpoint, state_dicts.read_state(checkpoint), model.state_dict())
    classes = predictions.class_names(loader, getattr(model.head, 'num_classes', 0))
    target = find_target(args.target, classes)
    chosen = pick_images(model, loader, args)
    inputs, labels = load_images(model, loader, chosen)
    results = {name: compute(vis_cam, model, layers, inputs, labels, target, args)
               for name in predictions.each_checkpoint(model, args.checkpoints, args.names)}
    # The numbers in the whole split, where --max-images left images out.
    numbers = [getattr(loader.dataset, 'indices', range(len(loader.dataset)))[number]
               for number in chosen]
    os.makedirs(args.out, exist_ok=True)
    table, picture = (osp.join(args.out, f'cam.{ending}') for ending in ('csv', 'png'))
    write_table(table, numbers, labels, results, classes)
    images = denormalize(inputs, model.data_preprocessor,
                         is_bgr(cfg[f'{args.split}_dataloader'].dataset, model.data_preprocessor))
    if layers:
        rows, columns = min(result.grid for result in results.values())
        layer_names += f', {rows}\u2009\u00d7\u2009{columns} positions'
        if min(rows, columns) < FEW:
            print(f'The map is a blur ({layer_names}). An earlier stage shows more: '
                  '--target-layers, of a ResNet such as backbone.layer3.')
    looked_for = f'{args.target} class' if target is None else f'class {classes[target]}'
    draw(picture, images, numbers, labels, results, classes, f'{args.method} of the {looked_for}', (
        f'{osp.splitext(osp.basename(args.config))[0]}, {args.split} images',
        f'{layer_names}; each map scaled to its own range'))
    print(f'{picture}\n{table}')
    return results


if __name__ == '__main__':
    main()
