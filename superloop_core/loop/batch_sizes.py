"""The batch sizes that loops were compiled for, as their graphs remember them."""

from itertools import count
from typing import Any

import tensorflow as tf

from superloop_core.builder.protocol import Tensor

LAST = 0  # the key of the size of the last batch; every other key is a size that was compiled
_made = count()


class BatchSizes:
    """Chooses for how many rows a graph that takes any batch size runs its loop, since XLA compiles for each.

    A batch is padded to the least size that was compiled before. It is computed, and compiled, at its own
    size where none is large enough, or where the batch before had the same size: the last batch of an epoch
    is padded, and a program that goes on with small batches pays for the padding once.

    The graph remembers sizes in a table of TensorFlow's that it finds by its name. A table is no variable
    of the model: it is in no file, and a SavedModel starts with an empty one.
    """

    def __init__(self) -> None:
        self._name = f"superloop_batch_sizes_{next(_made)}"

    def choose(self, rows: Tensor, multiple: int) -> Tensor:
        """Return the number of rows to compute, a multiple of ``multiple``; 0 for an empty batch.

        Args:
            rows: of this batch, a scalar tensor of int32.
            multiple: at least 1.
        """
        least = tf.cast(-(-rows // multiple) * multiple, tf.int64)
        with tf.device("CPU:0"):
            table = tf.raw_ops.MutableHashTableV2(
                key_dtype=tf.int64, value_dtype=tf.int64, shared_name=self._name
            )
            sizes, lasts = tf.raw_ops.LookupTableExportV2(
                table_handle=table, Tkeys=tf.int64, Tvalues=tf.int64
            )
            is_last = tf.equal(sizes, LAST)
            repeated = tf.reduce_any(is_last & tf.equal(lasts, least))
            larger = tf.reduce_min(tf.where(~is_last & (sizes >= least), sizes, tf.int64.max))
            own = repeated | tf.equal(larger, tf.int64.max) | tf.equal(least, 0)
            chosen = tf.where(own, least, larger)
            tf.raw_ops.LookupTableInsertV2(
                table_handle=table, keys=tf.stack([chosen, LAST]), values=tf.stack([chosen, least])
            )
        return tf.cast(chosen, tf.int32)
