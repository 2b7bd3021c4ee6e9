"""Which traces are drawn, and how many of their slots."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np

from superloop_core import Traces

NOT_DRAWN = ("control", "read", "position", "output", "outputs")
MAX_ROWS = 512  # of numbers in a panel, which has about as many rows of pixels
MAX_LINKED = 256  # slots, whose links are a matrix
MAX_PANELS = 6  # of a sequence
SMALLEST_SHARE = 1e-3  # of the largest number, in a slot that is used


class Choice(NamedTuple):
    """The traces of a picture."""

    drawn: list[str]  # names, those with the most slots first
    left_out: list[str]  # names of traces with slots, too large or too many


def choose_traces(traces: Traces) -> Choice:
    """Choose the traces to draw: those of systems that have slots, or without one those of the cells.

    Left out are traces of more than 512 numbers a timestep, and all but the 6 with the most slots.
    """
    rows = {
        name: _rows(traces, name)
        for name, trace in traces.items()
        if trace.size and name.rpartition(".")[2] not in NOT_DRAWN
    }
    of_systems = {name: count for name, count in rows.items() if not is_of_cell(traces, name)}
    if any(count <= MAX_ROWS for count in of_systems.values()):
        rows = of_systems
    candidates = sorted((name for name in rows if rows[name] <= MAX_ROWS), key=lambda name: -rows[name])
    drawn = candidates[:MAX_PANELS]
    return Choice(drawn, sorted(set(rows) - set(drawn)))


def part_of(name: str) -> str:
    """``stack.read_weights`` -> ``stack``; ``loops.1.stack.read_weights`` -> ``loops.1.stack``"""
    return name.rpartition(".")[0]


def is_of_cell(traces: Traces, name: str) -> bool:
    """Whether a trace is a cell's own, and not that of a memory within a cell."""
    own = name.removeprefix(traces.loop_of(name))
    return own.startswith("cells.") and own.count(".") == 2


def is_links(traces: Traces, name: str) -> bool:
    """Whether a trace is drawn as matrices of pairs of slots."""
    trace = traces[name]
    return traces.kinds[name] == "links" and trace.ndim == 4 and trace.shape[2] == trace.shape[3]


def by_slots(traces: Traces, whole: Collection[str] = ()) -> dict[str, np.ndarray]:
    """Return the traces without unused slots: ``(batch, timesteps, slots)`` or ``(..., slots, width)``.

    Axes of 1 are removed, and those before the last are merged. Of a part, the last slots that are almost 0
    in all sequences are cut off, such as the bottom of a deep stack.

    Args:
        traces: all of them.
        whole: paths of the parts that keep all of their slots.
    """
    merged = {
        name: trace if is_links(traces, name) else _merged(trace)
        for name, trace in traces.items()
        if trace.size
    }
    links = {name for name in merged if is_links(traces, name)}
    return _without_unused_slots(merged, whole, links)


def _rows(traces: Traces, name: str) -> int:
    trace = traces[name]
    if is_links(traces, name):
        return int(trace.shape[2]) if trace.shape[2] <= MAX_LINKED else MAX_ROWS + 1
    return int(np.prod(trace.shape[2:]))


def _merged(trace: np.ndarray) -> np.ndarray:
    """Merge the axes before the last, and remove axes of 1: ``(batch, timesteps, slots[, width])``."""
    sizes = [size for size in trace.shape[2:] if size > 1] or [1]
    return trace.reshape(*trace.shape[:2], *([-1, sizes[-1]] if len(sizes) > 1 else sizes))


def _without_unused_slots(
    traces: Mapping[str, np.ndarray], whole: Collection[str], links: Collection[str]
) -> dict[str, np.ndarray]:
    """Remove the last slots that are almost 0 in all sequences; of links in both axes.

    Traces of a part with the same number of slots keep the same number, so that their rows can be compared.
    """
    used: dict[tuple[str, int], int] = {}
    for name, trace in traces.items():
        key = part_of(name), trace.shape[2]
        if key[0] in whole:
            used[key] = trace.shape[2]
            continue
        both = (trace, trace.swapaxes(2, 3)) if name in links else (trace,)
        used[key] = max(used.get(key, 0), *map(_count_used, both))
    kept = {name: used[part_of(name), trace.shape[2]] for name, trace in traces.items()}
    return {
        name: trace[:, :, : kept[name], : kept[name]] if name in links else trace[:, :, : kept[name]]
        for name, trace in traces.items()
    }


def _count_used(trace: np.ndarray) -> int:
    """Count the slots up to the last one that is used; all if none is."""
    largest = np.abs(trace).max(axis=(0, 1, *range(3, trace.ndim)))  # (slots,)
    used = np.flatnonzero(largest > SMALLEST_SHARE * largest.max())
    return int(used[-1]) + 1 if len(used) else int(trace.shape[2])
