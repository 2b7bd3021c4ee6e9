"""The differentiable neural computer."""

from typing import Any, NamedTuple

import tensorflow as tf

from superloop_core import Sequence, System
from superloop_core.builder import Tensor
from superloop_plugin_dnc.allocation import allocation, next_usage
from superloop_plugin_dnc.content import content_weights
from superloop_plugin_dnc.interface import interface
from superloop_plugin_dnc.links import follow, next_links


class UnlinkedState(NamedTuple):
    """The memory, how much its slots are in use, and where it was written and read last."""

    memory: Tensor  # (batch, slots, width)
    usage: Tensor  # (batch, slots)
    write_weights: Tensor  # (batch, slots)
    read_weights: Tensor  # (batch, read_heads, slots)


class DNCState(NamedTuple):
    """The same, and in which order slots were written."""

    memory: Tensor  # (batch, slots, width)
    usage: Tensor  # (batch, slots)
    write_weights: Tensor  # (batch, slots)
    read_weights: Tensor  # (batch, read_heads, slots)
    link: Tensor  # (batch, slots, slots)
    precedence: Tensor  # (batch, slots)


class DNC(System):
    """A memory that is read by content and by the order of writes, and allocates the slots it writes to."""

    learned_fields = ("memory",)

    def initial_state(self, sequence: Sequence) -> UnlinkedState | DNCState:
        """Start with an empty memory, nothing in use: zeros."""
        rows, slots, config = sequence.batch_size, self.config.slots, self.config
        shapes = [(rows, slots, config.width), (rows, slots), (rows, slots), (rows, config.read_heads, slots)]
        if config.links == "none":
            return UnlinkedState(*(tf.zeros(shape, self.variable_dtype) for shape in shapes))
        shapes += [(rows, slots, slots), (rows, slots)]
        return DNCState(*(tf.zeros(shape, self.variable_dtype) for shape in shapes))

    def step(
        self, control: Tensor, state: UnlinkedState | DNCState, constants: Any
    ) -> tuple[Tensor, UnlinkedState | DNCState, dict[str, Tensor]]:
        """Free and allocate, write, link, then read: control ``(batch, control_size)``."""
        del constants
        config = self.config
        told = interface(control, config)

        usage = next_usage(state.usage, state.write_weights, state.read_weights, told.free_gates)
        by_content = content_weights(state.memory, told.write_key, told.write_strength)[:, 0]
        chosen = told.allocation_gate * allocation(usage) + (1 - told.allocation_gate) * by_content
        write_weights = told.write_gate * chosen  # (batch, slots)
        w = write_weights[:, :, None]
        memory = state.memory * (1 - w * told.erase[:, None]) + w * told.write_vector[:, None]

        read_weights = content_weights(memory, told.read_keys, told.read_strengths, config.top_k)
        new = UnlinkedState(memory, usage, write_weights, read_weights)
        if config.links != "none":
            kept = config.top_k if config.links == "sparse" else 0
            link, precedence = next_links(state.link, state.precedence, write_weights, kept)
            ways = [*follow(link, state.read_weights), read_weights]
            read_weights = sum(told.read_modes[:, :, m, None] * way for m, way in enumerate(ways))
            new = DNCState(memory, usage, write_weights, read_weights, link, precedence)
        read = tf.reshape(tf.matmul(read_weights, memory), [-1, self.output_size])
        named = {
            "allocation_gate": told.allocation_gate,
            "write_gate": told.write_gate,
            "free_gates": told.free_gates,
        }
        if config.links != "none":
            named["read_modes"] = told.read_modes
        return read, new, named
