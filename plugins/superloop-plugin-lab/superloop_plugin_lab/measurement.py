"""Loss, accuracy and metrics of a model on test sequences: newly drawn, and never trained on."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs
import numpy as np

from superloop_core import ConfigError
from superloop_core.task import Batch
from superloop_plugin_lab.diagnosis import TrainingError, find_not_finite
from superloop_plugin_lab.distributed import ALONE, Workers
from superloop_plugin_lab.experiment import Experiment


@attrs.frozen(kw_only=True)
class Measurement:
    """Figures on test sequences: mean loss, share of correct sequences, and the mean of each metric.

    A metric that is not finite on a sequence is not finite here.
    """

    loss: float
    accuracy: float
    sequences: int = 0
    metrics: Mapping[str, float] = attrs.field(factory=dict)

    @property
    def figures(self) -> dict[str, float]:
        """All figures by name."""
        return {"loss": self.loss, "accuracy": self.accuracy, **self.metrics}


def measure(experiment: Experiment, batches: Iterable[Batch], workers: Workers = ALONE) -> Measurement:
    """Measure loss, accuracy and metrics on test sequences.

    Args:
        experiment: the model and its task.
        batches: the sequences.
        workers: each computes some of the batches, and all return the figures of all.

    Raises:
        ConfigError: a metric cannot be computed.
        TrainingError: the loss or the accuracy is not finite.
    """
    figures: list[np.ndarray] = []  # of each batch: loss, then correct and metrics of each row
    reason = ""  # why a figure of this worker's is not finite
    for index, batch in enumerate(batches):
        if index % workers.count != workers.index:
            figures.append(np.zeros((1 + len(experiment.metrics)) * len(batch.targets) + 1))
            continue
        loss, *of_rows = _figures(experiment, batch)
        if not np.isfinite(loss):
            reason = find_not_finite(experiment.network, experiment.task, batch)
        elif not np.isfinite(of_rows[0]).all():
            reason = "the task's correct"
        figures.append(np.concatenate([[loss], *of_rows]))
    splits = np.cumsum([len(of_batch) for of_batch in figures])[:-1]
    totals = np.split(workers.total(np.concatenate(figures)), splits)
    losses = np.array([of_batch[0] for of_batch in totals])
    by_row = [of_batch[1:].reshape(1 + len(experiment.metrics), -1) for of_batch in totals]
    correct, *metrics = np.concatenate(by_row, axis=1)
    if not (np.isfinite(losses).all() and np.isfinite(correct).all()):
        wrong = [index for index, of_batch in enumerate(totals) if not np.isfinite(of_batch).all()]
        reason = reason or f"a figure of worker {wrong[0] % workers.count}"
        raise TrainingError(f"not finite on test sequences: {reason}")
    rows = [of_batch.shape[1] for of_batch in by_row]
    return Measurement(
        loss=sum((losses * rows).tolist()) / sum(rows),
        accuracy=float(correct.mean()),
        sequences=sum(rows),
        metrics={
            name: float(values.mean()) for name, values in zip(experiment.metrics, metrics, strict=True)
        },
    )


def _figures(experiment: Experiment, batch: Batch) -> list[Any]:
    """Return the loss of a batch, whether each row is correct, and each metric of each row."""
    task = experiment.task
    results = experiment.model.predict_on_batch(dict(batch.inputs))
    loss = float(task.loss(batch.targets, results))
    if not np.isfinite(loss):  # what cannot be computed of such results is not the reason
        return [loss, *np.zeros((1 + len(experiment.metrics), len(batch.targets)))]
    correct = _by_row("the task's correct", task.correct, batch, results)
    metrics = [
        _by_row(f"the metric {name!r}", metric, batch, results) for name, metric in experiment.metrics.items()
    ]
    return [loss, correct, *metrics]


def _by_row(what: str, compute: Callable[..., Any], batch: Batch, results: Any) -> np.ndarray:
    """Return a figure of each sequence.

    Raises:
        ConfigError: it cannot be computed, or is not one number for each sequence.
    """
    rows = len(batch.targets)
    try:
        computed = np.asarray(compute(batch.targets, results))
    except Exception as error:  # any error of a plugin's code
        raise ConfigError(
            f"{what} cannot be computed on {rows} test sequences: {type(error).__name__}: {error}; "
            "correct its plugin or its settings, or do without it"
        ) from error
    if computed.shape != (rows,) or computed.dtype.kind not in "biuf":
        raise ConfigError(
            f"{what} must be {rows} numbers, one for each test sequence: {computed.dtype} of shape "
            f"{computed.shape}; correct its plugin, or do without it"
        )
    return computed
