"""A picture of what the systems did: slots against timesteps."""

import itertools
from collections.abc import Collection, Mapping
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from superloop_core import Superloop
from superloop_core.task import Annotation, Batch, Task

COLORS = LinearSegmentedColormap.from_list("depth", ["#ffffff", "#dcebf5", "#8fbfdc", "#3b82b8", "#123a63"])
SIGNED = LinearSegmentedColormap.from_list(
    "signed", ["#7d2a14", "#e4572e", "#f6bfa6", "#ffffff", "#a9cde4", "#3b82b8", "#123a63"]
)
PATH = "#e4572e"
INK = "#2b2d33"
FAINT = "#8a8d94"
RULE = "#dfe2e6"
CROSS_OR_TICK = "\N{BALLOT X}\N{CHECK MARK}"
NOT_DRAWN = ("control", "read", "position", "output")
MOST_ROWS = 512  # of numbers in a panel, which has about as many rows of pixels
MOST_PANELS = 6  # of a sequence
ACROSS = 3  # panels beside each other
HEIGHT = 210  # of a panel, in points
LEAST_SHARE = 1e-3  # of the largest number, in a slot that is used
STYLE = {"font.family": "DejaVu Sans", "font.size": 9, "text.color": INK}


def draw(
    task: Task,
    batch: Batch,
    traces: Mapping[str, np.ndarray],
    path: Path,
    slot_names: Mapping[str, tuple[str, ...]] | None = None,
) -> list[str]:
    """Draw every system's traces, and save a PNG: panels for each sequence; return what is not drawn.

    A trace ``(batch, timesteps, slots)`` is a panel of slots against timesteps; a memory
    ``(batch, timesteps, slots, width)`` has the numbers of a slot below each other, and so has one of
    several stacks, tapes or heads; a number at each timestep is a line. Where a system has a ``position``,
    it is a path over its ``weights``. The system that the task annotates comes first, and has its slots
    labelled; other traces have the ``slot_names`` that are given for them. Where no system has slots, the
    cells' states are drawn. What has more than 512 numbers is not drawn, nor more than 6 traces, those with
    the most slots, nor a system's last slots that hardly any of its traces uses. A sequence ends with its
    valid timesteps.
    """
    slot_names = slot_names or {}
    notes = [task.annotate(batch, row) for row in range(len(batch.targets))]
    right = np.asarray(task.correct(batch.targets, traces))
    annotated = {note.system for note in notes}
    traces = {name: _by_slots(np.asarray(trace)) for name, trace in traces.items() if np.size(trace)}
    traces = _without_unused_slots(traces, annotated)
    drawable, not_drawn = _drawable(traces)
    names = sorted(drawable, key=lambda name: (_system(name) != notes[0].system, name))
    valid = batch.inputs.get("lengths", [None] * len(notes))
    across = _panels_across(len(notes), len(names))
    blanks = [None] * (-len(names) % across if len(names) > 1 else 0)  # a sequence begins on the left
    panels = [(row, name) for row in range(len(notes)) for name in (*names, *blanks)]
    down = -(-len(panels) // across)
    wide = 5.4 if across < 3 else 4.2
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(1 + wide * across, 0.5 + 3.6 * down), dpi=150, layout="constrained")
        figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12)
        grid = figure.subplots(down, across, squeeze=False)
        images = {}
        drawn: dict[str, list[Axes]] = {name: [] for name in names}
        for axes, (row, name) in itertools.zip_longest(grid.flat, panels, fillvalue=(0, None)):
            if name is None:
                axes.set_axis_off()
                continue
            trace = traces[name]
            drawn[name].append(axes)
            if trace.shape[2:] == (1,):
                _draw_line(axes, row, trace)
            else:
                images[name] = _draw_slots(axes, row, trace, slot_names.get(name, ()))
            _draw_frame(axes)
            _label(axes, name, notes[row], right[row], first=name == names[0])
            axes.set_xlim(right=None if valid[row] is None else valid[row] - 0.5)
            if name == f"{_system(name)}.weights" and f"{_system(name)}.position" in traces:
                _draw_path(axes, traces[f"{_system(name)}.position"][row, 1:, 0])
        for name, image in images.items():
            columns = across if len(names) == 1 else 1
            _draw_scale(figure, name, image, drawn[name], share=0.4 / columns)
        figure.savefig(path)
    return not_drawn


def _panels_across(sequences: int, traces: int) -> int:
    """How many panels stand beside each other: a sequence's, or of one trace two sequences'."""
    if traces == 1:
        return min(sequences, 2)
    if traces == 4:
        return 2 if sequences == 1 else 4
    return min(traces, ACROSS)


def slot_names(layer: Superloop) -> dict[str, tuple[str, ...]]:
    """What the systems say that their traces' slots are called, by the names of the traces."""
    systems = zip(layer.wiring.ids, layer.wiring.systems, strict=True)
    return {f"{id}.{trace}": names for id, system in systems for trace, names in system.slot_names.items()}


def _by_slots(trace: np.ndarray) -> np.ndarray:
    """``(batch, timesteps, ..., slots, width)`` -> ``(batch, timesteps, slots, width)``, less what is one."""
    sizes = [size for size in trace.shape[2:] if size > 1] or [1]
    return trace.reshape(*trace.shape[:2], *([-1, sizes[-1]] if len(sizes) > 1 else sizes))


