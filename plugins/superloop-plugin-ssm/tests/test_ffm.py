"""Tests of Fast and Forgetful Memory: recorded answers, its sums in complex numbers, and what they tell."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from superloop_plugin_ssm import FfmConfig
from superloop_plugin_ssm.ffm import FFM, FFMState

from superloop_core import Sequence, Superloop, SuperloopCell
from superloop_core.builder import dtype_policy

FOLDER = Path(__file__).parent / "recordings"
SEQUENCE = Sequence(batch_size=1, timesteps=None, lengths=None, dtype="float64")


def ffm(**config):
    """Return a memory with weights, which computes in float64."""
    with dtype_policy("float64"):
        system = FFM(FfmConfig(**config))
        system.build(1)
    return system


def logit(share):
    return tf.math.log(share) - tf.math.log(1 - share)


def load(name, case):
    with np.load(FOLDER / f"{name}.npz") as arrays:
        return {key.removeprefix(f"{case}/"): arrays[key] for key in arrays}


def along(system, control, start):
    """Step through controls ``(batch, timesteps, control)``; return the reads and both parts of the sums."""
    constants, state, reads, sums = system.prepare(), start, [], []
    for t in range(control.shape[1]):
        read, state, _ = system.step(control[:, t], state, constants)
        reads.append(read)
        sums.append(state)
    return tf.stack(reads, axis=1), *(tf.stack(part, axis=1) for part in zip(*sums, strict=True))


def zeros(batch, system):
    shape = (batch, system.config.channels, system.config.contexts)
    return FFMState(tf.zeros(shape, tf.float64), tf.zeros(shape, tf.float64))


def test_sums_and_gradients_of_the_aggregator_are_the_recorded_ones():
    recorded = load("ffm_aggregator", "aggregator")
    x = tf.constant(recorded["in/x"])
    system = ffm(channels=4, contexts=3, width=2)
    system.alpha.assign(recorded["par/alpha"])
    system.omega.assign(recorded["par/omega"])
    weights = {"alpha": system.alpha.value, "omega": system.omega.value}
    with tf.GradientTape() as tape:
        tape.watch(x)
        sure = tf.fill((*x.shape[:2], 4), tf.constant(1000.0, tf.float64))  # an open gate
        rest = tf.zeros((*x.shape[:2], 2), tf.float64)
        control = tf.concat([x, rest, sure, rest], axis=-1)
        _, real, imaginary = along(system, control, zeros(3, system))
        loss = tf.reduce_sum(real * recorded["G/S_re"]) + tf.reduce_sum(imaginary * recorded["G/S_im"])
    for name, sums in (("S_re", real), ("S_im", imaginary)):
        np.testing.assert_allclose(sums, recorded[f"out/{name}"], rtol=0, atol=1e-9)
    for name, slopes in tape.gradient(loss, weights | {"x": x}).items():
        np.testing.assert_allclose(slopes, recorded[f"grad/{name}"], rtol=0, atol=1e-8, err_msg=name)


def test_reads_sums_and_gradients_of_the_cell_are_the_recorded_ones():
    recorded = load("ffm_cell", "cell")
    inputs = {key[3:]: tf.constant(array) for key, array in recorded.items() if key.startswith("in/")}
    system = ffm(channels=4, contexts=3, width=4)
    weights = {"alpha": system.alpha, "omega": system.omega, "mix_W": system.mix_kernel}
    weights["mix_b"] = system.mix_bias
    for name, weight in weights.items():
        weight.assign(recorded[f"par/{name}"].T)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        gates = [logit(inputs[name]) for name in ("in_gate", "out_gate")]
        control = tf.concat([inputs["x"], inputs["skip"], *gates], axis=-1)
        reads, real, imaginary = along(system, control, zeros(3, system))
        loss = tf.reduce_sum(reads * recorded["G/y"])
    np.testing.assert_allclose(reads, recorded["out/y"], rtol=0, atol=1e-9)
    for name, sums in (("S_re", real), ("S_im", imaginary)):
        np.testing.assert_allclose(sums[:, -1], recorded[f"final/{name}"], rtol=0, atol=1e-9)
        np.testing.assert_allclose(sums[:, :4], recorded[f"trace/{name}"], rtol=0, atol=1e-9)
    variables = {name: weight.value for name, weight in weights.items()}
    for name, slopes in tape.gradient(loss, inputs | variables).items():
        expected = recorded[f"grad/{name}"]
        np.testing.assert_allclose(slopes, expected.T if name == "mix_W" else expected, rtol=0, atol=1e-8)


def plain(config, weights, controls):
    """Return the reads of one row: each sum anew from all inputs, in complex numbers, at each timestep."""
    alpha, omega, kernel, bias = weights
    m, width = config.channels, config.width
    gamma = np.array([[np.exp(-abs(a) + 1j * w) for w in omega] for a in alpha])
    reads = []
    for t in range(len(controls)):
        sums = np.zeros((m, config.contexts), complex)
        for j in range(t + 1):
            x, gate = controls[j, :m], controls[j, m + width : 2 * m + width]
            sums += gamma ** (t - j) * (x / (1 + np.exp(-gate)))[:, None]
        flat = np.array([part for row in sums for number in row for part in (number.real, number.imag)])
        z = flat @ kernel + bias
        z = (z - np.mean(z)) / np.sqrt(np.var(z) + 1e-5)
        share = 1 / (1 + np.exp(-controls[t, 2 * m + width :]))
        reads.append(share * z + (1 - share) * controls[t, m : m + width])
    return np.array(reads)


@settings(max_examples=20, deadline=None)
@given(
    channels=st.integers(1, 3),
    contexts=st.integers(1, 3),
    width=st.integers(2, 4),
    trained=st.booleans(),
    seed=st.integers(0, 999),
)
def test_steps_compute_the_equations_for_all_settings(channels, contexts, width, trained, seed):
    system = ffm(channels=channels, contexts=contexts, width=width, trained=trained)
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=weight.shape) for weight in system.weights]
    named = {weight.name: array for weight, array in zip(system.weights, weights, strict=True)}
    system.set_weights(weights)
    controls = rng.normal(size=(5, system.control_size))
    reads, *_ = along(system, tf.constant(controls[None]), zeros(1, system))
    in_order = [named[name] for name in ("alpha", "omega", "mix_kernel", "mix_bias")]
    np.testing.assert_allclose(reads[0], plain(system.config, in_order, controls), rtol=1e-9, atol=1e-9)


def written_once(system, after):
    """Return the sums, as complex numbers, ``after`` timesteps after a 1 was written to all channels."""
    m, width = system.config.channels, system.config.width
    control = np.zeros((1, after + 1, system.control_size))
    control[0, 0, :m], control[..., m + width : 2 * m + width] = 1, 1000
    _, real, imaginary = along(system, tf.constant(control), zeros(1, system))
    return np.asarray(real[0, -1]) + 1j * np.asarray(imaginary[0, -1])


def test_a_channel_decays_to_one_percent_within_its_timesteps_and_a_context_turns_once_in_its_period():
    system = ffm(channels=3, contexts=3, shortest=4.0, longest=16.0)
    sums = {after: written_once(system, after) for after in (0, 2, 4, 8, 16)}
    np.testing.assert_allclose(sums[0], np.ones((3, 3)))
    for channel, after in enumerate((16, 8, 4)):
        np.testing.assert_allclose(np.abs(sums[after][channel]), np.full(3, 0.01))
    for context, period in enumerate((4, 8, 16)):
        np.testing.assert_allclose(np.angle(sums[period][:, context]), np.zeros(3), atol=1e-9)
        if period < 16:
            np.testing.assert_allclose(np.abs(np.angle(sums[period // 2][:, context])), np.full(3, np.pi))


@pytest.mark.parametrize("after", [0, 1, 5, 11])
def test_the_angle_tells_how_long_ago_and_the_modulus_how_far_it_is_forgotten(after):
    system = ffm(channels=1, contexts=1, shortest=12.0, longest=12.0)
    (value,) = written_once(system, after)[0]
    np.testing.assert_allclose(np.angle(value) % (2 * np.pi) / (2 * np.pi) * 12, after, atol=1e-9)
    np.testing.assert_allclose(np.log(np.abs(value)) / np.log(0.01) * 12, after, atol=1e-9)


def test_decays_and_frequencies_that_are_fixed_are_saved_and_not_trained():
    fixed, trained = ffm(trained=False), ffm()
    assert [weight.name for weight in fixed.trainable_variables] == ["mix_kernel", "mix_bias"]
    assert {weight.name for weight in fixed.weights} == {weight.name for weight in trained.weights}
    assert len(trained.trainable_variables) == 4


def test_both_parts_of_a_state_can_be_learned_and_are_states_of_a_keras_cell():
    system = {"use": "ffm", "channels": 2, "contexts": 2, "width": 2, "learn_initial_state": True}
    config = {"inputs": 2, "cells": [{"use": "dense", "units": 3}], "systems": [system]}
    loop, rnn = Superloop(config), keras.layers.RNN(SuperloopCell(config), return_sequences=True)
    inputs = np.random.default_rng(0).normal(size=(2, 4, 2)).astype("float32")
    for layer in (loop, rnn):
        layer.build(inputs.shape)
    rng = np.random.default_rng(1)
    loop.set_weights([rng.normal(size=weight.shape) for weight in loop.weights])
    assert [w.path for w in loop.weights if "real" in w.path or "imaginary" in w.path]
    rnn.set_weights(loop.get_weights())
    np.testing.assert_allclose(rnn(inputs), loop(inputs), atol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"channels": 0}, "channels"),
        ({"contexts": 0}, "contexts"),
        ({"width": 1}, "width"),
        ({"shortest": 0.5}, "shortest"),
        ({"shortest": 20.0, "longest": 10.0}, "'longest' must be >= 'shortest', 20.0: 10.0"),
    ],
)
def test_invalid_settings_are_rejected(wrong, message):
    with pytest.raises(ValueError, match=message):
        FfmConfig(**wrong)
