# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Checkpoints under FGSM, I-FGSM and PGD: Tables 10 and 12 of the IPS paper."""
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pandas as pd

from mmips.config import colours
from mmips.evaluation import predictions
from mmips.evaluation.attack_settings import ATTACKS, SPACES, AttackSettings
from mmips.runs import files
from mmips.runs.tables import Table, to_markdown


def evaluate_attacks(request: predictions.Request) -> pd.DataFrame:
    """Do what ``eval_attacks.py`` is asked for: ``attacks.md``, ``.csv``, ``.json`` and ``.png``.

    Every finished score is kept in ``attacks_done.json``: an interrupted evaluation goes on where
    it stopped, and what is finished is written after a failure too.

    Returns a row for each ``attack``, ``checkpoint`` and ``eps``, with the ``accuracy`` in percent.
    """
    settings = AttackSettings(**{field.name: getattr(request, field.name)
                                 for field in fields(AttackSettings)})
    settings.check(request.eps)
    cfg = predictions.load_classifier_config(request)
    Path(request.out).mkdir(parents=True, exist_ok=True)
    done = {path.stem: files.read_results(path)  # A folder of an earlier version has a file each.
            for path in Path(request.out, 'cells').glob('*.json')}
    done.update(files.read_results(Path(request.out, 'attacks_done.json')))
    keys = {(attack, name, eps): request.key(
        cfg, path, **settings.used(attack, eps))[:24] for attack in request.attacks
        for name, path in request.paths.items() for eps in request.eps}
    try:
        _complete(cfg, request, settings, keys, done)
    finally:
        scores = pd.DataFrame([
            dict(attack=attack, checkpoint=name, **done[key],
                 accuracy=100 * done[key]['correct'] / done[key]['images'])
            for (attack, name, _), key in keys.items() if key in done])
        if len(scores):
            _write(scores, request, settings)
    return scores


def _complete(cfg: Any, request: predictions.Request, settings: AttackSettings,
              keys: Mapping[tuple[str, str, float], str], done: dict[str, dict]) -> None:
    """Compute and store the scores that are missing."""
    clean = request.predict(cfg) if 0 in request.eps else {}
    done.update({key: dict(eps=eps, images=len(clean[name].right), unmoved=0,
                           correct=int(clean[name].right.sum()))
                 for (_, name, eps), key in keys.items() if not eps})
    missing = {name: request.paths[name] for (_, name, _), key in keys.items() if key not in done}
    if not missing:
        return
    # Here, since it brings torch, and a tool's --help shall not wait for that.
    from mmips.evaluation.attacked_classifier import AttackedClassifier
    model, loader = predictions.build_model(cfg, request.device), request.build_loader(cfg)
    classifier = AttackedClassifier(model, settings, colours.reverses(cfg))
    for loaded in predictions.each_checkpoint(model, missing):
        for (attack, name, eps), key in keys.items():
            if name == loaded and key not in done:
                title = f'{name}, {ATTACKS[attack]}, eps {eps:g}'
                done[key] = classifier.score(predictions.iter_batches(loader, title), attack, eps)
                files.write_json(Path(request.out, 'attacks_done.json'), done)


def to_text(scores: pd.DataFrame, tables: Mapping[str, pd.DataFrame], settings: AttackSettings,
            about: str) -> str:
    """Markdown in the layout of Table 12: a block for each attack, eps down, networks across."""
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
        texts = table.map('{:.2f}'.format).replace('nan', '')
        rows = [[f'{eps:g}', *row] for eps, row in zip(table.index, texts.values.tolist())]
        parts.append(to_markdown(ATTACKS[attack], [Table('', ['eps', *table], 1, rows)]))
    unmoved = scores.groupby(['attack', 'checkpoint'], sort=False).unmoved.max()
    stuck = [f'{name}: {number} ({ATTACKS[attack]})'
             for (attack, name), number in unmoved.items() if number]
    if stuck:
        parts.append('Images that an attack has not changed, most often because the loss of a '
                     'very sure prediction, and with it the gradient, is exactly 0 in floating '
                     f'point; that is no robustness: {", ".join(stuck)}.\n')
    return '\n'.join(parts)


def _write(scores: pd.DataFrame, request: predictions.Request, settings: AttackSettings) -> None:
    """Write what there is."""
    from mmips.visualization.attacks import draw_attacks
    tables = {attack: scores[scores.attack == attack].pivot(
        index='eps', columns='checkpoint', values='accuracy').reindex(columns=request.names)
        for attack in request.attacks}
    single = scores.attack == 'fgsm'
    rows = scores.assign(
        space=settings.space, steps=single.map({True: 1, False: settings.steps}),
        step_size=scores.eps.where(single, scores.eps.map(settings.step)),
        accuracy=scores.accuracy.round(4))[[
            'checkpoint', 'attack', 'eps', 'space', 'steps', 'step_size', 'images', 'accuracy',
            'unmoved']].to_dict('records')
    predictions.write(
        request.out, 'attacks',
        to_text(scores, tables, settings, f'{request.split} images ({request.title})'), rows,
        dict(config=request.config, checkpoints=request.paths, split=request.split,
             settings=asdict(settings), results=rows, metrics={
                 name: {f'{row["attack"]}/{row["eps"]:g}': row['accuracy']
                        for row in rows if row['checkpoint'] == name} for name in request.names}),
        attacks=draw_attacks(
            {ATTACKS[attack]: table for attack, table in tables.items()},
            f'{request.title}: accuracy under attack, {rows[0]["images"]} {request.split} images',
            f'{settings.space} space'))
