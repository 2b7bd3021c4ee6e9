import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from superloop_plugin_registers import RegisterMemoryConfig
from superloop_plugin_registers.register_memory import RegisterMemory, RegisterMemoryState

from superloop_core import ConfigError, Sequence, Superloop


def registers(depth, width):
    """A RegisterMemory that computes in float64."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        return RegisterMemory(RegisterMemoryConfig(depth=depth, width=width))
    finally:
        keras.config.set_dtype_policy(before)


def step(system, control, memory):
    return system.step(
        tf.constant(control, tf.float64), RegisterMemoryState(tf.constant(memory, tf.float64)), {}
    )


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


def numpy_step(control, memory):
    """One step of one row in float64, register by register: the answer and the memory after the write."""
    depth, width = memory.shape
    store, recall = softmax(control[:depth]), softmax(control[depth : 2 * depth])
    data = control[2 * depth :]
    after, read = np.empty_like(memory), np.zeros(width)
    for i in range(depth):
        after[i] = (1 - store[i]) * memory[i] + store[i] * data
        read += recall[i] * after[i]
    return read, after, store, recall


@settings(max_examples=30, deadline=None)
@given(depth=st.integers(1, 4), width=st.integers(1, 4), seed=st.integers(0, 999))
def test_whatever_the_size_it_computes_the_equations(depth, width, seed):
    rng = np.random.default_rng(seed)
    control = rng.normal(scale=2, size=(3, 2 * depth + width))
    memory = rng.normal(size=(3, depth, width))
    read, state, named = step(registers(depth, width), control, memory)
    for row in range(3):
        expected = numpy_step(control[row], memory[row])
        ours = (read[row], state.memory[row], named["write_weights"][row], named["read_weights"][row])
        for one, other in zip(ours, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_what_is_stored_in_one_register_is_recalled_from_it_and_the_others_are_left_alone():
    memory = [[[1, 1], [2, 2], [3, 3]]]
    sharp = [0, 50, 0, 0, 50, 0, 7, 8]  # store in the second, recall from the second, (7, 8)
    read, state, _ = step(registers(3, 2), [sharp], memory)
    np.testing.assert_allclose(read, [[7, 8]])
    np.testing.assert_allclose(state.memory, [[[1, 1], [7, 8], [3, 3]]])
    elsewhere = [0, 50, 0, 0, 0, 50, 7, 8]
    read, _, _ = step(registers(3, 2), [elsewhere], memory)
    np.testing.assert_allclose(read, [[3, 3]])


def test_an_even_control_writes_and_reads_all_registers_alike():
    read, state, _ = step(registers(2, 1), [[0, 0, 0, 0, 4]], [[[0], [2]]])
    np.testing.assert_allclose(state.memory, [[[2], [3]]])
    np.testing.assert_allclose(read, [[2.5]])


def test_a_single_register_holds_what_was_stored_last():
    read, state, _ = step(registers(1, 2), [[3, -9, 5, 6]], [[[1, 2]]])
    np.testing.assert_allclose(state.memory, [[[5, 6]]])
    np.testing.assert_allclose(read, [[5, 6]])


def test_it_starts_with_zeros():
    sequence = Sequence(batch_size=2, timesteps=1, lengths=tf.constant([1, 1]), dtype="float32")
    np.testing.assert_array_equal(registers(3, 2).initial_state(sequence).memory, np.zeros((2, 3, 2)))


def test_weights_of_enormous_controls_are_finite():
    read, state, _ = step(registers(2, 1), [[1e4, -1e4, -1e4, 1e4, 5]], [[[1], [2]]])
    np.testing.assert_allclose(state.memory, [[[5], [2]]])
    np.testing.assert_allclose(read, [[2]])


def loop(**config):
    memory = {"id": "scratch", "use": "register_memory", "depth": 3, "width": 2} | config
    parts = {"cells": [{"use": "gru", "units": 2}], "systems": [memory]}
    return Superloop({"inputs": 1, "outputs": 1} | parts, dtype="float64")


def test_gradients_are_the_slopes_that_finite_differences_find():
    rng = np.random.default_rng(0)
    layer, inputs = loop(), tf.constant(rng.normal(size=(2, 4, 1)))
    layer(inputs)
    points = [rng.normal(scale=0.5, size=weight.shape) for weight in layer.trainable_weights]
    directions = [rng.normal(size=point.shape) for point in points]

    def loss(step):
        for variable, point, way in zip(layer.trainable_weights, points, directions, strict=True):
            variable.assign(point + step * way)
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(layer(inputs) ** 2)
        return float(total), tape.gradient(total, [weight.value for weight in layer.trainable_weights])

    _, gradients = loss(0)
    slope = sum(float(tf.reduce_sum(g * way)) for g, way in zip(gradients, directions, strict=True))
    assert abs(slope) > 1e-3
    np.testing.assert_allclose((loss(1e-5)[0] - loss(-1e-5)[0]) / 2e-5, slope, rtol=1e-6)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("depth", 0, "'depth' must be"),
        ("width", 1.5, "'width' must be an integer"),
        ("register_with", 3, "no setting 'register_with'"),
    ],
)
def test_settings_that_do_not_fit_are_refused_by_name(setting, value, message):
    with pytest.raises(ConfigError, match=message):
        loop(**{setting: value})
