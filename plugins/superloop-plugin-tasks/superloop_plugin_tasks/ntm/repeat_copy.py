"""Repeat copy."""

import numpy as np

from superloop_core.task import Batch
from superloop_plugin_tasks.sequences import Drawn, SequenceTask, placed

MEAN, DEVIATION = 5.5, 8.25**0.5  # of numbers drawn uniformly from 1 to 10, as in the paper


class RepeatCopy(SequenceTask):
    """Read n binary vectors and a number r; return the vectors r times, then an end marker.

    r is shown at the delimiter's timestep, on its own channel, as (r - 5.5) / 2.87: mean 0 and variance 1 for
    r from 1 to 10. The settings do not change this scale, so that a trained network can be tested on larger
    r. At the end marker's timestep all other bits are 0.

    ::

        vectors      0 1  .   . . . .  .
        delimiter    0 0  1   0 0 0 0  0
        repeats      0 0 -1.2 0 0 0 0  0        (r = 2)
        targets      - -  -   0 1 0 1  0
        end          - -  -   0 0 0 0  1

    n vectors and r repeats take n + 1 + n r + 1 timesteps.

    Reference: Graves et al., 2014, https://arxiv.org/abs/1410.5401
    """

    def draw(self, rng: np.random.Generator, lengths: np.ndarray) -> Drawn:
        """Draw bits and repeats uniformly."""
        settings, timesteps = self.settings, self.settings.timesteps
        repeats = rng.integers(settings.min_repeats, settings.repeats + 1, len(lengths))  # (batch,)
        vectors = rng.integers(0, 2, (len(lengths), settings.length, settings.width))
        shown = placed(vectors, np.zeros_like(lengths), lengths, timesteps, empty=0)
        delimiter = np.arange(timesteps) == lengths[:, None]
        number = delimiter * ((repeats - MEAN) / DEVIATION)[:, None]
        inputs = np.concatenate([shown, delimiter[:, :, None], number[:, :, None]], axis=-1)

        places, copied = np.arange(settings.length * settings.repeats + 1), (lengths * repeats)[:, None]
        rows = np.arange(len(lengths))[:, None]
        copies = vectors[rows, places % lengths[:, None]] * (places < copied)[:, :, None]
        answers = np.concatenate([copies, (places == copied)[:, :, None]], axis=-1)
        returned = lengths * repeats + 1
        targets = placed(answers, lengths + 1, returned, timesteps, empty=-1)
        return Drawn(inputs, targets, lengths + 1 + returned)

    def title(self, batch: Batch, row: int) -> str:
        """``copy 2 vectors 3 times``"""
        inputs = batch.inputs["inputs"][row]
        count = inputs[:, -2].argmax()
        return f"copy {count} vectors {round(float(inputs[count, -1]) * DEVIATION + MEAN)} times"
