"""The matrix memory of mLSTM."""

from typing import Any, ClassVar, NamedTuple

import numpy as np
from keras import ops

from superloop_core import Sequence, System, TraceView
from superloop_core.builder import Tensor
from superloop_plugin_xlstm import MlstmConfig

EPSILON = 1e-6  # added to the divisor of a read, as in the authors' code; the paper has none
GATE_BIAS = 4.0  # a forget gate whose control is 0 keeps 98% of the memory


class MLSTMState(NamedTuple):
    """The memory and its normalizer, both divided by exp(stabilizer)."""

    memory: Tensor  # (batch, heads, width, key_size)
    normalizer: Tensor  # (batch, heads, key_size)
    stabilizer: Tensor  # (batch, heads)


class MLSTM(System[MlstmConfig]):
    """Memories that add values under keys with an exponential weight, and read their weighted mean.

    ::

        k = key / sqrt(key_size)
        log f = log sigmoid(forget + 4)                 sigmoid forget gate
              = forget + log sigmoid(4)                 exponential forget gate
        m' = max(log f + m, input)
        C' = exp(log f + m - m') C + exp(input - m') value k^T
        n' = exp(log f + m - m') n + exp(input - m') k
        read = C' q / (max(|n' . q|, exp(-m')) + 1e-6)

    ``input`` and ``forget`` are numbers for a head, from the control; the other gates of an mLSTM layer, its
    output gate, and its norm, are no part of the memory: a read is what the output gate would get. The
    control holds the input gates of all heads, their forget gates, then all keys, all queries and all values.

    C, n and m are C~ exp(-m), n~ exp(-m) and m of the paper's C~ and n~, whose read is C~ q / max(|n~ . q|,
    1). Without the 1e-6 reads do not depend on m; with it, keys of a weight far below a millionth of exp(m)
    read zeros. Values under one key are averaged; the input gate is exponential, so that a later value can
    outweigh all before it without forgetting. A read can be large where q is about orthogonal to n.

    The factor min(exp(m), 1), by which the divisor and the dividend are multiplied here, stops exp(-m) from
    overflowing: the authors' code reads zeros and gives a gradient of NaN where m is below about -700 (in
    float64; -88 in float32), and this memory reads about zeros and has a finite gradient.

    Reference: Beck et al., "xLSTM: Extended Long Short-Term Memory", 2024, https://arxiv.org/abs/2405.04517,
    equations 19 to 27, and the stabilization of its appendix

    Traces: ``memory`` C ``(batch, heads, width, key_size)``; ``normalizer`` n ``(batch, heads, key_size)``;
    ``stabilizer`` m ``(batch, heads)``; ``keys``, k, and ``queries``, q, ``(batch, heads, key_size)``;
    ``input_gate`` exp(input - m') and ``forget_gate`` exp(log f + m - m'), ``(batch, heads)``.
    """

    trace_views: ClassVar = {
        "memory": TraceView("slots", "head", "number", "key number"),
        "normalizer": TraceView("vector", "head", "key number"),
        "stabilizer": TraceView("scalar", "head"),
        "keys": TraceView("vector", "head", "key number"),
        "queries": TraceView("vector", "head", "key number"),
        "input_gate": TraceView("scalar", "head"),
        "forget_gate": TraceView("scalar", "head"),
    }

    def initial_state(self, sequence: Sequence) -> MLSTMState:
        """Start with zeros: every query reads zeros."""
        config = self.config
        shapes = (config.width, config.key_size), (config.key_size,), ()
        start = (sequence.batch_size, config.heads)
        return MLSTMState(*(ops.zeros((*start, *shape), dtype=self.variable_dtype) for shape in shapes))

    def step(
        self, control: Tensor, state: MLSTMState, constants: Any
    ) -> tuple[Tensor, MLSTMState, dict[str, Tensor]]:
        """Decay, write, then read. The control is ``(batch, control_size)``."""
        del constants
        config = self.config
        heads = config.heads
        ends = np.cumsum([heads, heads, heads * config.key_size, heads * config.key_size])
        i, f, keys, queries, values = ops.split(control, ends, axis=-1)
        k = ops.reshape(keys, (-1, heads, config.key_size)) / config.key_size**0.5
        q = ops.reshape(queries, (-1, heads, config.key_size))
        value = ops.reshape(values, (-1, heads, config.width))
        if config.forget_gate == "sigmoid":
            f = ops.log_sigmoid(f + GATE_BIAS)
        else:
            f = f - np.log1p(np.exp(-GATE_BIAS))
        decayed = f + state.stabilizer
        m = ops.maximum(decayed, i)  # (batch, heads)
        kept, added = ops.exp(decayed - m), ops.exp(i - m)
        write = (added[..., None] * value)[..., None] * k[:, :, None]
        memory = kept[..., None, None] * state.memory + write
        n = kept[..., None] * state.normalizer + added[..., None] * k
        small = ops.minimum(m, 0)
        scale = ops.exp(small)  # of the dividend and the divisor, neither of which then overflows
        total = ops.abs(ops.sum(n * q, axis=-1))
        divisor = ops.maximum(scale * total, ops.exp(small - m)) + EPSILON * scale
        read = ops.sum(memory * q[:, :, None], axis=-1) * (scale / divisor)[..., None]
        traces = {"keys": k, "queries": q, "input_gate": added, "forget_gate": kept}
        return ops.reshape(read, (-1, heads * config.width)), MLSTMState(memory, n, m), traces
