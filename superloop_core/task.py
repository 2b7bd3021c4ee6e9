"""Task, StoredTask, PredictingTask and Metric, the protocols of what is learned; batches are NumPy arrays."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

import attrs

if TYPE_CHECKING:
    import numpy as np

Split: TypeAlias = Literal["train", "validation", "test"]


@attrs.frozen(kw_only=True, eq=False)
class Batch:
    """Sequences drawn from a task.

    Args:
        inputs: the inputs of a ``Superloop`` layer by name, each ``(batch, ...)``. ``inputs`` may be tokens
            ``(batch, timesteps)`` of int32, where :attr:`Sizes.tokens` says so.
        targets: the desired results, ``(batch, ...)``.
        ids: of the examples, ``(batch,)``; None: they are newly drawn.
    """

    inputs: "Mapping[str, np.ndarray]"
    targets: "np.ndarray"
    ids: "np.ndarray | None" = None


@attrs.frozen(kw_only=True)
class Sizes:
    """What a task decides of a model.

    Args:
        inputs: numbers in a timestep's input: the loop's ``inputs``; 0: it has none, or is a token.
        outputs: numbers in an output: the loop's ``outputs``.
        tokens: number of different tokens, where ``inputs`` are tokens from 0 on; 0: they are numbers.
        timesteps: of all sequences, where the loop cannot tell it from its inputs; 0: it can.
    """

    inputs: int
    outputs: int
    tokens: int = 0
    timesteps: int = 0

    @property
    def loop(self) -> dict[str, int]:
        """The entries of a ``[loop]`` that fit; tokens are one-hot."""
        return {
            "timesteps": self.timesteps,
            "inputs": self.inputs or self.tokens,
            "outputs": self.outputs,
        }


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

    A task may also have ``sizes``, a :class:`Sizes`; a config may then leave out what they say. One whose
    loss is no mean over sequences has ``weight(targets)``: how many numbers the mean is over, such as the
    tokens of a batch. So many workers, or many parts of a batch, find the loss of the whole batch.

    It may have ``own_metrics``, a :class:`Metric` by name, which are measured as those of a config are.
    ``headline`` is the figure that says most of a model: ``accuracy`` (the default), ``loss`` or one of
    ``own_metrics``. It decides the best weights, unless the config names another, and comes first in all
    tables. With a method ``picture_lines(batch, row, results)`` the picture of a row begins with lines
    against timesteps, by name, each ``(timesteps,)``, such as values and their forecasts; NaN where there is
    none. With a method ``tokens(batch, results)`` it says ``inputs``, ``answers`` and ``targets`` for people,
    or some of them: texts by row and timestep, empty where there is none, or vectors
    ``(batch, timesteps, any)``.

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


@runtime_checkable
class StoredTask(Task, Protocol):
    """A task with a fixed number of examples, in three splits; its ``sample`` draws training examples.

    What is trained on is never measured: ``validation`` decides the best weights, and ``test`` gives the
    final figures.

    Attributes:
        sizes: what the data decide of a model.
    """

    sizes: Sizes

    def batches(self, split: Split, batch_size: int, *, seed: int | None = None) -> Iterator[Batch]:
        """Yield every example of a split once; the last batch may be smaller.

        Args:
            split: which examples.
            batch_size: the most rows of a batch.
            seed: of the order, which is the same for the same seed; None: that of the files.
        """

    def count(self, split: Split) -> int:
        """Return the number of examples of a split."""

    def facts(self) -> Mapping[str, str]:
        """Return what was read, in words, by name: ``train``: ``48 examples, 10 to 16 timesteps``."""

    def state(self) -> dict[str, Any]:
        """Return what was learned from the training examples, such as a vocabulary, and the files' checksums.

        It holds what JSON holds, and is saved in the run folder.
        """

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take over a state, so that ``eval`` and ``resume`` read the data as training did.

        Raises:
            ConfigError: the files are not those of the state.
        """


@runtime_checkable
class PredictingTask(StoredTask, Protocol):
    """A task with stored examples that says what results on new ones mean: ``superloop predict``.

    Its factory has two more parameters. ``state`` is what :meth:`state` returned in training, and ``rows``
    the path of a file with new examples, whose targets may be missing. Given both, it reads that file alone,
    learns nothing, and its examples are those of ``test``, in the order of the file.
    """

    def predictions(self, batch: Batch, results: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield what the results mean, in the units and with the names of the data.

        Args:
            batch: of new examples.
            results: ``outputs`` and every trace in :attr:`traces`, as NumPy arrays.

        Yields:
            texts and numbers by column, the same columns each time; one or more for each example.
        """


class Metric(Protocol):
    """A figure for each sequence, made by a :class:`~superloop_core.MetricSpec`'s factory.

    A metric may also have ``higher_is_better``, a bool: then it may decide the best weights and an early stop
    without a mode in the config. One that does not fit a task raises :class:`~superloop_core.ConfigError`.

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
