"""Usage of the slots, and which is allocated next."""

import tensorflow as tf

from superloop_core.builder import Tensor

TINY = 1e-30  # log(0 + TINY) is finite, and u + TINY is u for any other usage


def next_usage(usage: Tensor, write_weights: Tensor, read_weights: Tensor, free_gates: Tensor) -> Tensor:
    """Return the usage after the last step's write, and the reads after which slots were freed.

    ::

        u' = (u + w - u w) prod_r (1 - f_r w_r)

    Args:
        usage: ``(batch, slots)``, in [0, 1].
        write_weights: of the last step, ``(batch, slots)``.
        read_weights: of the last step, ``(batch, read_heads, slots)``.
        free_gates: ``(batch, read_heads)``.

    Returns:
        ``(batch, slots)``, in [0, 1].
    """
    retention = tf.reduce_prod(1 - free_gates[:, :, None] * read_weights, axis=1)
    written = usage + (1 - usage) * write_weights
    return tf.clip_by_value(written * retention, 0, 1)


def allocation(usage: Tensor) -> Tensor:
    """Weigh slots by how free they are, the freest first.

    ::

        a_j = (1 - u_j) prod_{i before j} u_i        i is before j: u_i < u_j, or they are equal and i < j

    The product is the exponential of a sum of logarithms, so that nothing needs to be sorted; usages whose
    logarithms are equal count as equal. Which comes before which is constant to the gradient, as in the
    paper; the rest of it is exact, for usages of 0 too.

    Args:
        usage: ``(batch, slots)``, in [0, 1].

    Returns:
        ``(batch, slots)``; each row sums to 1 at most, and to 0 where every slot is in use.
    """
    # Compared are logarithms, since these XLA computes once; a usage it would compute for each comparison.
    logs = tf.math.log(usage + TINY)
    of_i, of_j = logs[:, :, None], logs[:, None]
    slot = tf.range(usage.shape[1])
    tie = tf.cast(slot[:, None] < slot, usage.dtype)
    before = tf.where(of_i == of_j, tie, tf.cast(of_i < of_j, usage.dtype))  # (batch, slots i, slots j)
    product = tf.exp(tf.squeeze(tf.matmul(logs[:, None], before), axis=1))
    # What TINY made of a product of 0 is 0 again: else a slot would seem in use that was never written to.
    product -= tf.stop_gradient(tf.where(product > 2 * TINY, tf.zeros_like(product), product))
    return (1 - usage) * product
