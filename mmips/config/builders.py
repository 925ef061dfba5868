# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What a part of a config is built by: the type it names, or the place where it stands."""
import contextlib
import functools
import importlib
import inspect
import io
import re
from collections.abc import Mapping
from typing import Any

# What mmengine itself takes out of a part before it hands the rest to a class.
TAKEN_OUT = frozenset({'_delete_', '_scope_', 'by_epoch', 'constructor', 'convert_to_iter_based',
                       'num_batch_per_epoch', 'paramwise_cfg', 'priority', 'type'})
# What the Runner and our tools read of a config besides the Runner's own arguments.
_RUNNER_KEYS = {'activation_checkpointing', 'compile', 'data_preprocessor',
                'efficient_conv_bn_eval', 'find_unused_parameters', 'model_wrapper_cfg',
                'runner_type', 'strategy', 'sync_bn', 'tta_model', 'tta_pipeline'}
#: Those that mmengine has by itself; None switches one off.
DEFAULT_HOOKS = ('checkpoint', 'logger', 'param_scheduler', 'runtime_info', 'sampler_seed', 'timer')
# What mmengine builds where a part names no type, and what it reads there besides. Where it
# builds nothing, that is all it reads.
_PLACES: dict[str, tuple[str, set[str]]] = {
    '': ('mmengine.runner.Runner', _RUNNER_KEYS),
    r'(train|val|test)_dataloader': ('torch.utils.data.DataLoader', {
        'dataset', 'sampler', 'batch_sampler', 'collate_fn', 'worker_init_fn'}),
    'train_cfg': ('mmengine.runner.EpochBasedTrainLoop', {'by_epoch'}),
    'val_cfg': ('mmengine.runner.ValLoop', set()),
    'test_cfg': ('mmengine.runner.TestLoop', set()),
    'randomness': ('mmengine.runner.Runner.set_randomness', set()),
    'log_processor': ('mmengine.runner.LogProcessor', set()),
    'optim_wrapper': ('mmengine.optim.OptimWrapper', set()),
    # Its type is no registered one.
    r'optim_wrapper\.clip_grad': ('torch.nn.utils.clip_grad_norm_', {'type', 'clip_value'}),
    r'optim_wrapper\.paramwise_cfg': ('', {
        'lr_mult', 'decay_mult', 'bias_lr_mult', 'bias_decay_mult', 'norm_decay_mult',
        'flat_decay_mult', 'dwconv_decay_mult', 'dcn_offset_lr_mult', 'bypass_duplicate',
        'custom_keys', '**'}),  # And what a constructor of its own reads.
    r'env_cfg\.dist_cfg': ('mmengine.dist.init_dist', {'backend', 'timeout'}),
    'env_cfg': ('', {'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'}),
    r'env_cfg\.mp_cfg': ('mmengine.utils.dl_utils.set_multi_processing', set()),
    'default_hooks': ('', {*DEFAULT_HOOKS, 'visualization', 'invalid_loss', '**'}),
    'auto_scale_lr': ('', {'base_batch_size', 'enable'}),
    'compile': ('torch.compile', {'target'}),
    'model_wrapper_cfg': ('mmengine.model.MMDistributedDataParallel', set()),
}

# Which registry a place is built from, by the first that fits; elsewhere any may be.
_REGISTRIES = {
    'model': 'model',
    r'.*\.init_cfg(\.\d+)?': 'weight initializer',
    r'(custom|default)_hooks\.\w+': 'hook',
    r'model\.\w+': 'model|task util|tokenizer',
    r'\w+_cfg': 'loop',
    r'optim_wrapper\.optimizer': 'optimizer',
    r'param_scheduler(\.\d+)?': 'parameter scheduler',
    r'\w+_evaluator(\.metrics)?(\.\d+)?': 'metric|evaluator',
    r'\w+_dataloader(\.dataset|\.datasets\.\d+)+': 'dataset',
    r'\w+_dataloader\.(batch_)?sampler': 'data sampler',
    r'\w+_dataloader\.(collate_fn|worker_init_fn)': 'function',
    r'.*\.pipeline\.\d+': 'transform',
    'visualizer': 'visualizer',
    r'.*\.vis_backends\.\d+': 'vis_backend',
}


def runner_keys() -> frozenset[str]:
    """The top-level names of a config that something reads."""
    return Builder({}, '', '').names - {'cfg'}


