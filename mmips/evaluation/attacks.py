# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Checkpoints under FGSM, I-FGSM and PGD: Tables 10 and 12 of the IPS paper."""
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mmips.errors import UserError
from mmips.evaluation import predictions
from mmips.evaluation.predictions import Request
from mmips.runs import files, fingerprints, loaders
from mmips.runs.tables import Table, to_markdown

__all__ = ['ATTACKS', 'SPACES', 'AttackSettings', 'evaluate_attacks', 'to_text']

#: Attacks by name, and what they are called in tables.
ATTACKS = {'fgsm': 'FGSM', 'i-fgsm': 'I-FGSM', 'pgd': 'PGD'}
#: Units of eps, see :class:`AttackSettings`.
SPACES = {'pixel': 'the image range 0 to 1',
          'normalized': "the network's normalised input, the same for all channels"}


@dataclass(frozen=True)
class AttackSettings:
    """What all attacks of an evaluation share.

    Args:
        space (str): The unit of eps. 'pixel': the image range counts 1, so 8/255 is eight grey
            levels. 'normalized': the units of the normalised input, so a grey level counts
            1/std of its channel. Either way the images stay within their range.
        steps (int): Steps of I-FGSM and PGD. Defaults to 10.
        step_size (float, optional): Size of these steps, absolute, in the unit of eps.
            Defaults to None: by ``rel_step_size``.
        rel_step_size (float, optional): The same as a share of eps. Defaults to None: 2.5 / steps,
            with which any point of the ball can be reached from any other (Madry et al. 2018).
        image_range (tuple[float, float], optional): Least and greatest value of a pixel before
            the data preprocessor. Defaults to None: 0 to 255 for uint8 images; others need it.
        quantize (bool): Round adversarial images to 256 levels, as a file would, up to half a
            level outside the ball. Defaults to False.
        seed (int): Of PGD's random starts, the same for every checkpoint and eps.

    Raises:
        UserError: For less than one step, a step size that is not positive, or no range.
    """
    space: str = 'pixel'
    steps: int = 10
    step_size: float | None = None
    rel_step_size: float | None = None
    image_range: tuple[float, float] | None = None
    quantize: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UserError(f'steps must be at least 1, got {self.steps}.')
        for size in (self.step_size, self.rel_step_size):
            if size is not None and not 0 < size < math.inf:
                raise UserError(f'The step size must be a positive number, got {size:g}.')
        if self.image_range and not self.image_range[0] < self.image_range[1]:
            raise UserError('image_range needs a lower and a higher value, got '
                            f'{self.image_range}.')

    def step(self, eps: float) -> float:
        """Size of a step for some radius, in its unit."""
        if self.step_size is not None:
            return self.step_size
        return eps * (self.rel_step_size or 2.5 / self.steps)

    def check(self, radii: Sequence[float]) -> None:
        """Raise for radii that make no sense."""
        most = 1 if self.space == 'pixel' else math.inf
        for eps in radii:
            if not 0 <= eps <= most or eps == math.inf:
                limit = ('0 or more' if most > 1 else
                         'within 0 to 1 (eight grey levels are 8/255 = 0.0314)')
                raise UserError(f'eps in the {self.space} space must be {limit}, got {eps:g}.')

    def used(self, attack: str, eps: float) -> dict[str, Any]:
        """What of them the score of an attack depends on."""
        used: dict[str, Any] = dict(attack=attack, eps=eps, space=self.space,
                                    quantize=self.quantize, image_range=self.image_range)
        if attack != 'fgsm':
            used.update(steps=self.steps, step=self.step(eps))
        if attack == 'pgd':
            used['seed'] = self.seed
        return used


def evaluate_attacks(request: Request, attacks: Sequence[str], radii: Sequence[float],
                     settings: AttackSettings) -> pd.DataFrame:
    """Attack checkpoints and write ``attacks.md``, ``.csv``, ``.json`` and ``.png``.

    Every finished score is kept in ``attacks_done.json``: an interrupted evaluation goes on where
    it stopped, and one with more attacks or radii computes only those that are new. What is
    finished is written after a failure too.

    Args:
        request (Request): Checkpoints, images and the folder for the results.
        attacks (Sequence[str]): Some of ``ATTACKS``.
        radii (Sequence[float]): Values of eps, rising; 0 is no attack.
        settings (AttackSettings): What the attacks share.

    Returns:
        pd.DataFrame: A row for each ``attack``, ``checkpoint`` and ``eps``: how many ``images``
            there were, how many were ``correct``, the ``accuracy`` in percent, and how many were
            ``unmoved``, see :func:`to_text`.

    Raises:
        UserError: For what does not fit, such as a checkpoint of another network.
    """
    settings.check(radii)
    out = Path(request.out)
    out.mkdir(parents=True, exist_ok=True)
    cfg = predictions.load_classifier_config(request)
    keys = {(attack, name, eps): fingerprints.result_key(
        cfg, request.split, path, max_images=request.max_images,
        **settings.used(attack, eps))[:24]
        for attack in attacks for name, path in request.paths.items() for eps in radii}
    done = {path.stem: files.read_results(path)  # A folder of an earlier version has a file each.
            for path in Path(out, 'cells').glob('*.json')}
    done.update(files.read_results(out / 'attacks_done.json'))
    try:
        _complete(cfg, request, settings, keys, done)
    finally:
        scores = pd.DataFrame([
            dict(attack=attack, checkpoint=name, **done[key],
                 accuracy=100 * done[key]['correct'] / done[key]['images'])
            for (attack, name, _), key in keys.items() if key in done])
        text = '' if scores.empty else _write(scores, attacks, request, settings)
    print(f'{text}\n{out / "attacks.md"}, .csv, .json, .png')
    return scores


