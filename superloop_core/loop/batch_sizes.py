"""The batch sizes that a loop was compiled for, as its graph remembers them."""

import uuid

import tensorflow as tf

from superloop_core.builder.protocol import Tensor

LAST, COMPUTED = 0, -1  # the last batch: its size, and that with the padding; other keys are compiled sizes
NONE = tf.int64.max


def choose_rows(rows: Tensor, multiple: int) -> Tensor:
    """Return for how many rows a graph for any batch size runs its loop, since XLA compiles for each number.

    A batch is padded to the least size that was compiled before; so is the last batch of an epoch. It has
    its own size, which is then compiled,

    - where no compiled size is large enough,
    - where the batch before had the same size,
    - and where it would be more than doubled, as the batch before was: a program that goes on with small
      batches pays for the padding once.

    Each call in a graph remembers the sizes in a table of TensorFlow's, which it finds by its name. The table
    is no variable: it is in no file, and a SavedModel starts with an empty one.

    Args:
        rows: of this batch, a scalar tensor of int32.
        multiple: at least 1.

    Returns:
        a multiple of ``multiple``; 0 for an empty batch.
    """
    own = tf.cast(-(-rows // multiple) * multiple, tf.int64)
    name = f"superloop_batch_sizes_{uuid.uuid4().hex}"
    with tf.device("CPU:0"):
        table = tf.raw_ops.MutableHashTableV2(key_dtype=tf.int64, value_dtype=tf.int64, shared_name=name)
        keys, values = tf.raw_ops.LookupTableExportV2(table_handle=table, Tkeys=tf.int64, Tvalues=tf.int64)
        last, computed = (tf.reduce_sum(tf.where(keys == key, values, 0)) for key in (LAST, COMPUTED))
        compiled = tf.reduce_min(tf.where((keys > LAST) & (keys >= own), keys, NONE))
        doubled_again = (compiled > 2 * own) & (computed > 2 * last)
        pads = (own > 0) & (own != last) & (compiled < NONE) & ~doubled_again
        chosen = tf.where(pads, compiled, own)
        tf.raw_ops.LookupTableInsertV2(
            table_handle=table,
            keys=tf.stack([chosen, LAST, COMPUTED]),
            values=tf.stack([chosen, own, chosen]),
        )
    return tf.cast(chosen, tf.int32)
