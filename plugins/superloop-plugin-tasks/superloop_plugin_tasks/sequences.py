"""What tasks with sequences of many lengths share."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from superloop_core.task import Annotation, Batch
from superloop_plugin_tasks.configs import LengthsConfig
from superloop_plugin_tasks.scoring import all_right, check_outputs, cross_entropy

TITLE = 60  # characters


class Drawn(NamedTuple):
    """Sequences: what they are fed and asked, and how many timesteps each has."""

    inputs: np.ndarray  # (batch, timesteps, input_size)
    targets: np.ndarray  # (batch, timesteps) or (batch, timesteps, output_size)
    timesteps: np.ndarray  # (batch,)
    sources: Mapping[str, np.ndarray] = MappingProxyType({})  # of the loop, by name


class SequenceTask(ABC):
    """A task with classes or bits as targets, -1 where nothing is asked.

    Arrays are as long as the settings' ``length`` needs, whatever is drawn. Where the sequences differ in
    their timesteps, ``lengths`` tells how many each has.
    """

    traces: tuple[str, ...] = ()

    def __init__(self, settings: Any):
        self.settings = settings

    def sample(self, rng: np.random.Generator, batch_size: int, longest: int | None = None) -> Batch:
        """Draw sequences.

        Args:
            rng: where they come from.
            batch_size: how many.
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
        """Tell a sequence and its target."""

    def loss(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Return the mean cross-entropy of what is asked.

        Raises:
            ConfigError: the loop gives more or fewer outputs than the task needs.
        """
        check_outputs(results, self.settings.output_size)
        return cross_entropy(targets, results)

    def correct(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Tell whether all that is asked of a sequence is right."""
        return all_right(targets, results)

    def annotate(self, batch: Batch, row: int) -> Annotation:
        """Give the title; no system's slots are labelled."""
        return Annotation(title=shortened(self.title(batch, row), TITLE), system="")


def draw_lengths(
    rng: np.random.Generator, batch_size: int, settings: LengthsConfig, longest: int | None = None
) -> np.ndarray:
    """Draw lengths ``(batch,)`` evenly from those that the settings allow, up to ``longest``.

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
    """Return what a loop is fed: the inputs, and what there is to be told of their lengths."""
    feed = {"inputs": inputs.astype("float32")}
    if settings.length_source:
        feed[settings.length_source] = lengths.astype("float32")
    if settings.varies:
        feed["lengths"] = timesteps.astype("int32")
    return feed


def placed(
    content: np.ndarray, starts: np.ndarray, counts: np.ndarray, timesteps: int, empty: int
) -> np.ndarray:
    """Put the first ``counts`` of each row of ``content`` from ``starts`` on, and ``empty`` elsewhere.

    Args:
        content: ``(batch, some, ...)``.
        starts: ``(batch,)``.
        counts: ``(batch,)``.
        timesteps: how many the result has.
        empty: what stands where nothing is put.

    Returns:
        ``(batch, timesteps, ...)``
    """
    index = np.arange(timesteps) - starts[:, None]  # (batch, timesteps)
    inside = (index >= 0) & (index < counts[:, None])
    rows = np.arange(len(content))[:, None]
    picked = content[rows, np.clip(index, 0, content.shape[1] - 1)]
    return np.where(inside.reshape(*inside.shape, *(1,) * (content.ndim - 2)), picked, empty)


def shortened(text: str, size: int) -> str:
    """Leave out the middle of a text that is too long."""
    if len(text) <= size:
        return text
    half = (size - 3) // 2
    return f"{text[:half]}...{text[-half:]}"
