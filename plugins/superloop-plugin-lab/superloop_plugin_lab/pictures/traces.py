"""A picture of a batch's traces: slots against timesteps, panels for each sequence."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from superloop_core import Superloop
from superloop_core.task import Batch, Task
from superloop_plugin_lab.pictures.captions import system_of, write_caption
from superloop_plugin_lab.pictures.heat_map import draw_heat_map, draw_scale
from superloop_plugin_lab.pictures.lines import draw_line, draw_lines, draw_path
from superloop_plugin_lab.pictures.selection import select_traces
from superloop_plugin_lab.pictures.style import style_trace_axes, styled_figure

MAX_PANELS_ACROSS = 3
OUTPUTS = "outputs"
WIDTH, NARROW_WIDTH, HEIGHT = 5.4, 4.2, 3.6  # inches of a panel; narrow with three or more side by side

Panel: TypeAlias = tuple[int, str]  # row of the batch, name of the trace


def draw_traces(
    task: Task,
    batch: Batch,
    traces: Mapping[str, np.ndarray],
    path: Path,
    slot_names: Mapping[str, tuple[str, ...]] | None = None,
) -> list[str]:
    """Draw the traces of every system as a PNG, and return the names of those left out.

    A trace ``(batch, timesteps, slots)`` is a heat map; of a memory ``(batch, timesteps, slots, width)``, and
    of several stacks, tapes or heads, the numbers of a slot stand below each other. One number is a line. A
    system's ``position`` is a path over its ``weights``. The system that the task annotates comes first, with
    its slots labelled. Without a system that has slots, the cells' states are drawn. A sequence ends with its
    valid timesteps. The lines of a task that has some come before all traces.

    Left out are traces of more than 512 numbers a timestep, and all but the 6 with the most slots. Of a
    system, the last slots that are almost unused are cut off.

    Args:
        task: annotates the sequences.
        batch: its sequences.
        traces: the loop's results by name, each ``(batch, timesteps, ...)``.
        path: the file to write.
        slot_names: labels of the slots of other traces, by the names of the traces.
    """
    slot_names = slot_names or {}
    notes = [task.annotate(batch, row) for row in range(len(batch.targets))]
    correct: list[bool | None] = np.asarray(task.correct(batch.targets, traces)).tolist()
    if getattr(task, "headline", "accuracy") != "accuracy":
        correct = [None] * len(correct)
    lengths = batch.inputs.get("lengths")
    selection = select_traces(traces, {note.system for note in notes})
    names = sorted(selection.drawn, key=lambda name: (system_of(name) != notes[0].system, name))
    lines = getattr(task, "picture_lines", None)
    names = names if lines is None else [OUTPUTS, *names]
    across = panels_across(len(notes), len(names))
    panels = arrange(len(notes), names, across)
    down = max(1, -(-len(panels) // across))  # without a trace to draw, the picture is blank
    width = WIDTH if across < 3 else NARROW_WIDTH
    images: dict[str, AxesImage] = {}
    axes_of: dict[str, list[Axes]] = {name: [] for name in names}
    with styled_figure(1 + width * across, 0.5 + HEIGHT * down, w_pad=0.12, h_pad=0.12) as figure:
        grid: list[Axes] = list(figure.subplots(down, across, squeeze=False).flat)
        for axes, panel in zip(grid, panels + [None] * (len(grid) - len(panels)), strict=True):
            if panel is None:
                axes.set_axis_off()
                continue
            row, name = panel
            trace = selection.traces[name]
            axes_of[name].append(axes)
            if name == OUTPUTS and lines is not None:
                draw_lines(axes, lines(batch, row, traces))
            elif trace.shape[2:] == (1,):
                draw_line(axes, row, trace)
            else:
                images[name] = draw_heat_map(axes, row, trace, slot_names.get(name, ()))
            style_trace_axes(axes)
            write_caption(axes, name, notes[row], correct[row], first=name == names[0])
            axes.set_xlim(right=None if lengths is None else lengths[row] - 0.5)
            position = selection.traces.get(f"{system_of(name)}.position")
            if name == f"{system_of(name)}.weights" and position is not None:
                draw_path(axes, position[row, 1:, 0])
        columns = across if len(names) == 1 else 1
        for name, image in images.items():
            draw_scale(figure, name, image, axes_of[name], share=0.4 / columns)
        figure.savefig(path)
    return selection.left_out


def panels_across(sequences: int, traces: int) -> int:
    """Return how many panels stand side by side: those of one sequence, or of one trace two sequences."""
    if traces == 0:
        return 1
    if traces == 1:
        return min(sequences, 2)
    if traces == 4:
        return 2 if sequences == 1 else 4
    return min(traces, MAX_PANELS_ACROSS)


def arrange(sequences: int, names: Sequence[str], across: int) -> list[Panel | None]:
    """Return the panels row by row, each sequence of several traces in rows of its own; None is a blank."""
    blanks = [None] * (-len(names) % across if len(names) > 1 else 0)
    return [panel for row in range(sequences) for panel in (*((row, name) for name in names), *blanks)]


def slot_names(layer: Superloop) -> dict[str, tuple[str, ...]]:
    """Return the names that systems give their slots, by the names of their traces."""
    systems = zip(layer.wiring.ids, layer.wiring.systems, strict=True)
    return {f"{id}.{trace}": names for id, system in systems for trace, names in system.slot_names.items()}
