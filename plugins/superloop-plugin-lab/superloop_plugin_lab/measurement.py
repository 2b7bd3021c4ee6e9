"""Loss, accuracy and metrics of a model on test sequences: newly drawn, and never trained on."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs
import numpy as np

from superloop_core import ConfigError
from superloop_core.task import Batch
from superloop_plugin_lab.diagnosis import TrainingError, find_not_finite
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


def measure(experiment: Experiment, batches: Iterable[Batch]) -> Measurement:
    """Measure loss, accuracy and metrics on test sequences.

    Args:
        experiment: the model and its task.
        batches: the sequences.

    Raises:
        ConfigError: a metric cannot be computed.
        TrainingError: the loss or the accuracy is not finite.
    """
    task = experiment.task
    measured = 0
    losses: list[float] = []  # of each batch, times its rows
    correct: list[np.ndarray] = []
    metrics: dict[str, list[np.ndarray]] = {name: [] for name in experiment.metrics}
    for batch in batches:
        rows = len(batch.targets)
        results = experiment.model.predict_on_batch(dict(batch.inputs))
        loss = float(task.loss(batch.targets, results))
        if not np.isfinite(loss):
            found = find_not_finite(experiment.network, task, batch)
            raise TrainingError(f"not finite on test sequences: {found}")
        losses.append(loss * rows)
        correct.append(_by_row("the task's correct", task.correct, batch, results))
        if not np.isfinite(correct[-1]).all():
            raise TrainingError("not finite on test sequences: the task's correct")
        for name, metric in experiment.metrics.items():
            metrics[name].append(_by_row(f"the metric {name!r}", metric, batch, results))
        measured += rows
    return Measurement(
        loss=sum(losses) / measured,
        accuracy=_mean(correct),
        sequences=measured,
        metrics={name: _mean(values) for name, values in metrics.items()},
    )


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


def _mean(batches: list[Any]) -> float:
    return float(np.concatenate(batches).mean())
