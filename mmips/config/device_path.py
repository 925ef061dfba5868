# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""A config whose images lie on the training device, made of one whose images go through workers."""
from typing import Any

from mmips.config.pair_checks import find_preprocessor
from mmips.config.sources import iter_datasets, type_name
from mmips.errors import UserError

_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
#: The transforms that whole batches can do: argument -> the preprocessor's, both numbers.
_TRANSFORMS = {'RandomCrop': dict(crop_size='crop_size', padding='crop_padding'),
               'RandomFlip': dict(prob='flip_prob'), 'PackInputs': {}}
#: Arguments that may stand there with these values alone.
_FIXED = dict(direction='horizontal', pad_if_needed=False, pad_val=0, padding_mode='constant')


def on_device(cfg: Any) -> dict:
    """The keys that put a classification config on the device path; all others stay.

    The pipeline's crop and flip move to ``mmips.BatchDataPreprocessor``, the data sets into
    ``mmips.ImagesOnDevice``; on a GPU a step becomes one CUDA graph. The result is an ordinary
    config. In one of your own::

        _base_ = 'mmips::ips/resnet18_ips_cifar100.py'
        from mmips.config.device_path import on_device
        globals().update(on_device(_base_))

    Args:
        cfg (Config | dict): Whole config of a classifier whose images are in memory and of one
            size: CIFAR, MNIST, ``mmips.ArrayDataset``, ``mmips.DigitsDataset``, ...

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
    changes: dict[str, Any] = {
        name: _loader(cfg[name]) for name in _LOADERS if cfg.get(name)}
    preprocessor = dict(type='mmips.BatchDataPreprocessor',
                        **_batch_options(cfg.get('train_dataloader') or {}, training=True))
    for name in _LOADERS[1:]:
        _batch_options(cfg.get(name) or {}, training=False, name=name)
    own = (cfg.get('model') or {}).get('data_preprocessor')
    return dict(
        **changes,
        **(dict(model=dict(data_preprocessor=preprocessor)) if own
           else dict(data_preprocessor=preprocessor)),
        custom_hooks=[*(cfg.get('custom_hooks') or []), dict(type='mmips.FastStepHook')],
        default_hooks=dict(runtime_info=dict(type='mmips.LazyRuntimeInfoHook')),
        env_cfg=dict(cudnn_benchmark=True))


def _loader(loader: Any) -> dict:
    replaced = dict(collate_fn=dict(type='mmips.whole_batch'), dataset=dict(
        type='mmips.ImagesOnDevice', dataset=_bare(loader.get('dataset'))))
    # mmengine takes `_delete_` for a key of the new dict where there is no old one.
    return dict(
        {key: {**value, '_delete_': True} if loader.get(key) else value
         for key, value in replaced.items()},
        num_workers=0, persistent_workers=False, pin_memory=False,
        **(dict(prefetch_factor=None) if loader.get('prefetch_factor') else {}))


def _bare(node: Any) -> Any:
    """A data set's config, and those inside it, without pipelines."""
    if isinstance(node, (list, tuple)):
        return [_bare(part) for part in node]
    if not hasattr(node, 'items'):
        return node
    return {key: _bare(value) if key in ('dataset', 'datasets') else value
            for key, value in node.items() if key != 'pipeline'}


def _batch_options(loader: Any, training: bool, name: str = 'train_dataloader') -> dict:
    """The preprocessor's arguments that stand for the pipelines of a loader, all of them alike."""
    found = [(key, _read(data.get('pipeline') or (), f'{key}.pipeline', training))
             for key, data in iter_datasets(loader.get('dataset'), f'{name}.dataset')]
    for key, options in found[1:]:
        if options != found[0][1]:
            raise UserError(f'{key}.pipeline and {found[0][0]}.pipeline differ, but whole batches '
                            'have one. Give them the same transforms.')
    return found[0][1] if found else {}


def _read(pipeline: Any, key: str, training: bool) -> dict:
    options: dict[str, Any] = {}
    for number, transform in enumerate(pipeline):
        kind = type_name(transform)
        names = _TRANSFORMS.get(kind) if training or kind == 'PackInputs' else None
        given = {name: value for name, value in transform.items() if name not in ('type', '_scope_')
                 and value is not None and _FIXED.get(name, ...) != value}
        if names is None or not all(name in names and isinstance(value, (int, float))
                                    for name, value in given.items()):
            raise UserError(
                f'{key}.{number} is {dict(transform)}, which is not made on whole batches: these '
                'are RandomCrop and a horizontal RandomFlip in training, and PackInputs. Train '
                'this config as it is, without the device path.')
        options.update({names[name]: value for name, value in given.items()})
    return options
