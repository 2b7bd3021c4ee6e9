"""Lines over timesteps: a trace of one number, the path of a position, and lines that a task names."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from superloop_plugin_view.heat_map import FROM_ZERO
from superloop_plugin_view.style import ACCENT, INK


def draw_line(axes: Axes, row: int, trace: np.ndarray) -> None:
    """Draw one sequence of a trace ``(batch, timesteps, 1)`` as steps, on the scale of the whole batch."""
    timesteps = trace.shape[1]
    low, high = min(float(trace.min()), 0.0), max(float(trace.max()), 1.0)
    edges = np.arange(timesteps + 1) - 0.5
    axes.stairs(trace[row, :, 0], edges, baseline=0, fill=True, color=FROM_ZERO(0.35))
    axes.stairs(trace[row, :, 0], edges, baseline=None, color=FROM_ZERO(0.75), linewidth=1.6)
    axes.set_xlim(-0.5, timesteps - 0.5)
    axes.set_ylim(low - 0.03 * (high - low) * (low < 0), high + 0.03 * (high - low))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))


def draw_path(axes: Axes, positions: np.ndarray, slots: int) -> None:
    """Draw a path of positions ``(timesteps - 1,)``, each after the move of its timestep.

    Where it is beyond the slots it is dotted along the edge, and an arrow shows to where it ends.
    """
    if not len(positions):
        return
    there = (positions >= -0.5) & (positions <= slots - 0.5)
    edge = np.clip(positions, -0.5, slots - 0.5)
    inside = np.where(there, positions, np.nan)
    axes.plot(inside, color="white", linewidth=3.4, alpha=0.7, solid_capstyle="round")
    axes.plot(inside, color=ACCENT, linewidth=1.8, solid_capstyle="round")
    if not there.all():
        axes.plot(edge, color=ACCENT, linewidth=1.4, linestyle=(0, (1, 1.6)), clip_on=False, zorder=3)
    marker = "o" if there[-1:].all() else "^" if positions[-1] < 0 else "v"
    axes.plot(
        len(positions) - 1,
        edge[-1],
        marker,
        color=ACCENT,
        markeredgecolor="white",
        markersize=7,
        clip_on=False,
        zorder=3,
    )
    axes.set_ylim(slots - 0.5, -0.5)


def draw_lines(axes: Axes, lines: Mapping[str, np.ndarray], font_size: float) -> None:
    """Draw lines ``(timesteps,)`` by name; the first is what the others should be."""
    (name, true), *others = lines.items()
    axes.plot(true, color=INK, linewidth=1.8, label=name)
    for index, (name, line) in enumerate(others):
        axes.plot(line, color=ACCENT, alpha=1 / (1 + index), linewidth=1.4, marker=".", label=name)
    axes.legend(frameon=False, fontsize=font_size - 1)
    axes.set_xlim(-0.5, len(true) - 0.5)
