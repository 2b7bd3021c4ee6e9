"""The batches that a run trains on and is measured on."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from superloop_core.task import Batch, Split, StoredTask
from superloop_plugin_lab.experiment import Experiment

MAX_ROWS = 1024  # of a batch
MAX_ROWS_BY_TIMESTEPS = 2**17  # of a batch: 256 rows of 500 timesteps
SPLITS: dict[str, Split] = {"train": "train", "validation": "validation", "final": "test"}


class TrainingBatches:
    """The batches of a run, one after another; a checkpoint holds where it is.

    Newly drawn ones depend on the generator. Stored examples come in epochs: each example once, in an order
    that the seed and the number of the epoch decide. A smaller last batch is left out where there is a whole
    one: the order of the next epoch is another.

    Attributes:
        generator: of newly drawn sequences.
        position: of stored examples: epochs that are complete, and batches taken of the next one.
    """

    def __init__(self, experiment: Experiment):
        self._experiment = experiment
        self.generator = experiment.generator("train")
        self.position = (0, 0)
        self._epoch: Iterator[Batch] | None = None

    def load(self, generator: dict[str, Any], position: tuple[int, int]) -> None:
        """Go on from where a checkpoint was saved."""
        self.generator.bit_generator.state = generator
        self.position, self._epoch = position, None

    def next(self, step: int) -> Batch:
        """Return the batch of a training step."""
        task, settings = self._experiment.task, self._experiment.settings
        size = settings.batch_size * settings.accumulate
        if not isinstance(task, StoredTask):
            return self._experiment.training_batch(self.generator, step)
        if self._epoch is None:
            epoch, taken = self.position
            seed = np.random.SeedSequence([self._experiment.settings.seed, epoch]).generate_state(1)[0]
            self._epoch = islice(task.batches("train", size, seed=int(seed)), taken, None)
        for batch in self._epoch:
            epoch, taken = self.position
            self.position = epoch, taken + 1
            if taken == 0 or len(batch.targets) == size:
                return batch
        self.position, self._epoch = (self.position[0] + 1, 0), None
        return self.next(step)


def measured_batches(
    experiment: Experiment, purpose: str, sequences: int, rng: np.random.Generator | None = None
) -> Iterator[Batch]:
    """Yield the batches of a measurement: all stored examples of a split, or newly drawn sequences.

    Args:
        experiment: with the task.
        purpose: ``validation``, ``final``; for stored examples also ``train``.
        sequences: number of newly drawn ones.
        rng: draws them; None: the generator of the purpose.
    """
    task, rows = experiment.task, rows_at_once(experiment.timesteps)
    if isinstance(task, StoredTask):
        yield from task.batches(SPLITS[purpose], rows)
        return
    rng = experiment.generator(purpose) if rng is None else rng
    for start in range(0, sequences, rows):
        yield task.sample(rng, min(rows, sequences - start))


def pictured_batch(experiment: Experiment, rows: int, rng: np.random.Generator | None = None) -> Batch:
    """Return test sequences for a picture: newly drawn, or the first stored ones, which may be fewer."""
    if isinstance(experiment.task, StoredTask):
        return next(iter(experiment.task.batches("test", rows)))
    return experiment.task.sample(experiment.generator("picture") if rng is None else rng, rows)


def rows_at_once(timesteps: int) -> int:
    """Return the number of sequences in a batch: a power of 2, at most 1,024, fewer where they are long."""
    rows = max(1, min(MAX_ROWS, MAX_ROWS_BY_TIMESTEPS // timesteps))
    return int(1 << (rows.bit_length() - 1))
