# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Print all benchmarks as Markdown.

``python benchmarks/run.py [PART ...]``
"""
import argparse
import contextlib
import importlib
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

# Runs from a clone: the repository's own mmips, whatever else is installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

_PARTS = {'swap': 'bench_swap', 'sampler': 'bench_sampler', 'scale': 'bench_scale',
          'step': 'bench_step', 'device': 'bench_device', 'monitor': 'bench_monitor',
          'decode': 'bench_decode', 'storage': 'bench_storage', 'elastic': 'bench_elastic',
          'gpu': 'bench_gpu', 'methods': 'bench_methods'}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Benchmarks of mmips')
    parser.add_argument('parts', nargs='*', metavar='part',
                        help=f'{", ".join(_PARTS)}; all that the device can run if left out')
    parser.add_argument('--quick', action='store_true', help='smaller and fewer: not to be quoted')
    parser.add_argument('--tiny', action='store_true', help='only to see that everything runs')
    parser.add_argument('--threads', type=int, default=1, help='threads of torch; default 1')
    parser.add_argument('--device', default='cpu', choices=['cpu', 'cuda'],
                        help='cuda adds the part gpu')
    args = parser.parse_args(argv)
    unknown = sorted(set(args.parts) - set(_PARTS))
    if unknown:
        parser.error(f'there is no part {unknown[0]!r}, only {", ".join(_PARTS)}')
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run and print; returns the exit status."""
    args = parse_args(argv)
    # Before NumPy and torch are loaded, which read it once.
    os.environ.setdefault('OMP_NUM_THREADS', str(args.threads))
    import torch
    if (args.device == 'cuda' or 'gpu' in args.parts) and not torch.cuda.is_available():
        print('The GPU tables need a CUDA device, and torch sees none here. Without '
              '`--device cuda` and `gpu` the tables of the CPU are printed.', file=sys.stderr)
        return 1
    torch.set_num_threads(args.threads)
    _print_tables(args)
    return 0


def _print_tables(args: argparse.Namespace) -> None:
    out = sys.stdout
    # Tables alone go to stdout; what other packages have to say goes to stderr.
    with contextlib.redirect_stdout(sys.stderr), _quiet():
        from benchmarks.timing import Options, header
        device = 'cuda' if 'gpu' in args.parts else args.device
        options = Options(device, args.threads, args.quick, args.tiny)
        parts = args.parts or [part for part in _PARTS if part != 'gpu' or device == 'cuda']
        print(header(options), file=out, flush=True)
        for part in parts:
            for text in importlib.import_module(f'benchmarks.{_PARTS[part]}').run(options):
                print(text, file=out, flush=True)
    if device == 'cpu' and not args.parts:
        print('[GPU] tables: not measured; `--device cuda` measures them.')


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the notes of mmengine's loggers out of the tables."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


if __name__ == '__main__':
    sys.exit(main())
