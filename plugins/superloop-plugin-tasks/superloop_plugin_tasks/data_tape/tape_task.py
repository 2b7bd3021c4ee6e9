"""What tasks with a data tape share."""

from abc import abstractmethod

import numpy as np

from superloop_core.task import Annotation, Batch
from superloop_plugin_tasks.sequences import SequenceTask, draw_lengths, feed_of, shortened


class TapeTask(SequenceTask):
    """A task whose batches hold a tape, as the source ``<system>_data`` ``(batch, length, width)``."""

    @property
    def source(self) -> str:
        """The name of the source."""
        return f"{self.settings.system}_data"

    def sample(self, rng: np.random.Generator, batch_size: int, longest: int | None = None) -> Batch:
        """Draw tapes, and sequences that read them; the arguments are those of every sequence task."""
        lengths = draw_lengths(rng, batch_size, self.settings, longest)
        tape = self.tapes(rng, lengths)
        inputs, targets, timesteps = self.read(rng, lengths, tape)
        feed = feed_of(inputs, lengths, timesteps, self.settings)
        written = np.arange(tape.shape[1]) < lengths[:, None]  # (batch, length)
        feed[self.source] = (self.encoded(tape) * written[..., None]).astype("float32")
        return Batch(inputs=feed, targets=targets.astype("int32"))

    def draw(
        self, rng: np.random.Generator, lengths: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw tapes, and what reads them."""
        return self.read(rng, lengths, self.tapes(rng, lengths))

    @abstractmethod
    def tapes(self, rng: np.random.Generator, lengths: np.ndarray) -> np.ndarray:
        """Draw what stands on tapes, ``(batch, length, ...)``; what is past each one's length is not read."""

    @abstractmethod
    def read(
        self, rng: np.random.Generator, lengths: np.ndarray, tape: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw what is asked of tapes; returns what ``draw`` does."""

    @abstractmethod
    def encoded(self, tape: np.ndarray) -> np.ndarray:
        """Return the datapoints ``(batch, length, width)``."""

    @abstractmethod
    def labels(self, datapoints: np.ndarray) -> tuple[str, ...]:
        """Tell what stands on a tape ``(length, width)``, a label for each slot; empty where nothing does."""

    def annotate(self, batch: Batch, row: int) -> Annotation:
        """Label the tape."""
        return Annotation(
            title=shortened(self.title(batch, row), 60),
            system=self.settings.system,
            slots=self.labels(batch.inputs[self.source][row]),
        )
