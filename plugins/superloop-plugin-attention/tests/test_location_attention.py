import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from superloop_plugin_attention import LocationAttentionConfig
from superloop_plugin_attention.location_attention import LocationAttention, LocationAttentionState

from superloop_core import Sequence, Superloop
from superloop_core.builder import dtype_policy


def location_attention(dtype="float64", **config):
    with dtype_policy(dtype):
        return LocationAttention(LocationAttentionConfig(**config))


def walk(system, controls, data, mask=None):
    """Take the steps of ``(timesteps, batch, control)``; give the reads, positions and weights."""
    sequence = Sequence(
        batch_size=len(data),
        timesteps=len(controls),
        lengths=None,
        dtype="float64",
        sources={"data": tf.constant(data, tf.float64)},
        masks={} if mask is None else {"data": tf.constant(mask)},
    )
    state, constants = system.initial_state(sequence), system.constants(sequence)
    given = []
    for control in controls:
        read, state, named = system.step(tf.constant(control, tf.float64), state, constants)
        given.append((read, state.position, named["weights"]))
    return [np.stack(one) for one in zip(*given, strict=True)]


def plain(components, controls, data, mask):
    """Graves's equations, which count from 1 and begin at 0, component by component."""
    timesteps, batch, _ = controls.shape
    kappa = np.zeros((batch, components))
    reads, positions = np.zeros((timesteps, batch, data.shape[2])), np.zeros((timesteps, batch, components))
    weights = np.zeros((timesteps, *data.shape[:2]))
    for t in range(timesteps):
        for b in range(batch):
            alpha, beta, step = np.exp(controls[t, b]).reshape(3, components)
            for k in range(components):
                kappa[b, k] += step[k]
                for u in range(1, data.shape[1] + 1):
                    if mask[b, u - 1]:
                        weights[t, b, u - 1] += alpha[k] * np.exp(-beta[k] * (kappa[b, k] - u) ** 2)
            for u in range(1, data.shape[1] + 1):
                reads[t, b] += weights[t, b, u - 1] * data[b, u - 1]
        positions[t] = kappa - 1  # of ours, which count from 0
    return reads, positions, weights


@settings(max_examples=40, deadline=None)
@given(
    width=st.integers(1, 3),
    components=st.integers(1, 3),
    datapoints=st.integers(1, 5),
    masked=st.booleans(),
    seed=st.integers(0, 999),
)
def test_whatever_the_settings_it_computes_the_equations(width, components, datapoints, masked, seed):
    rng = np.random.default_rng(seed)
    system = location_attention(width=width, components=components)
    controls = np.minimum(rng.normal(size=(4, 2, system.control_size)), 4.9)
    data = rng.normal(size=(2, datapoints, width))
    mask = rng.random((2, datapoints)) < (0.6 if masked else 2)
    answers = walk(system, controls, data, mask if masked else None)
    for ours, theirs in zip(answers, plain(components, controls, data, mask), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def test_controls_of_zero_walk_along_the_tape_one_datapoint_a_step():
    """exp(0) = 1: the first step leads to the first datapoint; its neighbours weigh exp(-1) and exp(-4)."""
    data = np.eye(3)[None]
    reads, positions, _ = walk(location_attention(width=3, components=1), np.zeros((3, 1, 3)), data)
    np.testing.assert_array_equal(positions[:, 0, 0], [0, 1, 2])
    e1, e4 = np.exp(-1), np.exp(-4)
    np.testing.assert_allclose(reads[:, 0], [[1, e1, e4], [e1, 1, e1], [e4, e1, 1]])


def test_components_add_up():
    """One stays at the start with a height of 2; the other is on the first datapoint with one of 3."""
    control = np.log([[2, 3, 0.5, 2, 1e-30, 1]])
    _, positions, weights = walk(location_attention(width=1, components=2), control[None], np.ones((1, 2, 1)))
    np.testing.assert_allclose(positions[0, 0], [-1, 0], atol=1e-12)
    expected = [2 * np.exp(-0.5) + 3, 2 * np.exp(-0.5 * 4) + 3 * np.exp(-2)]
    np.testing.assert_allclose(weights[0, 0], expected)


def test_above_five_the_exponential_goes_on_as_its_tangent():
    system = location_attention(width=1, components=1)
    controls = np.array([[[0, 0, 4.9]], [[0, 0, 5.0]], [[0, 0, 7.0]], [[0, 0, -200.0]]])
    _, positions, _ = walk(system, controls, np.ones((1, 2, 1)))
    steps = np.diff(positions[:, 0, 0], prepend=-1)
    np.testing.assert_allclose(steps, [np.exp(4.9), np.exp(5), 3 * np.exp(5), 0], atol=1e-9)


@pytest.mark.parametrize("size", [1e3, -1e3, 1e6, -1e6])
def test_controls_without_bounds_and_their_gradient_stay_finite_for_a_thousand_steps(size):
    system = location_attention("float32", width=2, components=2)
    signs = tf.sign(tf.random.stateless_normal((1000, 2, 6), seed=(1, 2)))
    controls = size * tf.where(signs > 0, 1.0, tf.random.stateless_uniform(signs.shape, seed=(3, 4)))
    constants = tf.ones((2, 5, 2)), tf.ones((2, 5))

    @tf.function(autograph=False, jit_compile=True)
    def run(controls):
        def body(t, position, total):
            read, state, _ = system.step(controls[t], LocationAttentionState(position), constants)
            return t + 1, state.position, total + tf.reduce_sum(read)

        with tf.GradientTape() as tape:
            tape.watch(controls)
            start = (0, -tf.ones((2, 2)), 0.0)
            _, position, total = tf.while_loop(lambda t, *_: t < 1000, body, start, maximum_iterations=1000)
        return position, total, tape.gradient(total, controls)

    for tensor in run(controls):
        assert np.isfinite(tensor).all()


def test_a_thousand_steps_of_a_loop_and_their_gradient_stay_finite():
    system = {"id": "it", "use": "location_attention", "width": 2, "components": 3}
    layer = Superloop(
        {"inputs": 2, "outputs": 1, "cells": [{"use": "gru", "units": 4}], "systems": [system]},
        jit_compile=True,
    )
    feed = {
        "inputs": tf.random.stateless_normal((2, 1000, 2), seed=(1, 2)),
        "it_data": tf.random.stateless_normal((2, 5, 2), seed=(3, 4)),
    }
    layer.build({name: tensor.shape for name, tensor in feed.items()})
    rng = np.random.default_rng(0)
    layer.set_weights([rng.normal(size=weight.shape) for weight in layer.weights])

    @tf.function(autograph=False)
    def gradient():
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(layer(feed, training=True))
        return tape.gradient(total, [weight.value for weight in layer.weights])

    for slope in gradient():
        assert np.isfinite(slope).all()


@pytest.mark.parametrize(
    "wrong", [{"width": 0}, {"width": 1, "components": 0}, {"width": 1, "datapoints": -1}]
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=list(wrong)[-1]):
        LocationAttentionConfig(**wrong)
