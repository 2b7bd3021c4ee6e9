"""The base class of tasks with sequences of many lengths, and its tools."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from superloop_core.task import Annotation, Batch, Sizes
from superloop_plugin_tasks.configs import LengthsConfig
from superloop_plugin_tasks.scoring import all_correct, check_outputs, cross_entropy

TITLE = 60  # characters


class Drawn(NamedTuple):
    """Newly drawn sequences."""

    inputs: np.ndarray  # (batch, timesteps, input_size)
    targets: np.ndarray  # (batch, timesteps) or (batch, timesteps, output_size)
    timesteps: np.ndarray  # (batch,), of each sequence
    sources: Mapping[str, np.ndarray] = MappingProxyType({})  # sources of the loop, by name


class SequenceTask(ABC):
    """A task with classes or bits as targets, and -1 without a target.

    Arrays always have the timesteps that the settings' ``length`` needs. If sequences can have different
    numbers of timesteps, the input ``lengths`` ``(batch,)`` holds them.
    """

    traces: tuple[str, ...] = ()

    def __init__(self, settings: Any):
        self.settings = settings

    @property
    def sizes(self) -> Sizes:
        """The sizes of inputs and outputs."""
        return sizes_of(self.settings)

    def sample(self, rng: np.random.Generator, batch_size: int, longest: int | None = None) -> Batch:
        """Draw sequences.

        Args:
            rng: the generator to draw from.
            batch_size: number of sequences.
            longest: the longest content, for a curriculum; None: the settings' ``length``.
        """
        lengths = draw_lengths(rng, batch_size, self.settings, longest)
        drawn = self.draw(rng, lengths)
        feed = feed_of(drawn.inputs, lengths, drawn.timesteps, self.settings)
        sources = {name: source.astype("float32") for name, source in drawn.sources.items()}
        return Batch(inputs=feed | sources, targets=drawn.targets.astype("int32"))

    @abstractmethod
    def draw(self, rng: np.random.Generator, lengths: np.ndarray) -> Drawn:
        """Draw a sequence of each of the ``lengths`` ``(batch,)``."""

    @abstractmethod
    def title(self, batch: Batch, row: int) -> str:
        """Describe a sequence and its target in a few words."""

    def loss(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Return the mean cross-entropy over all targets.

        Raises:
            ConfigError: the loop has more or fewer outputs than the task needs.
        """
        check_outputs(results, self.settings.output_size)
        return cross_entropy(targets, results)

    def weight(self, targets: np.ndarray) -> int:
        """Return the number of targets that the loss is the mean over."""
        return int(np.count_nonzero(targets >= 0))

    def correct(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Return whether all targets of each sequence are met: ``(batch,)`` of bool."""
        return all_correct(targets, results)

    def annotate(self, batch: Batch, row: int) -> Annotation:
        """Return the title, without labels of slots."""
        return Annotation(title=shortened(self.title(batch, row), TITLE), system="")


def sizes_of(settings: LengthsConfig) -> Sizes:
    """Return the sizes that the settings of a task decide."""
    return Sizes(inputs=settings.input_size, outputs=settings.output_size)


def draw_lengths(
    rng: np.random.Generator, batch_size: int, settings: LengthsConfig, longest: int | None = None
) -> np.ndarray:
    """Draw lengths ``(batch,)`` uniformly from those that the settings allow, up to ``longest``.

    Raises:
        ValueError: ``longest`` is not from ``min_length`` to ``length``.
    """
    low, high = settings.min_length, settings.length
    longest = high if longest is None else longest
    if not low <= longest <= high:
        raise ValueError(f"longest must be from min_length ({low}) to length ({high}): {longest}")
    choices = (longest - low) // settings.step + 1
    return low + settings.step * rng.integers(0, choices, size=batch_size)


def feed_of(
    inputs: np.ndarray, lengths: np.ndarray, timesteps: np.ndarray, settings: LengthsConfig
) -> dict[str, np.ndarray]:
    """Return a loop's inputs by name; the settings decide on ``lengths`` and a length source."""
    feed = {"inputs": inputs.astype("float32")}
    if settings.length_source:
        feed[settings.length_source] = lengths.astype("float32")
    if settings.varies:
        feed["lengths"] = timesteps.astype("int32")
    return feed


def placed(
    content: np.ndarray, starts: np.ndarray, counts: np.ndarray, timesteps: int, empty: int
) -> np.ndarray:
    """Place the first ``counts`` elements of each row of ``content`` from ``starts`` on.

    Args:
        content: ``(batch, some, ...)``.
        starts: ``(batch,)``.
        counts: ``(batch,)``.
        timesteps: of the result.
        empty: the value everywhere else.

    Returns:
        ``(batch, timesteps, ...)``
    """
    index = np.arange(timesteps) - starts[:, None]  # (batch, timesteps)
    inside = (index >= 0) & (index < counts[:, None])
    rows = np.arange(len(content))[:, None]
    picked = content[rows, np.clip(index, 0, content.shape[1] - 1)]
    return np.where(inside.reshape(*inside.shape, *(1,) * (content.ndim - 2)), picked, empty)


def shortened(text: str, size: int) -> str:
    """Replace the middle of a text longer than ``size`` by an ellipsis."""
    if len(text) <= size:
        return text
    half = (size - 3) // 2
    return f"{text[:half]}...{text[-half:]}"
