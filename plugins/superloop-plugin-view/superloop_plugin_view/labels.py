"""Labels along an axis that stay readable: smaller, side by side, or some of them only."""

from collections.abc import Collection, Sequence

import numpy as np
from matplotlib.axes import Axes

from superloop_plugin_view.style import INK

SMALLEST = 5.0  # points
LINE = 1.15  # height of a line, in font sizes
WIDE = 0.65  # width of a character, in font sizes
MAX_COLUMNS = 3
SPACE = "\N{FIGURE SPACE}"


def label_slots(
    axes: Axes, names: Sequence[str], height: float, font_size: float, keep: Collection[int] = ()
) -> None:
    """Write a name beside each slot.

    Many names are smaller, then in columns side by side; of too many, every second, third, ... is written.

    Args:
        axes: the panel.
        names: of all slots.
        height: of the panel, in points.
        font_size: the largest, in points.
        keep: slots whose names are written in any case.
    """
    count, longest = len(names), max(map(len, names), default=0)
    size = min(font_size, max(SMALLEST, height / count / LINE))
    columns = int(np.ceil(count * size * LINE / height))
    if columns > 1:
        columns = min(columns, MAX_COLUMNS if longest <= 3 else 1)
    every = int(np.ceil(count * size * LINE / height / columns))
    shown = [
        slot
        for slot in range(count)
        if slot in keep or (slot % every == 0 and all(abs(slot - kept) >= every for kept in keep))
    ]
    texts = [names[slot] + SPACE * (longest + 1) * (place % columns) for place, slot in enumerate(shown)]
    axes.set_yticks(shown, texts, color=INK, fontsize=size)


def fit_tokens(tokens: Sequence[str], width: float, font_size: float) -> tuple[float, bool, int]:
    """Return how tokens fit at the timesteps: the font size, whether they stand upright, and the step.

    A step of 2 leaves out every second one.

    Args:
        tokens: one for each timestep.
        width: of all timesteps, in points.
        font_size: the largest, in points.
    """
    room = width / max(len(tokens), 1)
    longest = max((len(line) for token in tokens for line in token.split("\n")), default=1)
    lying = room / (WIDE * (longest + 0.3))
    if lying >= SMALLEST:
        return min(font_size, lying), False, 1
    upright = room / LINE
    return min(font_size, max(SMALLEST, upright)), True, max(1, int(np.ceil(SMALLEST / upright)))
