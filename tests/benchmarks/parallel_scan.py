"""A diagonal linear recurrence in this project's loop and as a parallel scan, compiled, with gradients.

    python tests/benchmarks/parallel_scan.py

x_t = a_t x_{t-1} + b_t, where a_t and b_t are known for all timesteps, as in a loop without feedback. The
scan is that of Blelloch (1990): pairs of neighbours are combined, and the half of them is scanned.
"""

import statistics
import time

import numpy as np
import tensorflow as tf

from superloop_core.loop.scan import Scan


def in_a_loop(a: tf.Tensor, b: tf.Tensor, made: dict = {}) -> tf.Tensor:  # noqa: B006
    """Return x_t for all t, ``(timesteps, batch, units)``, one after the other."""
    if (key := tuple(b.shape)) not in made:
        spec = tf.TensorSpec(b.shape[1:])
        made[key] = Scan(lambda x, at, _: (at[0] * x + at[1],) * 2, spec, (spec, spec), (), compiled=True)
    return made[key](tf.zeros_like(b[0]), (a, b), (), b.shape[0])[1]


def in_parallel(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Return the same by combining pairs; the number of timesteps is a power of two."""
    return _combined(a, b)[1]


def _combined(a: tf.Tensor, b: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    if a.shape[0] == 1:
        return a, b
    even_a, even_b, odd_a, odd_b = a[0::2], b[0::2], a[1::2], b[1::2]
    after_a, after_b = _combined(even_a * odd_a, even_b * odd_a + odd_b)
    before_a = tf.concat([even_a[:1], even_a[1:] * after_a[:-1]], axis=0)
    before_b = tf.concat([even_b[:1], even_a[1:] * after_b[:-1] + even_b[1:]], axis=0)
    pairs = tf.stack([before_a, after_a], axis=1), tf.stack([before_b, after_b], axis=1)
    return tuple(tf.reshape(pair, a.shape) for pair in pairs)


def measured(recurrence, a: tf.Tensor, b: tf.Tensor) -> tuple[float, float]:
    """Return milliseconds of a gradient, the median of 7, and seconds of the first one."""

    def slopes(a, b):
        with tf.GradientTape() as tape:
            tape.watch((a, b))
            loss = tf.reduce_sum(recurrence(a, b) ** 2)
        return tape.gradient(loss, (a, b))

    run = tf.function(slopes, jit_compile=recurrence is in_parallel, autograph=False)
    begun = time.perf_counter()
    run(a, b)[0].numpy()
    first, times = time.perf_counter() - begun, []
    for _ in range(7):
        begun = time.perf_counter()
        run(a, b)[0].numpy()
        times.append(time.perf_counter() - begun)
    return 1000 * statistics.median(times), first


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    print("timesteps  batch x units   loop ms (first s)   scan ms (first s)   ratio")
    for timesteps in (64, 256, 1024):
        for batch, units in ((16, 64), (64, 256)):
            shape = timesteps, batch, units
            numbers = [
                tf.constant(rng.uniform(0.9, 1.0, shape), "float32"),
                tf.constant(rng.normal(size=shape), "float32"),
            ]
            np.testing.assert_allclose(in_a_loop(*numbers), in_parallel(*numbers), rtol=1e-3, atol=1e-3)
            loop, scan = measured(in_a_loop, *numbers), measured(in_parallel, *numbers)
            print(
                f"{timesteps:9} {batch:6} x {units:<5} {loop[0]:12.1f} ({loop[1]:.1f}) "
                f"{scan[0]:15.1f} ({scan[1]:.1f}) {scan[0] / loop[0]:10.2f}"
            )