def _complete(cfg: Any, request: Request, settings: AttackSettings,
              keys: Mapping[tuple[str, str, float], str], done: dict[str, dict]) -> None:
    """Compute and store the scores that are missing."""
    passes: dict[str, dict] = {}
    clean = {}
    for (attack, name, eps), key in keys.items():
        if not eps and key not in done:
            clean[key] = name
        elif key not in done:
            # One gradient serves all radii of FGSM; other attacks need a pass for each.
            passes.setdefault(name, {}).setdefault(
                (attack, attack == 'fgsm' or eps), []).append(eps)
    found = request.predict(cfg) if clean else {}
    for key, name in clean.items():
        right = found[name].probs.argmax(1) == found[name].labels
        done[key] = dict(eps=0., images=len(right), correct=int(right.sum()), unmoved=0)
    if passes:
        # Here, since it brings torch, and a tool's --help shall not wait for that.
        from mmips.evaluation.attacked_classifier import score_attack
        model = predictions.build_model(cfg, request.device)
        loader = loaders.build_loader(cfg, request.split, request.max_images)
        paths = [request.paths[name] for name in passes]
        for name in predictions.each_checkpoint(model, paths, list(passes)):
            for (attack, _), radii in passes[name].items():
                title = f'{name}, {ATTACKS[attack]}, eps {", ".join(f"{e:g}" for e in radii)}'
                batches = predictions.iter_batches(loader, title)
                for score in score_attack(model, batches, attack, radii, settings):
                    done[keys[attack, name, score['eps']]] = score
                files.write_json(Path(request.out, 'attacks_done.json'), done)


def to_text(scores: pd.DataFrame, tables: Mapping[str, pd.DataFrame], settings: AttackSettings,
            about: str) -> str:
    """Markdown in the layout of Table 12: a block for each attack, eps down, networks across.

    What is missing stays empty. Settings and what was attacked are told above the tables, and
    below them how many images an attack has not changed: nearly always their gradient is exactly
    0, as the loss of very sure predictions is in floating point.
    """
    step = (f'{settings.step_size:g}' if settings.step_size is not None else
            f'{settings.step(1):.4g} eps')
    iterated = ' and '.join(ATTACKS[attack] for attack in tables if attack != 'fgsm')
    how = [f'{iterated}: {settings.steps} steps, step size {step}'] if iterated else []
    how += [f'PGD: random start, seed {settings.seed}'] if 'pgd' in tables else []
    how += ['adversarial images rounded to 256 levels'] if settings.quantize else []
    parts = [
        '# Accuracy under attack\n\n'
        f'Top-1 accuracy in %, higher is better (\u2191), of {scores.images.max()} {about} under '
        'white-box L-infinity attacks on the cross entropy with the true label. '
        f'eps is in units of {SPACES[settings.space]} (`--space {settings.space}`); eps 0 is no '
        f'attack. {"; ".join(how)}'.rstrip(' .') + '.\n']
    for attack, table in tables.items():
        rows = [[f'{eps:g}', *('' if math.isnan(value) else f'{value:.2f}' for value in row)]
                for eps, row in zip(table.index, table.values)]
        parts.append(to_markdown(ATTACKS[attack], [Table('', ['eps', *table], 1, rows)]))
    unmoved = scores.groupby(['attack', 'checkpoint'], sort=False).unmoved.max()
    stuck = [f'{name}: {number} ({ATTACKS[attack]})'
             for (attack, name), number in unmoved.items() if number]
    if stuck:
        parts.append('Images that an attack has not changed, most often because the loss of a '
                     'very sure prediction, and with it the gradient, is exactly 0 in floating '
                     f'point; that is no robustness: {", ".join(stuck)}.\n')
    return '\n'.join(parts)


def make_tables(scores: pd.DataFrame, attacks: Sequence[str],
                names: Sequence[str]) -> dict[str, pd.DataFrame]:
    """For each attack the accuracies, eps down, networks across; NaN for what is missing."""
    return {attack: scores[scores.attack == attack].pivot(
        index='eps', columns='checkpoint', values='accuracy').reindex(columns=names)
        for attack in attacks}


def _write(scores: pd.DataFrame, attacks: Sequence[str], request: Request,
           settings: AttackSettings) -> str:
    """Write what there is; returns the tables."""
    from mmips.visualization.attacks import draw_attacks
    tables = make_tables(scores, attacks, request.names)
    text = to_text(scores, tables, settings, f'{request.split} images ({request.title})')
    single = scores.attack == 'fgsm'
    rows = scores.assign(
        space=settings.space, steps=single.map({True: 1, False: settings.steps}),
        step_size=scores.eps.where(single, scores.eps.map(settings.step)),
        accuracy=scores.accuracy.round(4))[[
            'checkpoint', 'attack', 'eps', 'space', 'steps', 'step_size', 'images', 'accuracy',
            'unmoved']].to_dict('records')
    out = Path(request.out)
    files.write_json(out / 'attacks.json', dict(
        config=request.config, checkpoints=request.paths, split=request.split,
        settings=asdict(settings), results=rows))
    files.write_csv(out / 'attacks.csv', rows[0], (row.values() for row in rows))
    files.write_text(out / 'attacks.md', text)
    files.write_picture(out / 'attacks.png', draw_attacks(
        {ATTACKS[attack]: table for attack, table in tables.items()},
        f'{request.title}: accuracy under attack, {rows[0]["images"]} {request.split} images',
        f'{settings.space} space'))
    return text
