"""The base of the neural stack, queue and deque: control, state, pop, push and read."""

import math
from collections.abc import Callable
from typing import ClassVar, NamedTuple, TypeVar

import tensorflow as tf
from keras import ops

from superloop_core import Sequence, System, TraceView
from superloop_core.builder import Tensor
from superloop_plugin_stacks.settings import NeuralMemoryConfig

ConfigT = TypeVar("ConfigT", bound=NeuralMemoryConfig)

POP_BIAS = -1.0


class NeuralState(NamedTuple):
    """Values and strengths from the top to the bottom; the latest push at the top comes first."""

    values: Tensor  # (batch, memories, slots, width)
    strengths: Tensor  # (batch, memories, slots)


class NeuralMemory(System[ConfigT]):
    """The base class: values with strengths, a slot for each timestep and end.

    The control holds, for all ends of all memories, first the push strengths d, then the pop strengths u, and
    then the values v: d and u are sigmoids of it, v is its tanh or linear. u is multiplied by ``max_pop``.

    The initial state cannot be learned: where both are zero, no gradient reaches values or strengths.
    """

    learned_fields = ()

    trace_views: ClassVar = {
        "values": TraceView("stack", "memory", "slot", "number"),
        "strengths": TraceView("weights", "memory", "slot"),
        "push": TraceView("scalar", "memory", "end"),
        "pop": TraceView("scalar", "memory", "end"),
    }

    def control_bias_initializer(self, shape: tuple[int, ...], dtype: str | None = None) -> Tensor:
        """Initialize pop strengths with sigmoid(-1), whatever ``max_pop`` is; the rest of the bias is zero.

        A memory that is popped more than it is pushed stays empty, and its use is not learned (the paper,
        appendix B).
        """
        pushes = pops = shape[0] // (2 + self.config.width)
        values = shape[0] - pushes - pops
        # log(u / (max_pop - u)) with u = sigmoid(POP_BIAS)
        of_pops = POP_BIAS - math.log1p((self.config.max_pop - 1) * (1 + math.exp(POP_BIAS)))
        bias = tf.concat([tf.zeros([pushes]), tf.fill([pops], of_pops), tf.zeros([values])], axis=0)
        return tf.cast(bias, dtype or self.variable_dtype)

    def initial_state(self, sequence: Sequence) -> NeuralState:
        """Start with empty memories.

        Raises:
            SuperloopError: the capacity is the number of timesteps, which is not known.
        """
        config = self.config
        capacity = config.capacity or sequence.timesteps_for("capacity")
        shape = (sequence.batch_size, config.memories, config.ends * capacity)
        return NeuralState(
            values=ops.zeros((*shape, config.width), dtype=self.variable_dtype),
            strengths=ops.zeros(shape, dtype=self.variable_dtype),
        )

    def interface(self, control: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Split the control: d and u ``(batch, memories, ends)``, v ``(batch, memories, ends, width)``."""
        config = self.config
        scores, value = ops.split(control, [2 * config.memories * config.ends], axis=-1)
        amounts = ops.reshape(ops.sigmoid(scores), (-1, 2, config.memories, config.ends))
        value = ops.reshape(value, (-1, config.memories, config.ends, config.width))
        pop = amounts[:, 1] if config.max_pop == 1 else config.max_pop * amounts[:, 1]
        return amounts[:, 0], pop, ops.tanh(value) if config.value == "tanh" else value

    def read(self, state: NeuralState, *nearer: Callable[[Tensor], Tensor]) -> Tensor:
        """Read a strength of 1 from each end: ``(batch, memories * ends * width)``.

        ::

            r = sum_i min(s_i, max(0, 1 - nearer_i)) V_i         nearer_i: the strength between i and the end
        """
        s = state.strengths
        weights = [ops.minimum(s, ops.relu(1 - sums(s))) for sums in nearer]
        read = ops.stack(weights, axis=2) @ state.values  # (batch, memories, ends, width)
        return ops.reshape(read, (-1, self.output_size))


def above(strengths: Tensor) -> Tensor:
    """Return the strength above each slot, which a stack pops and reads before it."""
    return tf.cumsum(strengths, axis=-1, exclusive=True)


def below(strengths: Tensor) -> Tensor:
    """Return the strength below each slot, which a queue pops and reads before it."""
    return tf.cumsum(strengths, axis=-1, exclusive=True, reverse=True)


def popped(strengths: Tensor, amount: Tensor, nearer: Tensor) -> Tensor:
    """Remove an amount ``(batch, memories, 1)`` of strength, starting at an end.

    ::

        s_i' = max(0, s_i - max(0, u - nearer_i))
    """
    return ops.relu(strengths - ops.relu(amount - nearer))


def pushed(state: NeuralState, amount: Tensor, value: Tensor) -> NeuralState:
    """Put a value on top, with a strength ``(batch, memories, 1)``; the bottom slot is lost."""
    return NeuralState(
        values=ops.concatenate([value, state.values[:, :, :-1]], axis=2),
        strengths=ops.concatenate([amount, state.strengths[:, :, :-1]], axis=2),
    )
