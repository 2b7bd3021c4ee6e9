"""Predictions of a run's model on the examples of a new file."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO, TypeAlias

import attrs
import numpy as np

from superloop_core import ConfigError, PredictingTask
from superloop_core.errors import os_reason
from superloop_core.runs import FILES, replace_file
from superloop_plugin_lab.diagnosis import TrainingError
from superloop_plugin_lab.evaluation import open_run
from superloop_plugin_lab.feeding import rows_at_once

Rows: TypeAlias = Iterable[Mapping[str, Any]]


@attrs.frozen(kw_only=True)
class Predictions:
    """Predictions on new examples.

    Args:
        facts: what was read, in words, by name.
        rows: the predictions by column, each computed as it is taken.
    """

    facts: Mapping[str, str]
    rows: Iterator[dict[str, Any]]


def predict_run(run: Path, file: Path, weights: str = "best", overrides: Iterable[str] = ()) -> Predictions:
    """Predict on the examples of a file.

    Args:
        run: the run's folder.
        file: with the columns that the run was trained on; targets may be missing.
        weights: ``best``, or ``last``: those of the last step.
        overrides: changes of the run's config, each ``KEY=VALUE``.

    Raises:
        ConfigError: there is no run folder; its task cannot predict; or rows of the file cannot be used.
    """
    experiment = open_run(run, overrides=overrides, weights=weights, rows=file)
    task = experiment.task
    assert isinstance(task, PredictingTask)

    def rows() -> Iterator[dict[str, Any]]:
        for batch in task.batches("test", rows_at_once(experiment.timesteps)):
            found = experiment.model.predict_on_batch(dict(batch.inputs))
            results = {name: np.asarray(result) for name, result in found.items()}
            if not np.isfinite(results["outputs"]).all():
                raise TrainingError(f"{run}: its outputs for {file} are not finite; train the model again")
            yield from task.predictions(batch, results)

    return Predictions(facts=task.facts(), rows=rows())


def write_predictions(rows: Rows, run: Path, file: Path, output: Path) -> None:
    """Write predictions to a file, as a whole or not at all, in the form that its name ends in.

    Args:
        rows: by column.
        run: the run's folder, none of whose files is replaced.
        file: of the examples, which is not replaced.
        output: the path.

    Raises:
        ConfigError: the file cannot be written, or must not be.
    """
    own = [file, *(run / name for name in FILES)]
    if output.resolve() in [path.resolve() for path in own]:
        raise ConfigError(f"--output {output}: would replace a file that is needed; choose another name")
    write = writer_of(output)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        replace_file(output, lambda path: _write(rows, path, write))
    except OSError as error:
        raise ConfigError(f"--output {output}: cannot be written: {os_reason(error)}") from error


def writer_of(output: Path) -> Callable[[Rows, TextIO], None]:
    """Return what writes predictions in the form of a file.

    Raises:
        ConfigError: its name ends in none that is known.
    """
    writers = {".csv": write_csv, ".jsonl": write_jsonl}
    if (writer := writers.get(output.suffix.lower())) is None:
        raise ConfigError(f"--output {output}: must end in {' or '.join(writers)}")
    return writer


def write_csv(rows: Rows, file: TextIO) -> None:
    """Write comma-separated values, with the names of the columns in the first line."""
    writer = csv.writer(file, lineterminator="\n")
    for number, row in enumerate(rows):
        if number == 0:
            writer.writerow(row)
        writer.writerow(map(_plain, row.values()))


def write_jsonl(rows: Rows, file: TextIO) -> None:
    """Write an object in each line."""
    for row in rows:
        values = {name: _plain(value) for name, value in row.items()}
        file.write(f"{json.dumps(values, ensure_ascii=False)}\n")


def _write(rows: Rows, path: Path, write: Callable[[Rows, TextIO], None]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        write(rows, file)


def _plain(value: Any) -> Any:
    """Return a text or an integer as it is, and another number with the seven digits that it has."""
    return float(f"{value:.7g}") if isinstance(value, float | np.floating) else value
