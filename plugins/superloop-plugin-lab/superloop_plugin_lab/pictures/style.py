"""Colors and fonts of all pictures, and the figure that they are drawn on."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

INK = "#2b2d33"
FAINT = "#8a8d94"
RULE = "#dfe2e6"
ACCENT = "#e4572e"
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,  # names of runs and systems may hold $
}


@contextmanager
def styled_figure(
    width: float, height: float, *, w_pad: float, h_pad: float, hspace: float | None = None
) -> Iterator[Figure]:
    """Open a figure in the style of all pictures; draw and save it within the block.

    Settings of the user's, such as ``text.usetex``, change nothing.

    Args:
        width: in inches.
        height: in inches.
        w_pad: padding left and right of each panel, in inches.
        h_pad: padding above and below each panel, in inches.
        hspace: space between rows of panels, as a share of their height; None: Matplotlib's default.
    """
    with matplotlib.style.context(["default", STYLE]):
        layout = ConstrainedLayoutEngine(w_pad=w_pad, h_pad=h_pad, hspace=hspace)
        yield Figure(figsize=(width, height), dpi=150, layout=layout)


def style_trace_axes(axes: Axes) -> None:
    """Give a panel of a trace its frame, and label its axis of timesteps."""
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    axes.tick_params(length=0, colors=FAINT)
    axes.set_xlabel("timestep", color=FAINT)
    for side, spine in axes.spines.items():
        spine.set(edgecolor=RULE, linewidth=0.8, visible=side in ("left", "bottom"))
