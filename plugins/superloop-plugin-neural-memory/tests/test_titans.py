"""Tests of Titans: recorded answers and gradients, finite differences of its loss, and what it can store."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from superloop_plugin_neural_memory import TitansConfig
from superloop_plugin_neural_memory.titans import FORGET_BIAS, Titans

from superloop_core import Sequence, Superloop
from superloop_core.builder import dtype_policy

RECORDINGS = Path(__file__).parent / "recordings/titans_linear.npz"
SURE = 100.0


def titans(seed=None, **config):
    """Return a built memory that computes in float64; with a seed, its weights are drawn."""
    with dtype_policy("float64"):
        system = Titans(TitansConfig(**config))
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
        read, state, named = system.step(tf.cast(control, tf.float64), state, constants)
        reads.append(read)
        states.append(state)
        traces.append(named)
    return tf.stack(reads), states, traces


def logit(share):
    share = tf.clip_by_value(share, 1e-44, 1 - 1e-16)
    return tf.math.log(share) - tf.math.log(1 - share)


def along_the_sphere(slopes, x):
    """Return slopes by x as those by what x / |x| was made of, times |x|."""
    unit = x / np.linalg.norm(x, axis=-1, keepdims=True)
    return slopes - np.sum(slopes * unit, axis=-1, keepdims=True) * unit


@pytest.mark.parametrize("case", ["momentum_forget", "plain_gradient", "momentum_forget_wide"])
def test_reads_states_and_gradients_are_the_recorded_ones(case):
    with np.load(RECORDINGS) as arrays:
        recorded = {key.removeprefix(f"{case}/"): arrays[key] for key in arrays if key.startswith(f"{case}/")}
    inputs = {name: tf.constant(recorded[f"in/{name}"]) for name in ("theta", "eta", "alpha", "k", "q", "v")}
    sizes = {"key_size": inputs["k"].shape[-1], "width": inputs["v"].shape[-1]}
    system = titans(max_step=0.5, max_momentum=0.9, **sizes)
    length = np.linalg.norm(inputs["q"], axis=-1, keepdims=True)  # of queries, which the system divides by
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        gates = logit(inputs["theta"] / 0.5), logit(inputs["eta"] / 0.9), logit(inputs["alpha"]) - FORGET_BIAS
        gates = [gate[..., None] for gate in gates]
        control = tf.concat([*gates, inputs["k"], inputs["q"], inputs["v"]], axis=-1)
        reads, states, _ = run(system, tf.transpose(control, (1, 0, 2)))
        output = tf.transpose(reads, (1, 0, 2)) * length
        loss = tf.reduce_sum(output * recorded["G/o"])
    np.testing.assert_allclose(output, recorded["out/o"], rtol=0, atol=1e-11)
    for letter, name in {"M": "memory", "S": "momentum"}.items():
        found = [getattr(state, name)[:, 0] for state in states]
        np.testing.assert_allclose(found[-1], recorded[f"final/{letter}"], rtol=0, atol=1e-11)
        first = np.stack(found[:4], axis=1)
        np.testing.assert_allclose(first, recorded[f"trace/{letter}"], rtol=0, atol=1e-11)
    for name, slopes in tape.gradient(loss, inputs).items():
        if case == "plain_gradient" and name in ("eta", "alpha"):
            continue  # they are 0 there, which no control gives
        expected = recorded[f"grad/{name}"]
        expected = along_the_sphere(expected, inputs[name]) if name in "qk" else expected
        np.testing.assert_allclose(slopes, expected, rtol=0, atol=1e-9, err_msg=name)


def descended(loss, weights, nudge=1e-5):
    """Return the slopes of a loss by weights, of central differences."""
    slopes = [np.zeros_like(one) for one in weights]
    for slope, weight in zip(slopes, weights, strict=True):
        for place in np.ndindex(weight.shape):
            before = weight[place]
            weight[place] = before + nudge
            above = loss(weights)
            weight[place] = before - nudge
            slope[place] = (above - loss(weights)) / (2 * nudge)
            weight[place] = before
    return slopes


def network(weights, x):
    """Return the answer of a linear memory, or of one with a hidden layer."""
    if len(weights) == 1:
        return weights[0] @ x
    return weights[0] @ np.tanh(weights[1] @ x) / np.sqrt(len(weights[1]))


@settings(max_examples=20, deadline=None)
@given(
    config=st.builds(
        TitansConfig,
        key_size=st.integers(1, 3),
        width=st.integers(1, 3),
        heads=st.integers(1, 2),
        hidden_size=st.sampled_from([0, 1, 4]),
        max_momentum=st.sampled_from([0.0, 0.5, 0.9]),
        max_step=st.sampled_from([None, 0.5]),
    ),
    seed=st.integers(0, 999),
)
def test_steps_compute_the_papers_equations_with_finite_differences_of_the_loss(config, seed):
    rng = np.random.default_rng(seed)
    controls = rng.normal(size=(4, 1, config.control_size))
    with dtype_policy("float64"):
        system = Titans(config)
        system.build(1)
    system.set_weights([rng.normal(size=weight.shape) for weight in system.get_weights()])
    reads, states, _ = run(system, controls)
    heads, size, width = config.heads, config.key_size, config.width
    largest = config.max_step or (1 - config.max_momentum) ** 2 / (1 + config.max_momentum) / 2
    for h in range(heads):
        starts = [np.array(weight[h], "float64") for weight in system.get_weights()]
        starts = starts or [np.zeros((width, size))]
        weights, momenta = [one.copy() for one in starts], [np.zeros_like(one) for one in starts]
        for t in range(4):
            gates, keys, queries, values = np.split(
                controls[t, 0], [3 * heads, (3 + size) * heads, (3 + 2 * size) * heads]
            )
            step, momentum, forget = gates.reshape(3, heads)[:, h]
            theta, eta = largest / (1 + np.exp(-step)), config.max_momentum / (1 + np.exp(-momentum))
            alpha = 1 / (1 + np.exp(4 - forget))
            key, query = (x.reshape(heads, size)[h] for x in (keys, queries))
            key, query = key / np.linalg.norm(key), query / np.linalg.norm(query)
            value = values.reshape(heads, width)[h]
            slopes = descended(lambda ws, k=key, v=value: sum((network(ws, k) - v) ** 2), weights)
            momenta = [eta * s - theta * slope for s, slope in zip(momenta, slopes, strict=True)]
            weights = [
                (1 - alpha) * w + alpha * start + s
                for w, start, s in zip(weights, starts, momenta, strict=True)
            ]
            read = reads[t, 0, h * width :][:width]
            np.testing.assert_allclose(read, network(weights, query), rtol=1e-7, atol=1e-7)
        for found, expected in zip(states[-1], [*weights, *momenta], strict=True):
            np.testing.assert_allclose(found[0, h], expected, rtol=1e-7, atol=1e-7)


def control(value, step=-SURE, momentum=SURE, forget=-SURE, key=(1, 0), query=(1, 0)):
    """Return a control of one head and one row; by default nothing is stored, and nothing forgotten."""
    return [[step, momentum, forget, *key, *query, value]]


TWO = {"key_size": 2, "width": 1}


def test_a_step_goes_on_by_its_momentum():
    """2 theta = 1/2 of the value 8 at once, and then half of the last step in each timestep."""
    system = titans(max_step=0.25, max_momentum=0.5, **TWO)
    reads, _, _ = run(system, np.array([control(8, step=SURE), *[control(0)] * 4]))
    np.testing.assert_allclose(reads[:, 0, 0], [4, 6, 7, 7.5, 7.75], rtol=1e-12)


def test_without_momentum_and_forgetting_it_is_a_delta_rule():
    """theta = 1/2 replaces the value under a key, and leaves that under an orthogonal one."""
    system = titans(max_step=0.5, max_momentum=0.0, **TWO)
    writes = [control(8, step=SURE), control(5, step=SURE, key=(0, 3)), control(2, step=SURE)]
    reads, _, _ = run(system, np.array([*writes, control(0, query=(0, 2))]))
    np.testing.assert_allclose(reads[:, 0, 0], [8, 8, 2, 5], atol=1e-9)


def test_an_untrained_memory_forgets_2_percent_in_a_timestep():
    system = titans(max_step=0.5, max_momentum=0.0, **TWO)
    reads, _, traces = run(system, np.array([control(8, step=SURE), control(0, forget=0)]))
    np.testing.assert_allclose(reads[1, 0, 0], 8 * (1 - 1 / (1 + np.exp(4))), rtol=1e-9)
    np.testing.assert_allclose(traces[1]["forgetting"], [[1 / (1 + np.exp(4))]])


KEYS = np.array([[1, 0], [0, 1], [np.sqrt(0.5), np.sqrt(0.5)]])
VALUES = np.array([1.0, 1.0, -1.0])


@pytest.mark.parametrize(("hidden_size", "error"), [(0, 1), (32, 0.1)])
def test_a_hidden_layer_stores_values_that_no_linear_memory_can(hidden_size, error):
    """The third key is the sum of the others over sqrt(2); a linear memory is 1 off for one of them."""
    system = titans(seed=3, hidden_size=hidden_size, max_step=0.5, max_momentum=0.0, **TWO)
    writes = [control(value, step=SURE, key=key) for key, value in zip(KEYS, VALUES, strict=True)]
    held = [control(0, query=key) for key in KEYS]
    reads, _, _ = run(system, np.array([*writes * 40, *held]))
    off = np.abs(reads[-3:, 0, 0] - VALUES).max()
    assert off > error if hidden_size == 0 else off < error


def test_a_hidden_layer_forgets_towards_its_start():
    system = titans(seed=3, hidden_size=3, **TWO)
    _, states, _ = run(
        system, np.array([control(5, step=SURE)] * 9 + [control(0, momentum=-SURE, forget=SURE)])
    )
    for weight, before, after in zip(system.get_weights(), states[-2], states[-1], strict=False):
        assert np.abs(before[0] - weight).max() > 0.01
        np.testing.assert_allclose(after[0], weight, atol=1e-12)


def test_a_new_memory_reads_zeros():
    for hidden_size in (0, 4):
        reads, _, _ = run(titans(hidden_size=hidden_size, **TWO), np.array([control(9)]))
        np.testing.assert_allclose(reads, 0, atol=1e-40)


def lengths(state, momentum):
    """Return the largest of the three lengths that the docstring of Titans has, of each row."""
    w, s = (tensor[:, 0].numpy() for tensor in (state.memory, state.momentum))
    h = 2 * momentum / (1 - momentum)
    return np.max([np.linalg.norm(x, axis=(1, 2)) for x in (w, w + h * s, (1 + h) * s)], axis=0)


@settings(max_examples=12, deadline=None)
@given(momentum=st.sampled_from([0.0, 0.1, 0.5, 0.9]), seed=st.integers(0, 999))
def test_no_control_makes_a_memory_of_the_default_step_grow(momentum, seed):
    """Gates at their ends and any keys, with values of 0 from the second timestep on, in 16 rows."""
    rng = np.random.default_rng(seed)
    system = titans(key_size=3, width=2, max_momentum=momentum)
    controls = rng.normal(size=(12, 16, system.control_size))
    controls[:, :, :3] = rng.choice([-SURE, 0, SURE], size=(12, 16, 3))
    controls[1:, :, -2:] = 0
    _, states, _ = run(system, controls)
    grown = np.array([lengths(state, momentum) for state in states])
    assert (grown[1:] <= grown[:-1] * (1 + 1e-12) + 1e-30).all()


def test_longer_steps_let_a_control_make_it_explode():
    """A step at its full length, then nine timesteps of momentum: the error grows each time."""
    turn = [control(0, step=SURE, momentum=-SURE), *[control(0)] * 9]
    writes = np.array([control(1, step=SURE), *turn * 8])
    long, short = (run(titans(max_momentum=0.9, max_step=step, **TWO), writes)[0][-1] for step in (0.5, None))
    assert np.abs(long) > 1e3
    assert np.abs(short) < 1


@pytest.mark.parametrize("hidden_size", [0, 3])
def test_a_key_of_zeros_has_a_finite_gradient(hidden_size):
    system = titans(seed=0, hidden_size=hidden_size, **TWO)
    controls = tf.constant(
        [control(1, step=0, momentum=0, forget=0, key=(0, 0), query=(0, 0))] * 2, tf.float64
    )
    with tf.GradientTape() as tape:
        tape.watch(controls)
        reads, states, _ = run(system, controls)
        total = tf.add_n([tf.reduce_sum(reads), *map(tf.reduce_sum, states[-1])])
    assert np.isfinite(tape.gradient(total, controls)).all()


def test_the_weights_of_a_hidden_layer_are_trained_in_a_loop():
    system = {"use": "titans", "hidden_size": 4, "key_size": 3, "width": 2}
    loop = Superloop(
        {"inputs": 2, "outputs": 1, "cells": [{"use": "dense", "units": 4}], "systems": [system]}
    )
    inputs = np.random.default_rng(0).normal(size=(2, 5, 2)).astype("float32")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(loop(inputs))
    weights = loop.trainable_variables
    slopes = dict(zip([w.path for w in weights], tape.gradient(loss, weights), strict=True))
    for name in ("memory", "hidden"):
        (slope,) = (slope for path, slope in slopes.items() if path.endswith(f"/{name}"))
        assert np.abs(slope).max() > 1e-6, name


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"key_size": 0}, "key_size"),
        ({"width": 0}, "width"),
        ({"heads": 0}, "heads"),
        ({"hidden_size": -1}, "hidden_size"),
        ({"max_momentum": 1.0}, "max_momentum"),
        ({"max_momentum": -0.5}, "max_momentum"),
        ({"max_step": 0.0}, "max_step"),
        ({"max_step": 2.0}, "max_step"),
    ],
)
def test_invalid_settings_are_rejected(wrong, message):
    with pytest.raises(ValueError, match=message):
        TitansConfig(**wrong)
