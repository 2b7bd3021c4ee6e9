"""The page of a run: its traces, with what went in and came out along the timesteps."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from superloop_plugin_view import Page, Recording, view

from superloop_core import ConfigError, Traces
from superloop_core.errors import os_reason
from superloop_core.task import Batch, Task
from superloop_plugin_lab.evaluation import traced_run
from superloop_plugin_lab.tracing import correct_rows


def view_runs(
    paths: Sequence[Path],
    out: Path,
    *,
    sequences: int = 4,
    length: int | None = None,
    seed: int | None = None,
    overrides: Iterable[str] = (),
) -> Page:
    """Write a page that shows one run, or two on the same sequences.

    Args:
        paths: run folders, or files of ``superloop trace`` and ``Traces.save``.
        out: the ``.html`` file to write.
        sequences: number of sequences.
        length: of all sequences; None: as in training.
        seed: of the sequences; None: that of the first run.
        overrides: changes of the runs' configs, each ``KEY=VALUE``.

    Raises:
        ConfigError: a file cannot be read or written, or there is no run folder.
        TraceError: a file is none of traces.
        WeightsError: the overrides change the shapes of the weights.
    """
    changes, found = list(overrides), []
    for path in paths:
        if path.is_dir() or path.suffix != ".npz":
            task, batch, traces, first = traced_run(
                path, sequences=sequences, length=length, seed=seed, overrides=changes
            )
            seed = first if seed is None else seed
            found.append(recording(task, batch, traces, path.absolute().name))
            continue
        try:
            found.append(Recording(traces=Traces.load(path), name=path.stem))
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {os_reason(error)}") from error
    page = view(*found, sequences=range(min(sequences, *(_count(one.traces) for one in found))))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        page.save(out)
    except OSError as error:
        raise ConfigError(f"--out {out}: cannot be written: {os_reason(error)}") from error
    return page


def recording(task: Task, batch: Batch, traces: Traces, name: str) -> Recording:
    """Return traces with what the task says of their sequences."""
    rows = range(len(batch.targets))
    return Recording(
        traces=traces,
        name=name,
        correct=correct_rows(task, batch, traces),
        annotations=[task.annotate(batch, row) for row in rows],
        **tokens_of(task, batch, traces),
    )


def tokens_of(task: Task, batch: Batch, traces: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return inputs, answers and targets along the timesteps, and which answers are wrong.

    The task's ``tokens`` may say them. Otherwise integers are classes, and in as many numbers as there are
    outputs they are bits; below 0 there is no target. Other targets are numbers.
    """
    found: dict[str, Any] = {}
    inputs, targets, outputs = batch.inputs.get("inputs"), batch.targets, traces["outputs"]
    if inputs is not None and inputs.ndim in (2, 3):
        found["inputs"] = inputs
    if targets.shape[:2] == outputs.shape[:2] and targets.ndim in (2, 3):
        found |= _compared(targets, outputs)
    says = getattr(task, "tokens", None)
    return found if says is None else found | dict(says(batch, traces))


def _compared(targets: np.ndarray, outputs: np.ndarray) -> dict[str, Any]:
    if targets.dtype.kind != "i":
        return {"answers": outputs, "targets": targets} if targets.shape == outputs.shape else {}
    none = targets < 0
    if targets.ndim == 2:
        answers = outputs.argmax(axis=-1)
        return {
            "answers": np.where(none, -1, answers),
            "targets": targets,
            "wrong": ~none & (answers != targets),
        }
    if targets.shape != outputs.shape:
        return {}
    bits = outputs > 0
    return {
        "answers": np.where(none, np.nan, bits),
        "targets": targets,
        "wrong": (~none & (bits != (targets > 0))).any(axis=-1),
    }


def _count(traces: Mapping[str, np.ndarray]) -> int:
    return min((len(array) for array in traces.values()), default=0)
