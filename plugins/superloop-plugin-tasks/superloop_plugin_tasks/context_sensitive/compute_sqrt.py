"""Square root."""

from math import isqrt

import numpy as np

from superloop_plugin_tasks.context_sensitive.binary import to_bits, to_integers
from superloop_plugin_tasks.strings import StringTask, backwards


class ComputeSqrt(StringTask):
    """Take the square root of a binary number, the highest bit first, rounded down.

    ::

        100101    37, and 6 * 6 = 36    -> 110

    A string of length n takes n + n / 2 timesteps, rounded up.

    Reference: Deletang et al., 2023, https://arxiv.org/abs/2207.02098 (where the number is not 0)
    """

    verb = "root of"

    def strings(self, rng: np.random.Generator, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draw bits uniformly."""
        length = self.settings.length
        strings = rng.integers(0, 2, (len(lengths), length))
        counted = np.arange(length) < lengths[:, None]
        numbers = to_integers(np.where(counted, backwards(strings, lengths), 0))
        roots = to_bits(list(map(isqrt, numbers)), self.settings.answer_length(length))
        return strings, backwards(roots, self.settings.answer_length(lengths))
