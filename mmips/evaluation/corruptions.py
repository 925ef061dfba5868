# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Robustness to corruptions: which there are, the mean corruption error, and tables.

Hendrycks and Dietterich, https://arxiv.org/abs/1903.12261; Tables 10 and 11 of the IPS paper.
"""
import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmips.runs import files

__all__ = ['CORRUPTIONS', 'PRESETS', 'SEVERITIES', 'CorruptionScores', 'check_corruption',
           'check_severity', 'corruption_errors', 'corruption_table', 'expand_corruptions',
           'relative_corruption_errors', 'summarise', 'write_tables']

#: All corruptions, also the names of CIFAR-100-C's files; the first 15 make up the mean
#: corruption error of Hendrycks and Dietterich, the last four are meant for validation.
CORRUPTIONS = ('gaussian_noise', 'shot_noise', 'impulse_noise', 'defocus_blur', 'glass_blur',
               'motion_blur', 'zoom_blur', 'snow', 'frost', 'fog', 'brightness', 'contrast',
               'elastic_transform', 'pixelate', 'jpeg_compression', 'speckle_noise',
               'gaussian_blur', 'spatter', 'saturate')
#: Groups by name. 'paper' are the ten of the IPS paper's Table 11, DB, GB, MB, GB, SN, FR, FO,
#: BR, CO, ET. It spells none of them out: GB after DB is taken for glass blur, and GB after MB for
#: zoom blur, which stands there in the order of Hendrycks and Dietterich; by its letters
#: it could be gaussian_blur too.
PRESETS = {'paper': CORRUPTIONS[3:13], 'common': CORRUPTIONS[:15], 'all': CORRUPTIONS}
SEVERITIES = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class CorruptionScores:
    """How one network fares.

    Args:
        clean (float): Accuracy without corruption, percent.
        accuracy (np.ndarray): Percent, shape (corruptions, severities).
    """
    clean: float
    accuracy: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        """Error of each corruption in percent, the mean over the severities."""
        return 100 - self.accuracy.mean(1)


def check_corruption(name: Any) -> str:
    """Return the name of a corruption.

    Raises:
        ValueError: There is none of that name; the nearest is suggested.
    """
    if name not in CORRUPTIONS:
        raise ValueError(f'There is no corruption {name!r}.{_nearest(name, CORRUPTIONS)} Known '
                         f'are {", ".join(CORRUPTIONS)}.')
    return name


def check_severity(severity: Any) -> int:
    """Return a severity.

    Raises:
        ValueError: It is none of 1, 2, 3, 4, 5.
    """
    if isinstance(severity, bool) or severity not in SEVERITIES:
        raise ValueError('A severity is an integer from 1 (mild) to 5 (strong), got '
                         f'{severity!r}.')
    return int(severity)


def expand_corruptions(names: Sequence[str]) -> tuple[str, ...]:
    """Corruptions by name, presets of :data:`PRESETS` spelled out, each once.

    Raises:
        ValueError: For a name that is neither.
    """
    found: dict[str, None] = {}
    for name in names:
        if name not in PRESETS and name not in CORRUPTIONS:
            known = (*PRESETS, *CORRUPTIONS)
            raise ValueError(f'There is no corruption and no group {name!r}.'
                             f'{_nearest(name, known)} Known are {", ".join(known)}.')
        found.update(dict.fromkeys(PRESETS.get(name, (name, ))))
    return tuple(found)


def _nearest(name: Any, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(str(name), known, 1)
    return f' Did you mean {near[0]!r}?' if near else ''


def corruption_errors(scores: CorruptionScores, reference: CorruptionScores) -> np.ndarray:
    """CE of each corruption: errors summed over severities, relative to the reference's.

    Their mean is the mean corruption error, mCE. Section 4.2 of Hendrycks and Dietterich, whose
    reference is AlexNet.

    Args:
        scores (CorruptionScores): Of a network.
        reference (CorruptionScores): Of the network that has 100 % by definition.

    Returns:
        np.ndarray: Percent, lower is better, shape (corruptions,); NaN where the reference makes
        no error.
    """
    return _ratio(100 - scores.accuracy, 100 - reference.accuracy)


def relative_corruption_errors(scores: CorruptionScores,
                               reference: CorruptionScores) -> np.ndarray:
    """Relative CE of each corruption: the same of what errors exceed those on clean images.

    Args:
        scores (CorruptionScores): Of a network.
        reference (CorruptionScores): Of the network that has 100 % by definition.

    Returns:
        np.ndarray: Percent, lower is better, shape (corruptions,); NaN where the corruption does
        the reference no harm.
    """
    return _ratio(scores.clean - scores.accuracy, reference.clean - reference.accuracy)


def _ratio(values: np.ndarray, base: np.ndarray) -> np.ndarray:
    sums = base.sum(1)
    # Above rounding: accuracies are quotients of small numbers.
    known = sums > 1e-9
    return 100 * np.divide(values.sum(1), sums, out=np.full(len(sums), np.nan), where=known)


def summarise(scores: Mapping[str, CorruptionScores], reference: str) -> dict[str, dict]:
    """The numbers of each network that stand for all corruptions and severities.

    Args:
        scores (Mapping[str, CorruptionScores]): By the networks' names.
        reference (str): One of the names, that of mCE.

    Returns:
        dict[str, dict]: For each name ``clean`` and ``accuracy`` (mean over corruptions and
        severities; higher is better), ``mce`` and ``relative_mce`` (lower is better), in
        percent. The latter are means over the corruptions where they are defined, NaN if none.
    """
    return {name: dict(clean=one.clean, accuracy=float(one.accuracy.mean()),
                       mce=_mean(corruption_errors(one, scores[reference])),
                       relative_mce=_mean(relative_corruption_errors(one, scores[reference])))
            for name, one in scores.items()}


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float('nan')


def corruption_table(scores: Mapping[str, CorruptionScores], corruptions: Sequence[str],
                     severities: Sequence[int], reference: str) -> str:
    """Markdown tables as the IPS paper's Table 11: errors by corruption, then by severity.

    Args:
        scores (Mapping[str, CorruptionScores]): By the networks' names.
        corruptions (Sequence[str]): C names, the rows of ``accuracy``.
        severities (Sequence[int]): S numbers, its columns.
        reference (str): One of the names, that of mCE.

    Returns:
        str: Percent with two digits; the best of a row is in bold where there are several.
    """
    means = summarise(scores, reference)
    lines = _heading('error %, lower is better', scores)
    lines.append(_row('clean', [100 - one.clean for one in scores.values()], min))
    for number, corruption in enumerate(corruptions):
        lines.append(_row(corruption, [one.errors[number] for one in scores.values()], min))
    lines.append(_row('mean of the corruptions',
                      [100 - one['accuracy'] for one in means.values()], min))
    lines += ['', *_heading(f'all {len(corruptions)} corruptions', scores)]
    for label, key, better in (('accuracy %, higher is better', 'accuracy', max),
                               ('mCE %, lower is better', 'mce', min),
                               ('relative mCE %, lower is better', 'relative_mce', min)):
        lines.append(_row(label, [one[key] for one in means.values()], better))
    lines += ['', *_heading('accuracy %, higher is better', scores)]
    for number, severity in enumerate(severities):
        lines.append(_row(f'severity {severity}',
                          [one.accuracy[:, number].mean() for one in scores.values()], max))
    return '\n'.join(lines) + '\n'


def _heading(title: str, names: Mapping[str, Any]) -> list[str]:
    cells = [title, *(name.replace('|', '\\|') for name in names)]
    return ['| ' + ' | '.join(cells) + ' |', '|---' * len(cells) + '|']


def _row(label: str, values: Sequence[float], better: Any) -> str:
    shown = [round(float(value), 2) for value in values]
    known = [value for value in shown if not np.isnan(value)]
    best = better(known) if len(values) > 1 and known else None
    cells = ['\u2013' if np.isnan(value) else f'**{value:.2f}**' if value == best else
             f'{value:.2f}' for value in shown]
    return f'| {label} | ' + ' | '.join(cells) + ' |'


def write_tables(folder: str | os.PathLike, markdown: str, rows: Sequence[Mapping[str, Any]]
                 ) -> None:
    """Write ``corruptions.md`` and ``corruptions.csv``, each in one step.

    Args:
        folder (str): Where to; it is there.
        markdown (str): What the page holds.
        rows (Sequence[Mapping]): One for each number, all with the same keys, the columns.
    """
    files.write_text(Path(folder) / 'corruptions.md', markdown)
    files.write_csv(Path(folder) / 'corruptions.csv', rows[0], (row.values() for row in rows))
