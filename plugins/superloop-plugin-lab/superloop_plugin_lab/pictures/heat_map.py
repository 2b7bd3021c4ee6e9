"""Heat maps of slots against timesteps, and the scale of their colors."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from superloop_plugin_lab.pictures.captions import words_of
from superloop_plugin_lab.pictures.style import FAINT, RULE

FROM_ZERO = LinearSegmentedColormap.from_list(
    "from zero", ["#ffffff", "#dcebf5", "#8fbfdc", "#3b82b8", "#123a63"]
)
SIGNED = LinearSegmentedColormap.from_list(
    "signed", ["#7d2a14", "#e4572e", "#f6bfa6", "#ffffff", "#a9cde4", "#3b82b8", "#123a63"]
)
PANEL_HEIGHT = 210  # points
MAX_GAP = 2.5  # points between two slots


def draw_heat_map(axes: Axes, row: int, trace: np.ndarray, slot_names: tuple[str, ...]) -> AxesImage:
    """Draw one sequence's slots against its timesteps, on the scale of the whole batch.

    Args:
        axes: the panel.
        row: the sequence's place in the batch.
        trace: ``(batch, timesteps, slots)``, or ``(batch, timesteps, slots, width)``, whose numbers of a slot
            stand below each other.
        slot_names: labels of the slots; ignored if there are more or fewer than slots.
    """
    _, timesteps, slots = trace.shape[:3]
    cells = trace[row].reshape(timesteps, -1).T  # (slots * width, timesteps)
    limit = float(np.abs(trace).max())
    signed = bool(trace.min() < 0)
    image = axes.imshow(
        cells,
        aspect="auto",
        interpolation="nearest",
        cmap=SIGNED if signed else FROM_ZERO,
        vmin=-limit if signed else 0,
        vmax=limit if signed else max(limit, 1.0),
        extent=(-0.5, timesteps - 0.5, slots - 0.5, -0.5),
    )
    if trace.ndim == 4:
        between = np.arange(1, slots) - 0.5
        gap = min(MAX_GAP, 0.5 * PANEL_HEIGHT / len(cells))  # a wider one would hide the numbers beside it
        axes.hlines(between, -0.5, timesteps - 0.5, color="white", linewidth=gap)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=16, integer=True))
    if len(slot_names) == slots:
        axes.set_yticks(range(slots), slot_names)
    return image


def draw_scale(figure: Figure, name: str, image: AxesImage, panels: list[Axes], *, share: float) -> None:
    """Draw the scale of a trace's colors below its panels, on a share of their width."""
    bar = figure.colorbar(
        image,
        ax=panels,
        location="bottom",
        shrink=share,
        aspect=36,
        pad=0.02,
        anchor=(1, 1),
        ticks=sorted({*image.get_clim(), 0.0}),
        format="%.3g",
    )
    bar.outline.set(edgecolor=RULE, linewidth=0.8)
    bar.set_label(words_of(name), color=FAINT, loc="right")
    bar.ax.tick_params(length=0, colors=FAINT)
