import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from superloop_plugin_attention import AttentionConfig
from superloop_plugin_attention.attention import Attention, AttentionState

from superloop_core import Sequence, Superloop
from superloop_core.builder import dtype_policy


def attention(**config):
    """Return an Attention that computes in float64."""
    with dtype_policy("float64"):
        return Attention(AttentionConfig(**config))


def numpy_step(config, control, position, data):
    """Take one step in float64; return the read vector, the position after the move and the weights."""
    position = position + control / (1 + np.abs(control))
    count = data.shape[1]
    if config.bounded:
        position = np.minimum(np.maximum(position, 0), count - 1)
    weights = np.empty((len(data), count))
    for b, at in enumerate(position[:, 0]):
        for i in range(count):
            d = abs(at - i)
            weights[b, i] = 1 / (1 + (d**2 if config.kernel == "inverse_square" else d))
    if config.normalize:
        weights /= weights.sum(axis=1, keepdims=True)
    read = np.stack([w @ tape for w, tape in zip(weights, data, strict=True)])
    return np.concatenate([read, position], -1) if config.read_position else read, position, weights


def constants_of(data):
    """Return the constants for a tape without padding."""
    return tf.constant(data), tf.ones(data.shape[:2], data.dtype)


SETTINGS = st.fixed_dictionaries(
    {
        "width": st.integers(1, 3),
        "datapoints": st.integers(0, 5),
        "kernel": st.sampled_from(["inverse_square", "inverse_distance"]),
        "normalize": st.booleans(),
        "read_position": st.booleans(),
        "bounded": st.booleans(),
    }
)


