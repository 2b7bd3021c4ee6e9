"""Stack manipulation."""

import numpy as np

from superloop_plugin_tasks.strings import StringTask

POP, END = 2, 2


class StackManipulation(StringTask):
    """Read a stack, bottom first, and actions on it; return the resulting stack, top first, and an end.

    P pops, o pushes a 0, i pushes a 1. A pop of the empty stack has no effect.

    ::

        0110iPP    011 is left        -> 110.
        110PPP     nothing is left    -> .

    The first symbols are the stack: of n symbols from 1 to n - 1, drawn uniformly (1 of 1). The others are
    actions. A string of length n takes 2 n + 1 timesteps.

    Reference: Deletang et al., 2023, https://arxiv.org/abs/2207.02098
    """

    verb = "stack"

    def strings(self, rng: np.random.Generator, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draw bits and actions uniformly."""
        shape = rows, length = len(lengths), self.settings.length
        given = rng.integers(1, np.maximum(lengths, 2))[:, None]
        bits, actions = rng.integers(0, 2, shape), rng.integers(2, 5, shape)
        strings = np.where(np.arange(length) < given, bits, actions)
        stack, height = np.zeros((rows, length), "int64"), np.zeros(rows, "int64")
        for place in range(length):
            symbol, goes_on = strings[:, place], place < lengths
            pushes = np.flatnonzero(goes_on & (symbol != POP))
            stack[pushes, height[pushes]] = np.where(symbol < POP, symbol, symbol - 3)[pushes]
            height[pushes] += 1
            height -= goes_on & (symbol == POP) & (height > 0)
        from_top = height[:, None] - 1 - np.arange(length + 1)  # -1 is the end
        answers = np.take_along_axis(stack, np.maximum(from_top, 0), axis=1)
        return strings, np.select([from_top >= 0, from_top == -1], [answers, END], -1)
