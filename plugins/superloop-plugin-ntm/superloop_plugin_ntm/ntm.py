"""The memory of the Neural Turing Machine."""

from itertools import accumulate
from typing import Any, ClassVar, NamedTuple

import keras
import tensorflow as tf
from keras import ops

from superloop_core import Sequence, System, TraceView
from superloop_core.builder import Tensor
from superloop_plugin_ntm import NTMConfig
from superloop_plugin_ntm.addressing import Heads, address

CONSTANT = 1e-6  # the value of a constant memory
STDDEV = 0.5  # of a random memory, a normal distribution truncated at two standard deviations


class NTMState(NamedTuple):
    """The memory, and the weightings of the heads."""

    memory: Tensor  # (batch, slots, width)
    read_weights: Tensor  # (batch, read_heads, slots)
    write_weights: Tensor  # (batch, write_heads, slots)


class NTM(System[NTMConfig]):
    """A memory with read heads and write heads. A step writes, then reads, unless ``order`` says otherwise.

    All heads use the same addressing. M and w are the memory and the head's weighting before the step (the
    paper writes M_t, but a write head addresses before it writes)::

        w_c   = softmax(beta K(k, M_i))                 K: the cosine of k and M_i
        w_g   = g w_c + (1 - g) w
        w~_i  = sum_j w_g[j] s[(i - j) mod slots]
        w'    = w~^gamma / sum w~^gamma

    The write heads erase with e, then add a. The read heads read the new memory::

        M'    = M prod_heads (1 - w' e^T) + sum_heads w' a^T
        r     = w'^T M'                                 concatenated over the read heads

    With ``read_addressing = "new"`` the read heads also address by M', which the write heads have made. With
    ``order = "read_first"``, r = w'^T M: a vector is read in the next timestep at the earliest, as in the
    code of Collier and Beel (https://github.com/MarkPKCollier/NeuralTuringMachine). The paper leaves both
    open.

    The control holds k of all heads, read heads first; then beta, g, s (from the shift -shift_range up) and
    gamma of all heads; then e and a of the write heads. The activations: k = tanh and a = tanh as in Collier
    and Beel, since the paper does not give them, or linear by ``keys`` and ``adds``; beta = softplus,
    g = sigmoid, s = softmax, gamma = 1 + softplus, e = sigmoid.

    K is 0 for a key or a slot of zeros, and has a gradient there. A single slot has weight 1. A shift longer
    than the memory wraps around more than once.

    References: Graves et al., 2014, https://arxiv.org/abs/1410.5401; the memory at t = 0 as in Collier and
    Beel, 2018, https://arxiv.org/abs/1807.08518

    Traces, before the step: ``memory`` ``(batch, slots, width)``; ``read_weights``
    ``(batch, read_heads, slots)``; ``write_weights`` ``(batch, write_heads, slots)``.
    """

    learned_fields = ("memory",)  # weightings must sum to 1

    trace_views: ClassVar = {
        "memory": TraceView("slots", "slot", "number"),
        "read_weights": TraceView("weights", "head", "slot"),
        "write_weights": TraceView("weights", "head", "slot"),
    }

    def build(self, input_size: int) -> None:
        """Make the weights of the state at t = 0, unless it is constant."""
        del input_size
        config = self.config
        if config.initial_memory != "constant":
            self.first_memory = self.add_weight(
                shape=(config.slots, config.width),
                initializer=keras.initializers.TruncatedNormal(stddev=STDDEV),
                trainable=config.initial_memory == "learned",
                name="first_memory",
            )
        if config.initial_weighting == "learned":
            self.first_scores = self.add_weight(
                shape=(config.heads, config.slots),
                # Not zeros: equal slots with equal weights would get equal gradients.
                initializer=keras.initializers.RandomNormal(stddev=1.0),
                name="first_scores",
            )

    def initial_state(self, sequence: Sequence) -> NTMState:
        """Return the initial memory and weightings, the same for every batch element."""
        config = self.config
        if config.initial_memory == "constant":
            memory = ops.full((config.slots, config.width), CONSTANT, dtype=self.variable_dtype)
        else:
            memory = ops.convert_to_tensor(self.first_memory)
        if config.initial_weighting == "first":
            first = ops.zeros((config.heads,), dtype="int32")
            w = ops.one_hot(first, config.slots, dtype=self.variable_dtype)  # (heads, slots)
        elif config.initial_weighting == "uniform":
            w = ops.full((config.heads, config.slots), 1 / config.slots, dtype=self.variable_dtype)
        else:
            w = tf.nn.softmax(ops.convert_to_tensor(self.first_scores))
        memory, w = (tf.broadcast_to(t, (sequence.batch_size, *t.shape)) for t in (memory, w))
        return NTMState(memory, w[:, : config.read_heads], w[:, config.read_heads :])

    def step(
        self, control: Tensor, state: NTMState, constants: Any
    ) -> tuple[Tensor, NTMState, dict[str, Tensor]]:
        """Write, then read. The control is ``(batch, control_size)``."""
        del constants
        config = self.config
        heads, e, a = self._interface(control)
        previous = ops.concatenate([state.read_weights, state.write_weights], axis=1)
        w = address(heads, state.memory, previous)  # (batch, heads, slots)
        read_weights, write_weights = w[:, : config.read_heads], w[:, config.read_heads :]
        memory = write(state.memory, write_weights, e, a)
        if config.read_addressing == "new":
            readers = Heads(*(part[:, : config.read_heads] for part in heads))
            read_weights = address(readers, memory, state.read_weights)
        read_from = memory if config.order == "write_first" else state.memory
        read = ops.reshape(read_weights @ read_from, (-1, config.output_size))
        return read, NTMState(memory, read_weights, write_weights), {}

    def _interface(self, control: Tensor) -> tuple[Heads, Tensor, Tensor]:
        """Split a control: the parameters of all heads; e and a, ``(batch, write_heads, width)``."""
        config = self.config
        heads, written = config.heads, config.write_heads * config.width
        sizes = [heads * config.width, heads, heads, heads * config.shifts, heads, written, written]
        k, beta, g, s, gamma, e, a = ops.split(control, list(accumulate(sizes[:-1])), axis=-1)
        parameters = Heads(
            k=activated(config.keys, ops.reshape(k, (-1, heads, config.width))),
            beta=ops.softplus(beta)[..., None],
            g=ops.sigmoid(g)[..., None],
            s=tf.nn.softmax(ops.reshape(s, (-1, heads, config.shifts))),
            gamma=1 + ops.softplus(gamma)[..., None],
        )
        shape = (-1, config.write_heads, config.width)
        return parameters, ops.sigmoid(ops.reshape(e, shape)), activated(config.adds, ops.reshape(a, shape))


def activated(name: str, x: Tensor) -> Tensor:
    """Return x itself, or its tanh."""
    return ops.tanh(x) if name == "tanh" else x


def write(memory: Tensor, w: Tensor, e: Tensor, a: Tensor) -> Tensor:
    """Erase with all write heads, then add with all; the order of the heads does not matter."""
    added = ops.zeros_like(memory)
    for head in range(w.shape[1]):
        w_head = w[:, head, :, None]  # (batch, slots, 1)
        memory = memory * (1 - w_head * e[:, head, None])
        added = added + w_head * a[:, head, None]
    return memory + added
