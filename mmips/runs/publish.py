# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Weights of a training checkpoint in the form that other libraries load.

Equal names and shapes do not prove that another library's network computes the same, for
strides and dilations show in neither. So it loads the weights strictly, and one random batch
goes through it and through the backbone that the checkpoint's own config builds.
"""
import hashlib
import io
import os
import os.path as osp
import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from mmengine.registry import MODELS
from torch import Tensor, nn

from mmips.compat import has_package
from mmips.errors import UserError, explained
from mmips.names import file_name
from mmips.runs import files, provenance
from mmips.structures.state_dicts import choose_weights, compare, read_checkpoint
from mmips.version import __version__

_PREFIX = 'backbone.'
_OTHERWISE = 'Use --format mmpretrain, which keeps any network.'
#: Format -> the line that loads it.
_LOAD = {
    'mmpretrain': "init_cfg=dict(type='Pretrained', checkpoint={path!r}, prefix='backbone.')",
    'torchvision': 'm = torchvision.models.{architecture}({num}); {fc}'
                   'm.load_state_dict(torch.load({path!r}, weights_only=True))',
    'timm': 'm = timm.create_model({architecture!r}, num_classes={num_classes}, '
            'checkpoint_path={path!r})',
    'hf-safetensors': "m = timm.create_model('local-dir:{folder}', pretrained=True)",
}


def publish(checkpoint: str, out: str, style: str = 'mmpretrain', keep_head: bool = False,
            weights: str = 'auto', log: str | None = None, top1: float | None = None
            ) -> tuple[str, str]:
    """Write the backbone of a checkpoint, and facts about it; returns their path and a report.

    The arguments are the options of ``tools/model_converters/publish_backbone.py``.
    """
    content = read_checkpoint(checkpoint)
    state, which = choose_weights(content, weights)
    kept = select(state, keep_head)
    facts, config, notes = provenance.describe(content, checkpoint)
    facts.update(format=style, mmips_version=__version__, torch_version=str(torch.__version__),
                 **(dict(weights=which) if which else {}))
    notes += _add_top1(facts, content, config, log, top1)
    path = _write(_stem(out, facts), kept, facts, config.get('default_scope') or 'mmpretrain')
    line = _LOAD[style].format(path=path, folder=osp.dirname(path), **{
        'num': f'num_classes={facts.get("num_classes") or 1}',
        'fc': '' if facts.get('num_classes') else 'm.fc = torch.nn.Identity(); ', **facts})
    return path, '\n'.join([
        f'kept      {_count(kept)} tensors',
        f'dropped   {_count(key for key in state if key not in kept)} tensors; entries '
        + (', '.join(str(key) for key in content if key not in ('state_dict', 'meta')) or 'none'),
        *([f'weights   {which} (the checkpoint holds ema and raw)'] if which else []),
        *([f'top-1     {facts["top1"]} % ({facts["top1_source"]})'] if 'top1' in facts else []),
        *(f'note      {note}' for note in notes),
        f'written   {path} ({osp.getsize(path) / 1e6:.1f} MB)\nload      {line}'])


def _add_top1(facts: dict, content: Mapping, config: Any, log: str | None, top1: float | None
              ) -> list[str]:
    if top1 is not None:
        facts.update(top1=top1, top1_source='option')
    elif facts.get('weights') == 'raw':
        # EMAHook puts the average into the model for every validation.
        return ['top-1 left out: the run has validated the average, not the raw weights']
    elif found := provenance.find_top1(content, config, log):
        facts.update(top1=round(found[0], 4), top1_source=found[1])
    elif 'top1' not in facts:
        return ['top-1 left out: the checkpoint does not know the score of its own epoch. '
                'Give --log or --top1']
    return []


def _count(keys: Iterable[str]) -> str:
    counts = Counter(key.partition('.')[0] for key in keys)
    return ', '.join(f'{part} {count}' for part, count in counts.items()) or 'no'


def select(state: Mapping[str, Tensor], keep_head: bool = False) -> dict[str, Tensor]:
    """The backbone, on demand neck and head too, as contiguous tensors that share nothing."""
    wanted = (_PREFIX, 'neck.', 'head.') if keep_head else (_PREFIX, )
    for part in wanted[::2]:
        if not any(key.startswith(part) for key in state):
            raise UserError(
                f'No key of the checkpoint starts with {part!r}; its first keys are '
                f'{list(state)[:3]}. Give the checkpoint of a model of OpenMMLab, not of a bare '
                'network; --keep-head is for classifiers alone.')
    # A clone of its own storage: torch.save writes the whole storage that a view looks at.
    return {key: value.detach().cpu().clone(memory_format=torch.contiguous_format)
            for key, value in state.items() if key.startswith(wanted)}


def flatten(selected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename to the keys of torchvision's and timm's ResNet: ``head.fc`` becomes ``fc``."""
    head = [key for key in selected if not key.startswith(_PREFIX)]
    if head and sorted(head) != ['head.fc.bias', 'head.fc.weight']:
        raise UserError('--keep-head: the classifier of torchvision and timm is one linear layer '
                        f'with a bias, this one has {head[:3]}. Leave --keep-head out. '
                        + _OTHERWISE)
    return {key.removeprefix(_PREFIX).removeprefix('head.'): selected[key] for key in selected}


