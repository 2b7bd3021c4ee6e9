"""Which traces are drawn, and how many of their slots."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np

from superloop_plugin_lab.pictures.captions import system_of

NOT_DRAWN = ("control", "read", "position", "output")
MAX_ROWS = 512  # of numbers in a panel, which has about as many rows of pixels
MAX_PANELS = 6  # of a sequence
SMALLEST_SHARE = 1e-3  # of the largest number, in a slot that is used


class Selection(NamedTuple):
    """The traces of a picture."""

    traces: dict[
        str, np.ndarray
    ]  # all of them, each (batch, timesteps, slots) or (batch, timesteps, slots, width)
    drawn: list[str]  # names, those with the most slots first
    left_out: list[str]  # names of traces with slots, too large or too many


def select_traces(traces: Mapping[str, np.ndarray], annotated: Collection[str]) -> Selection:
    """Select the traces to draw: those of systems that have slots, or without one those of the cells.

    Args:
        traces: by name, each ``(batch, timesteps, ...)``.
        annotated: ids of the systems that the task annotates; they keep all of their slots.
    """
    by_slots = {name: _by_slots(np.asarray(trace)) for name, trace in traces.items() if np.size(trace)}
    by_slots = _without_unused_slots(by_slots, annotated)
    rows = {
        name: int(np.prod(trace.shape[2:]))
        for name, trace in by_slots.items()
        if name.rpartition(".")[2] != "outputs" and name.rpartition(".")[2] not in NOT_DRAWN
    }
    of_systems = {
        name: count for name, count in rows.items() if system_of(name).rpartition(".")[2] != "cells"
    }
    if any(count <= MAX_ROWS for count in of_systems.values()):
        rows = of_systems
    candidates = sorted((name for name in rows if rows[name] <= MAX_ROWS), key=lambda name: -rows[name])
    drawn = candidates[:MAX_PANELS]
    return Selection(by_slots, drawn, sorted(set(rows) - set(drawn)))


def _by_slots(trace: np.ndarray) -> np.ndarray:
    """Merge the axes before the last, and remove axes of 1: ``(batch, timesteps, slots[, width])``."""
    sizes = [size for size in trace.shape[2:] if size > 1] or [1]
    return trace.reshape(*trace.shape[:2], *([-1, sizes[-1]] if len(sizes) > 1 else sizes))


def _without_unused_slots(
    traces: Mapping[str, np.ndarray], annotated: Collection[str]
) -> dict[str, np.ndarray]:
    """Remove the last slots that are almost 0 in all sequences, such as the bottom of a deep stack.

    Traces of a system with the same number of slots keep the same number, so that their rows can be compared.
    """
    used: dict[tuple[str, int], int] = {}
    for name, trace in traces.items():
        key = system_of(name), trace.shape[2]
        slots = trace.shape[2] if key[0] in annotated else _count_used(trace)
        used[key] = max(slots, used.get(key, 0))
    return {name: trace[:, :, : used[system_of(name), trace.shape[2]]] for name, trace in traces.items()}


def _count_used(trace: np.ndarray) -> int:
    """Count the slots up to the last one that is used; all if none is."""
    largest = np.abs(trace).max(axis=(0, 1, *range(3, trace.ndim)))  # (slots,)
    used = np.flatnonzero(largest > SMALLEST_SHARE * largest.max())
    return int(used[-1]) + 1 if len(used) else int(trace.shape[2])
