"""The adding problem."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops

from superloop_core.task import Annotation, Batch, Sizes
from superloop_plugin_tasks.long_lag import AddingConfig
from superloop_plugin_tasks.scoring import check_outputs
from superloop_plugin_tasks.sequences import draw_lengths, feed_of, sizes_of

TOLERANCE = 0.04


class Adding:
    """Read numbers from -1 to 1, two of them marked: a and b. Return 0.5 + (a + b) / 4 at the end.

    The mark is 1 at the two, -1 at the first and the last number, and 0 elsewhere. Of n numbers, one of the
    two is drawn uniformly from the 2nd to the 10th, the other from the rest of the 2nd to the (n / 2 + 1)th.

    ::

        numbers    .3 .5 -.9 .1 .7 -.2
        marks      -1  1   0  1  0  -1      0.5 + (.5 + .1) / 4 = .65

    The loss is the squared error of the output at the last valid timestep. An error below 0.04 is correct. A
    sequence of n numbers takes n timesteps.

    Reference: Hochreiter and Schmidhuber, 1997, Neural Computation 9(8), 1735-1780, experiment 4 (where the
    first number may be marked too, and then counts as 0)
    """

    traces: tuple[str, ...] = ()

    def __init__(self, settings: AddingConfig):
        self.settings = settings

    @property
    def sizes(self) -> Sizes:
        """A number and its mark, and the sum."""
        return sizes_of(self.settings)

    def sample(self, rng: np.random.Generator, batch_size: int, longest: int | None = None) -> Batch:
        """Draw sequences: ``inputs`` ``(batch, length, 2)`` and targets ``(batch,)``."""
        lengths = draw_lengths(rng, batch_size, self.settings, longest)
        rows, half = np.arange(batch_size), lengths // 2
        first = rng.integers(1, np.minimum(10, half + 1))  # (batch,)
        second = rng.integers(1, half)
        second += second >= first
        numbers = rng.uniform(-1, 1, (batch_size, self.settings.length))
        marks = np.zeros_like(numbers)
        marks[:, 0] = marks[rows, lengths - 1] = -1
        marks[rows, first] = marks[rows, second] = 1
        targets = 0.5 + (numbers[rows, first] + numbers[rows, second]) / 4
        counted = np.arange(self.settings.length) < lengths[:, None]
        inputs = np.stack([numbers * counted, marks], axis=-1)
        feed = feed_of(inputs, lengths, lengths, self.settings)
        return Batch(inputs=feed, targets=targets.astype("float32"))

    def loss(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Return the mean squared error.

        Raises:
            ConfigError: the loop has more than one output.
        """
        check_outputs(results, self.settings.output_size)
        return ops.mean(ops.square(_last(results) - targets))

    def correct(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Return whether the error is below 0.04: ``(batch,)`` of bool."""
        return ops.abs(_last(results) - targets) < TOLERANCE

    def annotate(self, batch: Batch, row: int) -> Annotation:
        """``0.50 and 0.10 -> 0.65``"""
        numbers, marks = batch.inputs["inputs"][row].T
        marked = " and ".join(f"{number:.2f}" for number in numbers[marks == 1])
        return Annotation(title=f"{marked} -> {batch.targets[row]:.2f}", system="")


def _last(results: Mapping[str, Any]) -> Any:
    """Return the output at the last valid timestep, which the loop repeats to the end."""
    return results["outputs"][:, -1, 0]
