"""Reverse string."""

import numpy as np

from superloop_plugin_tasks.strings import StringTask, backwards


class ReverseString(StringTask):
    """Return a string backwards.

    ::

        aabb    -> bbaa

    A string of length n takes 2 n timesteps.

    Reference: Deletang et al., 2023, https://arxiv.org/abs/2207.02098
    """

    verb = "reverse"

    def strings(self, rng: np.random.Generator, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draw symbols uniformly."""
        strings = rng.integers(0, self.settings.symbols, (len(lengths), self.settings.length))
        return strings, backwards(strings, lengths)
