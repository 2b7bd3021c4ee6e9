"""Slots of keys and values with gates."""

from itertools import accumulate
from typing import Any, ClassVar, NamedTuple

import tensorflow as tf
from keras import ops

from superloop_core import Sequence, System, TraceView
from superloop_core.builder import Tensor
from superloop_plugin_slots import GatedSlotsConfig


class GatedSlotsState(NamedTuple):
    """The keys and values of all slots."""

    keys: Tensor  # (batch, heads, slots, key_size)
    values: Tensor  # (batch, heads, slots, width)


class GatedSlots(System[GatedSlotsConfig]):
    """Gated slot attention: each slot holds a fading mean of keys, and one of values.

    K ``(slots, key_size)`` and V ``(slots, width)`` are the keys and values of one head; k, v and q are a
    key, a value and a query::

        alpha = sigmoid(gate)^(1 / damping)             one for each slot
        s     = 1 - alpha                               tied
              = sigmoid(strength)                       untied
        K'    = diag(alpha) K + s k^T
        V'    = diag(alpha) V + s v^T
        read  = V'^T softmax(K' q)                      two passes: over the keys, then over the values

    The softmax makes the read a mean of the slots' values. With a tied strength each slot is a mean of
    the keys and the values since the start, and of zeros. With an untied strength it is a sum, which grows
    while the slot forgets less than is written. Slots of zeros are read too: from empty slots the read is 0.

    A gate of 0 keeps 92% with the paper's ``damping`` of 8. Slots differ only by their gates and strengths,
    so that a new network begins with nearly equal ones.

    Queries are not scaled; the paper's layer does not scale them either. Its SiLU of q, k and v, its norm and
    its output projection are no part of this memory. The control holds the keys of all heads, then the
    queries, the values, the gates and, if untied, the strengths.

    References: Zhang et al., "Gated Slot Attention for Efficient Linear-Time Sequence Modeling", 2024,
    https://arxiv.org/abs/2409.07146; Peng et al., "ABC: Attention with Bounded-memory Control", 2021,
    https://arxiv.org/abs/2110.02488 (slots with untied strengths that do not forget)

    Traces: before the step ``keys`` ``(batch, heads, slots, key_size)`` and ``values`` ``(batch, heads,
    slots, width)``; of the step ``decay``, alpha, ``write_strength``, s, and ``read_weights``, each
    ``(batch, heads, slots)``.
    """

    trace_views: ClassVar = {
        "keys": TraceView("slots", "head", "slot", "key number"),
        "values": TraceView("slots", "head", "slot", "number"),
        "decay": TraceView("weights", "head", "slot"),
        "write_strength": TraceView("weights", "head", "slot"),
        "read_weights": TraceView("weights", "head", "slot"),
    }

    def initial_state(self, sequence: Sequence) -> GatedSlotsState:
        """Start with slots of zeros."""
        config = self.config
        shape = (sequence.batch_size, config.heads, config.slots)
        sizes = (config.key_size, config.width)
        return GatedSlotsState(*(ops.zeros((*shape, size), dtype=self.variable_dtype) for size in sizes))

    def step(
        self, control: Tensor, state: GatedSlotsState, constants: Any
    ) -> tuple[Tensor, GatedSlotsState, dict[str, Tensor]]:
        """Write, then read. The control is ``(batch, control_size)``."""
        del constants
        config = self.config
        heads, sizes = config.heads, [config.key_size, config.key_size, config.width, config.slots]
        parts = ops.split(control, list(accumulate(heads * size for size in sizes)), axis=-1)
        k, q, v, gate = (
            ops.reshape(part, (-1, heads, size)) for part, size in zip(parts, sizes, strict=False)
        )
        log_alpha = ops.log_sigmoid(gate) / config.damping
        alpha = ops.exp(log_alpha)  # (batch, heads, slots)
        if config.strength == "tied":
            s = -ops.expm1(log_alpha)
        else:
            s = ops.sigmoid(ops.reshape(parts[-1], (-1, heads, config.slots)))
        keys = alpha[..., None] * state.keys + s[..., None] * k[:, :, None]
        values = alpha[..., None] * state.values + s[..., None] * v[:, :, None]
        w = tf.nn.softmax(ops.sum(keys * q[:, :, None], axis=-1))  # Keras's warns about a single slot
        read = ops.reshape(ops.sum(w[..., None] * values, axis=2), (-1, config.output_size))
        return read, GatedSlotsState(keys, values), {"decay": alpha, "write_strength": s, "read_weights": w}
