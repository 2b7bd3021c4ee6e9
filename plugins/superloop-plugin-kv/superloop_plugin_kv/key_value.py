"""Associative memory in fast weights."""

from typing import Any, ClassVar, NamedTuple

import numpy as np
from keras import ops

from superloop_core import Sequence, System, TraceView
from superloop_core.builder import Tensor
from superloop_plugin_kv import KeyValueConfig
from superloop_plugin_kv.operations import GATE_BIAS, features, read_of


class KeyValueState(NamedTuple):
    """The fast weights; a read multiplies them by a query."""

    memory: Tensor  # (batch, heads, width, key_features)


class KeyValue(System[KeyValueConfig]):
    """Memories that write a value under a key, then read the value under a query.

    ::

        k = phi(key),  q = phi(query),  beta = max_strength sigmoid(strength),  alpha = sigmoid(gate + 4)
        W~   = decay W diag(alpha)                     once in a timestep
        W'   = W~ + beta (value - W~ k) k^T            delta rule, for each write
             = W~ + beta value k^T                     sum rule
        read = W' q                                    after the last write

        phi(x) = x / |x|                               linear
               = silu(x) / |silu(x)|                   silu
               = elu(x) + 1, divided by its length or sum
               = [r_i r_{i+j}], j = 1 ... nu, r = [relu(x); relu(-x)], divided by its length or sum

    With a ``unit`` norm and beta = 1 the delta rule replaces the value under a key exactly. Values under
    orthogonal keys only decay. With the ``sum`` norm a write multiplies the error under its key by
    1 - beta |k|^2. |k| <= 1 in both cases and beta <= 2, so no write increases the error under its own key.
    With the sum rule values under similar keys add up. A write of the delta rule multiplies W by a matrix
    with the eigenvalue 1 - beta |k|^2, which may be negative if max_strength > 1; several writes in a
    timestep multiply it by a product of such matrices, such as a rotation.

    A key of zeros writes nothing and reads zeros. So does a key that ``dpfp`` maps to zeros: with nu = 1, a
    key with a single number other than 0.

    ``gate`` is one number for a head, or one for each number of k; without it alpha is 1. The control holds
    the write strengths of all heads, then all keys, all queries, all values and all gates; those of the first
    write, of all heads, come before those of the second.

    References: Schlag et al., 2021, https://arxiv.org/abs/2102.11174 (the delta rule, ``dpfp``, norms by the
    sum); Ba et al., 2016, https://arxiv.org/abs/1610.06258 (the sum with a decay); Katharopoulos et al.,
    2020, https://arxiv.org/abs/2006.16236 (``elu``); Yang et al., 2024, https://arxiv.org/abs/2412.06464
    (the delta rule after a decay). :mod:`superloop_plugin_kv.presets` has named settings of it.

    Traces: ``memory`` ``(batch, heads, width, key_features)``; ``write_strength``, beta, ``(batch, writes *
    heads)``; ``keys``, k, ``(batch, writes * heads, key_features)``; ``queries``, q, ``(batch, heads,
    key_features)``; with a gate ``decay``, decay times alpha, ``(batch, heads, 1 or key_features)``.
    """

    trace_views: ClassVar = {
        "memory": TraceView("slots", "head", "number", "feature"),
        "write_strength": TraceView("scalar", "write"),
        "keys": TraceView("vector", "write", "feature"),
        "queries": TraceView("vector", "head", "feature"),
        "decay": TraceView("scalar", "head", "feature", optional=True),
    }

    def initial_state(self, sequence: Sequence) -> KeyValueState:
        """Start with weights of zeros: every key reads zeros."""
        config = self.config
        shape = (sequence.batch_size, config.heads, config.width, config.key_features)
        return KeyValueState(ops.zeros(shape, dtype=self.variable_dtype))

    def step(
        self, control: Tensor, state: KeyValueState, constants: Any
    ) -> tuple[Tensor, KeyValueState, dict[str, Tensor]]:
        """Decay, write, then read. The control is ``(batch, control_size)``."""
        del constants
        config = self.config
        heads, writes = config.heads, config.writes
        sizes = [writes * heads, (writes + 1) * heads * config.key_size, writes * heads * config.width]
        strength, addresses, values, gate = ops.split(control, np.cumsum(sizes), axis=-1)
        beta = config.max_strength * ops.sigmoid(strength)  # (batch, writes * heads)
        addresses = ops.reshape(addresses, (-1, (writes + 1) * heads, config.key_size))
        phi = features(addresses, config.feature_map, config.nu, config.norm)
        keys, query = phi[:, :-heads], phi[:, -heads:]  # (batch, writes * heads or heads, key_features)
        changes = ops.reshape(values, (-1, writes * heads, config.width))
        traces = {"write_strength": beta, "keys": keys, "queries": query}
        memory = config.decay * state.memory
        if config.gate != "none":
            alpha = ops.sigmoid(ops.reshape(gate, (-1, heads, config.gate_size)) + GATE_BIAS)
            memory *= alpha[:, :, None]
            traces["decay"] = config.decay * alpha
        of_writes = (ops.split(tensor, writes, axis=1) for tensor in (beta, keys, changes))
        for strength, key, change in zip(*of_writes, strict=True):
            if config.rule == "delta":
                change -= read_of(memory, key)
            memory += (strength[:, :, None] * change)[..., None] * key[:, :, None]
        read = ops.reshape(read_of(memory, query), (-1, heads * config.width))
        return read, KeyValueState(memory), traces
