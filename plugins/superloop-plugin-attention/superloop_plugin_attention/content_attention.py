"""Attention to data by content."""

import tensorflow as tf
from keras import ops

from superloop_core import Sequence, System
from superloop_core.builder import Tensor


class ContentAttention(System):
    """Reads the datapoints whose keys are like the query, which is the control.

    ::

        keys_i  = data_i U                                  once for all timesteps
        score_i = keys_i . query / sqrt(key_size)           dot
                = v . tanh(query + keys_i)                  additive
        weights = softmax(score)
        read    = sum_i weights_i data_i

    The matrix that makes the query of what the cells say, W of Bahdanau et al., is the control's own.

    References: Bahdanau et al., 2015, https://arxiv.org/abs/1409.0473 (``additive``); Vaswani et al., 2017,
    https://arxiv.org/abs/1706.03762 (``dot``)

    Sources: ``data``, ``(batch, datapoints, width)``; where it is masked it weighs nothing, and where all of
    a row is masked, zeros are read.
    Traces: ``weights`` ``(batch, datapoints)``.
    """

    def build(self, input_size: int) -> None:
        """Make ``kernel``, which projects to keys (U), and ``v`` of the additive score."""
        del input_size
        config = self.config
        self.kernel = self.add_weight(shape=(config.width, config.key_size), name="kernel")
        if config.score == "additive":
            self.v = self.add_weight(shape=(config.key_size, 1), name="v")

    def initial_state(self, sequence: Sequence) -> tuple[()]:
        """Remember nothing."""
        del sequence
        return ()

    def constants(self, sequence: Sequence) -> tuple[Tensor, Tensor, Tensor]:
        """Return the data, its keys, and where there is a datapoint and no padding."""
        data = sequence.sources["data"]
        keys = data @ ops.convert_to_tensor(self.kernel)  # (batch, datapoints, key_size)
        if self.config.score == "dot":
            keys = keys / self.config.key_size**0.5
        valid = sequence.masks.get("data")
        return data, keys, ops.ones_like(data[:, :, 0], dtype="bool") if valid is None else valid

    def step(
        self, control: Tensor, state: tuple[()], constants: tuple[Tensor, Tensor, Tensor]
    ) -> tuple[Tensor, tuple[()], dict[str, Tensor]]:
        """Look for the query, the control ``(batch, key_size)``."""
        data, keys, valid = constants
        if self.config.score == "dot":
            scores = ops.sum(keys * control[:, None], axis=-1)  # (batch, datapoints)
        else:
            scores = ops.squeeze(ops.tanh(control[:, None] + keys) @ self.v, axis=-1)
        # The least number and not -inf, whose softmax is NaN where all is masked.
        scores = ops.where(valid, scores, scores.dtype.min)
        weights = ops.where(valid, tf.nn.softmax(scores), 0.0)
        read = ops.squeeze(weights[:, None] @ data, axis=1)  # (batch, width)
        return read, state, {"weights": weights}
