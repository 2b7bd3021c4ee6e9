"""Links between pairs of slots: a matrix at some timesteps."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from superloop_plugin_view.heat_map import FROM_ZERO, limits_of
from superloop_plugin_view.style import FAINT, RULE

GAPS = (1.2, 2.0)  # between two matrices, in font sizes


def chosen_timesteps(length: int, count: int | Sequence[int]) -> list[int]:
    """Return the timesteps that are shown: those that are given, or some up to the last one."""
    if not isinstance(count, int):
        return [timestep for timestep in count if 0 <= timestep < length]
    return sorted({round(length * share / count) - 1 for share in range(1, count + 1)} - {-1})


def draw_links(
    axes: Axes,
    row: int,
    trace: np.ndarray,
    timesteps: Sequence[int],
    *,
    room: tuple[float, float],
    font_size: float,
) -> AxesImage:
    """Draw one sequence's links ``(batch, timesteps, to, from)`` at some timesteps.

    Args:
        axes: the panel.
        row: the sequence's place in the batch.
        trace: the links.
        timesteps: the matrices that are drawn, as large as the panel lets them be.
        room: width and height of the panel, in points.
        font_size: of labels, in points.

    Returns:
        the last matrix, whose scale is that of all.
    """
    axes.set_axis_off()
    low, high = limits_of(trace)
    gaps = [gap * font_size for gap in GAPS]
    across = max(range(1, len(timesteps) + 1), key=lambda across: _side(across, len(timesteps), room, gaps))
    down = -(-len(timesteps) // across)
    side = _side(across, len(timesteps), room, gaps)
    for index, timestep in enumerate(timesteps):
        column, line = index % across, index // across
        left, top = column * (side + gaps[0]), line * (side + gaps[1]) + gaps[1] / 2
        place = (left / room[0], 1 - (top + side) / room[1], side / room[0], side / room[1])
        inset = axes.inset_axes(place)
        image = inset.imshow(
            trace[row, timestep], cmap=FROM_ZERO, vmin=low, vmax=high, interpolation="nearest", aspect="equal"
        )
        inset.set_anchor("NW")
        last = index + across >= len(timesteps)
        inset.set_title(f"t = {timestep}", fontsize=font_size - 1, color=FAINT, pad=3)
        inset.tick_params(
            length=0, colors=FAINT, labelsize=font_size - 2, labelleft=column == 0, labelbottom=last
        )
        for axis in (inset.xaxis, inset.yaxis):
            axis.set_major_locator(MaxNLocator(nbins=4, integer=True))
        for spine in inset.spines.values():
            spine.set(edgecolor=RULE, linewidth=0.8)
        if line == down - 1:
            inset.set_xlabel("from", fontsize=font_size - 1, color=FAINT, labelpad=1)
        if column == 0:
            inset.set_ylabel("to", fontsize=font_size - 1, color=FAINT, labelpad=1)
    return image


def _side(across: int, count: int, room: tuple[float, float], gaps: Sequence[float]) -> float:
    """Return the side of each of ``count`` squares, ``across`` of them side by side, in points."""
    down = -(-count // across)
    return min((room[0] + gaps[0]) / across - gaps[0], room[1] / down - gaps[1])
