"""A picture of curves with bands: a line for each group of runs, over training steps or lengths."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from superloop_plugin_view.style import FAINT, styled_figure

from superloop_plugin_lab.pictures.curves import (
    LINES,
    add_legend,
    mark_trained,
    save_picture,
    style_axes,
)

Band: TypeAlias = Literal["deviation", "quantiles"]
Curve: TypeAlias = Mapping[int, float]  # a figure by training step or length


def draw_bands(
    groups: Mapping[str, Sequence[Curve]],
    path: Path,
    *,
    option: str,
    figure_name: str,
    axis: str,
    band: Band = "deviation",
    trained: Mapping[str, tuple[int, int] | None] | None = None,
) -> None:
    """Draw the middle of each group's curves as a line, and how far they spread as a band.

    At a place that some curves of a group lack, the others count. A group of one run has no band.

    Args:
        groups: the curves of the runs of each group, by its name.
        path: the file to write, in the format that its ending names.
        option: names the path, for the message of an error.
        figure_name: the figure's; one that ends in ``accuracy`` is drawn from 0 to 100%.
        axis: what the curves go by.
        band: ``deviation``: the mean, and one standard deviation (n - 1) above and below; ``quantiles``: the
            median, and the half of the runs around it.
        trained: the shortest and the longest length in training of each group, where curves go by length.

    Raises:
        ConfigError: the file cannot be written.
    """
    with styled_figure(7.2, 3.9, w_pad=0.12, h_pad=0.1) as figure:
        axes = figure.subplots()
        middle = "median" if band == "quantiles" else "mean"
        title = f"{figure_name.replace('_', ' ')}, {middle}"
        share = figure_name.endswith("accuracy")
        style_axes(axes, title, share=share)
        for color, (name, curves) in zip(itertools.cycle(LINES), groups.items(), strict=False):
            _draw_group(axes, name, curves, band, color, share)
        if trained is not None:
            mark_trained(
                [axes], [place for curves in groups.values() for c in curves for place in c], trained
            )
        axes.set_xlabel(axis, color=FAINT)
        add_legend(figure, axes, list(groups))
        save_picture(figure, path, option)


def _draw_group(axes: Axes, name: str, curves: Sequence[Curve], band: Band, color: str, share: bool) -> None:
    places = sorted({place for curve in curves for place in curve})
    lines, lows, highs = [], [], []
    for place in places:
        low, line, high = _spread([curve[place] for curve in curves if place in curve], band)
        lines.append(line)
        lows.append(low)
        highs.append(high)
    if share:  # a deviation may reach beyond what an accuracy can be
        lows, highs = np.clip(lows, 0, 1).tolist(), np.clip(highs, 0, 1).tolist()
    if len(curves) > 1:
        axes.fill_between(places, lows, highs, color=color, alpha=0.15, linewidth=0)
    marker = "o" if len(places) <= 25 else ""
    axes.plot(places, lines, marker=marker, color=color, label=name, linewidth=1.8, markersize=4)


def _spread(values: Sequence[float], band: Band) -> tuple[float, float, float]:
    """Return the lower edge of a band, its middle and its upper edge."""
    if band == "quantiles":
        low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
        return float(low), float(middle), float(high)
    mean = float(np.mean(values))
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return mean - deviation, mean, mean + deviation
