# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Class activation maps of several checkpoints, by mmpretrain's own tool and grad-cam."""
import os.path as osp
import runpy
from collections.abc import Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from mmips.errors import UserError, explained
from mmips.evaluation import predictions
from mmips.runs import loaders
from mmips.visualization.cam import draw_cam


class Result(NamedTuple):
    """What one checkpoint makes of the chosen images."""
    maps: np.ndarray  # (N, H, W), float32 from 0 to 1, each scaled to its own range.
    probs: np.ndarray  # Class probabilities (N, K).
    targets: np.ndarray  # The classes looked for (N,).


def compare_cam(request: predictions.Request) -> dict[str, Result]:
    """Do what ``tools/visualization/compare_cam.py`` is asked for; returns results by name."""
    cfg = predictions.load_classifier_config(request)
    vis_cam = import_vis_cam()
    model = predictions.build_model(cfg, request.device)
    # Before anything is predicted: all checkpoints are read and checked.
    next(predictions.each_checkpoint(model, request.paths))
    layers, layer_names = _find_layers(vis_cam, model, request)
    loader = request.build_loader(cfg)
    indices = predictions.places(loader)
    classes = predictions.class_names(loader, getattr(model.head, 'num_classes', 0))
    target = _find_target(request.target, classes)
    chosen = (predictions.find_images(request.images, indices, request.split)
              or pick_images(cfg, len(indices), request))
    inputs, labels, pictures = predictions.load_images(cfg, model, loader, chosen, request.split)
    results = {name: _compute(vis_cam, model, layers, inputs, labels, target, request)
               for name in predictions.each_checkpoint(model, request.paths)}
    looked_for = f'{request.target} class' if target is None else f'class {classes[target]}'
    known = [(indices[number], int(label)) for number, label in zip(chosen, labels)]
    # A map of zeros: nothing speaks for the class anywhere.
    verdicts = {name: [(f'{classes[probs.argmax()]} {probs.max():.2f}'
                        f'{"" if cam.any() else ", map 0"}', probs.argmax() == label)
                       for cam, probs, (_, label) in zip(result.maps, result.probs, known)]
                for name, result in results.items()}
    figure = draw_cam(pictures, [f'{number}: {classes[label]}' for number, label in known],
                      {name: result.maps for name, result in results.items()}, verdicts,
                      f'{request.method} of the {looked_for}',
                      (f'{request.title}, {request.split} images',
                       f'{layer_names}; each map scaled to its own range'))
    predictions.write(request.out, 'cam', rows=[
        {'image': number, 'class': classes[label], 'checkpoint': name,
         'predicted': classes[probs[place].argmax()], 'confidence': f'{probs[place].max():.6f}',
         'target': classes[targets[place]],
         'target_confidence': f'{probs[place, targets[place]]:.6f}'}
        for place, (number, label) in enumerate(known)
        for name, (_, probs, targets) in results.items()], cam=figure)
    return results


def import_vis_cam() -> Any:
    """The module of mmpretrain's own ``vis_cam`` tool."""
    import mmpretrain
    with explained("Class activation maps need grad-cam (pip install 'grad-cam>=1.3.7,<1.5') and "
                   "mmpretrain's own tools (in its wheel, or by `pip install -e .` in a checkout)"):
        return SimpleNamespace(**runpy.run_path(osp.join(
            osp.dirname(mmpretrain.__file__), '.mim/tools/visualization/vis_cam.py')))


def _find_layers(vis_cam: Any, model: Any, request: predictions.Request) -> tuple[list, str]:
    """The layers to look at and how to call them."""
    method = request.method.lower()
    if method not in vis_cam.METHOD_MAP:
        raise UserError(f'--method must be one of {", ".join(sorted(vis_cam.METHOD_MAP))}, got '
                        f'{request.method!r}.')
    names = {name: layer for name, layer in model.named_modules() if name}
    for name in request.target_layers:
        if name not in names:
            raise UserError(f'--target-layers: the model has no layer {name!r}. '
                            f'{predictions.did_you_mean(name, list(names))}')
    if method == 'fullgrad':
        return [], 'all layers'
    try:
        layers = ([names[name] for name in request.target_layers]
                  or vis_cam.get_default_target_layers(model, request))
    except IndexError:
        raise UserError('The backbone has no normalisation that could be looked at: give '
                        '--target-layers.') from None
    return layers, ', '.join(name for name, layer in names.items()
                             if any(layer is wanted for wanted in layers))


def _find_target(target: str, classes: Sequence[str]) -> int | None:
    """The number of the class looked for; None for 'true' and 'predicted'."""
    known = {**{str(number): number for number in range(len(classes))},
             **{name: number for number, name in enumerate(classes)},
             'true': None, 'predicted': None}
    if target not in known:
        raise UserError("--target must be 'true', 'predicted', the name of a class or its number, "
                        f'0 to {len(classes) - 1}, got {target!r}. '
                        f'{predictions.did_you_mean(target, classes)}')
    return known[target]


def pick_images(cfg: Any, size: int, request: predictions.Request) -> list[int]:
    """Which of so many images of the split to draw, by ``--pick``."""
    if request.pick == 'spread':
        return loaders.spread(size, request.num)
    found, first, last = request.predict(cfg), request.names[0], request.names[-1]
    candidates = np.flatnonzero(found[last].right & ~found[first].right)
    print(f'{first} gets {len(candidates)} of {size} images wrong that {last} gets right.')
    if not len(candidates):
        raise UserError(f'--pick disagree: of {size} images, {first} gets none wrong that '
                        f'{last} gets right. Give more images or --pick spread.')
    return candidates[loaders.spread(len(candidates), request.num)].tolist()


def _compute(vis_cam: Any, model: Any, layers: Sequence[Any], inputs: Any, labels: Sequence[Any],
             target: int | None, request: predictions.Request) -> Result:
    """Maps and predictions of the checkpoint that the model holds."""
    from mmengine.runner import set_random_seed
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    probs = predictions.predict_inputs(model, inputs, labels)
    wanted = {'true': np.array(list(map(int, labels))), 'predicted': probs.argmax(1)}.get(
        request.target, np.full(len(labels), target))
    # For randomcam, the baseline of random weights.
    set_random_seed(0)
    with vis_cam.init_cam(request.method, model, layers, inputs.is_cuda, partial(
            _to_maps, vis_cam=vis_cam, model=model, args=request)) as cam:
        # Few at a time, since some methods keep a copy for each channel. The inputs ask for a
        # gradient, which would not reach a layer behind frozen ones otherwise.
        maps = [cam(part.detach().clone().requires_grad_(),
                    [ClassifierOutputTarget(int(label)) for label in some])
                for part, some in zip(inputs.split(8), np.split(wanted, range(8, len(wanted), 8)))]
    model.zero_grad(set_to_none=True)
    return Result(np.concatenate(maps), probs, wanted)


def _to_maps(tensor: Any, vis_cam: Any, model: Any, args: predictions.Request) -> Any:
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
