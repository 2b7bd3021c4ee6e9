"""Task, the protocol of what there is to train on; its batches are NumPy arrays."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import attrs

if TYPE_CHECKING:
    import numpy as np


@attrs.frozen(kw_only=True, eq=False)
class Batch:
    """Sequences drawn from a task.

    Args:
        inputs: what a ``Superloop`` layer takes, by name, each ``(batch, ...)``.
        targets: what should come out, ``(batch, ...)``.
    """

    inputs: "Mapping[str, np.ndarray]"
    targets: "np.ndarray"


@attrs.frozen(kw_only=True)
class Annotation:
    """What a picture says of one sequence.

    Args:
        title: the sequence and its target in a few words.
        system: the id of the system whose slots are labelled.
        slots: a label for each of that system's slots.
        target: the slot that is right, if one is.
    """

    title: str
    system: str
    slots: tuple[str, ...] = ()
    target: int | None = None


class Task(Protocol):
    """A task, made by a :class:`~superloop_core.plugin.TaskSpec`'s factory from its settings.

    Attributes:
        traces: names of the traces that ``loss`` and ``correct`` read besides the outputs.
    """

    traces: tuple[str, ...]

    def sample(self, rng: "np.random.Generator", batch_size: int) -> Batch:
        """Draw fresh sequences; the same generator gives the same ones.

        It may take ``longest`` as well: the longest content to draw, for a curriculum; None: no limit.
        """

    def loss(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Return the mean loss, a scalar tensor.

        Args:
            targets: a batch's.
            results: ``outputs`` and every trace in :attr:`traces`, each ``(batch, timesteps, ...)``.
        """

    def correct(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Tell for each sequence whether it was answered right: a tensor ``(batch,)`` of bool."""

    def annotate(self, batch: Batch, row: int) -> Annotation:
        """Return what a picture of a row's traces should say."""


class Metric(Protocol):
    """A figure to tell of each sequence, made by a :class:`~superloop_core.plugin.MetricSpec`'s factory.

    Attributes:
        traces: names of the traces that it reads besides the outputs.
    """

    traces: tuple[str, ...]

    def __call__(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Return a number for each sequence, ``(batch,)``; what is told is their mean.

        Args:
            targets: a batch's.
            results: ``outputs`` and every trace in :attr:`traces`, each ``(batch, timesteps, ...)``.
        """
