"""Every trace of a model on a batch, and their picture."""

from pathlib import Path

import attrs
import numpy as np
from superloop_plugin_view import choose_traces, plot

from superloop_core import Traces, trace
from superloop_core.task import Batch, Task
from superloop_plugin_lab.network import Network, prefixed


def compute_traces(network: Network, batch: Batch) -> Traces:
    """Return the outputs and every trace of a batch, each ``(batch, timesteps, ...)``, in float32.

    Traces of further loops have a prefix, ``loops.1.``. A loop in two directions has those of the forward
    one.
    """
    return as_lab_traces(network, batch, trace(network.model, dict(batch.inputs)))


def as_lab_traces(network: Network, batch: Batch, found: Traces) -> Traces:
    """Return the traces of the model with the names that they have in the lab."""
    prefixes = {loop.name: prefixed(index, "") for index, loop in enumerate(network.loops)}
    known = {old: prefixes[name] for old, name in found.loops.items() if name in prefixes}

    def renamed(name: str) -> str | None:
        """Return the name in the lab; None: it is of the backward direction."""
        old = found.loop_of(name)
        return known[old] + name.removeprefix(old) if old in known else None

    arrays = {new: as_float32(array) for name, array in found.items() if (new := renamed(name)) is not None}
    return attrs.evolve(
        found,
        arrays=arrays | {"outputs": as_float32(found.results["outputs"])},
        views={new: view for name, view in found.views.items() if (new := renamed(name)) is not None},
        labels={new: names for name, names in found.labels.items() if (new := renamed(name)) is not None},
        states=frozenset(new for name in found.states if (new := renamed(name)) is not None),
        loops={known[old]: name for old, name in found.loops.items() if old in known},
        reached={new: array for name, array in found.reached.items() if (new := renamed(name)) is not None},
        results=None,  # they are traces, too
        extra={"targets": batch.targets},
    )


def as_float32(array: np.ndarray) -> np.ndarray:
    """Return floats of other sizes, those of a dtype policy, as float32."""
    return array.astype("float32") if array.dtype.kind == "f" else array


def correct_rows(task: Task, batch: Batch, traces: Traces) -> list[bool | None]:
    """Return whether each row was answered correctly; None where that says little of the task."""
    if getattr(task, "headline", "accuracy") != "accuracy":
        return [None] * len(batch.targets)
    return list(np.asarray(task.correct(batch.targets, traces)).tolist())


def draw_traces(task: Task, batch: Batch, traces: Traces, path: Path) -> list[str]:
    """Draw the traces of every system, and return the names of those left out.

    The system that the task annotates comes first, with its slots labelled. The lines of a task that has some
    come before all traces.

    Args:
        task: annotates the sequences.
        batch: its sequences.
        traces: of the batch.
        path: the file to write.
    """
    rows = range(len(batch.targets))
    lines = getattr(task, "picture_lines", None)
    plot(
        traces,
        sequences=rows,
        correct=correct_rows(task, batch, traces),
        annotations=[task.annotate(batch, row) for row in rows],
        lines=None if lines is None else [lines(batch, row, traces) for row in rows],
        path=path,
    )
    return choose_traces(traces).left_out
