"""The toy task of the original superloop: find the last 2 before a 9."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops

from superloop_core.task import Annotation, Batch, Sizes
from superloop_plugin_tasks import FinalDistanceConfig, LastTwoBeforeNineConfig

NUMBERS = 10


class LastTwoBeforeNine:
    """Walk to the last 2 before the 9, and stay there.

    A sequence has one 9, at any place but the first. The target is a place before it, drawn uniformly, and
    holds a 2. Between the two there is no other 2. All other numbers are from 0 to 4. The answer is the
    attention's position at the last timestep. The loss is its squared distance from the target; a distance
    below 0.5 is correct.

    ::

        4 2 0 2 1 3 9 2        target 3

    Reference: Csirmaz, superloop, 2018, https://github.com/csirmaz/superloop
    """

    def __init__(self, settings: LastTwoBeforeNineConfig):
        self.settings = settings
        self.source = f"{settings.system}_data"
        self.position = f"{settings.system}.position"
        self.traces = (self.position,)

    @property
    def sizes(self) -> Sizes:
        """No input, any outputs, and time to walk to the 9 and back."""
        return Sizes(inputs=0, outputs=0, timesteps=2 * self.settings.length)

    def sample(self, rng: np.random.Generator, batch_size: int) -> Batch:
        """Draw sequences: ``<system>_data`` ``(batch, length, width)`` and targets ``(batch,)``."""
        length = self.settings.length
        nine = rng.integers(1, length, size=(batch_size, 1))
        target = rng.integers(0, nine)  # (batch, 1)
        places = np.arange(length)
        numbers = rng.integers(0, 5, size=(batch_size, length))
        not_two = np.array([0, 1, 3, 4])[rng.integers(0, 4, size=(batch_size, length))]
        numbers = np.where((places > target) & (places < nine), not_two, numbers)
        numbers = np.where(places == target, 2, numbers)
        numbers = np.where(places == nine, 9, numbers)
        if self.settings.encoding == "raw":
            data = numbers[:, :, None].astype("float32")
        else:
            data = np.eye(NUMBERS, dtype="float32")[numbers]
        return Batch(inputs={self.source: data}, targets=target[:, 0].astype("float32"))

    def loss(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Return the mean squared distance of the final position from the target."""
        return ops.mean(ops.square(self._distance(targets, results)))

    def correct(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Return whether the final position is nearer than 0.5 to the target: ``(batch,)`` of bool."""
        return ops.abs(self._distance(targets, results)) < 0.5

    def annotate(self, batch: Batch, row: int) -> Annotation:
        """Label the tape with its numbers."""
        data = batch.inputs[self.source][row]
        numbers = data[:, 0].astype(int) if self.settings.encoding == "raw" else data.argmax(axis=-1)
        target = int(batch.targets[row])
        return Annotation(
            title=f"last 2 before the 9: slot {target}",
            system=self.settings.system,
            slots=tuple(map(str, numbers)),
            target=target,
        )

    def _distance(self, targets: Any, results: Mapping[str, Any]) -> Any:
        return _final(results[self.position]) - targets


class FinalDistance:
    """The absolute distance of a system's position at the last timestep from the target."""

    higher_is_better = False

    def __init__(self, settings: FinalDistanceConfig):
        self.position = f"{settings.system}.position"
        self.traces = (self.position,)

    def __call__(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Return the distance for each sequence, ``(batch,)``."""
        return ops.abs(_final(results[self.position]) - targets)


def _final(position: Any) -> Any:
    return position[:, -1, 0]
