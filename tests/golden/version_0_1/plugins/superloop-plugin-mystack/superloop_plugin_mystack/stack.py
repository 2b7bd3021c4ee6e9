from typing import Any, NamedTuple

from keras import ops

from superloop_core import System


class StackState(NamedTuple):
    cells: Any  # (batch, depth, width); cells[:, 0] is the top


class Stack(System):
    """A continuous stack: it pushes, pops and stays at once, each by its share.

    Source: Joulin and Mikolov, 2015, https://arxiv.org/abs/1503.01007
    """

    def initial_state(self, sequence):
        shape = (sequence.batch_size, self.config.depth, self.config.width)
        return StackState(ops.zeros(shape, dtype=self.variable_dtype))

    def step(self, control, state, constants):
        del constants
        actions = ops.softmax(control[:, :3])  # (batch, 3)
        push, pop, stay = (actions[:, i, None, None] for i in range(3))
        value = control[:, None, 3:]  # (batch, 1, width)
        pushed = ops.concatenate([value, state.cells[:, :-1]], axis=1)
        popped = ops.concatenate([state.cells[:, 1:], ops.zeros_like(value)], axis=1)
        cells = push * pushed + pop * popped + stay * state.cells  # (batch, depth, width)
        return cells[:, 0], StackState(cells), {"actions": actions}
