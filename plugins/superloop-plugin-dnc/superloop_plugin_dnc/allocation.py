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

    The product is the exponential of a sum of logarithms, so that nothing needs to be sorted. Which comes
    before which is constant to the gradient, as in the paper; the rest of it is exact, for usages of 0 too.

    Args:
        usage: ``(batch, slots)``, in [0, 1].

    Returns:
        ``(batch, slots)``; each row sums to 1 at most, and to 0 where every slot is in use.
    """
    of_i, of_j = usage[:, :, None], usage[:, None]
    slot = tf.range(usage.shape[1])
    before = (of_i < of_j) | ((of_i == of_j) & (slot[:, None] < slot))  # (batch, slots i, slots j)
    logs = tf.reduce_sum(tf.where(before, tf.math.log(of_i + TINY), 0), axis=1)
    return (1 - usage) * tf.exp(logs)
