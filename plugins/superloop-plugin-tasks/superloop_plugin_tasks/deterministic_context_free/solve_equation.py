"""Solve equation."""

import numpy as np

from superloop_plugin_tasks.deterministic_context_free.expressions import draw_expressions
from superloop_plugin_tasks.strings import StringTask


class SolveEquation(StringTask):
    """Find x in an equation with brackets, + and -, modulo 5; x occurs once, so there is one solution.

    ::

        ((1-x)+-2)=3    1 - 1 - 2 = 3 mod 5    -> 1

    A string of length n takes n + 1 timesteps.

    Reference: Deletang et al., 2023, https://arxiv.org/abs/2207.02098
    """

    verb = "solve"

    def strings(self, rng: np.random.Generator, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draw expressions, and replace one of their digits by x, uniformly."""
        rows, length, modulus = np.arange(len(lengths)), self.settings.length, self.settings.modulus
        strings, values = draw_expressions(rng, lengths - 2, length, modulus, operators=2)
        is_digit = (strings >= 0) & (strings < modulus)
        unknown = np.where(is_digit, rng.random(strings.shape), -1).argmax(axis=1)
        answers = strings[rows, unknown]
        strings[rows, unknown] = self.settings.alphabet.index("x")
        strings[rows, lengths - 2] = self.settings.alphabet.index("=")
        strings[rows, lengths - 1] = values
        return strings, answers[:, None]
