"""The memory of the Neural Turing Machine."""

from itertools import accumulate
from typing import Any, NamedTuple

import keras
import tensorflow as tf
from keras import ops

from superloop_core import Sequence, System
from superloop_core.builder import Tensor
from superloop_plugin_ntm.addressing import Heads, address

CONSTANT = 1e-6  # what a constant memory starts with
SPREAD = 0.5  # standard deviation of a random one, a normal distribution's that is cut off at two of them


class NTMState(NamedTuple):
    """What the memory holds, and where the heads are."""

    memory: Tensor  # (batch, slots, width)
    read_weights: Tensor  # (batch, read_heads, slots)
    write_weights: Tensor  # (batch, write_heads, slots)


class NTM(System):
    """A memory with heads that read and write it; what is written in a step can be read in it.

    All heads are addressed alike, by the memory M and the weighting w that the step before left (the paper
    writes M_t, which a head that writes cannot have seen)::

        w_c   = softmax(beta K(k, M_i))                 K: the cosine of the angle between them
        w_g   = g w_c + (1 - g) w
        w~_i  = sum_j w_g[j] s[(i - j) mod slots]
        w'    = w~^gamma / sum w~^gamma

    Those that write erase, each by its e, and then add, each its a; those that read see what came of it::

        M'    = M prod_heads (1 - w' e^T) + sum_heads w' a^T
        r     = w'^T M'                                 of each head that reads, side by side

    The control holds the k of all heads, those that read first, then the beta of all, and so on with g,
    s (from the shift by -shift_range up) and gamma, and then the e and the a of those that write. As in
    Collier and Beel, k = tanh and a = tanh, of which the paper does not tell; beta = softplus,
    g = sigmoid, s = softmax, gamma = 1 + softplus, e = sigmoid.

    A key or a row of zeros is like nothing: K is 0 there, and has a gradient. A single slot has all the
    weight. A shift that is longer than the memory goes round more than once.

    References: Graves et al., 2014, https://arxiv.org/abs/1410.5401; the memory at t = 0 as in Collier and
    Beel, 2018, https://arxiv.org/abs/1807.08518

    Traces: ``memory`` ``(batch, slots, width)``; ``read_weights`` ``(batch, read_heads, slots)`` and
    ``write_weights`` ``(batch, write_heads, slots)``, as they were before the step.
    """

    learned_fields = ("memory",)  # weightings must keep to a sum of 1

    def build(self, input_size: int) -> None:
        """Make the weights of the state at t = 0, if it has any."""
        del input_size
        config = self.config
        if config.initial_memory != "constant":
            self.first_memory = self.add_weight(
                shape=(config.slots, config.width),
                initializer=keras.initializers.TruncatedNormal(stddev=SPREAD),
                trainable=config.initial_memory == "learned",
                name="first_memory",
            )
        if config.initial_weighting == "learned":
            self.first_scores = self.add_weight(
                shape=(config.heads, config.slots),
                # Not zeros: slots that are alike, with weights that are alike, would stay so.
                initializer=keras.initializers.RandomNormal(stddev=1.0),
                name="first_scores",
            )

    def initial_state(self, sequence: Sequence) -> NTMState:
        """Start with what the settings say, the same for every row."""
        config = self.config
        if config.initial_memory == "constant":
            memory = ops.full((config.slots, config.width), CONSTANT, dtype=self.variable_dtype)
        else:
            memory = ops.convert_to_tensor(self.first_memory)
        if config.initial_weighting == "first":
            first = ops.zeros((config.heads,), dtype="int32")
            w = ops.one_hot(first, config.slots, dtype=self.variable_dtype)  # (heads, slots)
        else:
            w = tf.nn.softmax(ops.convert_to_tensor(self.first_scores))
        memory, w = (tf.broadcast_to(t, (sequence.batch_size, *t.shape)) for t in (memory, w))
        return NTMState(memory, w[:, : config.read_heads], w[:, config.read_heads :])

    def step(
        self, control: Tensor, state: NTMState, constants: Any
    ) -> tuple[Tensor, NTMState, dict[str, Tensor]]:
        """Write, then read: control ``(batch, control_size)``."""
        del constants
        config = self.config
        heads, e, a = self._told(control)
        before = ops.concatenate([state.read_weights, state.write_weights], axis=1)
        w = address(heads, state.memory, before)  # (batch, heads, slots)
        read_weights, write_weights = w[:, : config.read_heads], w[:, config.read_heads :]
        memory = written(state.memory, write_weights, e, a)
        read = ops.reshape(read_weights @ memory, (-1, config.output_size))
        return read, NTMState(memory, read_weights, write_weights), {}

    def _told(self, control: Tensor) -> tuple[Heads, Tensor, Tensor]:
        """Take a control apart: what all heads are told, and e and a, ``(batch, write_heads, width)``."""
        config = self.config
        heads, rows = config.heads, config.write_heads * config.width
        sizes = [heads * config.width, heads, heads, heads * config.shifts, heads, rows, rows]
        k, beta, g, s, gamma, e, a = ops.split(control, list(accumulate(sizes[:-1])), axis=-1)
        told = Heads(
            k=ops.tanh(ops.reshape(k, (-1, heads, config.width))),
            beta=ops.softplus(beta)[..., None],
            g=ops.sigmoid(g)[..., None],
            s=tf.nn.softmax(ops.reshape(s, (-1, heads, config.shifts))),
            gamma=1 + ops.softplus(gamma)[..., None],
        )
        shape = (-1, config.write_heads, config.width)
        return told, ops.sigmoid(ops.reshape(e, shape)), ops.tanh(ops.reshape(a, shape))


def written(memory: Tensor, w: Tensor, e: Tensor, a: Tensor) -> Tensor:
    """Erase by all heads, and then add by all; the order of the heads does not matter."""
    added = ops.zeros_like(memory)
    for head in range(w.shape[1]):
        of_head = w[:, head, :, None]  # (batch, slots, 1)
        memory = memory * (1 - of_head * e[:, head, None])
        added = added + of_head * a[:, head, None]
    return memory + added
