"""Missing duplicate."""

import numpy as np

from superloop_plugin_tasks.strings import StringTask

MISSING, PADDING = 2, 3


class MissingDuplicate(StringTask):
    """Return the missing bit of a string of bits that is repeated once.

    The length is that of both copies; an odd length ends with _.

    ::

        01100?10    0110 0110    -> 1
        101?01_     101 101      -> 1

    A string of length n takes n + 1 timesteps.

    Reference: Deletang et al., 2023, https://arxiv.org/abs/2207.02098
    """

    verb = "missing in"

    def strings(self, rng: np.random.Generator, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draw bits uniformly, and the place of the missing one."""
        places, half = np.arange(self.settings.length), lengths[:, None] // 2
        word = rng.integers(0, 2, (len(lengths), self.settings.length))
        bits = np.take_along_axis(word, places % half, axis=1)
        missing = rng.integers(0, 2 * half)  # (batch, 1)
        strings = np.select([places == missing, places < 2 * half], [MISSING, bits], PADDING)
        return strings, np.take_along_axis(bits, missing, axis=1)
