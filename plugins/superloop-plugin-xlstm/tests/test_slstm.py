"""Tests of sLSTM: recorded answers and gradients, the paper's equations in NumPy, and worked values."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from superloop_plugin_xlstm import SlstmConfig
from superloop_plugin_xlstm.slstm import SLSTMCell

from superloop_core import Superloop

RECORDINGS = Path(__file__).parent / "recordings/slstm.npz"
GATES = "ifzo"


def cell_of(units, size=1, seed=None, **arguments):
    """Return a built cell in float64; drawn weights with a seed, else zeros."""
    cell = SLSTMCell(units, dtype="float64", **arguments)
    cell.build((None, size))
    rng = np.random.default_rng(seed)
    shapes = [weight.shape for weight in cell.get_weights()]
    cell.set_weights([np.zeros(shape) if seed is None else rng.normal(size=shape) for shape in shapes])
    return cell


def run(cell, inputs):
    """Step through inputs ``(timesteps, batch, size)``; return the outputs and all states."""
    states, prepared = cell.get_initial_state(inputs.shape[1]), cell.prepare()
    outputs, trace = [], []
    for x in inputs:
        output, states = cell.call(tf.convert_to_tensor(x), states, prepared=prepared)
        outputs.append(output)
        trace.append(states)
    return tf.stack(outputs), trace


@pytest.mark.parametrize("case", ["one_head", "two_heads"])
def test_outputs_states_and_gradients_are_the_recorded_ones(case):
    with np.load(RECORDINGS) as arrays:
        recorded = {key.removeprefix(f"{case}/"): arrays[key] for key in arrays if key.startswith(f"{case}/")}
    blocks = recorded["par/R"]  # (heads, gates, size of a head, the same)
    heads, _, size, _ = blocks.shape
    units = heads * size
    cell = SLSTMCell(units, heads, dtype="float64")
    cell.build((None, 4 * units))  # the inputs are pre-activations
    recurrent = blocks.transpose(0, 3, 1, 2).reshape(units, 4 * size)
    cell.set_weights([np.eye(4 * units), recurrent, recorded["par/b"].ravel()])
    gates = {gate: tf.constant(recorded[f"in/{gate}_pre"]) for gate in GATES}
    with tf.GradientTape() as tape:
        tape.watch(gates)
        inputs = tf.transpose(tf.concat([gates[gate] for gate in GATES], axis=-1), (1, 0, 2))
        outputs, trace = run(cell, inputs)
        loss = tf.reduce_sum(tf.transpose(outputs, (1, 0, 2)) * recorded["G/h"])
    np.testing.assert_allclose(tf.transpose(outputs, (1, 0, 2)), recorded["out/h"], rtol=0, atol=1e-12)
    for index, name in enumerate(cell.state_names):
        np.testing.assert_allclose(trace[-1][index], recorded[f"final/{name}"], rtol=0, atol=1e-12)
        first = np.stack([states[index] for states in trace[:4]], axis=1)
        np.testing.assert_allclose(first, recorded[f"trace/{name}"], rtol=0, atol=1e-12)
    of_gates, of_recurrent, of_bias = tape.gradient(loss, (gates, cell.recurrent_kernel, cell.bias))
    for gate in GATES:
        np.testing.assert_allclose(of_gates[gate], recorded[f"grad/{gate}_pre"], rtol=0, atol=1e-12)
    expected = recorded["grad/R"].transpose(0, 3, 1, 2).reshape(units, 4 * size)
    np.testing.assert_allclose(of_recurrent, expected, rtol=0, atol=1e-11)
    np.testing.assert_allclose(of_bias, recorded["grad/b"].ravel(), rtol=0, atol=1e-11)


def plain(config, weights, inputs):
    """Equations 8 to 17 without the stabilizer, one unit at a time."""
    kernel, recurrent, bias = weights
    units, size = config.units, config.units // config.heads
    timesteps, batch, _ = inputs.shape
    outputs = np.zeros((timesteps, batch, units))
    for b in range(batch):
        h, c, n = np.zeros(units), np.zeros(units), np.zeros(units)
        for t in range(timesteps):
            before = h.copy()
            for unit in range(units):
                head, place = divmod(unit, size)
                own = slice(head * size, (head + 1) * size)
                i, f, z, o = (
                    inputs[t, b] @ kernel[:, gate * units + unit]
                    + before[own] @ recurrent[own, gate * size + place]
                    + bias[gate * units + unit]
                    for gate in range(4)
                )
                forget = np.exp(f) if config.forget_gate == "exponential" else 1 / (1 + np.exp(-f))
                c[unit] = forget * c[unit] + np.exp(i) * np.tanh(z)
                n[unit] = forget * n[unit] + np.exp(i)
                h[unit] = c[unit] / n[unit] / (1 + np.exp(-o))
            outputs[t, b] = h
    return outputs


@settings(max_examples=30, deadline=None)
@given(
    heads=st.integers(1, 3),
    size=st.integers(1, 3),
    inputs=st.integers(1, 3),
    forget_gate=st.sampled_from(["sigmoid", "exponential"]),
    seed=st.integers(0, 999),
)
def test_steps_compute_the_papers_equations_without_its_stabilizer(heads, size, inputs, forget_gate, seed):
    config = SlstmConfig(units=heads * size, heads=heads, forget_gate=forget_gate)
    cell = cell_of(config.units, inputs, seed, heads=heads, forget_gate=forget_gate)
    x = np.random.default_rng(seed + 1).normal(size=(6, 2, inputs))
    outputs, _ = run(cell, x)
    np.testing.assert_allclose(outputs, plain(config, cell.get_weights(), x), rtol=1e-11, atol=1e-11)


def gated(i, f, z, **arguments):
    """Return c / n at each timestep for lists of pre-activations of one unit, whose output gate is open."""
    cell = cell_of(1, 4, **arguments)
    cell.kernel.assign(np.eye(4))
    gates = np.array([[[*gates, 100.0]] for gates in zip(i, f, z, strict=True)])
    return run(cell, gates)[0][:, 0, 0].numpy()


def test_open_forget_gates_make_a_running_mean():
    """A forget gate of exp(0) = 1 and input gates of exp(0) = 1: each tanh(z) has the same weight."""
    values = [0.5, -0.25, 0.75, 0.1]
    means = gated([0] * 4, [0] * 4, np.arctanh(values), forget_gate="exponential")
    np.testing.assert_allclose(means, np.cumsum(values) / [1, 2, 3, 4], atol=1e-12)


def test_a_larger_input_gate_replaces_what_is_stored_while_the_forget_gate_is_open():
    """The second value has 999 times the weight of the first, which an LSTM's input gate cannot give it."""
    first, second = np.tanh(2), np.tanh(-1)
    stored = gated([50, 50 + np.log(999)], [100, 100], [2, -1])
    np.testing.assert_allclose(stored, [first, (first + 999 * second) / 1000], atol=1e-12)


