"""Lines over timesteps: a trace of one number, the path of a position, and lines that a task names."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from superloop_plugin_lab.pictures.heat_map import FROM_ZERO
from superloop_plugin_lab.pictures.style import ACCENT, INK


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


def draw_path(axes: Axes, positions: np.ndarray) -> None:
    """Draw a path of positions ``(timesteps - 1,)``, each after the move of its timestep."""
    axes.plot(positions, color="white", linewidth=3.4, alpha=0.7, solid_capstyle="round")
    axes.plot(positions, color=ACCENT, linewidth=1.8, solid_capstyle="round")
    axes.plot(len(positions) - 1, positions[-1], "o", color=ACCENT, markeredgecolor="white", markersize=7)


def draw_lines(axes: Axes, lines: Mapping[str, np.ndarray]) -> None:
    """Draw lines ``(timesteps,)`` by name; the first is what the others should be."""
    (name, true), *others = lines.items()
    axes.plot(true, color=INK, linewidth=1.8, label=name)
    for index, (name, line) in enumerate(others):
        axes.plot(line, color=ACCENT, alpha=1 / (1 + index), linewidth=1.4, marker=".", label=name)
    axes.legend(frameon=False, fontsize=8)
    axes.set_xlim(-0.5, len(true) - 0.5)
