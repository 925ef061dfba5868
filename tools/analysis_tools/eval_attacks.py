# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Accuracy of checkpoints of one config under FGSM, I-FGSM and PGD (Tables 10 and 12).

::

    python tools/analysis_tools/eval_attacks.py CONFIG CHECKPOINT [CHECKPOINT ...] \\
        --names 'hard label' IPS --out DIR

Writes ``attacks.md``, in the layout of Table 12, ``attacks.csv``, ``attacks.json`` and
``attacks.png``. Every finished accuracy is kept in ``DIR/cells``: an interrupted run goes on
where it stopped, and a run with more attacks or eps computes only those that are new.
"""
import argparse
import copy
import dataclasses
import json
import os.path as osp
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import mmips  # noqa: F401  (first: it makes 'mmips::' bases readable)
from mmips.evaluation import predictions
from mmips.runs import cli, files, fingerprints, loaders


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Evaluate checkpoints under attack')
    predictions.add_checkpoint_options(parser)
    parser.add_argument('--attacks', nargs='+', default=['fgsm', 'i-fgsm', 'pgd'],
                        metavar='ATTACK', help='fgsm, i-fgsm, pgd (default: all)')
    parser.add_argument('--eps', nargs='+', type=float, metavar='EPS',
                        default=[0, 0.001, 0.003, 0.005, 0.01, 0.05],
                        help='radii of the attacks; 0 is no attack (default: those of the paper, '
                        '0 0.001 0.003 0.005 0.01 0.05)')
    parser.add_argument('--space', choices=['pixel', 'normalized'], default='pixel',
                        help='unit of eps: the image range 0 to 1, or the normalised input; the '
                        'paper does not say which (default: pixel)')
    parser.add_argument('--steps', type=int, default=10,
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
    parser.add_argument('--seed', type=int, default=0,
                        help='seed of the random starts of PGD (default: 0)')
    args = parser.parse_args(argv)
    predictions.check_names(parser, args)
    args.attacks = list(dict.fromkeys(args.attacks))
    args.eps = sorted({float(eps) for eps in args.eps})
    return args


def read_settings(args: argparse.Namespace) -> Any:
    """What the attacks share, checked."""
    from mmips.evaluation.attacks import AttackSettings
    settings = AttackSettings(
        args.space, args.steps, args.step_size, args.rel_step_size,
        tuple(args.image_range) if args.image_range else None, args.quantize, args.seed)
    settings.check(args.attacks, args.eps)
    return settings


class Cells:
    """Finished scores on the disk, one file for each checkpoint, attack and eps.

    Args:
        cfg (Config): The whole config.
        args (Namespace): The command line.
        settings (AttackSettings): What the attacks share.
    """

    def __init__(self, cfg: Any, args: argparse.Namespace, settings: Any) -> None:
        self.folder = Path(args.out, 'cells')
        self.folder.mkdir(parents=True, exist_ok=True)
        self.args, self.settings = args, settings
        # A copy: building fills in settings, and later keys would differ from the first.
        self.cfg = copy.deepcopy(cfg)

    def path(self, checkpoint: str, attack: str, eps: float) -> Path:
        """File of one score; its name is a checksum of all on which the score depends."""
        shared = self.settings
        used: dict = dict(eps=eps, max_images=self.args.max_images, space=shared.space,
                          quantize=shared.quantize, image_range=shared.image_range)
        if eps:
            used['attack'] = attack
        if eps and attack != 'fgsm':
            used.update(steps=shared.steps, step=shared.step(eps))
        if eps and attack == 'pgd':
            used['seed'] = shared.seed
        key = fingerprints.result_key(self.cfg, self.args.split, checkpoint, **used)
        return self.folder / f'{key[:24]}.json'

    def get(self, checkpoint: str, attack: str, eps: float) -> Any:
        """A stored score, or None."""
        from mmips.evaluation.attacks import AttackScore
        path = self.path(checkpoint, attack, eps)
        return AttackScore(**json.loads(path.read_text())) if path.is_file() else None

    def put(self, checkpoint: str, attack: str, score: Any) -> None:
        """Store a score."""
        files.write_json(self.path(checkpoint, attack, score.eps), dataclasses.asdict(score))


def passes(cells: Cells, checkpoint: str, args: argparse.Namespace
           ) -> Iterator[tuple[str, list[float]]]:
    """What is not done yet, as attacks with the radii that one pass over the images serves."""
    for attack in args.attacks:
        # Looked up when it is due: without an attack (eps 0) an earlier one has the same score.
        radii = [eps for eps in args.eps if cells.get(checkpoint, attack, eps) is None]
        if attack == 'fgsm' and radii:
            # One gradient serves all; other attacks need a pass for each.
            yield attack, radii
        elif attack != 'fgsm':
            yield from ((attack if eps else 'fgsm', [eps]) for eps in radii)


def evaluate(cfg: Any, args: argparse.Namespace, settings: Any, cells: Cells) -> None:
    """Compute and store what is missing."""
    from mmips.evaluation.attacks import ATTACKS, score_attack
    model = predictions.build_model(cfg, args.device)
    loader = loaders.build_loader(cfg, args.split, args.max_images)
    paths = dict(zip(args.names, args.checkpoints))
    for name in predictions.each_checkpoint(model, args.checkpoints, args.names):
        for attack, radii in passes(cells, paths[name], args):
            title = f'{name}, {ATTACKS[attack]}, eps {", ".join(f"{eps:g}" for eps in radii)}'
            batches = predictions.iter_batches(loader, title)
            for score in score_attack(model, batches, attack, radii, settings):
                cells.put(paths[name], attack, score)


def collect(cells: Cells, args: argparse.Namespace) -> dict[str, dict[str, list]]:
    """All finished scores, by attack and by name."""
    return {attack: {name: [score for eps in args.eps
                            if (score := cells.get(path, attack, eps)) is not None]
                     for name, path in zip(args.names, args.checkpoints)}
            for attack in args.attacks}


def attack_tables(scores: dict[str, dict[str, list]], settings: Any, what: str) -> str:
    """Markdown in the layout of Table 12: a block for each attack, eps down, networks across.

    Args:
        scores (dict): For each attack, by the networks' names, a score for each eps; what is
            missing stays empty.
        settings (AttackSettings): What the attacks share; it is told above the tables.
        what (str): What was attacked, for that as well.

    Returns:
        str: Accuracy in percent, two digits.
    """
    from mmips.evaluation.attacks import ATTACKS, SPACES
    every = [score for networks in scores.values() for row in networks.values() for score in row]
    number = max((score.images for score in every), default=0)
    step = (f'{settings.step_size:g}' if settings.step_size is not None else
            f'{settings.step(1):.4g} eps')
    iterated = ' and '.join(ATTACKS[attack] for attack in scores if attack != 'fgsm')
    how = [f'{iterated}: {settings.steps} steps, step size {step}'] if iterated else []
    how += [f'PGD: random start, seed {settings.seed}'] if 'pgd' in scores else []
    how += ['adversarial images rounded to 256 levels'] if settings.quantize else []
    lines = [
        '# Accuracy under attack', '',
        f'Top-1 accuracy in %, higher is better (\u2191), of {number} {what} under white-box '
        'L-infinity attacks on the cross entropy with the true label. '
        f'eps is in units of {SPACES[settings.space]} (`--space {settings.space}`); eps 0 is no '
        f'attack. {"; ".join(how)}'.rstrip(' .') + '.']
    for attack, networks in scores.items():
        names = [name.replace('|', '\\|') for name in networks]
        lines += ['', f'## {ATTACKS[attack]}', '', f'| eps | {" | ".join(names)} |',
                  '|---' * (len(names) + 1) + '|']
        for eps in sorted({score.eps for row in networks.values() for score in row}):
            cells = [next((f'{score.accuracy:.2f}' for score in row if score.eps == eps), '')
                     for row in networks.values()]
            lines.append(f'| {eps:g} | {" | ".join(cells)} |')
    stuck = [f'{name}: {max(score.unmoved for score in row)} ({ATTACKS[attack]})'
             for attack, networks in scores.items() for name, row in networks.items()
             if any(score.unmoved for score in row)]
    if stuck:
        lines += ['', 'Images that an attack has not changed, most often because the loss of a '
                  'very sure prediction, and with it the gradient, is exactly 0 in floating point; '
                  f'that is no robustness: {", ".join(stuck)}.']
    return '\n'.join(lines) + '\n'


def write(scores: dict[str, dict[str, list]], args: argparse.Namespace,
          settings: Any) -> str | None:
    """Write what there is; returns the tables, or None where there is nothing."""
    from mmips.evaluation.attacks import ATTACKS
    from mmips.visualization.attacks import draw_attacks
    rows = [dict(checkpoint=name, attack=attack, eps=score.eps, space=settings.space,
                 steps=1 if attack == 'fgsm' else settings.steps,
                 step_size=score.eps if attack == 'fgsm' else settings.step(score.eps),
                 images=score.images, accuracy=round(score.accuracy, 4), unmoved=score.unmoved)
            for attack, networks in scores.items() for name, row in networks.items()
            for score in row]
    if not rows:
        return None
    name = osp.splitext(osp.basename(args.config))[0]
    tables = attack_tables(scores, settings, f'{args.split} images ({name})')
    out = Path(args.out)
    files.write_json(out / 'attacks.json', dict(
        config=args.config, checkpoints=dict(zip(args.names, args.checkpoints)),
        split=args.split, settings=dataclasses.asdict(settings), results=rows))
    files.write_csv(out / 'attacks.csv', rows[0], (row.values() for row in rows))
    files.write_text(out / 'attacks.md', tables)
    draw_attacks({ATTACKS[attack]: {name: [(score.eps, score.accuracy) for score in row]
                                    for name, row in networks.items()}
                  for attack, networks in scores.items()},
                 str(out / 'attacks.png'), f'{name}: accuracy under attack, {rows[0]["images"]} '
                 f'{args.split} images', f'{settings.space} space')
    return tables


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> dict[str, dict[str, list]]:
    """Evaluate; returns the scores by attack and by name."""
    args = parse_args(argv)
    settings = read_settings(args)
    cfg = predictions.load_classifier_config(args)
    cells = Cells(cfg, args, settings)
    try:
        evaluate(cfg, args, settings, cells)
    except KeyboardInterrupt:
        print(f'\nInterrupted. What is finished is kept in {args.out}: start again to go on.',
              file=sys.stderr)
        raise SystemExit(130) from None
    finally:
        # After a failure too: earlier results are not lost.
        scores = collect(cells, args)
        tables = write(scores, args, settings)
    print(f'{tables}\n{osp.join(args.out, "attacks.md")}, .csv, .json, .png')
    return scores


if __name__ == '__main__':
    main()
