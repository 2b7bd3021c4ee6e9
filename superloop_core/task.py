"""Task and Metric, the protocols of what a loop is trained on; batches are NumPy arrays."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import attrs

if TYPE_CHECKING:
    import numpy as np


@attrs.frozen(kw_only=True, eq=False)
class Batch:
    """Sequences drawn from a task.

    Args:
        inputs: the inputs of a ``Superloop`` layer by name, each ``(batch, ...)``.
        targets: the desired results, ``(batch, ...)``.
    """

    inputs: "Mapping[str, np.ndarray]"
    targets: "np.ndarray"


@attrs.frozen(kw_only=True)
class Annotation:
    """The labels of a picture of one sequence.

    Args:
        title: the sequence and its target in a few words.
        system: the id of the system whose slots are labelled.
        slots: a label for each of that system's slots.
        target: the correct slot, if there is one.
    """

    title: str
    system: str
    slots: tuple[str, ...] = ()
    target: int | None = None


class Task(Protocol):
    """A task, made by a :class:`~superloop_core.TaskSpec`'s factory from its settings.

    Attributes:
        traces: names of the traces that ``loss`` and ``correct`` read besides the outputs.
    """

    traces: tuple[str, ...]

    def sample(self, rng: "np.random.Generator", batch_size: int) -> Batch:
        """Draw sequences; the same generator draws the same ones.

        It may have a parameter ``longest`` as well, for a curriculum: the longest content to draw; None: no
        limit.
        """

    def loss(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Return the mean loss, a scalar tensor.

        Args:
            targets: a batch's.
            results: ``outputs`` and every trace in :attr:`traces`, each ``(batch, timesteps, ...)``.
        """

    def correct(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Return whether each sequence is answered correctly: a tensor ``(batch,)`` of bool."""

    def annotate(self, batch: Batch, row: int) -> Annotation:
        """Return the labels of a picture of a row's traces."""


class Metric(Protocol):
    """A figure for each sequence, made by a :class:`~superloop_core.MetricSpec`'s factory.

    Attributes:
        traces: names of the traces that it reads besides the outputs.
    """

    traces: tuple[str, ...]

    def __call__(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Return a number for each sequence, ``(batch,)``; their mean is reported.

        Args:
            targets: a batch's.
            results: ``outputs`` and every trace in :attr:`traces`, each ``(batch, timesteps, ...)``.
        """
