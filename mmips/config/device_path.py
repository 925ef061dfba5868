# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""A config whose images become whole batches on the device, made of one with a pipeline."""
from typing import Any, NamedTuple

from mmips.config.data_checks import LOADERS
from mmips.config.sources import iter_datasets, type_name
from mmips.config.structure import find_preprocessor
from mmips.errors import UserError

_FLIP = dict(RandomFlip=dict(prob='flip_prob'))


class _Path(NamedTuple):
    """What takes the place of data set, preprocessor and transforms.

    Of a transform the arguments, and which of the preprocessor's they are; ``train`` and
    ``evaluate`` are in order, and those of ``needed`` have to be there.
    """
    dataset: str
    preprocessor: str
    train: dict[str, dict[str, str]]
    evaluate: dict[str, dict[str, str]]
    needed: tuple[str, ...] = ()


_ARRAYS = _Path('mmips.ImagesOnDevice', 'mmips.BatchDataPreprocessor', dict(
    RandomCrop=dict(crop_size='crop_size', padding='crop_padding'), **_FLIP), {})
_FILES = _Path('mmips.EncodedImages', 'mmips.DecodeDataPreprocessor', dict(
    RandomResizedCrop=dict(scale='scale', crop_ratio_range='crop_ratio_range',
                           aspect_ratio_range='aspect_ratio_range'), **_FLIP),
    dict(ResizeEdge=dict(scale='resize_edge'), CenterCrop=dict(crop_size='crop_size')),
    ('RandomResizedCrop', 'ResizeEdge', 'CenterCrop'))
#: Arguments that may stand there with these values alone.
_FIXED = dict(
    backend='cv2', direction='horizontal', edge='short', interpolation='bilinear',
    max_attempts=10, pad_if_needed=False, pad_val=0, padding_mode='constant')


def on_device(cfg: Any) -> dict:
    """The keys that put a classification config on the device path; all others stay.

    Images in memory go into ``mmips.ImagesOnDevice``, image files into ``mmips.EncodedImages``;
    crops and flips move from the pipeline to ``mmips.BatchDataPreprocessor`` and
    ``mmips.DecodeDataPreprocessor``; on a GPU a step becomes one CUDA graph,
    unless a target, a memory or a mix makes steps differ, gradients are clipped or the optimizer
    is another than SGD. The result is an ordinary config. In one
    of your own::

        _base_ = [__import__('mmips').cfg('ips/resnet18_ips_cifar100.py')]
        from mmips.config.device_path import on_device
        globals().update(on_device(_base_))

    Args:
        cfg (Config | dict): Whole config of a classifier on images of one size in memory (CIFAR,
            MNIST, ``mmips.ArrayDataset``, ...) or on image files (ImageNet, ...).

    Returns:
        dict: What differs, to be merged into ``cfg``.

    Raises:
        UserError: For transforms that are not made on whole batches, and other preprocessors.
    """
    kind = type_name(find_preprocessor(cfg)) or 'ClsDataPreprocessor'
    if cfg.get('default_scope') != 'mmpretrain' or kind != 'ClsDataPreprocessor':
        raise UserError('The device path is for classifiers with a ClsDataPreprocessor, but '
                        f'default_scope is {cfg.get("default_scope")!r} and data_preprocessor.type '
                        f'{kind}. Train this config as it is.')
    loaders = {name: cfg[name] for name in LOADERS if cfg.get(name)}
    pipelines = {name: _pipeline(loader, name) for name, loader in loaders.items()}
    path = _FILES if any(type_name(transform) == 'LoadImageFromFile' for pipeline in
                         pipelines.values() for transform in pipeline) else _ARRAYS
    options: dict[str, Any] = dict(type=path.preprocessor, flip_prob=0.)
    for name, pipeline in pipelines.items():
        options.update(_read(pipeline, f'{name}.dataset.pipeline', path))
    own = (cfg.get('model') or {}).get('data_preprocessor')
    return dict(
        **{name: _loader(loader, pipelines[name], path) for name, loader in loaders.items()},
        **(dict(model=dict(data_preprocessor=options)) if own else
           dict(data_preprocessor=options)),
        custom_hooks=[*(cfg.get('custom_hooks') or []), dict(
            type='mmips.FastStepHook', **({} if _fits_a_graph(cfg) else dict(
                cuda_graph=False)))],
        default_hooks=dict(runtime_info=dict(type='mmips.LazyRuntimeInfoHook')),
        env_cfg=dict(cudnn_benchmark=True))