class Builder:
    """What takes the arguments of a part: ``kinds`` are the classes or functions of that name.

    ``names`` are those of all arguments, ``is_open`` is whether it may take others, and ``label``
    is how to call it.
    """

    def __init__(self, node: Mapping, scope: str, where: str) -> None:
        place = next((place for place in _PLACES if re.fullmatch(place, where)), None)
        path, extra = _PLACES[place] if place is not None else ('', frozenset())
        kind = None if 'type' in extra else node.get('type')
        self.kinds: list[Any] = []
        #: What a type that is not registered might have been; None where it is, or may be.
        self.unknown: list[str] | None = None
        if isinstance(kind, str):
            self.kinds, names = _find_kinds(kind, scope, where)
            # A package without registries that are known may have anything.
            lets_pass = not names and kind.rpartition('.')[0].isidentifier()
            self.unknown = None if self.kinds or lets_pass else names
        elif callable(kind):
            self.kinds = [kind]
        elif path:
            by_epoch = where != 'train_cfg' or node.get('by_epoch')
            self.kinds = [_import(path if by_epoch else path.replace('Epoch', 'Iter'))]
        extra = extra if kind is None else frozenset()
        self.label = kind if isinstance(kind, str) else getattr(kind, '__name__', where)
        #: Where the only one of kinds is defined; '' if that is not known.
        self.module = (getattr(self.kinds[0], '__module__', '') or '') if len(
            self.kinds) == 1 else ''
        arguments = [parameters(kind) for kind in self.kinds]
        self.names = frozenset(extra).union(TAKEN_OUT if where else (),
                                            *(names for names, _ in arguments))
        self.is_open = '**' in extra or not (arguments or extra) or any(
            is_open for _, is_open in arguments)


@functools.cache
def _import(path: str) -> Any:
    from mmengine.utils import get_object_from_string
    return get_object_from_string(path)


@functools.cache
def registries(package: str) -> list[Any]:
    """The registries of a package, filled; empty if it is not one of the MM stack's kind."""
    from mmengine.registry import Registry
    found: list[Any] = []
    # mmengine knows of a toolbox's own registries once they are imported. What the toolboxes
    # import announces what it does without.
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(ImportError):
        module = importlib.import_module(f'{package}.registry')
        found = [entry for entry in vars(module).values() if isinstance(entry, Registry)]
        if package == 'mmengine':  # One of its own that it keeps elsewhere.
            found.append(importlib.import_module('mmengine._strategy.fsdp').FSDP_CONFIGS)
        for entry in found:
            entry.import_from_location()
    # Somebody's own package may keep them anywhere.
    return found or [root.children[package] for root in
                     (registries('mmengine') if package != 'mmengine' else ())
                     if package in root.children]


def _find_kinds(kind: str, scope: str, where: str) -> tuple[list[Any], list[str]]:
    """The classes and functions of that name, and the names that there are."""
    prefix, _, name = kind.rpartition('.')
    wanted = next((wanted for place, wanted in _REGISTRIES.items()
                   if re.fullmatch(place, where)), '.*')
    entries = [entry for package in ((prefix, ) if prefix else (scope, 'mmengine'))
               for entry in registries(package) if re.fullmatch(wanted, entry.name)]
    found = [entry.module_dict[name] for entry in entries if name in entry.module_dict]
    if not found and prefix:
        found = [part for part in [_import(kind)] if part is not None]
    return (list({id(part): part for part in found}.values()),
            [f'{prefix}.{name}' if prefix else name
             for entry in entries for name in entry.module_dict])


def signatures(function: Any) -> list[tuple[Any, list[inspect.Parameter]]]:
    """Whatever takes the arguments, and its parameters: for a class also of those above it."""
    owners = [vars(owner)['__init__'] for owner in inspect.getmro(function)[:-1]
              if '__init__' in vars(owner)] if inspect.isclass(function) else [function]
    try:
        return [(owner, list(inspect.signature(owner).parameters.values())) for owner in owners]
    except (TypeError, ValueError):  # Some of those written in C have none.
        return [(None, [inspect.Parameter('kwargs', inspect.Parameter.VAR_KEYWORD)])]


@functools.cache
def parameters(function: Any) -> tuple[frozenset[str], bool]:
    """Names of all arguments, also those of the classes above; whether it takes any other."""
    names: set[str] = set()
    is_open, chain = False, signatures(function)
    for owner, given in chain:
        kinds = {parameter.kind for parameter in given}
        names |= {parameter.name for parameter in given
                  if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)}
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            break
        # Whoever takes `*args` as well hands both on.
        is_open |= inspect.Parameter.VAR_POSITIONAL not in kinds or owner is chain[-1][0]
    return frozenset(names - {'self'}), is_open
