# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Pictures of what the training monitors have logged: Figures 4 and 5 of the IPS paper."""
import os
import os.path as osp
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ['MonitoredRun', 'draw_curves', 'draw_gradients', 'has_split']

INK, FAINT, GRID = '#24292f', '#8c959f', '#e4e7eb'
COLOURS = ('#8c959f', '#1f6feb', '#e8710a', '#1a7f37', '#8250df', '#cf222e', '#9a6700', '#bf3989')
_DASHES = ('solid', (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 1.5, 1.5, 1.5)))
# Of one run: all pairs, the swapped ones, the others.
_SPLIT = {'': ('solid', ''), '_swapped': ((0, (5, 2)), ', swapped pairs'),
          '_raw': ((0, (1.5, 1.5)), ', raw pairs')}
_SMALL = 8.5
# Inches, and the names of layers that fit into them.
_WIDEST, _MOST_NAMES = 16.0, 110


@dataclass
class MonitoredRun:
    """What a training run has logged.

    Args:
        name (str): How the pictures call it.
        layers (Mapping[str, float]): Mean absolute gradient of each convolution, in the order
            of the forward pass; empty if they were not logged.
        curves (Mapping[str, Sequence[tuple[float, float]]]): Of each other quantity, by its
            key in the log, the epochs and values, in the order of epochs.
    """
    name: str
    layers: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)


def draw_gradients(runs: Sequence[MonitoredRun], path: str, note: str = '',
                   dpi: int = 130) -> str:
    """Draw the mean absolute gradient of each convolution, a line a run: Figure 4.

    Args:
        runs (Sequence[MonitoredRun]): Those without layers are left out.
        path (str): PNG file to write; its folder is made.
        note (str): Below the title, such as the epochs averaged over. Defaults to ''.
        dpi (int): Pixels an inch. Defaults to 130.

    Returns:
        str: ``path``.

    Raises:
        ValueError: If no run has layers.
    """
    names = list(dict.fromkeys(name for run in runs for name in run.layers))
    if not names:
        raise ValueError('No run has gradients of layers to draw.')
    figure = _figure(min(max(7.0, 2.0 + 0.27 * len(names)), _WIDEST), 4.6)
    axes = figure.add_subplot()
    positions = {name: place for place, name in enumerate(names)}
    for number, run in enumerate(runs):
        # A layer without any gradient, which a logarithm cannot show, is a gap in the line.
        shown = {name: value if value > 0 else float('nan')
                 for name, value in run.layers.items()}
        if shown:
            axes.plot([positions[name] for name in shown], list(shown.values()),
                      label=run.name, marker='o', markersize=3.5, linewidth=1.2,
                      **_style(number))
    axes.set_yscale('log')
    # Of very many layers not every name has room.
    step = -(-len(names) // _MOST_NAMES)
    axes.set_xticks(range(0, len(names), step), _drop_common_start(names)[::step], rotation=90,
                    fontsize=7.5 if len(names) < _MOST_NAMES / 2 else 6.5)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_ylabel('mean |gradient|', fontsize=_SMALL, color=INK)
    _finish(axes, 'Gradient of each convolution' + (f'\n{note}' if note else ''))
    axes.legend(fontsize=_SMALL, frameon=False)
    return _save(figure, path, dpi)


def draw_curves(runs: Sequence[MonitoredRun],
                panels: Mapping[str, Sequence[str]],
                path: str,
                unit: str = 'epoch',
                split: bool = False,
                dpi: int = 130) -> str:
    """Draw quantities over the training, a panel for each and a line a run: Figure 5.

    Args:
        runs (Sequence[MonitoredRun]): The runs.
        panels (Mapping[str, Sequence[str]]): Title of each panel, and the keys of the log of
            which a run's first that it has is drawn. Panels without any line are left out.
        path (str): PNG file to write; its folder is made.
        unit (str): What the curves run over. Defaults to 'epoch'.
        split (bool): Draw also the lines of the swapped and of the raw pairs (keys with
            ``_swapped`` and ``_raw``) of runs that have both. Defaults to False.
        dpi (int): Pixels an inch. Defaults to 130.

    Returns:
        str: ``path``.

    Raises:
        ValueError: If no run has any of the keys.
    """
    shown = {title: keys for title, keys in panels.items()
             if any(key in run.curves for run in runs for key in keys)}
    if not shown:
        raise ValueError(f'No run has any of {sorted(sum(map(list, panels.values()), []))}.')
    figure = _figure(0.4 + 4.4 * len(shown), 4.2)
    handles: dict[str, Any] = {}
    for axes, (title, keys) in zip(_row(figure, len(shown)), shown.items()):
        for number, run in enumerate(runs):
            key = next((key for key in keys if key in run.curves), '')
            handles |= _lines(axes, run, key, number, split and has_split(run, key)) if key else {}
        axes.set_ylim(bottom=0)
        axes.set_xlabel(unit, fontsize=_SMALL, color=INK)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.tick_params(axis='x', labelsize=_SMALL)
        _finish(axes, title)
    figure.legend(handles.values(), handles, loc='outside lower center', fontsize=_SMALL,
                  frameon=False, ncols=min(len(handles), 3 if len(shown) > 1 else 2))
    return _save(figure, path, dpi)


def has_split(run: MonitoredRun, key: str) -> bool:
    """Whether a run has both swapped and raw pairs, so that telling them apart says something."""
    return f'{key}_swapped' in run.curves and f'{key}_raw' in run.curves


def _lines(axes: Any, run: MonitoredRun, key: str, number: int, split: bool) -> dict[str, Any]:
    handles = {}
    for suffix, (dashes, label) in _SPLIT.items() if split else [('', ('solid', ''))]:
        points = run.curves[key + suffix]
        style = _style(number) if not split else dict(_style(number), linestyle=dashes)
        handles[run.name + label], = axes.plot(
            *zip(*points), linewidth=0.9 if suffix else 1.6,
            # A single epoch would be a line without length.
            marker='o' if len(points) == 1 else None, markersize=4, **style)
    return handles


def _style(number: int) -> dict[str, Any]:
    """Colour and, where the colours are used up, dashes of a run."""
    around, place = divmod(number, len(COLOURS))
    return dict(color=COLOURS[place], linestyle=_DASHES[around % len(_DASHES)])


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # No pyplot: it would choose a window system and keep every figure in memory.
    figure = Figure(figsize=(width, height), facecolor='white', layout='constrained')
    FigureCanvasAgg(figure)
    return figure


def _row(figure: Any, columns: int) -> Iterable[Any]:
    return figure.subplots(1, columns, squeeze=False)[0]


def _finish(axes: Any, title: str) -> None:
    axes.set_title(title, fontsize=10, color=INK, loc='left')
    axes.grid(axis='y', color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, width=0.6)
    axes.tick_params(axis='y', which='both', labelsize=_SMALL)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ('left', 'bottom'))
        spine.set_color(FAINT)


def _drop_common_start(names: Sequence[str]) -> list[str]:
    """Leave out the parts of dotted names that are the same in all."""
    start = osp.commonprefix([name.split('.')[:-1] for name in names])
    cut = sum(len(part) + 1 for part in start)
    return [name[cut:] for name in names]


def _save(figure: Any, path: str, dpi: int) -> str:
    os.makedirs(osp.dirname(osp.abspath(path)), exist_ok=True)
    figure.savefig(f'{path}.part', dpi=dpi, format='png')
    os.replace(f'{path}.part', path)
    return path
