"""Duplicate string."""

import numpy as np

from superloop_plugin_tasks.strings import StringTask


class DuplicateString(StringTask):
    """Return a string twice.

    ::

        abb    -> abbabb

    A string of length n takes 3 n timesteps.

    Reference: Deletang et al., 2023, https://arxiv.org/abs/2207.02098
    """

    verb = "duplicate"

    def strings(self, rng: np.random.Generator, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draw symbols uniformly."""
        length = self.settings.length
        strings = rng.integers(0, self.settings.symbols, (len(lengths), length))
        return strings, np.take_along_axis(strings, np.arange(2 * length) % lengths[:, None], axis=1)