def test_an_exponential_forget_gate_gives_the_past_more_weight():
    stored = gated([0, 0], [0, np.log(3)], [2, -1], forget_gate="exponential")
    np.testing.assert_allclose(stored[1], (3 * np.tanh(2) + np.tanh(-1)) / 4, atol=1e-12)


def test_a_state_reaches_the_gates_of_its_own_head_only():
    cell = cell_of(6, 2, seed=3, heads=3)
    x = tf.constant(np.random.default_rng(4).normal(size=(1, 2)))
    _, (h, *rest) = cell.call(x, cell.get_initial_state(1))
    with tf.GradientTape() as tape:
        tape.watch(h)
        output, _ = cell.call(x, [h, *rest])
    slopes = tape.jacobian(output, h)[0, :, 0].numpy()
    blocks = np.kron(np.eye(3), np.ones((2, 2)))
    np.testing.assert_array_equal(slopes != 0, blocks == 1)


@pytest.mark.parametrize("forget_gate", ["sigmoid", "exponential"])
@pytest.mark.parametrize("size", [-1e30, -5000.0, -200.0, 200.0, 5000.0, 1e30])
def test_gates_of_any_size_give_finite_outputs_and_gradients_in_float32(size, forget_gate):
    """Below -88 the authors' code gives NaN at the first timestep, as exp(-i) is infinite there."""
    cell = SLSTMCell(2, forget_gate=forget_gate)
    cell.build((None, 8))
    cell.kernel.assign(np.eye(8))
    drawn = np.random.default_rng(0).normal(size=(4, 1, 8)).astype("float32")
    for gates in ([0, 1], [2, 3], [0, 1, 2, 3]):  # of i, of f, of both
        inputs = np.zeros_like(drawn)
        inputs[:, :, gates] = size
        inputs = tf.constant(drawn + inputs)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs, _ = run(cell, inputs)
        np.testing.assert_allclose(outputs[0], tf.sigmoid(drawn[0, :, 6:]) * np.tanh(drawn[0, :, 4:6]), 1e-5)
        assert np.isfinite(outputs).all()
        assert np.isfinite(tape.gradient(outputs, inputs)).all()


