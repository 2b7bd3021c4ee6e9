"""A ring of the last keys and values."""

import math
from typing import Any, ClassVar, NamedTuple

import tensorflow as tf
from keras import ops

from superloop_core import Sequence, System, TraceView
from superloop_core.builder import Tensor
from superloop_plugin_slots import RingConfig

NEVER = -1e30  # the score of an empty slot, whose weight is exactly 0 beside one that is not empty
ONE = math.log(math.e - 1)  # softplus of it is 1


class RingState(NamedTuple):
    """The entries of all slots, and where the next one goes."""

    keys: Tensor  # (batch, heads, slots, key_size)
    values: Tensor  # (batch, heads, slots, width)
    filled: Tensor  # (batch, slots): 1 where a slot has an entry, else 0
    cursor: Tensor  # (batch, slots): 1 at the slot that is written next, else 0


class Ring(System[RingConfig]):
    """The keys and values of the last timesteps, read by the softmax of a modern Hopfield network.

    ::

        key and value into the slot of the cursor, which then moves on by one
        w    = softmax(beta' K q)                     over the slots that are filled
        q'   = K^T w                                  updates - 1 times: an update of the query
        read = V^T softmax(beta' K q')
        beta' = beta, or beta softplus(factor + log(e - 1)) from the control

    K ``(slots, key_size)`` and V ``(slots, width)`` are the keys and values of one head. The entry of
    timestep t, from 0, is in slot t mod slots of every head: the slots fill up from the first to the last,
    and from then on each entry overwrites the oldest one, ``slots`` timesteps old. An entry is not changed
    otherwise. A masked timestep writes nothing.

    Empty slots have the weight 0, not that of a key of zeros. With ``read_first`` the entry of a timestep is
    read from the next timestep on, and an empty ring reads zeros; otherwise the ring is never empty when it
    is read.

    Each update is the update rule of the paper: none increases the energy -log(sum(exp(beta' K q))) / beta' +
    |q|^2 / 2. With a large beta' the query approaches the key that it is most similar to, if that key is
    well separated from the others; with a small one, the mean of several. With one update and beta = 1 /
    sqrt(key_size) the ring is the attention of a transformer over a window of timesteps.

    The control holds the keys of all heads, then the queries, the values and, from the control, the factors.

    References: Ramsauer et al., "Hopfield Networks is All You Need", 2020, https://arxiv.org/abs/2008.02217,
    equations 2 and 3; the ring is ours.

    Traces: before the step ``keys``, ``values``, ``filled`` and ``cursor``; of the step ``read_weights``
    ``(batch, heads, slots)``; ``queries`` ``(batch, heads, key_size)``, those of the last update, which read
    the values; with ``beta_from_control`` also ``beta`` ``(batch, heads)``.
    """

    trace_views: ClassVar = {
        "keys": TraceView("slots", "head", "slot", "key number"),
        "values": TraceView("slots", "head", "slot", "number"),
        "filled": TraceView("weights", "slot"),
        "cursor": TraceView("weights", "slot"),
        "read_weights": TraceView("weights", "head", "slot"),
        "queries": TraceView("vector", "head", "key number"),
        "beta": TraceView("scalar", "head", optional=True),
    }

    learned_fields = ()  # what is in an empty slot is never read

    def initial_state(self, sequence: Sequence) -> RingState:
        """Start with empty slots, and the cursor at the first."""
        config = self.config
        rows, heads, slots = sequence.batch_size, config.heads, config.slots
        first = ops.one_hot(ops.zeros((rows,), dtype="int32"), slots, dtype=self.variable_dtype)
        return RingState(
            keys=ops.zeros((rows, heads, slots, config.key_size), dtype=self.variable_dtype),
            values=ops.zeros((rows, heads, slots, config.width), dtype=self.variable_dtype),
            filled=ops.zeros_like(first),
            cursor=first,
        )

    def step(
        self, control: Tensor, state: RingState, constants: Any
    ) -> tuple[Tensor, RingState, dict[str, Tensor]]:
        """Write, then read, or the other way round. The control is ``(batch, control_size)``."""
        del constants
        config = self.config
        heads, size = config.heads, config.key_size
        ends = [heads * size, 2 * heads * size, heads * (2 * size + config.width)]
        key, query, value, factor = ops.split(control, ends, axis=-1)
        key, query = (ops.reshape(x, (-1, heads, size)) for x in (key, query))
        here = state.cursor[:, None, :, None] > 0.5
        after = RingState(
            keys=ops.where(here, key[:, :, None], state.keys),
            values=ops.where(here, ops.reshape(value, (-1, heads, 1, config.width)), state.values),
            filled=ops.maximum(state.filled, state.cursor),
            cursor=ops.roll(state.cursor, 1, axis=-1),
        )
        beta = config.beta or size**-0.5
        traces = {}
        if config.beta_from_control:
            beta = beta * ops.softplus(factor + ONE)  # (batch, heads)
            traces["beta"] = beta
            beta = beta[..., None]
        ring = state if config.read_first else after
        for _ in range(config.updates - 1):
            query = _mean(_weights(query, ring, beta), ring.keys)
        w = _weights(query, ring, beta)
        read = ops.reshape(_mean(w, ring.values), (-1, config.output_size))
        return read, after, traces | {"read_weights": w, "queries": query}


def _weights(query: Tensor, ring: RingState, beta: Any) -> Tensor:
    """Return the softmax over filled slots, ``(batch, heads, slots)``; zeros where all are empty."""
    filled = ring.filled[:, None] > 0.5
    scores = beta * ops.sum(ring.keys * query[:, :, None], axis=-1)
    w = tf.nn.softmax(ops.where(filled, scores, NEVER))  # Keras's softmax warns about a single slot
    return ops.where(filled, w, 0.0)


def _mean(w: Tensor, entries: Tensor) -> Tensor:
    """Return the mean of the keys or values by weights, ``(batch, heads, size)``."""
    return ops.sum(w[..., None] * entries, axis=2)
