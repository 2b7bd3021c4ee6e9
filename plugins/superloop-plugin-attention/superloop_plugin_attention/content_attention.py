"""Attention to data by content."""

from typing import ClassVar

import tensorflow as tf
from keras import ops

from superloop_core import Sequence, System, TraceView
from superloop_core.builder import Tensor
from superloop_plugin_attention.settings import ContentAttentionConfig


class ContentAttention(System[ContentAttentionConfig]):
    """Attention to the datapoints whose keys match the query. The control is the query.

    ::

        keys_i  = data_i U                                  computed once
        score_i = keys_i . query / sqrt(key_size)           dot
                = v . tanh(query + keys_i)                  additive
        weights = softmax(score)
        read    = sum_i weights_i data_i

    The core's projection to the control is the query's matrix, W of Bahdanau et al.

    References: Bahdanau et al., 2015, https://arxiv.org/abs/1409.0473 (``additive``); Vaswani et al., 2017,
    https://arxiv.org/abs/1706.03762 (``dot``)

    Sources: ``data``, ``(batch, datapoints, width)``. A masked datapoint has weight 0. A batch element whose
    datapoints are all masked reads zeros.
    Traces: ``weights`` ``(batch, datapoints)``.
    """

    trace_views: ClassVar = {"weights": TraceView("weights", "data")}

    def build(self, input_size: int) -> None:
        """Make ``kernel``, the projection U to keys, and ``v`` of the additive score."""
        del input_size
        config = self.config
        self.kernel = self.add_weight(shape=(config.width, config.key_size), name="kernel")
        if config.score == "additive":
            self.v = self.add_weight(shape=(config.key_size, 1), name="v")

    def initial_state(self, sequence: Sequence) -> tuple[()]:
        """Return an empty state."""
        del sequence
        return ()

    def constants(self, sequence: Sequence) -> tuple[Tensor, Tensor, Tensor]:
        """Return the data, its keys, and which datapoints are not masked."""
        data = sequence.sources["data"]
        keys = data @ ops.convert_to_tensor(self.kernel)  # (batch, datapoints, key_size)
        if self.config.score == "dot":
            keys = keys / self.config.key_size**0.5
        valid = sequence.masks.get("data")
        return data, keys, ops.ones_like(data[:, :, 0], dtype="bool") if valid is None else valid

    def step(
        self, control: Tensor, state: tuple[()], constants: tuple[Tensor, Tensor, Tensor]
    ) -> tuple[Tensor, tuple[()], dict[str, Tensor]]:
        """Read by the query, the control ``(batch, key_size)``."""
        data, keys, valid = constants
        if self.config.score == "dot":
            scores = ops.sum(keys * control[:, None], axis=-1)  # (batch, datapoints)
        else:
            scores = ops.squeeze(ops.tanh(control[:, None] + keys) @ self.v, axis=-1)
        # The least number, not -inf: a softmax of -inf alone is NaN.
        scores = ops.where(valid, scores, scores.dtype.min)
        weights = ops.where(valid, tf.nn.softmax(scores), 0.0)
        read = ops.squeeze(weights[:, None] @ data, axis=1)  # (batch, width)
        return read, state, {"weights": weights}
