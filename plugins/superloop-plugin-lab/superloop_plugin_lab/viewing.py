"""The page of a run: its traces, with what went in and came out along the timesteps."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from superloop_plugin_view import Live, Page, Recording, view, what_if

from superloop_core import ConfigError, Traces
from superloop_core.errors import os_reason
from superloop_core.task import Batch, Task
from superloop_plugin_lab.evaluation import shown_run, traced_run
from superloop_plugin_lab.tracing import as_lab_traces, correct_rows


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


def live_run(
    path: Path,
    *,
    sequences: int = 4,
    length: int | None = None,
    seed: int | None = None,
    overrides: Iterable[str] = (),
    port: int = 0,
) -> Live:
    """Return the server of a page on which a run's memory is changed; arguments as for :func:`view_runs`.

    Raises:
        ConfigError: there is no run folder, or its task has no ``length`` to change.
        SuperloopError: the port cannot be used.
        WeightsError: the overrides change the shapes of the weights.
    """
    experiment, batch = shown_run(path, sequences=sequences, length=length, seed=seed, overrides=overrides)
    task, network = experiment.task, experiment.network

    def record(traces: Traces, name: str) -> Recording:
        """Return a recording under the model's own names of traces, those of what can be changed."""
        known = recording(task, batch, as_lab_traces(network, batch, traces), name)
        return attrs.evolve(known, traces=traces)

    return what_if(
        network.model,
        dict(batch.inputs),
        sequences=range(sequences),
        title=path.absolute().name,
        port=port,
        record=record,
    )


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