def _fits_a_graph(cfg: Any) -> bool:
    """Whether a step is the same kernels each time, as FastStepHook demands of it."""
    model, wrapper = cfg.model, cfg.get('optim_wrapper') or {}
    optimizer = wrapper.get('optimizer') or {}
    if wrapper.get('clip_grad') or not (type_name(optimizer) == 'SGD'
                                        or optimizer.get('capturable')):
        return False
    return type_name(model) == 'ImageClassifier' or (
        type_name(model) == 'SelfDistillClassifier' and not model.get('target')
        and type_name(model.get('distill')) in ('', 'PairKLLoss'))


def _pipeline(loader: Any, name: str) -> list:
    """The transforms of a loader's data sets, which have to be the same."""
    found = [(key, data.get('pipeline') or []) for key, data in iter_datasets(
        loader.get('dataset'), f'{name}.dataset')]
    for key, pipeline in found[1:]:
        if pipeline != found[0][1]:
            raise UserError(f'{key}.pipeline and {found[0][0]}.pipeline differ, but whole batches '
                            'have one. Give them the same transforms.')
    return found[0][1] if found else []


def _read(pipeline: list, key: str, path: _Path) -> dict:
    """The preprocessor's arguments that stand for a pipeline."""
    table = path.train if key.startswith('train') else path.evaluate
    ends: dict[str, dict] = dict(PackInputs={}, **(
        dict(LoadImageFromFile={}) if path is _FILES else {}))
    options: dict[str, Any] = {}
    for number, transform in enumerate(pipeline):
        names = {**table, **ends}.get(type_name(transform))
        given = {name: value for name, value in transform.items()
                 if name not in ('type', '_scope_', 'backend_args') and value is not None
                 and _FIXED.get(name, ...) != value}
        if names is None or not all(name in names and _is_number(value, name)
                                    for name, value in given.items()):
            raise UserError(
                f'{key}.{number} is {dict(transform)}, which is not made on whole batches: '
                f'here these are {", ".join([*table, *ends])} in their usual forms. Train this '
                'config as it is, without the device path.')
        options.update({names[name]: value for name, value in given.items()})
    lacking = {name for name in path.needed if name in table} - set(map(type_name, pipeline))
    if lacking:
        raise UserError(f'{key} has no {" and ".join(sorted(lacking))}, which makes the images one '
                        'size on the device path. Train this config as it is.')
    return options


def _is_number(value: Any, name: str) -> bool:
    return isinstance(value, (list, tuple) if name.endswith('_range') else (int, float))


def _loader(loader: Any, pipeline: list, path: _Path) -> dict:
    dataset = dict(type=path.dataset, dataset=_bare(loader.get('dataset')))
    backend = next((transform.get('backend_args') for transform in pipeline), None)
    if path is _FILES and backend:
        dataset['backend_args'] = backend
    replaced = dict(collate_fn=dict(type='mmips.whole_batch'), dataset=dataset)
    workers = {} if path is _FILES else dict(
        num_workers=0, persistent_workers=False, pin_memory=False,
        **(dict(prefetch_factor=None) if loader.get('prefetch_factor') else {}))
    # mmengine takes `_delete_` for a key of the new dict where there is no old one.
    return {**{key: {**value, '_delete_': True} if loader.get(key) else value
               for key, value in replaced.items()}, **workers}


def _bare(node: Any) -> Any:
    """A data set's config, and those inside it, without pipelines."""
    if isinstance(node, (list, tuple)):
        return [_bare(part) for part in node]
    if not hasattr(node, 'items'):
        return node
    return {key: _bare(value) if key in ('dataset', 'datasets') else value
            for key, value in node.items() if key != 'pipeline'}
