"""The memory of RWKV-7."""

from math import exp
from typing import Any, ClassVar, NamedTuple

from keras import ops

from superloop_core import Sequence, System, TraceView
from superloop_core.builder import Tensor
from superloop_plugin_kv import Rwkv7Config
from superloop_plugin_kv.operations import features, limited, read_of

DECAY_BIAS = -3.5  # a decay whose control is 0 keeps 98% of the memory
LEAST_DECAY = exp(-exp(-0.5))  # 0.545, of the paper


class Rwkv7State(NamedTuple):
    """The fast weights; a read multiplies them by a receptance."""

    memory: Tensor  # (batch, heads, width, key_size)


class Rwkv7(System[Rwkv7Config]):
    """Memories that remove the value under one key while they write a value under another.

    ::

        k    = key / |key|,  r = receptance / |receptance|
        kk   = (key + removal) / |key + removal|
        a    = sigmoid(rate)                           in (0, 1), for each number of a key
        w    = exp(-exp(-1/2) sigmoid(decay - 3.5))    in (exp(-exp(-1/2)), 1), likewise
        W'   = W diag(w) - (W kk) (a * kk)^T + value (a * k)^T
        read = W' r

    With a ``removal`` of 0 and equal rates it is a delta rule. In general the value that leaves the memory is
    under another key than the one that enters, and each number of the keys has its own rate. What is removed
    is read before the decay.

    No eigenvalue of diag(w) - kk (a * kk)^T is beyond the unit circle, but those of a product of two such
    matrices can be: with w near 1, two removal keys that take turns, each with rates of its own, can enlarge
    a memory by a quarter in each round. So a memory whose numbers, as one vector, are longer than ``limit``
    is scaled back to that length, which the paper does not have.

    The control holds the removals of all heads, then all keys, receptances, rates, decays and values. In the
    paper kk is a trained multiple of the key, number by number, and the value is written under
    k (1 + (a - 1) alpha) with a trained alpha; here kk is of the control, and alpha is 1. k and r of the
    paper have any length, and a norm of the reads follows; without it and without lengths of 1, gradients of
    an untrained loop explode. That norm, the bonus for the current timestep and the output gate are no part
    of this memory.

    Reference: Peng et al., "RWKV-7 'Goose' with Expressive Dynamic State Evolution", 2025,
    https://arxiv.org/abs/2503.14456

    Traces: ``memory`` ``(batch, heads, width, key_size)``; ``removal_keys``, kk, ``keys``, k, ``queries``, r,
    ``rate``, a, and ``decay``, w, each ``(batch, heads, key_size)``.
    """

    trace_views: ClassVar = {
        "memory": TraceView("slots", "head", "number", "key number"),
        "removal_keys": TraceView("vector", "head", "key number"),
        "keys": TraceView("vector", "head", "key number"),
        "queries": TraceView("vector", "head", "key number"),
        "rate": TraceView("scalar", "head", "key number"),
        "decay": TraceView("scalar", "head", "key number"),
    }

    def initial_state(self, sequence: Sequence) -> Rwkv7State:
        """Start with weights of zeros: every receptance reads zeros."""
        config = self.config
        shape = (sequence.batch_size, config.heads, config.width, config.key_size)
        return Rwkv7State(ops.zeros(shape, dtype=self.variable_dtype))

    def step(
        self, control: Tensor, state: Rwkv7State, constants: Any
    ) -> tuple[Tensor, Rwkv7State, dict[str, Tensor]]:
        """Decay, remove and write, then read. The control is ``(batch, control_size)``."""
        del constants
        config, old = self.config, state.memory
        heads = config.heads
        channels, values = ops.split(control, [5 * heads * config.key_size], axis=-1)
        channels = ops.reshape(channels, (-1, 5, heads, config.key_size))
        removal, key, query, rate, decay = ops.unstack(channels, axis=1)  # each (batch, heads, key_size)
        removal, key, query = (features(x, "linear") for x in (key + removal, key, query))
        rate, decay = ops.sigmoid(rate), LEAST_DECAY ** ops.sigmoid(decay + DECAY_BIAS)
        values = ops.reshape(values, (-1, heads, config.width, 1))
        memory = old * decay[:, :, None] + values * (rate * key)[:, :, None]
        memory -= read_of(old, removal)[..., None] * (rate * removal)[:, :, None]
        memory = limited(memory, config.limit)
        read = ops.reshape(read_of(memory, query), (-1, config.output_size))
        traces = {"removal_keys": removal, "keys": key, "queries": query, "rate": rate, "decay": decay}
        return read, Rwkv7State(memory), traces