def find_network(flat: Mapping[str, Tensor], library: str) -> tuple[str, nn.Module]:
    """Name and module (on no device) of the library's ResNet that has exactly these tensors."""
    nets = {name: _build(library, name, flat) for name in (
        'resnet18', 'resnet34', 'resnet50', 'resnet101', 'resnet152')}
    name, net = min(nets.items(), key=lambda item: len(compare(item[1].state_dict(), flat)))
    if found := compare(net.state_dict(), flat):
        raise UserError(f'{library} has no network that these weights fit; compared with its '
                        f'{name}, of the tensors are\n{found.text("library")}\n{_OTHERWISE}')
    return name, net


def _build(library: str, name: str, flat: Mapping[str, Tensor]) -> nn.Module:
    classes = len(flat.get('fc.weight', ()))
    if library == 'timm' and not has_package('timm'):
        raise UserError('The formats timm and hf-safetensors need the package timm: '
                        'pip install timm')
    with torch.device('meta'):
        if library == 'timm':
            import timm
            return timm.create_model(name, num_classes=classes)
        import torchvision
        net = torchvision.models.get_model(name, num_classes=classes or 1)
        net.fc = net.fc if classes else nn.Identity()
        return net


def prove_equal(flat: Mapping[str, Tensor], backbone: Mapping[str, Any], scope: str, library: str
                ) -> str:
    """Name of the library's network that computes from ``flat`` what the backbone does.

    Without the backbone's config, which the toolbox ``scope`` builds, shapes alone are compared.
    """
    name, net = find_network(flat, library)
    if not backbone:
        return name
    images = torch.randn(2, 3, 64, 64, dtype=torch.double,
                         generator=torch.Generator().manual_seed(0))
    body = {key: value for key, value in flat.items() if not key.startswith('fc.')}
    try:
        own = MODELS.build({'_scope_': scope, **backbone, 'out_indices': (3, )})
        ours = _run(own, body, images)[-1].mean((2, 3))
    except Exception as error:  # Whatever a class of the user's makes of it.
        problem = textwrap.shorten(f'{type(error).__name__}: {error}', 300)
        raise UserError('The stored config does not build the network of these tensors, so that '
                        f'nothing proves that another computes the same:\n  {problem}\n'
                        f'{_OTHERWISE}') from error
    if 'fc.weight' in flat:
        ours = nn.functional.linear(ours, flat['fc.weight'].double(), flat['fc.bias'].double())
    largest, difference = ours.abs().max(), (ours - _run(net, flat, images)).abs().max()
    if not difference <= 1e-6 * largest:
        raise UserError(f'{library} has no network that computes the same: with these tensors, '
                        f'outputs of its {name} up to {largest:.3g} differ by up to '
                        f'{difference:.3g}. The backbone is {dict(backbone)}. {_OTHERWISE}')
    return name


