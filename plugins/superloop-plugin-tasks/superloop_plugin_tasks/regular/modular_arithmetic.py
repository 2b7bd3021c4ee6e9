"""Modular arithmetic without brackets."""

import numpy as np

from superloop_plugin_tasks.strings import StringTask


class ModularArithmetic(StringTask):
    """Compute numbers with +, - and * between them, products first, and return the remainder.

    ::

        1+2*3    7 mod 5     -> 2
        1-1-1    -1 mod 5    -> 4

    A string of length n, which is odd, takes n + 1 timesteps.

    Reference: Deletang et al., 2023, https://arxiv.org/abs/2207.02098
    """

    verb = "compute"

    def strings(self, rng: np.random.Generator, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draw numbers and operators uniformly."""
        rows, length, modulus = len(lengths), self.settings.length, self.settings.modulus
        strings = np.empty((rows, length), "int64")
        strings[:, ::2] = rng.integers(0, modulus, (rows, length // 2 + 1))
        strings[:, 1::2] = modulus + rng.integers(0, 3, (rows, length // 2))
        total, term = np.zeros(rows, "int64"), strings[:, 0]
        for place in range(1, length, 2):
            operator, number = strings[:, place] - modulus, strings[:, place + 1]
            goes_on = place < lengths
            ended = goes_on & (operator != 2)  # + and - end a term
            total = np.where(ended, total + term, total) % modulus
            signed = np.select([operator == 0, operator == 1], [number, -number], term * number)
            term = np.where(goes_on, signed % modulus, term)
        return strings, ((total + term) % modulus)[:, None]
