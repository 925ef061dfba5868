# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Checkpoints under FGSM, I-FGSM and PGD: Tables 10 and 12 of the IPS paper."""
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmips.errors import UserError
from mmips.evaluation import predictions
from mmips.evaluation.predictions import Request
from mmips.runs import files, fingerprints, loaders
from mmips.runs.tables import Table, to_markdown

__all__ = ['ATTACKS', 'SPACES', 'AttackScore', 'AttackSettings', 'Scores', 'evaluate_attacks',
           'to_text']

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
            1/std of its channel. The paper does not say which it used. Either way the images
            stay within their range.
        steps (int): Steps of I-FGSM and PGD. Defaults to 10.
        step_size (float, optional): Size of these steps, absolute, in the unit of eps.
            Defaults to None: by ``rel_step_size``.
        rel_step_size (float, optional): Size of a step as a share of eps. Defaults to None:
            2.5 / steps, with which any point of the ball can be reached from any other
            (Madry et al. 2018).
        image_range (tuple[float, float], optional): Least and greatest value of a pixel before
            the data preprocessor. Defaults to None: 0 to 255 for uint8 images; others need it.
        quantize (bool): Round adversarial images to 256 levels, as a file would, after which
            a pixel may be half a level outside the ball. Defaults to False.
        seed (int): Of PGD's random starts, the same for every checkpoint and eps. Defaults to
            0.

    Raises:
        UserError: For an unknown space, less than one step, or step sizes that are not positive
            or given twice.
    """
    space: str = 'pixel'
    steps: int = 10
    step_size: float | None = None
    rel_step_size: float | None = None
    image_range: tuple[float, float] | None = None
    quantize: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.space not in SPACES:
            raise UserError(f'space must be one of {", ".join(SPACES)}, got {self.space!r}.')
        if self.steps < 1:
            raise UserError(f'steps must be at least 1, got {self.steps}.')
        if self.step_size is not None and self.rel_step_size is not None:
            raise UserError(f'Give step_size or rel_step_size, not both: got {self.step_size:g} '
                            f'and {self.rel_step_size:g}.')
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

    def check(self, attacks: Sequence[str], radii: Sequence[float]) -> None:
        """Raise for attacks that are not known and radii that make no sense."""
        for name in attacks:
            if name not in ATTACKS:
                raise UserError(f'Unknown attack {name!r}: choose from {", ".join(ATTACKS)}.')
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


@dataclass(frozen=True)
class AttackScore:
    """How many images of a split an attack has left right.

    Args:
        eps (float): Radius of the attack, 0 for none.
        images (int): Number of images.
        correct (int): Of them, those classified as their label.
        unmoved (int): Images that the attack has not changed. Nearly always their gradient is
            exactly 0, as the loss of very sure predictions is 0 in floating point: they say
            nothing of robustness. Defaults to 0.
    """
    eps: float
    images: int
    correct: int
    unmoved: int = 0

    @property
    def accuracy(self) -> float:
        """In percent."""
        return 100 * self.correct / self.images


#: By attack and by the networks' names, a score for each eps that is done.
Scores = dict[str, dict[str, list[AttackScore]]]


def evaluate_attacks(request: Request, attacks: Sequence[str], radii: Sequence[float],
                     settings: AttackSettings) -> Scores:
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
        dict[str, dict[str, list[AttackScore]]]: By attack and by name, a score for each eps.

    Raises:
        UserError: For what does not fit, such as a checkpoint of another network.
    """
    settings.check(attacks, radii)
    Path(request.out).mkdir(parents=True, exist_ok=True)
    done = _Done(predictions.load_classifier_config(request), request, settings)
    try:
        done.complete(attacks, radii)
    finally:
        scores = {attack: {name: done.scores(name, attack, radii) for name in request.names}
                  for attack in attacks}
        text = _write(scores, request, settings)
    print(f'{text}\n{Path(request.out, "attacks.md")}, .csv, .json, .png')
    return scores


