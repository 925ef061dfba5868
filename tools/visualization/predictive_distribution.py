# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Where several checkpoints of one config put their probability, for images and for classes.

::

    python tools/visualization/predictive_distribution.py CONFIG CHECKPOINT [CHECKPOINT ...] \\
        --names 'hard label' 'IPS 4x4' --out DIR --class baby girl

``distribution_images.png`` shows images beside their largest probabilities, as Figure 8 of the
IPS paper; ``distribution_classes.png`` the mean distribution over all images of a class, as its
Figure 2. Of CIFAR-100, classes of the true one's superclass have a colour of their own. The
numbers are in ``distributions.csv``, all of them in ``distributions.json``;
``distributions.md`` says how much probability stays within the superclass.
"""
import argparse
from collections.abc import Sequence

import mmips  # noqa: F401  (first: it makes 'mmips::' bases readable)
from mmips.evaluation.distributions import OF, PICKS, Compared, compare_distributions
from mmips.evaluation.predictions import Request
from mmips.runs import cli


def parse_args(argv: Sequence[str] | None = None) -> Request:
    parser = argparse.ArgumentParser(description='Predictive distributions of checkpoints')
    cli.add_checkpoint_options(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument('--images', nargs='+', type=int, metavar='N', default=(),
                       help='numbers of the images to draw, from 0')
    which.add_argument('--pick', choices=PICKS, default=PICKS[0],
                       help='images that the first checkpoint gets wrong, those of them where it '
                       'is surest, those where the checkpoints disagree, or any '
                       f'(default: {PICKS[0]})')
    parser.add_argument('--num', type=cli.positive, default=4, metavar='N',
                        help='how many to pick (default: 4)')
    parser.add_argument('--seed', type=cli.seed, default=0, help='of --pick random (default: 0)')
    parser.add_argument('--class', nargs='+', metavar='NAME', dest='class_names', default=(),
                        help='classes whose mean distribution is drawn (default: those of the '
                        'images drawn)')
    parser.add_argument('--of', choices=list(OF), default='mean',
                        help='of a class the mean predicted distribution, or the share of its '
                        'images for which a class is predicted (default: mean)')
    parser.add_argument('--topk', type=cli.positive, metavar='K',
                        help='bars of a distribution (default: 5 of an image, 10 of a class)')
    return cli.check_names(parser, parser.parse_args(argv, Request()))


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> Compared:
    return compare_distributions(parse_args(argv))


if __name__ == '__main__':
    main()
