"""Copy."""

import numpy as np

from superloop_core.task import Batch
from superloop_plugin_tasks.sequences import Drawn, SequenceTask, placed


class Copy(SequenceTask):
    """Read n binary vectors and a delimiter, and return the vectors in n timesteps without input.

    ::

        vectors      0 1 . . .
                     1 1 . . .
        delimiter    0 0 1 0 0
        targets      - - - 0 1
                     - - - 1 1

    n vectors take 2 n + 1 timesteps.

    Reference: Graves et al., 2014, https://arxiv.org/abs/1410.5401
    """

    def draw(self, rng: np.random.Generator, lengths: np.ndarray) -> Drawn:
        """Draw bits uniformly."""
        settings, timesteps = self.settings, self.settings.timesteps
        vectors = rng.integers(0, 2, (len(lengths), settings.length, settings.width))
        shown = placed(vectors, np.zeros_like(lengths), lengths, timesteps, empty=0)
        delimiter = np.arange(timesteps) == lengths[:, None]
        inputs = np.concatenate([shown, delimiter[:, :, None]], axis=-1)
        return Drawn(inputs, placed(vectors, lengths + 1, lengths, timesteps, empty=-1), 2 * lengths + 1)

    def title(self, batch: Batch, row: int) -> str:
        """``copy 2 vectors of 8 bits``"""
        count = batch.inputs["inputs"][row, :, -1].argmax()
        return f"copy {count} vectors of {self.settings.width} bits"
