# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Publish the backbone of a checkpoint for mmpretrain, mmseg, mmdet, torchvision or timm.

``python tools/model_converters/publish_backbone.py CKPT OUT [--format FORMAT] [--keep-head]``

Only weights and facts about them are kept: no optimiser, schedule, hook or message hub, and no
path of this machine. The name ends in the first 8 digits of the file's SHA-256.
"""
import argparse
import hashlib
import json
import os
import os.path as osp
from collections.abc import Mapping, Sequence
from typing import Any

import mmips
from mmips.runs import cli, provenance, publish

_LOAD = {
    'mmpretrain': "init_cfg=dict(type='Pretrained', checkpoint={path!r}, prefix='backbone.')",
    'torchvision': 'm = torchvision.models.{arch}({num}); {fc}'
                   'm.load_state_dict(torch.load({path!r}, weights_only=True))',
    'timm': 'm = timm.create_model({arch!r}, num_classes={classes}, checkpoint_path={path!r})',
    'hf-safetensors': 'm = timm.create_model({local!r}, pretrained=True)',
}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Publish the backbone of a checkpoint')
    parser.add_argument('checkpoint', help='.pth file of a classifier, segmentor or detector')
    parser.add_argument('out', help='a folder (existing, or with / at its end), or a file without '
                        'its ending; -<hash> is added to the name')
    parser.add_argument('--format', choices=publish.FORMATS, default='mmpretrain',
                        help='who is to load it (default: mmpretrain, also for mmseg and mmdet)')
    parser.add_argument('--keep-head', action='store_true', help='keep the classifier')
    parser.add_argument('--weights', choices=['auto', 'ema', 'raw'], default='auto',
                        help='of a checkpoint that holds both: averaged or raw weights (default: '
                        'what its state_dict holds, the average)')
    score = parser.add_mutually_exclusive_group()
    score.add_argument('--log', help='vis_data/scalars.json of the run, to read the top-1 from')
    score.add_argument('--top1', type=float, help='top-1 in per cent, where you know it')
    args = parser.parse_args(argv)
    if args.top1 is not None and not 0 <= args.top1 <= 100:
        parser.error(f'--top1 must be per cent, 0 to 100, got {args.top1}')
    return args


def collect(checkpoint: Mapping, args: argparse.Namespace, weights: str
            ) -> tuple[dict[str, Any], list[str]]:
    """All that is known about the weights, and sentences about what is not."""
    import torch
    facts, config, doubts = provenance.describe(checkpoint, args.checkpoint)
    facts.update(format=args.format, mmips_version=mmips.__version__,
                 torch_version=str(torch.__version__))
    if weights:
        facts['weights'] = weights
    if args.top1 is not None:
        facts.update(top1=args.top1, top1_source='option')
    elif facts.get('weights') == 'raw':
        # EMAHook puts the average into the model for every validation.
        doubts.append('top-1 left out: the run has validated the average, not the raw weights')
    else:
        found = provenance.find_top1(checkpoint, config, args.log)
        if found:
            facts.update(top1=round(found[0], 4), top1_source=found[1])
    if 'top1' not in facts and facts.get('weights') != 'raw':
        doubts.append('top-1 left out: the checkpoint does not know the score of its own epoch. '
                      'Give --log or --top1')
    return facts, doubts


def encode(kept: dict, facts: dict, keep_head: bool) -> dict[str, bytes]:
    """The files to write: ``''`` is the weights, other names stand beside them."""
    style, classes = facts['format'], facts.pop('classes', None)
    if style == 'mmpretrain':
        if keep_head and classes:
            facts['dataset_meta'] = dict(classes=classes)
        return {'': publish.to_pth(dict(state_dict=kept, meta=facts))}
    flat = publish.flatten(kept)
    facts['architecture'] = publish.check_network(
        flat, facts.get('backbone'), 'torchvision' if style == 'torchvision' else 'timm',
        facts.get('channel_order'))
    facts['num_classes'] = len(flat['fc.weight']) if keep_head else 0
    if style == 'hf-safetensors':
        config = publish.timm_config(facts['architecture'], flat, {**facts, 'classes': classes})
        return {'': publish.to_safetensors(flat, facts), 'config.json': _json(config)}
    return {'': publish.to_pth(flat), '.json': _json(facts)}


def _json(content: dict) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + '\n').encode()


def stem(out: str, facts: Mapping, style: str) -> str:
    """The path without hash and ending."""
    folder, name = osp.split(out)
    if osp.isdir(out) or not name:
        run = facts.get('config') or osp.splitext(facts['source'])[0]
        folder, name = out, f'{run}_{style}'
    for ending in ('.pth', '.safetensors'):
        name = name.removesuffix(ending)
    # torch.hub takes what stands between the first '-' with digits and the next '.' for the hash.
    return osp.join(folder, name.replace('.', '_'))


def write(path: str, data: bytes) -> None:
    """Write a file as a whole or not at all."""
    os.makedirs(osp.dirname(path) or '.', exist_ok=True)
    unfinished = f'{path}.{os.getpid()}.tmp'
    try:
        with open(unfinished, 'wb') as file:
            file.write(data)
        os.replace(unfinished, path)
    finally:
        if osp.exists(unfinished):
            os.remove(unfinished)


def write_all(base: str, files: Mapping[str, bytes], style: str) -> str:
    """Write weights and what stands beside them; returns the path of the weights."""
    base = f'{base}-{hashlib.sha256(files[""]).hexdigest()[:8]}'
    # timm and the hub look for these names in a folder, so the folder bears the hash.
    weights = f'{base}/model.safetensors' if style == 'hf-safetensors' else f'{base}.pth'
    for name, data in sorted(files.items(), reverse=True):
        # The weights come last: where they are, the rest is.
        beside = f'{base}/{name}' if style == 'hf-safetensors' else f'{base}{name}'
        write(beside if name else weights, data)
    return weights


def report(state: Mapping, kept: Mapping, checkpoint: Mapping) -> str:
    """What was kept and what was dropped."""
    def words(counts: Mapping) -> str:
        return ', '.join(f'{part} {count}' for part, count in counts.items()) or 'nothing'
    left = publish.count_parts(key for key in state if key not in kept)
    other = [key for key in checkpoint if key not in ('state_dict', 'meta')]
    return (f'kept      {words(publish.count_parts(kept))} tensors\n'
            f'dropped   {words(left)} tensors'
            + (f'; entries {", ".join(other)}' if other else ''))


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> str:
    """Publish and return the path of the weights."""
    args = parse_args(argv)
    checkpoint = publish.read_checkpoint(args.checkpoint)
    state, weights = publish.choose_weights(checkpoint, args.weights)
    kept = publish.select(state, args.keep_head)
    facts, doubts = collect(checkpoint, args, weights)
    files = encode(kept, facts, args.keep_head)
    path = write_all(stem(args.out, facts, args.format), files, args.format)
    print(report(state, kept, checkpoint))
    if weights:
        print(f'weights   {weights} (the checkpoint holds ema and raw)')
    if 'top1' in facts:
        print(f'top-1     {facts["top1"]} % ({facts["top1_source"]})')
    for doubt in doubts:
        print(f'note      {doubt}')
    classes = facts.get('num_classes') or 0
    print(f'written   {path} ({osp.getsize(path) / 1e6:.1f} MB)\nload      ' + _LOAD[
        args.format].format(path=path, arch=facts.get('architecture'), classes=classes,
                            num=f'num_classes={classes}' if classes else '',
                            fc='' if classes else 'm.fc = torch.nn.Identity(); ',
                            local=f'local-dir:{osp.dirname(path)}'))
    return path


if __name__ == '__main__':
    main()
