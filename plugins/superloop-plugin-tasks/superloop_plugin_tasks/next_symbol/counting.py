"""Counting: a^n b^n, a^n b^n c^n and so on."""

import numpy as np

from superloop_core.task import Batch
from superloop_plugin_tasks.sequences import Drawn, SequenceTask, placed


class Counting(SequenceTask):
    """Predict which letters may follow in a^n b^n, a^n b^n c^n and so on, n >= 1.

    After the first letter, it or the next may follow. After the second letter n is known, and only one symbol
    may follow, at last the end. A sequence begins with a start symbol.

    ::

        inputs     ^ a  a  b b        a^2 b^2
        targets    a ab ab b $

    k letters, n times each, take 1 + k n timesteps.

    References: Gers and Schmidhuber, 2001, IEEE Transactions on Neural Networks 12(6), 1333-1340; the targets
    as in Suzgun et al., 2019, https://arxiv.org/abs/1906.03648
    """

    def draw(self, rng: np.random.Generator, lengths: np.ndarray) -> Drawn:
        """Return the sequences, which the lengths determine."""
        del rng
        letters, timesteps = self.settings.letters, self.settings.timesteps
        times, place = lengths[:, None], np.arange(timesteps)
        start = letters
        symbol = np.where(place == 0, start, (place - 1) // times)  # (batch, timesteps)
        next_symbol = place // times  # the end is the symbol after the last letter
        one_hot, follows = (s[:, :, None] == np.arange(letters + 1) for s in (symbol, next_symbol))
        follows |= (symbol == 0)[:, :, None] & (np.arange(letters + 1) < 2)
        counts, starts = 1 + letters * lengths, np.zeros_like(lengths)
        inputs = placed(one_hot, starts, counts, timesteps, empty=0)
        return Drawn(inputs, placed(follows.astype("int64"), starts, counts, timesteps, empty=-1), counts)

    def title(self, batch: Batch, row: int) -> str:
        """``a^4 b^4``"""
        times = int(batch.inputs["inputs"][row, :, 0].sum())
        return " ".join(f"{chr(ord('a') + letter)}^{times}" for letter in range(self.settings.letters))
