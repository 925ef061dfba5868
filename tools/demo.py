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
from pathlib import Path

from compare_recipes import FAMILIES, compare


def parse_args(argv=None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/demo'))
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--jobs', type=int, help='runs at a time (default: one per core)')
    parser.add_argument('--fresh', action='store_true', help='forget finished runs')
    return parser.parse_args(argv)


def main(argv=None) -> None:
    """Run the demo."""
    args = parse_args(argv)
    start = time.time()
    print(f'Training 2 recipes x {len(args.seeds)} seeds on handwritten digits, 10 labels per '
          'class, 20,000 images seen in each run ...', flush=True)
    table = compare('digits', ['hard', 'ips'], args.seeds, args.jobs, args.work_dir,
                    args.fresh)
    pairs = args.work_dir / 'pairs.png'
    browse = Path(__file__).parent / 'visualization' / 'browse_pairs.py'
    subprocess.run([
        sys.executable, '-W', 'ignore', str(browse),
        FAMILIES['digits']['ips'].config, '--out', str(pairs)
    ], check=True, stdout=subprocess.DEVNULL)
    print(f'\n{table}\n\nCurves: {args.work_dir}/curves.png\nPairs:  {pairs}\n'
          f'Done in {time.time() - start:.0f} s.')


if __name__ == '__main__':
    main()
