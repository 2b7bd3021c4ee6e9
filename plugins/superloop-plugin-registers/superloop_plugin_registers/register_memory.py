"""A memory of registers, addressed by softmax."""

from typing import Any, ClassVar, NamedTuple

import tensorflow as tf
from keras import ops

from superloop_core import Sequence, System, TraceView
from superloop_core.builder import Tensor
from superloop_plugin_registers import RegisterMemoryConfig


class RegisterMemoryState(NamedTuple):
    """The registers' contents."""

    memory: Tensor  # (batch, depth, width)


class RegisterMemory(System[RegisterMemoryConfig]):
    """``depth`` registers of ``width`` numbers, written and then read in each step.

    ::

        store, recall, data = control, split in depth, depth and width numbers
        s = softmax(store),  r = softmax(recall)
        memory' = (1 - s) * memory + s data^T
        read    = r^T memory'

    Reference: Csirmaz, superloop, 2018, https://github.com/csirmaz/superloop

    Traces: ``memory`` ``(batch, depth, width)``; ``write_weights`` s and ``read_weights`` r,
    ``(batch, depth)``.
    """

    trace_views: ClassVar = {
        "memory": TraceView("slots", "slot", "number"),
        "write_weights": TraceView("weights", "slot"),
        "read_weights": TraceView("weights", "slot"),
    }

    def initial_state(self, sequence: Sequence) -> RegisterMemoryState:
        """Start with registers of zeros."""
        shape = (sequence.batch_size, self.config.depth, self.config.width)
        return RegisterMemoryState(ops.zeros(shape, dtype=self.variable_dtype))

    def step(
        self, control: Tensor, state: RegisterMemoryState, constants: Any
    ) -> tuple[Tensor, RegisterMemoryState, dict[str, Tensor]]:
        """Write, then read. The control is ``(batch, 2 depth + width)``."""
        del constants
        depth = self.config.depth
        store, recall, data = ops.split(control, [depth, 2 * depth], axis=-1)
        # Keras's softmax warns about a single register.
        store, recall = tf.nn.softmax(store), tf.nn.softmax(recall)  # (batch, depth)
        written = store[:, :, None] * data[:, None]  # (batch, depth, width)
        memory = (1 - store)[:, :, None] * state.memory + written
        read = ops.squeeze(recall[:, None] @ memory, axis=1)  # (batch, width)
        return read, RegisterMemoryState(memory), {"write_weights": store, "read_weights": recall}
