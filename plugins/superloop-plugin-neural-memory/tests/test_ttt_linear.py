"""Tests of TTT-Linear: recorded answers and gradients, finite differences of its loss, and worked values."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from superloop_plugin_neural_memory import TttLinearConfig
from superloop_plugin_neural_memory.ttt_linear import EPSILON, TTTLinear

from superloop_core import Sequence, Superloop
from superloop_core.builder import dtype_policy

RECORDINGS = Path(__file__).parent / "recordings/ttt_linear.npz"


def ttt_linear(seed=None, **config):
    """Return a built memory that computes in float64; with a seed, all of its weights are drawn."""
    with dtype_policy("float64"):
        system = TTTLinear(TttLinearConfig(**config))
        system.build(1)
    if seed is not None:
        rng = np.random.default_rng(seed)
        system.set_weights([rng.normal(size=weight.shape) for weight in system.get_weights()])
    return system


def run(system, controls):
    """Step through controls ``(timesteps, batch, control)``; return the reads, all states, all traces."""
    sequence = Sequence(batch_size=controls.shape[1], timesteps=None, lengths=None, dtype="float64")
    state, constants = system.initial_state(sequence), system.constants(sequence)
    reads, states, traces = [], [], []
    for control in controls:
        read, state, named = system.step(tf.convert_to_tensor(control), state, constants)
        reads.append(read)
        states.append(state)
        traces.append(named)
    return tf.stack(reads), states, traces


def logit(share):
    return np.log(share) - np.log(1 - share)


def along_the_sphere(slopes, x):
    """Return slopes by x of length 1 as those by what x was made of, of length 1 too."""
    return slopes - np.sum(slopes * x, axis=-1, keepdims=True) * x


def test_reads_states_and_gradients_are_the_recorded_ones():
    with np.load(RECORDINGS) as arrays:
        recorded = {key.removeprefix("layernorm/"): arrays[key] for key in arrays}
    assert recorded["par/ln_eps"] == EPSILON
    k, q, v, eta = (recorded[f"in/{name}"] for name in ("k", "q", "v", "eta"))
    system = ttt_linear(width=5)
    system.gain.assign([recorded["par/ln_w"]])
    system.offset.assign([recorded["par/ln_b"]])
    control = np.concatenate([logit(eta / 0.5)[..., None], k, q, v], axis=-1)
    of_gain, of_offset = 0.0, 0.0
    for row in range(3):  # each has a start of its own
        system.start.assign(recorded["par/W0"][row].T[None])
        inputs = tf.constant(control[row][:, None])
        weights = [system.start.value, system.gain.value, system.offset.value]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            reads, states, _ = run(system, inputs)
            loss = tf.reduce_sum(reads[:, 0] * recorded["G/o"][row])
        np.testing.assert_allclose(reads[:, 0], recorded["out/o"][row], rtol=0, atol=1e-11)
        for t, state in ((0, states[0]), (1, states[1]), (2, states[2]), (3, states[3]), (-1, states[-1])):
            place = "final" if t < 0 else "trace"
            of_row = {name: recorded[f"{place}/{name}"][row] for name in "Wb"}
            expected = of_row if t < 0 else {name: array[t] for name, array in of_row.items()}
            np.testing.assert_allclose(state.memory[0, 0], expected["W"].T, rtol=0, atol=1e-11)
            np.testing.assert_allclose(state.bias[0, 0], expected["b"], rtol=0, atol=1e-11)
        slopes, *of_weights = tape.gradient(loss, [inputs, *weights])
        step, key, query, value = np.split(slopes[:, 0], [1, 6, 11], axis=-1)
        of_eta = recorded["grad/eta"][row]
        share = eta[row] / 0.5
        np.testing.assert_allclose(step[:, 0], of_eta * eta[row] * (1 - share), rtol=0, atol=1e-9)
        expected = along_the_sphere(recorded["grad/k"][row], k[row])
        np.testing.assert_allclose(key, expected, rtol=0, atol=1e-9)
        np.testing.assert_allclose(query, recorded["grad/q"][row], rtol=0, atol=1e-9)
        np.testing.assert_allclose(value, recorded["grad/v"][row], rtol=0, atol=1e-9)
        np.testing.assert_allclose(of_weights[0][0], recorded["grad/W0"][row].T, rtol=0, atol=1e-9)
        of_gain, of_offset = of_gain + of_weights[1][0], of_offset + of_weights[2][0]
    np.testing.assert_allclose(of_gain, recorded["grad/ln_w"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(of_offset, recorded["grad/ln_b"], rtol=0, atol=1e-9)


def normalized(x, gain, offset):
    mean = sum(x) / len(x)
    return gain * (x - mean) / np.sqrt(sum((x - mean) ** 2) / len(x) + 1e-6) + offset


def descended(loss, weights, rate, nudge=1e-5):
    """Return weights after a step of gradient descent, of central differences."""
    slopes = np.zeros_like(weights)
    for place in np.ndindex(weights.shape):
        step = np.zeros_like(weights)
        step[place] = nudge
        slopes[place] = (loss(weights + step) - loss(weights - step)) / (2 * nudge)
    return weights - rate * slopes


@settings(max_examples=15, deadline=None)
@given(
    config=st.builds(
        TttLinearConfig,
        width=st.integers(3, 5),
        heads=st.integers(1, 2),
        max_step=st.sampled_from([0.25, 0.5, 1.0]),
    ),
    seed=st.integers(0, 999),
)
def test_a_step_descends_the_papers_loss(config, seed):
    """The inner gradient is that of finite differences of the loss, head by head."""
    with dtype_policy("float64"):
        system = ttt_linear(seed, width=config.width, heads=config.heads, max_step=config.max_step)
    controls = np.random.default_rng(seed).normal(size=(2, 1, config.control_size))
    reads, states, _ = run(system, controls)
    starts, gains, offsets = system.get_weights()
    heads, width = config.heads, config.width
    for h in range(heads):
        weights = np.concatenate([starts[h], np.zeros((width, 1))], axis=1)  # [W b]
        for t in range(2):
            steps, *vectors = np.split(controls[t, 0], heads + np.arange(3) * heads * width)
            key, query, value = (vector.reshape(heads, width)[h] for vector in vectors)
            key = key / np.sqrt(sum(key**2))

            def f(weights, x, h=h):
                return normalized(weights[:, :-1] @ x + weights[:, -1], gains[h], offsets[h])

            def loss(weights, f=f, key=key, value=value):
                return sum((f(weights, key) - (value - key)) ** 2) / 2

            weights = descended(loss, weights, config.max_step / (1 + np.exp(-steps[h])))
            read = query + f(weights, query)
            np.testing.assert_allclose(reads[t, 0, h * width :][:width], read, rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(states[t].memory[0, h], weights[:, :-1], rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(states[t].bias[0, h], weights[:, -1], rtol=1e-5, atol=1e-5)


def test_one_step_by_hand():
    """u = (3, 0, -3): w = (1, 0, -1) sqrt(3/2). The error is w up to its last number, which is 1 larger."""
    system = ttt_linear(width=3, max_step=1.0)
    system.start.assign(np.diag([3.0, 1.0, 1.0])[None] - np.eye(3)[2][:, None] * np.array([3.0, 0, 0]))
    w = np.sqrt(1.5) * np.array([1, 0, -1])
    key = np.array([1.0, 0, 0])
    value = w + key - [0, 0, 1]  # f(k) - (value - k) = (0, 0, 1)
    _, states, traces = run(system, np.array([[[0, *key, *key, *value]]]))
    np.testing.assert_allclose(traces[0]["inner_loss"], [[0.5]], rtol=1e-6)
    # d = (0, 0, 1), mean(d) = 1/3, mean(d w) = -sqrt(1.5)/3, s = sqrt(6); eta is 1/2
    g = (np.array([0, 0, 1]) - 1 / 3 + w * np.sqrt(1.5) / 3) / np.sqrt(6)
    np.testing.assert_allclose(g, np.array([1, -2, 1]) / 6 / np.sqrt(6))
    np.testing.assert_allclose(states[0].bias[0, 0], -g / 2, rtol=1e-6)
    np.testing.assert_allclose(states[0].memory[0, 0, :, 0], [3, 0, -3] - g / 2, rtol=1e-6)
    np.testing.assert_array_equal(states[0].memory[0, 0, :, 1:], [[0, 0], [1, 0], [0, 1]])


def test_the_read_of_a_key_becomes_its_value_over_timesteps():
    """value - k has the mean 0 and the variance 1, which the normalization can give."""
    system = ttt_linear(seed=1, width=4)
    system.gain.assign(np.ones((1, 4)))
    system.offset.assign(np.zeros((1, 4)))
    key = np.array([0.5, -0.5, 0.5, 0.5])
    value = key + np.array([1, -1, 1, -1])
    reads, _, traces = run(system, np.tile([9.0, *key, *key, *value], (60, 1, 1)))
    losses = np.array([named["inner_loss"][0, 0] for named in traces])
    assert losses[0] > 1
    assert (np.diff(losses[:20]) < 0).all()
    np.testing.assert_allclose(reads[-1, 0], value, atol=1e-3)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 999), scale=st.sampled_from([1.0, 100.0]))
def test_steps_lengthen_the_weights_and_so_are_bounded(seed, scale):
    """The square of their length grows by that of the step alone, since the slope is orthogonal to them."""
    system = ttt_linear(seed, width=5, max_step=1.0)
    controls = scale * np.random.default_rng(seed).normal(size=(6, 1, system.control_size))
    _, states, _ = run(system, controls)
    weights = [tf.concat([s.memory, s.bias[..., None]], axis=-1).numpy().ravel() for s in states]
    squares = np.array([w @ w for w in weights])
    steps = np.array([np.sum((b - a) ** 2) for a, b in pairwise(weights)])
    np.testing.assert_allclose(np.diff(squares), steps, rtol=1e-3, atol=1e-3 * scale)


def test_a_key_of_zeros_has_a_finite_gradient():
    system = ttt_linear(seed=0, width=3)
    control = tf.constant([[[1.0, 0, 0, 0, 1, 2, 3, 4, 5, 6]]], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(control)
        reads, _, _ = run(system, control)
    assert np.isfinite(tape.gradient(reads, control)).all()


def test_the_weights_at_the_start_are_trained_in_a_loop():
    system = {"use": "ttt_linear", "width": 3, "learn_initial_state": True}
    loop = Superloop(
        {"inputs": 2, "outputs": 1, "cells": [{"use": "dense", "units": 4}], "systems": [system]}
    )
    inputs = np.random.default_rng(0).normal(size=(2, 5, 2)).astype("float32")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(loop(inputs))
    slopes = {
        w.path: g
        for w, g in zip(loop.trainable_variables, tape.gradient(loss, loop.trainable_variables), strict=True)
    }
    for name in ("start", "gain", "offset", "initial_ttt_linear.bias"):
        (of_weight,) = (slope for path, slope in slopes.items() if path.endswith(f"/{name}"))
        assert np.abs(of_weight).max() > 1e-4, name


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"width": 2}, "width"),
        ({"heads": 0}, "heads"),
        ({"max_step": 0.0}, "max_step"),
        ({"max_step": 1.5}, "max_step"),
    ],
)
def test_invalid_settings_are_rejected(wrong, message):
    with pytest.raises(ValueError, match=message):
        TttLinearConfig(**wrong)
