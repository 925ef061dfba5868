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
positions, and the map is a blur: an earlier stage, ``--target-layers backbone.layer3``, says more.
"""
import argparse
from collections.abc import Sequence
from typing import Any

import mmips  # noqa: F401  (first: it makes 'mmips::' bases readable)
from mmips.evaluation.predictions import Request
from mmips.runs import cli


def parse_args(argv: Sequence[str] | None = None) -> Request:
    parser = argparse.ArgumentParser(description='Compare where checkpoints look')
    cli.add_checkpoint_options(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument('--images', nargs='+', type=int, metavar='N', default=(),
                       help='numbers of the images to draw, from 0')
    which.add_argument('--pick', choices=['spread', 'disagree'], default='spread',
                       help='images evenly spread over the split, or over those that the first '
                       'checkpoint gets wrong and the last right (default: spread)')
    parser.add_argument('--num', type=cli.positive, default=6,
                        help='how many to pick (default: 6)')
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
    parser.add_argument('--num-extra-tokens', type=cli.positive,
                        help="tokens that are no part of the image (default: the backbone's)")
    args = cli.check_names(parser, parser.parse_args(argv, Request()))
    if args.target_layers and args.method.lower() == 'fullgrad':
        parser.error('fullgrad looks at all layers: leave out --target-layers')
    if args.num_extra_tokens is not None and not args.vit_like:
        parser.error('--num-extra-tokens needs --vit-like')
    return args


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    args = parse_args(argv)
    from mmips.evaluation.cam import compare_cam
    return compare_cam(args)


if __name__ == '__main__':
    main()
