# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""The demo: does a network that teaches itself learn more from few labels?

Trains one small ResNet on scikit-learn's real handwritten digits, 10 labelled images per
class, with hard labels and with IPS at an equal number of images seen, three seeds each.
Prints the accuracies and writes a curve plot and a picture of swapped pairs. Runs that are
finished are not run again; ``--fresh`` starts anew.
"""
import argparse
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from mmips.runs import cli, sweep, training

ROOT = Path(__file__).resolve().parents[1]


def parse_args(argv=None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/demo'))
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--jobs', type=int, default=training.cores(),
                        help='runs at a time (default: one per core)')
    parser.add_argument('--fresh', action='store_true', help='forget finished runs')
    args = parser.parse_args(argv)
    if args.jobs < 1:
        parser.error(f'--jobs must be at least 1, but got {args.jobs}')
    return args


@cli.readable_failures
def main(argv=None) -> None:
    """Run the demo."""
    args = parse_args(argv)
    start = time.time()
    found = sweep.read_sweep(ROOT / 'configs' / 'sweeps' / 'digits_recipes.yml')
    cells = sweep.choose_cells(found, ['hard label', 'IPS 2x2'])
    found = replace(found, cells=tuple(cells), seeds=tuple(dict.fromkeys(args.seeds)))
    print(f'Training 2 recipes x {len(found.seeds)} seeds on handwritten digits, 10 labels per '
          'class, 20,000 images seen in each run ...', flush=True)
    sweep.train_cells(found, cells, args.work_dir, args.jobs, retry=True, fresh=args.fresh)
    print()
    sweep.report(found, cells, args.work_dir)
    pairs = args.work_dir / 'pairs.png'
    subprocess.run(
        [sys.executable, '-W', 'ignore', str(ROOT / 'tools' / 'visualization' / 'browse_pairs.py'),
         cells[1].config, '--out', str(pairs)], check=True, stdout=subprocess.DEVNULL)
    print(f'Pairs: {pairs}\nDone in {time.time() - start:.0f} s.')


if __name__ == '__main__':
    main()
