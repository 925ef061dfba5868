# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""The demo: does a network that teaches itself learn more from few labels?

Trains one small ResNet on scikit-learn's real handwritten digits, 10 labelled images per
class, with hard labels and with IPS at an equal number of images seen, three seeds each.
Prints the accuracies and writes a curve plot and a picture of swapped pairs. Runs that are
finished are not run again; ``--fresh`` starts anew.
"""
import argparse
import contextlib
import functools
import io
import time
from collections.abc import Sequence
from pathlib import Path

from mmips.runs import cli, scheduling, sweep

ROOT = Path(__file__).resolve().parents[1]


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/demo'))
    parser.add_argument('--seeds', nargs='+', type=cli.seed, default=[0, 1, 2])
    parser.add_argument('--jobs', type=cli.positive, default=scheduling.cores(),
                        help='runs at a time (default: one per core)')
    parser.add_argument('--fresh', action='store_true', help='forget finished runs')
    return parser.parse_args(argv)


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    start = time.time()
    found = sweep.read_sweep(ROOT / 'configs' / 'sweeps' / 'digits_recipes.yml')
    recipes = sweep.choose_recipes(found, ['hard label', 'IPS 2x2'])
    found = found.but(recipes=tuple(recipes), seeds=tuple(dict.fromkeys(args.seeds)))
    print(f'Training 2 recipes x {len(found.seeds)} seeds on handwritten digits, 10 labels per '
          'class, 20,000 images seen in each run ...', flush=True)
    results = sweep.train_recipes(found, recipes, args.work_dir,
                                  functools.partial(scheduling.run_local, jobs=args.jobs),
                                  retry=True, fresh=args.fresh)
    print()
    sweep.report(found, results, args.work_dir)
    sweep.check_failures(found, recipes, results, args.work_dir)
    # Late: a --help waits for no torch.
    from mmips.evaluation.pairs import browse_pairs
    with contextlib.redirect_stdout(io.StringIO()):
        pairs = browse_pairs(argparse.Namespace(
            config=recipes[1].config, out=str(args.work_dir / 'pairs.png'), num_pairs=6, prob=None,
            seed=0, checkpoints=[], names=[], device=None, cfg_options=None))
    print(f'Pairs: {pairs}\nDone in {time.time() - start:.0f} s.')


if __name__ == '__main__':
    main()