def _run(net: nn.Module, state: Mapping[str, Tensor], images: Tensor) -> Any:
    """The output in evaluation and double precision, where rounding hides no difference."""
    net.load_state_dict({key: value.double() if value.is_floating_point() else value
                         for key, value in state.items()}, assign=True)
    net.eval()  # Returns nothing in mmpretrain.
    with torch.no_grad():
        return net(images)


def _stem(out: str, facts: Mapping) -> str:
    """The path without hash and ending."""
    if osp.isdir(out) or out.endswith('/'):
        # From the checkpoint, which may say anything, even the way to another folder.
        run = file_name(facts.get('config') or osp.splitext(facts['source'])[0], 'backbone')
        out = osp.join(out, f'{run}_{facts["format"]}')
    folder, name = osp.split(re.sub(r'\.(pth|safetensors)$', '', out))
    # torch.hub takes what stands between the first '-' with digits and the next '.' for the hash.
    return osp.join(folder, name.replace('.', '_'))


def _write(base: str, kept: dict, facts: dict, scope: str) -> str:
    """Write weights and what stands beside them; returns their path."""
    style, classes = facts['format'], facts.pop('classes', [])
    if style == 'mmpretrain':
        named = dict(dataset_meta=dict(classes=classes)) if classes and any(
            key.startswith('head.') for key in kept) else {}
        return _write_hashed(base, '.pth', dict(state_dict=kept, meta={**facts, **named}))
    library = 'torchvision' if style == 'torchvision' else 'timm'
    if facts.get('channel_order') == 'BGR':
        raise UserError('The network was trained on images in BGR order (to_rgb=False), '
                        f'{library} reads RGB. {_OTHERWISE}')
    flat = flatten(kept)
    facts.update(architecture=prove_equal(flat, facts.get('backbone') or {}, scope, library),
                 num_classes=len(flat.get('fc.weight', ())))
    if style != 'hf-safetensors':
        named = dict(classes=classes) if classes and len(classes) == facts['num_classes'] else {}
        return _write_hashed(base, '.pth', flat, {'.json': {**facts, **named}})
    from safetensors.torch import save
    # A second entry would make the header's order change from run to run.
    return _write_hashed(base, '/model.safetensors', save(flat, metadata=dict(format='pt')),
                         {'/config.json': _hub_config(flat, facts, classes)})


def _write_hashed(base: str, ending: str, content: Any, beside: Mapping[str, Any] = {}) -> str:
    if ending == '.pth':
        # Into a file, torch would write its name as well: equal content gives equal bytes.
        torch.save(content, buffer := io.BytesIO())
        content = buffer.getvalue()
    base = f'{base}-{hashlib.sha256(content).hexdigest()[:8]}'
    with explained('No folder can be made for the file'):
        os.makedirs(osp.dirname(base + ending) or '.', exist_ok=True)
    for name, facts in beside.items():
        files.write_json(base + name, facts)
    # The weights come last: where they are, the rest is.
    with files.replacing(base + ending, 'wb') as file:
        file.write(content)
    return base + ending


def _hub_config(flat: Mapping[str, Tensor], facts: Mapping, classes: list[str]) -> dict:
    """The config.json of timm and the Hugging Face hub; what is not known is timm's default."""
    # timm.models.save_for_hf would add license, tag and papers of timm's own weights.
    net: Any = _build('timm', facts['architecture'], flat)
    known = {key: facts[key] for key in ('crop_pct', 'interpolation') if key in facts}
    known |= {key: [round(value / 255, 6) for value in facts[key]]
              for key in ('mean', 'std') if key in facts}
    if 'input_size' in facts:
        known['input_size'] = [flat['conv1.weight'].shape[1], *facts['input_size']]
    labels = dict(label_names=classes) if len(classes) == net.num_classes else {}
    return dict(architecture=facts['architecture'], num_classes=net.num_classes,
                num_features=net.num_features, global_pool='avg', facts=facts, **labels,
                pretrained_cfg=dict(
                    custom_load=False, fixed_input_size=False, pool_size=None, first_conv='conv1',
                    classifier='fc', num_classes=net.num_classes, **known))
