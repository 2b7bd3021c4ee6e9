"""MySystem, the system itself."""

from typing import Any, NamedTuple

from keras import ops
from superloop_core import System


class MySystemState(NamedTuple):
    """What goes from one timestep to the next; the fields name traces."""

    memory: Any  # (batch, width)


class MySystem(System):
    """A slot of ``width`` numbers; read after the write.

    ::

        erase, write = sigmoid(control[0]), sigmoid(control[1])
        memory' = (1 - erase) * memory + write * tanh(value)
        read    = memory'

    Traces: ``memory`` ``(batch, width)``; ``gates`` ``(batch, 2)``.
    """

    def initial_state(self, sequence):
        """Start with zeros."""
        shape = (sequence.batch_size, self.config.width)
        return MySystemState(ops.zeros(shape, dtype=self.variable_dtype))

    def step(self, control, state, constants):
        """Write, then read: control ``(batch, 2 + width)``."""
        del constants
        gates = ops.sigmoid(control[:, :2])
        erase, write = gates[:, :1], gates[:, 1:]
        memory = (1 - erase) * state.memory + write * ops.tanh(control[:, 2:])
        return memory, MySystemState(memory), {"gates": gates}
