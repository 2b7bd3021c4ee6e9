"""Heat maps of slots against timesteps, and the scale of their colors."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from superloop_plugin_view.labels import label_slots
from superloop_plugin_view.style import FAINT, RULE

FROM_ZERO = LinearSegmentedColormap.from_list(
    "from zero", ["#ffffff", "#dcebf5", "#8fbfdc", "#3b82b8", "#123a63"]
)
SIGNED = LinearSegmentedColormap.from_list(
    "signed", ["#7d2a14", "#e4572e", "#f6bfa6", "#ffffff", "#a9cde4", "#3b82b8", "#123a63"]
)
MAX_GAP = 2.5  # points between two slots
SMALL = 0.5  # a largest number below which a scale ends there, and not at 1


def draw_heat_map(
    axes: Axes, row: int, trace: np.ndarray, slot_names: Sequence[str], *, height: float, font_size: float
) -> AxesImage:
    """Draw one sequence's slots against its timesteps, on the scale of all sequences.

    Args:
        axes: the panel.
        row: the sequence's place in the batch.
        trace: ``(batch, timesteps, slots)``, or ``(batch, timesteps, slots, width)``, whose numbers of a slot
            stand below each other.
        slot_names: labels of the slots; ignored if there are more or fewer than slots.
        height: of the panel, in points.
        font_size: of labels, in points.
    """
    _, timesteps, slots = trace.shape[:3]
    cells = trace[row].reshape(timesteps, -1).T  # (slots * width, timesteps)
    low, high = limits_of(trace)
    image = axes.imshow(
        cells,
        aspect="auto",
        interpolation="nearest",
        cmap=SIGNED if low < 0 else FROM_ZERO,
        vmin=low,
        vmax=high,
        extent=(-0.5, timesteps - 0.5, slots - 0.5, -0.5),
    )
    if trace.ndim == 4:
        between = np.arange(1, slots) - 0.5
        gap = min(MAX_GAP, 0.5 * height / len(cells))  # a wider one would hide the numbers beside it
        axes.hlines(between, -0.5, timesteps - 0.5, color="white", linewidth=gap)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=16 if height > 150 else 6, integer=True))
    if len(slot_names) == slots:
        label_slots(axes, slot_names, height, font_size)
    return image


def limits_of(trace: np.ndarray) -> tuple[float, float]:
    """Return the ends of a scale: symmetric if a number is negative; up to 1 if the largest is near it."""
    largest = float(np.abs(trace).max(initial=0.0))
    if trace.min(initial=0.0) < 0:
        return -largest, largest
    return 0.0, largest if 0 < largest < SMALL else max(largest, 1.0)


def draw_scale(figure: Figure, words: str, image: AxesImage, panels: list[Axes], *, share: float) -> None:
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
    bar.set_label(words, color=FAINT, loc="right")
    bar.ax.tick_params(length=0, colors=FAINT)
