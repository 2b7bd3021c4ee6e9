"""Even pairs."""

import numpy as np

from superloop_plugin_tasks.strings import StringTask


class EvenPairs(StringTask):
    """Return 0 if a string contains 01 and 10 together an even number of times, else 1.

    A pair 01 or 10 is a change of bit, so their number is even if and only if the last bit equals the first.

    ::

        001110    one 01 and one 10      -> 0
        01        one 01                 -> 1

    A string of length n takes n + 1 timesteps.

    Reference: Deletang et al., 2023, https://arxiv.org/abs/2207.02098
    """

    verb = "even pairs"

    def strings(self, rng: np.random.Generator, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draw bits uniformly."""
        bits = rng.integers(0, 2, (len(lengths), self.settings.length))
        last = np.take_along_axis(bits, lengths[:, None] - 1, axis=1)
        return bits, bits[:, :1] ^ last
