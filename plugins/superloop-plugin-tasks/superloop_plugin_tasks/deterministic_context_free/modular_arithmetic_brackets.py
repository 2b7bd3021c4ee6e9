"""Modular arithmetic with brackets."""

import numpy as np

from superloop_plugin_tasks.deterministic_context_free.expressions import draw_expressions
from superloop_plugin_tasks.strings import StringTask


class ModularArithmeticBrackets(StringTask):
    """Compute an expression with brackets, and return the remainder.

    ::

        ((1-3)*-2)    4 mod 5    -> 4

    A string of length n takes n + 1 timesteps.

    Reference: Deletang et al., 2023, https://arxiv.org/abs/2207.02098
    """

    verb = "compute"

    def strings(self, rng: np.random.Generator, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draw expressions."""
        settings = self.settings
        strings, values = draw_expressions(
            rng, lengths, settings.length, settings.modulus, settings.operators
        )
        return strings, values[:, None]
