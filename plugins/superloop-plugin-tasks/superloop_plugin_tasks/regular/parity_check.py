"""Parity check."""

import numpy as np

from superloop_plugin_tasks.strings import StringTask


class ParityCheck(StringTask):
    """Return 0 if a string has an even number of ones, else 1.

    ::

        1010100    three ones    -> 1
        01111      four          -> 0

    A string of length n takes n + 1 timesteps.

    Reference: Deletang et al., 2023, https://arxiv.org/abs/2207.02098
    """

    verb = "parity"

    def strings(self, rng: np.random.Generator, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draw bits uniformly."""
        bits = rng.integers(0, 2, (len(lengths), self.settings.length))
        counted = np.arange(self.settings.length) < lengths[:, None]
        return bits, (bits * counted).sum(axis=1, keepdims=True) % 2
