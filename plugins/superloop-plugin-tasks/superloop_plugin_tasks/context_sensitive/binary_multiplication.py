"""Binary multiplication."""

from operator import mul

import numpy as np

from superloop_plugin_tasks.context_sensitive.binary import draw_calculations
from superloop_plugin_tasks.strings import StringTask


class BinaryMultiplication(StringTask):
    """Multiply two binary numbers, the lowest bit first; the result is followed by an end.

    ::

        001*01101    4 * 22 = 88    -> 0001101.

    A string of length n takes 2 n timesteps.

    Reference: Deletang et al., 2023, https://arxiv.org/abs/2207.02098 (where no number is 0)
    """

    verb = "multiply"

    def strings(self, rng: np.random.Generator, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draw bits uniformly."""
        return draw_calculations(rng, lengths, self.settings.length, mul)
