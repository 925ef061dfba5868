# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Accuracy of checkpoints of one config under FGSM, I-FGSM and PGD (Tables 10 and 12).

::

    python tools/analysis_tools/eval_attacks.py CONFIG CHECKPOINT [CHECKPOINT ...] \\
        --names 'hard label' IPS --out DIR

Writes ``attacks.md``, in the layout of Table 12, ``.csv``, ``.json`` and ``.png``. Every finished
accuracy is kept in ``attacks_done.json``: the same command goes on after an interruption.
"""
import argparse
from collections.abc import Sequence
from typing import Any

import mmips  # noqa: F401  (first: it makes 'mmips::' bases readable)
from mmips.evaluation.attack_settings import ATTACKS, SPACES
from mmips.evaluation.attacks import evaluate_attacks
from mmips.evaluation.predictions import Request
from mmips.runs import cli


def parse_args(argv: Sequence[str] | None = None) -> Request:
    parser = argparse.ArgumentParser(description='Evaluate checkpoints under attack')
    cli.add_checkpoint_options(parser)
    parser.add_argument('--attacks', nargs='+', default=list(ATTACKS), choices=ATTACKS,
                        metavar='ATTACK', help='fgsm, i-fgsm, pgd (default: all)')
    parser.add_argument('--eps', nargs='+', type=float, metavar='EPS',
                        default=[0, 0.001, 0.003, 0.005, 0.01, 0.05],
                        help='radii of the attacks; 0 is no attack (default: those of the paper, '
                        '0 0.001 0.003 0.005 0.01 0.05)')
    parser.add_argument('--space', choices=list(SPACES), default='pixel',
                        help='unit of eps: the image range 0 to 1, or the normalised input; the '
                        'paper does not say which (default: pixel)')
    parser.add_argument('--steps', type=cli.positive, default=10,
                        help='steps of I-FGSM and PGD (default: 10)')
    size = parser.add_mutually_exclusive_group()
    size.add_argument('--step-size', type=float, metavar='SIZE',
                      help='size of these steps, absolute, in the unit of eps')
    size.add_argument('--rel-step-size', type=float, metavar='SHARE',
                      help='the same as a share of eps (default: 2.5 / steps)')
    parser.add_argument('--image-range', nargs=2, type=float, metavar=('LOW', 'HIGH'),
                        help='values of black and white before the data preprocessor; needed '
                        'where images are not uint8 (default: 0 255)')
    parser.add_argument('--quantize', action='store_true',
                        help='round adversarial images to 256 levels')
    parser.add_argument('--seed', type=cli.seed, default=0,
                        help='seed of the random starts of PGD (default: 0)')
    args = cli.check_names(parser, parser.parse_args(argv, Request()))
    args.attacks = list(dict.fromkeys(args.attacks))
    if args.attacks == ['fgsm'] and (args.step_size or args.rel_step_size) is not None:
        parser.error('FGSM is one step of size eps: leave out --step-size and --rel-step-size')
    args.eps = sorted({float(eps) for eps in args.eps})
    return args


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> Any:
    return evaluate_attacks(parse_args(argv))


if __name__ == '__main__':
    main()
