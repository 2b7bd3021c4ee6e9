"""Odds first."""

import numpy as np

from superloop_plugin_tasks.strings import StringTask


class OddsFirst(StringTask):
    """Return the symbols at odd places, counted from 1, then those at even places.

    ::

        aabbabab    a b a a, a b b b    -> abaaabbb

    A string of length n takes 2 n timesteps.

    Reference: Deletang et al., 2023, https://arxiv.org/abs/2207.02098, by the definition in its text, where
    s_1 is first (the authors' program returns the symbols at even places first)
    """

    verb = "odds first"

    def strings(self, rng: np.random.Generator, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draw symbols uniformly."""
        length = self.settings.length
        strings = rng.integers(0, self.settings.symbols, (len(lengths), length))
        places, odds = np.arange(length), (lengths[:, None] + 1) // 2
        order = np.where(places < odds, 2 * places, 2 * (places - odds) + 1)
        return strings, np.take_along_axis(strings, np.clip(order, 0, length - 1), axis=1)
