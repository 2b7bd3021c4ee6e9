"""A picture of traces: slots against timesteps, panels for each sequence."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from superloop_core import Traces
from superloop_core.task import Annotation
from superloop_plugin_view.captions import words_of, write_caption
from superloop_plugin_view.heat_map import draw_heat_map, draw_scale
from superloop_plugin_view.lines import draw_line, draw_lines, draw_path
from superloop_plugin_view.links import chosen_timesteps, draw_links
from superloop_plugin_view.selection import by_slots, choose_traces, is_links, part_of
from superloop_plugin_view.style import FONT, FONT_SIZE, Picture, style_trace_axes, styled_figure
from superloop_plugin_view.tokens import words, write_answers, write_inputs

MAX_PANELS_ACROSS = 3
MAX_SEQUENCES = 4
OUTPUTS = "outputs"
SIZES = {"column": 3.4, "page": 7.0}  # inches, of most journals
WIDTH, NARROW_WIDTH, HEIGHT = 5.4, 4.2, 3.6  # inches of a panel; narrow with three or more side by side
SMALLEST_WIDTH = 2.3  # inches of a panel, where the width of the picture is given
SHAPE, LINES_OF_TEXT = 0.45, 8  # height of the axes of such a panel by its width, and the lines around it
DRAWN = (0.8, 0.72)  # share of a panel's place that is its axes, about: the rest is text

Panel: TypeAlias = tuple[int, str]  # row of the batch, name of the trace


def plot(
    traces: Traces | Mapping[str, np.ndarray],
    *,
    names: Collection[str] | str | None = None,
    sequences: Iterable[int] | None = None,
    inputs: Any = None,
    answers: Any = None,
    targets: Any = None,
    correct: Sequence[bool | None] | None = None,
    annotations: Sequence[Annotation] | None = None,
    lines: Sequence[Mapping[str, np.ndarray]] | None = None,
    labels: Mapping[str, Sequence[str]] | None = None,
    timesteps: int | Sequence[int] = 4,
    width: float | Literal["column", "page"] | None = None,
    across: int | None = None,
    font: str = FONT,
    font_size: float | None = None,
    path: str | Path | None = None,
) -> Picture:
    """Draw traces, each sequence in panels of its own.

    A trace of slots is a heat map, whose timesteps go from left to right and whose slots from top to bottom;
    the numbers of a slot stand below each other, and so do several stacks, tapes or heads. One number is a
    line. A ``position`` is a path over the ``weights`` of the same part. Links between slots are a matrix at
    some timesteps. A sequence ends with its valid timesteps. Slots that are hardly used, such as the bottom
    of a deep stack, are cut off, and the scale of the colors is that of all sequences.

    ::

        traces = superloop_core.trace(model, words)
        plot(traces, inputs=words, answers=model.predict(words).argmax(-1), targets=tags)
        plot(traces, names="memo.*", sequences=[3], width="column", path="figure.pdf")

    Args:
        traces: those of :func:`superloop_core.trace`, or arrays by name, each ``(batch, timesteps, ...)``.
        names: names or patterns of the traces to draw, in this order; None: those that
            :func:`choose_traces` chooses.
        sequences: rows of the batch; None: the first four.
        inputs: the input tokens of each row of the batch, one for each timestep: texts, or integers. They
            stand above the timesteps.
        answers: tokens that the model gave, likewise, below the timesteps.
        targets: tokens that would have been right; wrong answers are bold, with the target in parentheses.
        correct: whether each row was answered correctly, as a tick or a cross; None: not said.
        annotations: a title for each row, and labels of the slots of a system.
        lines: lines ``(timesteps,)`` by name for each row, in a panel before the others; the first is what
            the others should be.
        labels: names of the slots of traces, instead of those that the plugin gives.
        timesteps: at which matrices of links are shown, or how many.
        width: of the whole picture, in inches, or ``"column"`` (3.4) or ``"page"`` (7); None: as wide as its
            panels.
        across: panels side by side; None: as many as fit.
        font: the family of all text.
        font_size: in points; None: 9, and 7 where the width is given.
        path: a file to write, in the format that its ending names: ``.png``, ``.pdf``, ``.svg``, ...

    Returns:
        the picture, a Matplotlib figure; a notebook shows it.

    Raises:
        TraceError: there is no trace of a name.
        ValueError: inputs, answers or targets are no tokens.
    """
    if not isinstance(traces, Traces):
        traces = Traces(arrays={name: np.asarray(trace) for name, trace in traces.items()})
    if font_size is None:
        font_size = FONT_SIZE if width is None else FONT_SIZE - 2
    count = len(next(iter(traces.values()))) if traces else 0
    rows = list(range(min(count, MAX_SEQUENCES)) if sequences is None else sequences)
    notes = {row: Annotation(title=f"sequence {row}" if count > 1 else "", system="") for row in rows}
    if annotations is not None:
        notes = {row: annotations[row] for row in rows}
    annotated = {note.system for note in notes.values() if note.system}
    chosen = _chosen(traces, names, [notes[row].system for row in rows])
    chosen = chosen if lines is None else [OUTPUTS, *chosen]
    shown = by_slots(_of_rows(traces, rows), annotated)
    slot_names = {**traces.labels, **(labels or {})}

    wide = SIZES[width] if isinstance(width, str) else width
    side = across or panels_across(len(rows), len(chosen))
    if wide is not None and across is None:
        side = max(1, min(side, int(wide / SMALLEST_WIDTH)))
    panels = arrange(rows, chosen, side)
    down = max(1, -(-len(panels) // side))  # without a trace to draw, the picture is blank
    if wide is None:
        size = (WIDTH if side < 3 else NARROW_WIDTH, HEIGHT)
        whole, pad = (1 + size[0] * side, 0.5 + HEIGHT * down), 0.12
    else:
        drawn = max(0.9, SHAPE * wide / side)
        size = (wide / side, drawn / DRAWN[1])
        whole, pad = (wide, (drawn + 1.2 * LINES_OF_TEXT * font_size / 72) * down), 0.04
    room = (72 * DRAWN[0] * size[0], 72 * DRAWN[1] * size[1])  # points of axes
    images: dict[str, AxesImage] = {}
    axes_of: dict[str, list[Axes]] = {name: [] for name in chosen}
    with styled_figure(*whole, w_pad=pad, h_pad=pad, font=font, font_size=font_size) as figure:
        grid: list[Axes] = list(figure.subplots(down, side, squeeze=False).flat)
        for axes, panel in zip(grid, panels + [None] * (len(grid) - len(panels)), strict=True):
            if panel is None:
                axes.set_axis_off()
                continue
            row, name = panel
            place, at = chosen.index(name), rows.index(row)
            lengths = traces.lengths(name)
            trace = shown.get(name, np.zeros((len(rows), 1, 1)))
            length = trace.shape[1] if lengths is None else int(lengths[row])
            axes_of[name].append(axes)
            if name == OUTPUTS and lines is not None:
                draw_lines(axes, lines[row], font_size)
            elif is_links(traces, name):
                images[name] = draw_links(
                    axes, at, trace, chosen_timesteps(length, timesteps), room=room, font_size=font_size
                )
            elif trace.shape[2:] == (1,):
                draw_line(axes, at, trace)
            else:
                entries = slot_names.get(name, ())
                images[name] = draw_heat_map(axes, at, trace, entries, height=room[1], font_size=font_size)
            if not is_links(traces, name):
                style_trace_axes(axes)
            first = place == 0
            write_caption(
                axes,
                name,
                notes[row],
                None if correct is None else correct[row],
                first=first,
                height=room[1],
                font_size=font_size,
            )
            if is_links(traces, name):
                continue
            axes.set_xlim(right=None if lengths is None else length - 0.5)
            position = traces.get(f"{part_of(name)}.position")
            if name == f"{part_of(name)}.weights" and position is not None:
                draw_path(axes, position[row, 1:, 0], trace.shape[2])
            if inputs is not None and place < side:
                write_inputs(axes, words(inputs, row, length), room[0], font_size)
            if answers is not None and place >= len(chosen) - side:
                wanted = None if targets is None else words(targets, row, length)
                write_answers(axes, words(answers, row, length), wanted, room[0], font_size)
        columns = side if len(chosen) == 1 else 1
        for name, image in images.items():
            draw_scale(figure, words_of(name), image, axes_of[name], share=0.4 / columns)
    if path is not None:
        figure.savefig(path)
    return figure


def panels_across(sequences: int, traces: int) -> int:
    """Return how many panels stand side by side: those of one sequence, or of one trace two sequences."""
    if traces == 0:
        return 1
    if traces == 1:
        return min(sequences, 2)
    if traces == 4:
        return 2 if sequences == 1 else 4
    return min(traces, MAX_PANELS_ACROSS)


def arrange(rows: Sequence[int], names: Sequence[str], across: int) -> list[Panel | None]:
    """Return the panels row by row, each sequence of several traces in rows of its own; None is a blank."""
    blanks = [None] * (-len(names) % across if len(names) > 1 else 0)
    return [panel for row in rows for panel in (*((row, name) for name in names), *blanks)]


def _chosen(traces: Traces, names: Collection[str] | str | None, systems: Sequence[str]) -> list[str]:
    """Return the names of the traces to draw; chosen ones in order, the annotated system first."""
    if names is not None:
        return list(traces.select(*([names] if isinstance(names, str) else names)))
    first = systems[0] if systems else ""
    return sorted(choose_traces(traces).drawn, key=lambda name: (part_of(name) != first, name))


def _of_rows(traces: Traces, rows: Sequence[int]) -> Traces:
    arrays = {name: trace[rows] for name, trace in traces.items()}
    return Traces(arrays=arrays, views=traces.views, loops=traces.loops)
