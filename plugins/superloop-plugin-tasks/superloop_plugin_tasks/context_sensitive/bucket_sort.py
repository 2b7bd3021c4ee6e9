"""Bucket sort."""

import numpy as np

from superloop_plugin_tasks.strings import StringTask


class BucketSort(StringTask):
    """Return the symbols of a string in the order of the alphabet.

    ::

        bacaebbc    -> aabbbcce

    A string of length n takes 2 n timesteps.

    Reference: Deletang et al., 2023, https://arxiv.org/abs/2207.02098
    """

    verb = "sort"

    def strings(self, rng: np.random.Generator, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draw symbols uniformly."""
        length, symbols = self.settings.length, self.settings.symbols
        strings = rng.integers(0, symbols, (len(lengths), length))
        counted = np.arange(length) < lengths[:, None]
        return strings, np.sort(np.where(counted, strings, symbols), axis=1)
