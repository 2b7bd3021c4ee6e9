"""Usage of the slots, and the allocation weighting."""

from collections.abc import Iterable

import tensorflow as tf

from superloop_core.builder import Tensor

TINY = 1e-30  # log(0 + TINY) is finite, and u + TINY is u for any other usage


def retention(read_weights: Tensor, free_gates: Tensor) -> Tensor:
    """Return what the free gates leave in use, psi = prod_r (1 - f^r w^r).

    Args:
        read_weights: w^r of the last step, ``(batch, read_heads, slots)``.
        free_gates: f, ``(batch, read_heads)``.

    Returns:
        ``(batch, slots)``.
    """
    return tf.reduce_prod(1 - free_gates[:, :, None] * read_weights, axis=1)


def next_usage(usage: Tensor, write_weights: Iterable[Tensor], psi: Tensor) -> Tensor:
    """Return the usage after the last step's writes, less the slots freed after its reads.

    ::

        u' = (1 - (1 - u) prod_w (1 - w^w)) psi            (u + w^w - u w^w) psi with one write head

    Args:
        usage: u, ``(batch, slots)``, in [0, 1].
        write_weights: w^w of the last step, ``(batch, slots)``, for each write head.
        psi: the retention, ``(batch, slots)``.

    Returns:
        ``(batch, slots)``, in [0, 1].
    """
    for w in write_weights:
        usage = usage + (1 - usage) * w
    return tf.clip_by_value(usage * psi, 0, 1)


def allocation(usage: Tensor) -> Tensor:
    """Weigh slots by how free they are, the freest first.

    ::

        a_j = (1 - u_j) prod_{i before j} u_i        i is before j: u_i < u_j, or they are equal and i < j

    The product is the exponential of a sum of logarithms, so that nothing is sorted; usages whose logarithms
    are equal count as equal. The order is a constant for the gradient, as in the paper; the rest of the
    gradient is exact, also for usages of 0.

    Args:
        usage: ``(batch, slots)``, in [0, 1].

    Returns:
        ``(batch, slots)``; each row sums to 1 at most, and to 0 where every slot is in use.
    """
    # Logarithms are compared, since XLA computes them once; it would compute a usage for each comparison.
    logs = tf.math.log(usage + TINY)
    of_i, of_j = logs[:, :, None], logs[:, None]
    slot = tf.range(usage.shape[1])
    tie = tf.cast(slot[:, None] < slot, usage.dtype)
    before = tf.where(of_i == of_j, tie, tf.cast(of_i < of_j, usage.dtype))  # (batch, slots i, slots j)
    product = tf.exp(tf.squeeze(tf.matmul(logs[:, None], before), axis=1))
    # A product of 0 became TINY; make it 0 again, else an unused slot would appear to be in use.
    product -= tf.stop_gradient(tf.where(product > 2 * TINY, tf.zeros_like(product), product))
    return (1 - usage) * product