@settings(max_examples=40, deadline=None)
@given(config=SETTINGS, seed=st.integers(0, 999))
def test_a_step_computes_the_equations_for_all_settings(config, seed):
    rng = np.random.default_rng(seed)
    system = attention(**config)
    data = rng.normal(size=(2, config["datapoints"] or 4, config["width"]))
    control, position = rng.normal(scale=5, size=(2, 1)), rng.normal(scale=3, size=(2, 1))
    read, state, named = system.step(
        tf.constant(control), AttentionState(tf.constant(position)), constants_of(data)
    )
    expected = numpy_step(system.config, control, position, data)
    assert read.shape == (2, system.output_size)
    for ours, theirs in zip((read, state.position, named["weights"]), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def test_a_datapoint_at_the_position_has_weight_one_and_weights_fall_with_distance():
    data = np.eye(3)[None]
    state = AttentionState(tf.constant([[0.5]], tf.float64))
    control = tf.constant([[1.0]], tf.float64)  # moves by 1/2, to 1
    read, _, _ = attention(width=3).step(control, state, constants_of(data))
    np.testing.assert_allclose(read, [[0.5, 1, 0.5]])
    state = AttentionState(tf.constant([[-0.5]], tf.float64))  # to 0
    read, _, _ = attention(width=3).step(control, state, constants_of(data))
    np.testing.assert_allclose(read, [[1, 1 / 2, 1 / 5]])
    read, _, _ = attention(width=3, kernel="inverse_distance").step(control, state, constants_of(data))
    np.testing.assert_allclose(read, [[1, 1 / 2, 1 / 3]])
    read, _, _ = attention(width=3, normalize=True).step(control, state, constants_of(data))
    np.testing.assert_allclose(read, [[10 / 17, 5 / 17, 2 / 17]])


def test_the_position_starts_at_the_first_datapoint():
    sequence = Sequence(batch_size=2, timesteps=1, lengths=tf.constant([1, 1]), dtype="float32")
    np.testing.assert_array_equal(attention(width=1).initial_state(sequence).position, [[0], [0]])


def test_a_move_is_shorter_than_one_datapoint_for_any_control():
    state = AttentionState(tf.zeros((3, 1), tf.float64))
    _, moved, _ = attention(width=1).step(
        tf.constant([[1e6], [-1e6], [0]], tf.float64), state, constants_of(np.zeros((3, 2, 1)))
    )
    assert 0.999 < moved.position[0, 0] < 1
    assert -1 < moved.position[1, 0] < -0.999
    assert moved.position[2, 0] == 0


def test_only_a_bounded_position_stays_on_the_tape():
    data = constants_of(np.zeros((2, 3, 1)))
    ends = AttentionState(tf.constant([[0], [2]], tf.float64))
    outwards = tf.constant([[-1], [1]], tf.float64)
    _, state, _ = attention(width=1, bounded=True).step(outwards, ends, data)
    np.testing.assert_array_equal(state.position, [[0], [2]])
    _, state, _ = attention(width=1).step(outwards, ends, data)
    np.testing.assert_array_equal(state.position, [[-0.5], [2.5]])


def loop(dtype="float64", traces=(), **config):
    tape = {"id": "tape", "use": "attention", "width": 2} | config
    return Superloop(
        {"inputs": 1, "outputs": 1, "cells": [{"use": "gru", "units": 2}], "systems": [tape]},
        dtype=dtype,
        traces=traces,
    )


def test_an_untrained_loop_walks_along_the_tape():
    layer = loop(traces="tape.control")
    feed = {"inputs": np.ones((2, 6, 1)), "tape_data": np.ones((2, 8, 2))}
    control = layer(feed)["tape.control"]
    assert np.all(control > 0.5)


def test_the_control_bias_of_an_untrained_loop_is_nine_tenths():
    layer = loop()
    layer({"inputs": np.ones((2, 6, 1)), "tape_data": np.ones((2, 8, 2))})
    kernel, bias = layer.wiring.controls[0].get_weights()
    np.testing.assert_allclose(bias, [0.9], rtol=1e-6)
    assert np.all((kernel >= 0) & (kernel <= 0.1))


def test_a_layer_accepts_tapes_of_several_lengths():
    layer = loop()
    for datapoints in (1, 7):
        outputs = layer({"inputs": np.ones((2, 3, 1)), "tape_data": np.ones((2, datapoints, 2))})
        assert np.all(np.isfinite(outputs))


@pytest.mark.slow
def test_gradients_of_weights_and_data_match_finite_differences():
    rng = np.random.default_rng(0)
    layer = loop(kernel="inverse_distance", normalize=True, read_position=True)
    feed = {"inputs": rng.normal(size=(2, 4, 1)), "tape_data": rng.normal(size=(2, 5, 2))}
    feed = {name: tf.constant(value) for name, value in feed.items()}
    layer(feed)
    points = [rng.normal(scale=0.5, size=weight.shape) for weight in layer.trainable_weights]
    points = [*points, feed["tape_data"].numpy()]
    directions = [rng.normal(size=point.shape) for point in points]

    def loss(step):
        *weights, data = [point + step * way for point, way in zip(points, directions, strict=True)]
        for variable, weight in zip(layer.trainable_weights, weights, strict=True):
            variable.assign(weight)
        with tf.GradientTape() as tape:
            data = tf.constant(data)
            tape.watch(data)
            total = tf.reduce_sum(layer(feed | {"tape_data": data}) ** 2)
        watched = [*(weight.value for weight in layer.trainable_weights), data]
        return float(total), tape.gradient(total, watched)

    _, gradients = loss(0)
    slope = sum(float(tf.reduce_sum(g * way)) for g, way in zip(gradients, directions, strict=True))
    assert abs(slope) > 1e-3
    np.testing.assert_allclose((loss(1e-5)[0] - loss(-1e-5)[0]) / 2e-5, slope, rtol=1e-6)


@pytest.mark.parametrize("kernel", ["inverse_square", "inverse_distance"])
def test_a_fully_masked_tape_reads_zeros_with_finite_gradients(kernel):
    layer = loop(kernel=kernel, normalize=True, bounded=True, traces="tape.read")
    rng = np.random.default_rng(0)
    feed = {"inputs": rng.normal(size=(2, 4, 1)), "tape_data": rng.normal(size=(2, 5, 2))}
    mask = np.array([[True] * 5, [False] * 5])
    layer(feed)
    with tf.GradientTape() as tape:
        traces = layer(feed, mask={"tape_data": mask})
        total = tf.reduce_sum(traces["outputs"] ** 2)
    np.testing.assert_array_equal(traces["tape.read"][1], np.zeros((4, 2)))
    assert all(np.isfinite(slope).all() for slope in tape.gradient(total, layer.trainable_weights))


def test_a_bounded_position_ends_at_the_last_datapoint_that_is_not_masked():
    data = np.random.default_rng(0).normal(size=(3, 6, 1))
    mask = np.array([[0, 0, 0, 1, 1, 0], [1, 1, 0, 0, 0, 0], [0] * 6], "float64")
    constants = tf.constant(data), tf.constant(mask)
    start = AttentionState(tf.constant([[9.0]] * 3, tf.float64))
    _, state, _ = attention(width=1, bounded=True).step(tf.ones((3, 1), tf.float64), start, constants)
    np.testing.assert_array_equal(state.position[:, 0], [4, 1, 0])


@pytest.mark.parametrize("wrong", [{"width": 0}, {"width": 1, "datapoints": -1}])
def test_sizes_out_of_range_are_rejected(wrong):
    with pytest.raises(ValueError, match=list(wrong)[-1]):
        AttentionConfig(**wrong)
