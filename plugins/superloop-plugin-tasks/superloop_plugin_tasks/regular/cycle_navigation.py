"""Cycle navigation."""

import numpy as np

from superloop_plugin_tasks.strings import StringTask


class CycleNavigation(StringTask):
    """Take steps on a circle, back (-), none (0) or forth (+), and return the place, counted from 0.

    ::

        +-0--    -2 of 5 places    -> 3
        +++-      2 of 5 places    -> 2

    A string of length n takes n + 1 timesteps.

    Reference: Deletang et al., 2023, https://arxiv.org/abs/2207.02098
    """

    verb = "walk"

    def strings(self, rng: np.random.Generator, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draw steps uniformly."""
        steps = rng.integers(0, 3, (len(lengths), self.settings.length))
        taken = np.arange(self.settings.length) < lengths[:, None]
        return steps, ((steps - 1) * taken).sum(axis=1, keepdims=True) % self.settings.places