class _Done:
    """Finished scores of an evaluation; ``complete`` computes those that are missing."""

    def __init__(self, cfg: Any, request: Request, settings: AttackSettings) -> None:
        self.cfg, self.request, self.settings = cfg, request, settings
        self.path = Path(request.out, 'attacks_done.json')
        # A folder of an earlier version has a file for each.
        self.stored = {path.stem: files.read_results(path)
                       for path in Path(request.out, 'cells').glob('*.json')}
        self.stored.update(files.read_results(self.path))
        self.clean: dict[str, dict] = {}

    def key(self, name: str, attack: str, eps: float) -> str:
        """Of a stored score."""
        return fingerprints.result_key(
            self.cfg, self.request.split, self.request.paths[name],
            max_images=self.request.max_images, **self.settings.used(attack, eps))[:24]

    def scores(self, name: str, attack: str, radii: Sequence[float]) -> list[AttackScore]:
        """Those that are finished."""
        found = [self.stored.get(self.key(name, attack, eps)) if eps else self.clean.get(name)
                 for eps in radii]
        return [AttackScore(**score) for score in found if score]

    def complete(self, attacks: Sequence[str], radii: Sequence[float]) -> None:
        """Compute and store what is missing."""
        if 0 in radii:
            for name, found in self.request.predict(self.cfg).items():
                right = int((found.probs.argmax(1) == found.labels).sum())
                self.clean[name] = dict(eps=0., images=len(found.labels), correct=right)
        passes = {name: todo for name in self.request.names
                  if (todo := list(self.passes(name, attacks, radii)))}
        if not passes:
            return
        # Here, since it brings torch, and a tool's --help shall not wait for that.
        from mmips.evaluation.attacked_classifier import score_attack
        model = predictions.build_model(self.cfg, self.request.device)
        loader = loaders.build_loader(self.cfg, self.request.split, self.request.max_images)
        paths = [self.request.paths[name] for name in passes]
        for name in predictions.each_checkpoint(model, paths, list(passes)):
            for attack, chosen in passes[name]:
                title = f'{name}, {ATTACKS[attack]}, eps {", ".join(f"{e:g}" for e in chosen)}'
                batches = predictions.iter_batches(loader, title)
                for score in score_attack(model, batches, attack, chosen, self.settings):
                    self.stored[self.key(name, attack, score.eps)] = asdict(score)
                files.write_json(self.path, self.stored)

    def passes(self, name: str, attacks: Sequence[str],
               radii: Sequence[float]) -> Iterator[tuple[str, list[float]]]:
        """What is missing, as attacks with the radii that one pass over the images serves."""
        for attack in attacks:
            missing = [eps for eps in radii
                       if eps and self.key(name, attack, eps) not in self.stored]
            if attack == 'fgsm' and missing:
                # One gradient serves all; other attacks need a pass for each.
                yield attack, missing
            elif attack != 'fgsm':
                yield from ((attack, [eps]) for eps in missing)


def to_text(scores: Scores, settings: AttackSettings, about: str) -> str:
    """Markdown in the layout of Table 12: a block for each attack, eps down, networks across.

    What is missing stays empty. Settings and what was attacked are told above the tables.
    """
    number = max((score.images for networks in scores.values() for row in networks.values()
                  for score in row), default=0)
    step = (f'{settings.step_size:g}' if settings.step_size is not None else
            f'{settings.step(1):.4g} eps')
    iterated = ' and '.join(ATTACKS[attack] for attack in scores if attack != 'fgsm')
    how = [f'{iterated}: {settings.steps} steps, step size {step}'] if iterated else []
    how += [f'PGD: random start, seed {settings.seed}'] if 'pgd' in scores else []
    how += ['adversarial images rounded to 256 levels'] if settings.quantize else []
    parts = [
        '# Accuracy under attack\n\n'
        f'Top-1 accuracy in %, higher is better (\u2191), of {number} {about} under white-box '
        'L-infinity attacks on the cross entropy with the true label. '
        f'eps is in units of {SPACES[settings.space]} (`--space {settings.space}`); eps 0 is no '
        f'attack. {"; ".join(how)}'.rstrip(' .') + '.\n',
        *(to_markdown(ATTACKS[attack], [_to_table(rows)]) for attack, rows in scores.items())]
    stuck = [f'{name}: {max(score.unmoved for score in row)} ({ATTACKS[attack]})'
             for attack, networks in scores.items() for name, row in networks.items()
             if any(score.unmoved for score in row)]
    if stuck:
        parts.append('Images that an attack has not changed, most often because the loss of a '
                     'very sure prediction, and with it the gradient, is exactly 0 in floating '
                     f'point; that is no robustness: {", ".join(stuck)}.\n')
    return '\n'.join(parts)


def _to_table(networks: Mapping[str, Sequence[AttackScore]]) -> Table:
    found = {(name, score.eps): f'{score.accuracy:.2f}'
             for name, row in networks.items() for score in row}
    return Table('', ['eps', *networks], 1, [
        [f'{eps:g}', *(found.get((name, eps), '') for name in networks)]
        for eps in sorted({eps for _, eps in found})])


def _write(scores: Scores, request: Request, settings: AttackSettings) -> str:
    """Write what there is, if anything; returns the tables."""
    from mmips.visualization.attacks import draw_attacks
    rows = [dict(checkpoint=name, attack=attack, eps=score.eps, space=settings.space,
                 steps=1 if attack == 'fgsm' else settings.steps,
                 step_size=score.eps if attack == 'fgsm' else settings.step(score.eps),
                 images=score.images, accuracy=round(score.accuracy, 4), unmoved=score.unmoved)
            for attack, networks in scores.items() for name, row in networks.items()
            for score in row]
    if not rows:
        return ''
    text = to_text(scores, settings, f'{request.split} images ({request.title})')
    out = Path(request.out)
    files.write_json(out / 'attacks.json', dict(
        config=request.config, checkpoints=request.paths, split=request.split,
        settings=asdict(settings), results=rows))
    files.write_csv(out / 'attacks.csv', rows[0], (row.values() for row in rows))
    files.write_text(out / 'attacks.md', text)
    files.write_picture(out / 'attacks.png', draw_attacks(
        {ATTACKS[attack]: {name: [(score.eps, score.accuracy) for score in row]
                           for name, row in networks.items()}
         for attack, networks in scores.items()},
        f'{request.title}: accuracy under attack, {rows[0]["images"]} {request.split} images',
        f'{settings.space} space'))
    return text
