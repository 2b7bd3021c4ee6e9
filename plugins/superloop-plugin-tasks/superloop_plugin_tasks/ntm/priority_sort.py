"""Priority sort."""

import numpy as np

from superloop_core.task import Batch
from superloop_plugin_tasks.sequences import Drawn, SequenceTask, placed


class PrioritySort(SequenceTask):
    """Read n binary vectors, each with a priority from -1 to 1; return the highest, the highest first.

    ::

        vectors      A  B  C  D  . . .
        priorities  .1 .7 -1 .3  0 0 0
        delimiter    0  0  0  0  1 0 0
        targets      -  -  -  -  - B D        (the 2 highest)

    n vectors, of which k are returned, take n + 1 + k timesteps.

    Reference: Graves et al., 2014, https://arxiv.org/abs/1410.5401
    """

    def draw(self, rng: np.random.Generator, lengths: np.ndarray) -> Drawn:
        """Draw bits and priorities uniformly."""
        settings, timesteps = self.settings, self.settings.timesteps
        vectors = rng.integers(0, 2, (len(lengths), settings.length, settings.width))
        priorities = rng.uniform(-1, 1, (len(lengths), settings.length)).astype("float32")
        rated = np.concatenate([vectors, priorities[:, :, None]], axis=-1)
        shown = placed(rated, np.zeros_like(lengths), lengths, timesteps, empty=0)
        delimiter = np.arange(timesteps) == lengths[:, None]
        inputs = np.concatenate([shown, delimiter[:, :, None]], axis=-1)

        counted = np.arange(settings.length) < lengths[:, None]
        order = np.argsort(np.where(counted, -priorities, np.inf), axis=1, kind="stable")
        answers = np.take_along_axis(vectors, order[:, :, None], axis=1)
        returned = np.minimum(lengths, settings.highest)
        targets = placed(answers, lengths + 1, returned, timesteps, empty=-1)
        return Drawn(inputs, targets, lengths + 1 + returned)

    def title(self, batch: Batch, row: int) -> str:
        """``sort 20 vectors, the 16 highest``"""
        count = batch.inputs["inputs"][row, :, -1].argmax()
        return f"sort {count} vectors, the {min(count, self.settings.highest)} highest"
