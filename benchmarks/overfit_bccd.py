# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Whether a detection config can learn at all: ``python benchmarks/overfit_bccd.py``.

Trains one of the BCCD configs on a handful of real images, without augmentation, and
evaluates it on the same images. A head whose losses, anchors or predictions are wrong stays
low; a sound one knows the images by heart. Exit status 1 if it stays below the aim.
"""
import argparse
import copy
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Runs from a clone: the repository's own mmips, whatever else is installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

_METRIC = 'pascal_voc/mAP'
_PREPARES = ('LoadImageFromFile', 'LoadAnnotations', 'Resize', 'PackDetInputs')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or '').partition('\n')[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('--bccd', default='data/bccd/BCCD', help="the data set, in VOC's format")
    parser.add_argument('--config', default='det/ssd300_r50_ips_bccd.py')
    parser.add_argument('--checkpoint', help='classifier that the backbone comes from; '
                        'without one it starts from random weights')
    parser.add_argument('--images', type=int, default=8, help='of the list for training')
    parser.add_argument('--steps', type=int, default=60, help='with all images in each')
    parser.add_argument('--lr', type=float, default=0.001)
    parser.add_argument('--aim', type=float, default=0.9, help='mAP on the same images')
    parser.add_argument('--threads', type=int, default=1, help='threads of torch')
    args = parser.parse_args(argv)
    if args.steps < 2:
        parser.error(f'--steps must be at least 2, one of them to warm up, but got {args.steps}')
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Train, evaluate, print; returns the exit status."""
    args = parse_args(argv)
    import torch

    from mmips.config import loading
    from mmips.runs import cli
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        cfg = overfit(loading.load_config(args.config), args, Path(folder))
        runner = cli.build_runner(cfg, ('train_dataloader', 'val_dataloader'))
        start, busy = time.perf_counter(), time.process_time()
        runner.train()
        seconds, busy = time.perf_counter() - start, time.process_time() - busy
        score = float(runner.message_hub.get_scalar(f'val/{_METRIC}').current())
    print(f'{args.config}: mAP {score:.3f} on its own {len(runner.train_dataloader.dataset)} '
          f'images after {runner.iter} steps, {seconds:.0f} s ({busy:.0f} s of processor time) on '
          f'{_device(args)}, torch {torch.__version__}; aim: {args.aim}')
    return 0 if score >= args.aim else 1


def _device(args: argparse.Namespace) -> str:
    from mmengine.device import get_device
    return f'{args.threads} CPU thread(s)' if get_device() == 'cpu' else get_device()


def overfit(cfg: Any, args: argparse.Namespace, folder: Path) -> Any:
    """Turn a config of a detector into one that learns a few images by heart.

    Args:
        cfg (Config): One of BCCD's, changed in place.
        args (argparse.Namespace): The command line's.
        folder (Path): For the list of images and the log.

    Returns:
        Config: The same.
    """
    _set_data(cfg, args, folder)
    if args.checkpoint:
        cfg.model.backbone.init_cfg.checkpoint = args.checkpoint
    else:
        cfg.model.backbone.init_cfg = None
        cfg.custom_hooks = [hook for hook in cfg.custom_hooks
                            if hook.type != 'mmips.CheckPretrained']
    # All images are in each step, so that an epoch is a step.
    cfg.train_cfg.update(max_epochs=args.steps, val_interval=args.steps)
    cfg.optim_wrapper.optimizer = dict(type='AdamW', lr=args.lr, weight_decay=0)
    cfg.optim_wrapper.clip_grad = dict(max_norm=35)
    warmup = max(1, args.steps // 10)
    cfg.param_scheduler = [
        dict(type='LinearLR', start_factor=0.1, begin=0, end=warmup),
        # Small steps in the end, which the running statistics catch up with.
        dict(type='CosineAnnealingLR', eta_min=0, begin=warmup, end=args.steps),
    ]
    cfg.default_hooks.update(checkpoint=None, logger=dict(type='LoggerHook', interval=1))
    cfg.update(work_dir=str(folder), log_level='INFO')
    return cfg


def _set_data(cfg: Any, args: argparse.Namespace, folder: Path) -> None:
    """The first images of the list for training, in training and in validation alike."""
    train, val = cfg.train_dataloader, cfg.val_dataloader
    names = (Path(args.bccd) / train.dataset.ann_file).read_text().split()[:args.images]
    (folder / 'images.txt').write_text(''.join(f'{name}\n' for name in names))
    for loader in (train, val):
        loader.update(num_workers=0, persistent_workers=False, batch_size=args.images)
        loader.dataset.update(data_root=args.bccd, ann_file=str(folder / 'images.txt'))
    train.dataset.pipeline = [copy.deepcopy(step) for step in train.dataset.pipeline
                              if step.type in _PREPARES]


if __name__ == '__main__':
    raise SystemExit(main())