@pytest.mark.parametrize("n", [-1.0, 0.0, 0.5])
def test_a_learned_start_counts_and_gives_finite_outputs(n):
    cell = cell_of(1, 4)
    x, h, c, n = (tf.constant([[number]], tf.float64) for number in (0.0, 0.0, 2.0, n))
    with tf.GradientTape() as tape:
        tape.watch([c, n])
        output, _ = cell.call(tf.tile(x, (1, 4)), [h, c, n, tf.zeros_like(n)])
    of_c, of_n = tape.gradient(output, [c, n])
    assert np.isfinite([output, of_n]).all()
    assert of_c > 0.1


@pytest.mark.parametrize("forget_gate", ["sigmoid", "exponential"])
def test_forget_gates_start_with_a_range_of_time_scales(forget_gate):
    cell = SLSTMCell(4, heads=2, forget_gate=forget_gate)
    cell.build((None, 3))
    i, f, z, o = np.split(cell.get_weights()[2], 4)
    share = 1 / (1 + np.exp(-f)) if forget_gate == "sigmoid" else np.exp(f)
    np.testing.assert_allclose(share, 1 / (1 + np.exp([-2.5, -5, -2.5, -5])), rtol=1e-6)
    np.testing.assert_array_equal([i, z, o], 0)


def test_settings_of_the_kernel_are_those_of_both_kernels():
    config = {"use": "slstm", "units": 4, "heads": 2, "kernel_initializer": "he_normal"}
    loop = Superloop(
        {"inputs": 3, "cells": [config | {"bias_initializer": "ones", "kernel_constraint": "unit_norm"}]}
    )
    loop.build((None, 5, 3))
    cell = loop.wiring.cells[0].cell
    np.testing.assert_array_equal(cell.bias, 1)
    for weight in (cell.kernel, cell.recurrent_kernel):
        assert isinstance(weight.constraint, keras.constraints.UnitNorm)
        assert (np.abs(weight) > 0).all()
    assert not np.array_equal(cell.kernel[:3, :8], cell.recurrent_kernel[:3])


def test_stacked_cells_in_keras_rnn_equal_a_loop_and_are_made_again_from_their_config():
    inputs = np.random.default_rng(0).normal(size=(3, 5, 2)).astype("float32")
    part = {"use": "slstm", "units": 4, "heads": 2, "forget_gate": "exponential", "layers": 2}
    loop = Superloop({"inputs": 2, "cells": [part]})
    expected = np.asarray(loop(inputs))
    cells = [SLSTMCell(4, 2, "exponential", kernel_regularizer="l2") for _ in range(2)]
    layer = keras.layers.RNN(cells, return_sequences=True)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    again.build(inputs.shape)
    again.set_weights(loop.get_weights())
    np.testing.assert_allclose(again(inputs), expected, atol=1e-6)
    assert [cell.get_config() for cell in again.cell.cells] == [cell.get_config() for cell in cells]
    assert len(again.losses) == 4  # two kernels of each cell


def test_a_stateful_layer_a_session_and_a_mask_agree_with_a_call():
    inputs = np.random.default_rng(0).normal(size=(2, 6, 2)).astype("float32")
    config = {"inputs": 2, "cells": [{"use": "slstm", "units": 3, "learn_initial_state": True}]}
    loop, stateful = Superloop(config), Superloop(config, stateful=True)
    expected = np.asarray(loop(inputs))
    stateful.build(inputs[:, :3].shape)
    stateful.set_weights(loop.get_weights())
    parts = [stateful(inputs[:, :3]), stateful(inputs[:, 3:])]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), expected, atol=1e-6)
    session = loop.session(batch_size=2)
    steps = [session.step(inputs[:, t]) for t in range(6)]
    np.testing.assert_allclose(np.stack(steps, axis=1), expected, atol=1e-6)
    mask = np.array([[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]], bool)
    np.testing.assert_allclose(np.asarray(loop(inputs, mask=mask))[mask], expected[mask], atol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"units": 0}, "units"),
        ({"units": 4, "heads": 0}, "heads"),
        ({"units": 4, "heads": 3}, "'units' must be a multiple of 'heads', 3: 4"),
    ],
)
def test_invalid_settings_are_rejected(wrong, message):
    with pytest.raises(ValueError, match=message):
        SlstmConfig(**wrong)
