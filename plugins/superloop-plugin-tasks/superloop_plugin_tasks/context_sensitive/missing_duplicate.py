"""Missing duplicate."""

import numpy as np

from superloop_plugin_tasks.strings import StringTask

MISSING, PADDING = 2, 3


class MissingDuplicate(StringTask):
    """Tell the bit that is missing, where a string of bits stands twice.

    The length is that of the whole; an odd one ends with _.

    ::

        01100?10    0110 0110    -> 1
        101?01_     101 101      -> 1

    A whole of length n takes n + 1 timesteps.

    Reference: Deletang et al., 2023, https://arxiv.org/abs/2207.02098
    """

    verb = "missing in"

    def strings(self, rng: np.random.Generator, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draw bits evenly, and the missing one evenly of all."""
        places, half = np.arange(self.settings.length), lengths[:, None] // 2
        word = rng.integers(0, 2, (len(lengths), self.settings.length))
        bits = np.take_along_axis(word, places % half, axis=1)
        missing = rng.integers(0, 2 * half)  # (batch, 1)
        strings = np.select([places == missing, places < 2 * half], [MISSING, bits], PADDING)
        return strings, np.take_along_axis(bits, missing, axis=1)
