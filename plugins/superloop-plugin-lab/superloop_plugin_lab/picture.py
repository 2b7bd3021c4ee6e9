"""A picture of what the systems did: slots against timesteps."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from superloop_core.task import Annotation, Batch, Task

COLORS = LinearSegmentedColormap.from_list("depth", ["#ffffff", "#dcebf5", "#8fbfdc", "#3b82b8", "#123a63"])
PATH = "#e4572e"
INK = "#2b2d33"
FAINT = "#8a8d94"
CROSS_OR_TICK = "\N{BALLOT X}\N{CHECK MARK}"
NOT_DRAWN = ("control", "read", "position", "output")


def draw(task: Task, batch: Batch, traces: Mapping[str, np.ndarray], path: Path) -> None:
    """Draw every system's traces, a row of panels for each sequence, and save a PNG.

    A trace ``(batch, timesteps, slots)`` is a panel of slots against timesteps; a memory
    ``(batch, timesteps, slots, width)`` has its cells below each other. Where a system has a
    ``position``, it is a path over its ``weights``. The slots that the task annotates are labelled.
    """
    names = _drawable(traces)
    right = np.asarray(task.correct(batch.targets, traces))
    rows = len(batch.targets)
    across = max(len(names), 1)
    if len(names) == 1 and rows > 1:  # one panel a sequence: two beside each other
        across, down = 2, -(-rows // 2)
    else:
        down = rows
    with matplotlib.rc_context(
        {"font.family": "DejaVu Sans", "font.size": 9, "axes.edgecolor": FAINT, "text.color": INK}
    ):
        figure = Figure(figsize=(1 + 5.4 * across, 0.5 + 3.6 * down), dpi=150, layout="constrained")
        figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12)
        panels = figure.subplots(down, across, squeeze=False).ravel()
        for panel in panels[rows * max(len(names), 1) :]:
            panel.set_axis_off()
        image = None
        for index, panel in enumerate(panels[: rows * len(names)]):
            row, name = index // len(names), names[index % len(names)]
            image = _draw_panel(panel, name, row, traces, task.annotate(batch, row), right[row])
        if image is not None:
            bar = figure.colorbar(image, ax=list(panels), shrink=0.5, aspect=30, pad=0.01)
            bar.outline.set_visible(False)
            bar.set_label(_words(names[0].partition(".")[2]), color=FAINT)
            bar.ax.tick_params(length=0, colors=FAINT)
        figure.savefig(path)


def _drawable(traces: Mapping[str, np.ndarray]) -> list[str]:
    """The traces of systems, not of cells, that have slots."""
    return [
        name
        for name, trace in traces.items()
        if name != "outputs"
        and not name.startswith("cells.")
        and name.rpartition(".")[2] not in NOT_DRAWN
        and trace.ndim in (3, 4)
    ]


def _draw_panel(
    panel: Axes, name: str, row: int, traces: Mapping[str, np.ndarray], annotation: Annotation, right: bool
):
    system, _, what = name.partition(".")
    trace = traces[name][row]  # (timesteps, slots) or (timesteps, slots, width)
    timesteps = len(trace)
    slots = trace.reshape(timesteps, -1).T
    signed = slots.min() < 0
    limit = float(np.abs(slots).max()) or 1.0
    image = panel.imshow(
        slots,
        aspect="auto",
        interpolation="nearest",
        cmap="RdBu_r" if signed else COLORS,
        vmin=-limit if signed else 0,
        vmax=limit if signed else max(limit, 1.0),
        extent=(-0.5, timesteps - 0.5, len(slots) - 0.5, -0.5),
    )
    position = traces.get(f"{system}.position")
    if what == "weights" and position is not None:
        path = np.append(position[row, 1:, 0], np.nan)  # the weights are those after the move
        panel.plot(range(timesteps), path, color=PATH, linewidth=1.8, solid_capstyle="round")
        panel.plot(timesteps - 2, path[-2], "o", color=PATH, markersize=5)
    title = f"{system}: {_words(what)}"
    if annotation.system == system and len(annotation.slots) == len(slots):
        panel.set_yticks(range(len(slots)), annotation.slots)
        title = f"{annotation.title} {CROSS_OR_TICK[int(right)]}"
        if annotation.target is not None:
            panel.get_yticklabels()[annotation.target].set(color=PATH, fontweight="bold")
            panel.add_patch(
                Rectangle(
                    (-0.5, annotation.target - 0.5),
                    timesteps,
                    1,
                    fill=False,
                    edgecolor=PATH,
                    linewidth=1.0,
                    linestyle=(0, (4, 2)),
                )
            )
    panel.set_title(title, loc="left", color=INK, fontsize=10)
    panel.set_xlabel("timestep", color=FAINT)
    panel.set_ylabel("slot", color=FAINT)
    panel.tick_params(length=0, colors=INK)
    panel.tick_params(axis="x", colors=FAINT)
    for spine in panel.spines.values():
        spine.set_visible(False)
    return image


def _words(name: str) -> str:
    return name.replace("_", " ").replace(".", " ")
