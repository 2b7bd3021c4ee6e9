"""Colors and fonts of all pictures, and the figure that they are drawn on."""

import io
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
FONT, FONT_SIZE = "DejaVu Sans", 9.0
STYLE: dict[Any, Any] = {
    "text.color": INK,
    "text.parse_math": False,  # names of runs and systems may hold $
    "pdf.fonttype": 42,  # TrueType, which publishers ask for
    "ps.fonttype": 42,
}


class Picture(Figure):
    """A figure that a notebook shows, and that is saved in the style of all pictures.

    ``savefig(path)`` writes the format that the ending names: ``.png``, ``.pdf``, ``.svg``, ...
    """

    def savefig(self, fname: Any, **kwargs: Any) -> None:
        """Write the picture; the user's own settings, such as ``text.usetex``, change nothing."""
        with matplotlib.style.context(["default", STYLE]):
            super().savefig(fname, **kwargs)

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()


@contextmanager
def styled_figure(
    width: float,
    height: float,
    *,
    w_pad: float,
    h_pad: float,
    hspace: float | None = None,
    font: str = FONT,
    font_size: float = FONT_SIZE,
) -> Iterator[Picture]:
    """Open a figure in the style of all pictures; draw it within the block.

    Settings of the user's, such as ``text.usetex``, change nothing.

    Args:
        width: in inches.
        height: in inches.
        w_pad: padding left and right of each panel, in inches.
        h_pad: padding above and below each panel, in inches.
        hspace: space between rows of panels, as a share of their height; None: Matplotlib's default.
        font: the family of all text.
        font_size: of most text, in points.
    """
    fonts = {"font.family": font, "font.size": font_size}
    with matplotlib.style.context(["default", STYLE | fonts]):
        layout = ConstrainedLayoutEngine(w_pad=w_pad, h_pad=h_pad, hspace=hspace)
        yield Picture(figsize=(width, height), dpi=150, layout=layout)


def style_trace_axes(axes: Axes, xlabel: str = "timestep") -> None:
    """Give a panel of a trace its frame, and label its axis of timesteps."""
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    axes.tick_params(length=0, colors=FAINT)
    axes.set_xlabel(xlabel, color=FAINT)
    for side, spine in axes.spines.items():
        spine.set(edgecolor=RULE, linewidth=0.8, visible=side in ("left", "bottom"))