def _without_unused_slots(
    traces: Mapping[str, np.ndarray], annotated: Collection[str]
) -> dict[str, np.ndarray]:
    """Leave out the last slots that are next to 0 in all sequences: what a stack never came down to.

    Traces of a system with as many slots keep as many, so that they can be compared row by row; systems
    that a task annotates keep all.
    """
    used: dict[tuple[str, int], int] = {}
    for name, trace in traces.items():
        key = _system(name), trace.shape[2]
        slots = trace.shape[2] if key[0] in annotated else _count_used(trace)
        used[key] = max(slots, used.get(key, 0))
    return {name: trace[:, :, : used[_system(name), trace.shape[2]]] for name, trace in traces.items()}


def _count_used(trace: np.ndarray) -> int:
    """Slots up to the last that is used; all, where none is."""
    largest = np.abs(trace).max(axis=(0, 1, *range(3, trace.ndim)))  # of each slot
    used = np.flatnonzero(largest > LEAST_SHARE * largest.max())
    return int(used[-1]) + 1 if len(used) else trace.shape[2]


def _drawable(traces: Mapping[str, np.ndarray]) -> tuple[list[str], list[str]]:
    """The traces that have slots, the systems' or else the cells'; and of those, what is left out."""
    rows = {
        name: int(np.prod(trace.shape[2:]))
        for name, trace in traces.items()
        if name != "outputs" and name.rpartition(".")[2] not in NOT_DRAWN
    }
    of_systems = {name: size for name, size in rows.items() if _system(name) != "cells"}
    if any(size <= MOST_ROWS for size in of_systems.values()):
        rows = of_systems
    slotted = sorted((name for name in rows if rows[name] <= MOST_ROWS), key=lambda name: -rows[name])
    drawn = slotted[:MOST_PANELS]
    return drawn, sorted(set(rows) - set(drawn))


def _draw_slots(axes: Axes, row: int, trace: np.ndarray, slot_names: tuple[str, ...]) -> AxesImage:
    """Draw one sequence's ``(timesteps, slots)`` or ``(timesteps, slots, width)``, on the batch's scale."""
    _, timesteps, slots = trace.shape[:3]
    cells = trace[row].reshape(timesteps, -1).T  # (slots * width, timesteps)
    limit = float(np.abs(trace).max())
    signed = bool(trace.min() < 0)
    image = axes.imshow(
        cells,
        aspect="auto",
        interpolation="nearest",
        cmap=SIGNED if signed else COLORS,
        vmin=-limit if signed else 0,
        vmax=limit if signed else max(limit, 1.0),
        extent=(-0.5, timesteps - 0.5, slots - 0.5, -0.5),
    )
    if trace.ndim == 4:
        between = np.arange(1, slots) - 0.5
        thin = min(2.5, 0.5 * HEIGHT / len(cells))  # or it would hide the numbers beside it
        axes.hlines(between, -0.5, timesteps - 0.5, color="white", linewidth=thin)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=16, integer=True))
    if len(slot_names) == slots:
        axes.set_yticks(range(slots), slot_names)
    return image


def _draw_line(axes: Axes, row: int, trace: np.ndarray) -> None:
    """Draw one sequence's ``(timesteps, 1)`` as steps, on the batch's scale."""
    timesteps = trace.shape[1]
    low, high = min(float(trace.min()), 0.0), max(float(trace.max()), 1.0)
    edges = np.arange(timesteps + 1) - 0.5
    axes.stairs(trace[row, :, 0], edges, baseline=0, fill=True, color=COLORS(0.35))
    axes.stairs(trace[row, :, 0], edges, baseline=None, color=COLORS(0.75), linewidth=1.6)
    axes.set_xlim(-0.5, timesteps - 0.5)
    axes.set_ylim(low - 0.03 * (high - low) * (low < 0), high + 0.03 * (high - low))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))


def _draw_frame(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    axes.tick_params(length=0, colors=FAINT)
    axes.set_xlabel("timestep", color=FAINT)
    for side, spine in axes.spines.items():
        spine.set(edgecolor=RULE, linewidth=0.8, visible=side in ("left", "bottom"))


def _label(axes: Axes, name: str, note: Annotation, right: bool, *, first: bool) -> None:
    """Say what a panel is of; where it is of the annotated slots, what they hold and whether it is right."""
    timesteps, slots = (round(abs(high - low)) for low, high in (axes.get_xlim(), axes.get_ylim()))
    title = f"{note.title} {CROSS_OR_TICK[int(right)]}"
    if note.system != _system(name) or len(note.slots) != slots:
        words = f"{title}\n{_words(name)}" if first else _words(name)
        axes.set_title(words, loc="left", fontsize=10, color=INK if first else FAINT)
        return
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_yticks(range(slots), note.slots, color=INK)
    if note.target is not None:
        axes.get_yticklabels()[note.target].set(color=PATH, fontweight="bold")
        axes.add_patch(
            Rectangle(
                (-0.5, note.target - 0.5), timesteps, 1, fill=False, edgecolor=PATH, linestyle=(0, (4, 2))
            )
        )


def _draw_path(axes: Axes, positions: np.ndarray) -> None:
    """Draw the position after each move, which the weights of the same timestep are of."""
    axes.plot(positions, color="white", linewidth=3.4, alpha=0.7, solid_capstyle="round")
    axes.plot(positions, color=PATH, linewidth=1.8, solid_capstyle="round")
    axes.plot(len(positions) - 1, positions[-1], "o", color=PATH, markeredgecolor="white", markersize=7)


def _draw_scale(figure: Figure, name: str, image: AxesImage, panels: list[Axes], *, share: float) -> None:
    """Draw what the colors mean below some panels, on a share of their width."""
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
    bar.set_label(_words(name), color=FAINT, loc="right")
    bar.ax.tick_params(length=0, colors=FAINT)


def _system(name: str) -> str:
    return name.partition(".")[0]


def _words(name: str) -> str:
    return name.replace("_", " ").replace(".", " ")
