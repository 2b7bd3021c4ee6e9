import numpy as np
import pytest
import tensorflow as tf

from superloop_core import SuperloopError, draw_normal, draw_uniform
from superloop_core.builder.noise import noise_of, noise_of_part

SEED = tf.constant([5, 7], tf.uint32)


def drawn(draw=draw_uniform, shape=(3,), dtype="float32", *, seed=SEED, first=0, rows=4, timestep=0, at="a"):
    with noise_of(seed, first, timestep), noise_of_part(at, rows):
        return np.asarray(draw(shape, dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_numbers_are_of_the_distributions_that_they_are_said_to_be(dtype):
    uniform = np.sort(drawn(shape=(100,), rows=100, dtype=dtype).ravel())
    assert uniform.dtype == dtype
    assert 0 < uniform[0] < uniform[-1] < 1
    np.testing.assert_allclose(uniform, np.linspace(0, 1, 10_000), atol=0.02)  # Kolmogorov: 0.016 at 1%
    normal = drawn(draw_normal, (100,), dtype, rows=100)
    np.testing.assert_allclose([normal.mean(), normal.std(), (normal**4).mean()], [0, 1, 3], atol=0.3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(), (3,), (4,), (2, 5)])
def test_a_row_has_its_numbers_in_any_shard(shape, dtype):
    whole = drawn(shape=shape, dtype=dtype, rows=7)
    assert whole.shape == (7, *shape)
    np.testing.assert_array_equal(whole[3:5], drawn(shape=shape, dtype=dtype, first=3, rows=2))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_compiled_step_draws_the_same_numbers(dtype):
    @tf.function(jit_compile=True, autograph=False)
    def compiled(seed, first, timestep):
        with noise_of(seed, first, timestep), noise_of_part("a", 5):
            return draw_uniform((3,), dtype), draw_normal((3,), dtype)

    uniform, normal = compiled(SEED, tf.constant(2), tf.constant(6))
    with noise_of(SEED, 2, 6), noise_of_part("a", 5):
        np.testing.assert_array_equal(uniform, draw_uniform((3,), dtype))
        np.testing.assert_allclose(normal, draw_normal((3,), dtype), rtol=1e-4, atol=1e-6)


def test_each_seed_part_timestep_row_and_call_has_numbers_of_its_own():
    def calls():
        return np.stack([draw_uniform((2,)), draw_uniform((2,))])

    with noise_of(SEED, 0, 0), noise_of_part("a", 4):
        first = calls()
    others = [
        drawn(seed=tf.constant([7, 5], tf.uint32), shape=(2,)),
        drawn(at="b", shape=(2,)),
        drawn(at="a.b", shape=(2,)),
        drawn(timestep=1, shape=(2,)),
        drawn(timestep=None, shape=(2,)),
    ]
    every = np.concatenate([first.ravel(), *(other.ravel() for other in others)])
    assert len(np.unique(every)) == len(every)


def test_noise_outside_of_a_loop_or_of_a_part_that_says_it_has_none_is_an_error():
    with pytest.raises(SuperloopError, match="in 'initial_state', 'constants' and 'step' of a Builder only"):
        draw_uniform((2,))
    with pytest.raises(SuperloopError, match=r"memo: draws noise, .* write 'stochastic = True'"):
        drawn(seed=None, at="memo")
    with pytest.raises(SuperloopError, match="a: noise is drawn in float32 or float64; cast it: 'float16'"):
        drawn(dtype="float16")


def test_noise_has_the_dtype_of_the_part():
    for dtype, drawn_in in (("float64", "float64"), ("float32", "float32"), ("float16", "float32")):
        with noise_of(SEED, 0, 0), noise_of_part("a", 4, dtype):
            assert draw_uniform((2,)).dtype == draw_normal((2,)).dtype == drawn_in
