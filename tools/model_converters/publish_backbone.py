# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Publish the backbone of a checkpoint for mmpretrain, mmseg, mmdet, torchvision or timm.

``python tools/model_converters/publish_backbone.py CKPT OUT [--format FORMAT] [--keep-head]``

Only weights and facts about them are kept: no optimiser, schedule, hook or message hub, and no
path of this machine. The name ends in the first 8 digits of the file's SHA-256.
"""
import argparse
from collections.abc import Sequence

from mmips.runs import cli


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Publish the backbone of a checkpoint')
    parser.add_argument('checkpoint', help='.pth file of a classifier, segmentor or detector')
    parser.add_argument('out', help='a folder (existing, or with / at its end), or a file without '
                        'its ending; -<hash> is added to the name')
    cli.add_trust(parser)
    parser.add_argument('--format', default='mmpretrain',
                        choices=['mmpretrain', 'torchvision', 'timm', 'hf-safetensors'],
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


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> str:
    args = parse_args(argv)
    from mmips.runs.publish import publish  # torch, which --help does not wait for.
    path, report = publish(args.checkpoint, args.out, args.format, args.keep_head, args.weights,
                           args.log, args.top1)
    print(report)
    return path


if __name__ == '__main__':
    main()
