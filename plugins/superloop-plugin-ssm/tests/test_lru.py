"""Tests of the linear recurrent unit: recorded answers, complex numbers in NumPy, first eigenvalues."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from superloop_plugin_ssm import LruConfig
from superloop_plugin_ssm.lru import LRUCell, lru

from superloop_core import Superloop, SuperloopCell
from superloop_core.errors import ConfigError

RECORDED = Path(__file__).parent / "recordings" / "lru.npz"
MIXED = "mixed_float16"
INPUTS = np.random.default_rng(0).normal(size=(3, 5, 2)).astype("float32")


def built(cell, size=2):
    cell.build((None, size))
    return cell


def drawn(layer, seed=0, scale=0.5):
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.normal(scale=scale, size=weight.shape) for weight in layer.get_weights()])
    return layer


@pytest.mark.parametrize("case", ["plain", "long"])
def test_outputs_states_and_gradients_are_the_recorded_ones(case):
    with np.load(RECORDED) as arrays:
        recorded = {key.removeprefix(f"{case}/"): arrays[key] for key in arrays if key.startswith(f"{case}/")}
    u = tf.constant(recorded["in/u"])
    batch, timesteps, size = u.shape
    units, modes = recorded["par/C_re"].shape
    cell = built(LRUCell(units, modes, dtype="float64"), size)
    names = ("nu_log", "theta_log", "gamma_log", "B_re", "B_im", "C_re", "C_im", "D")
    weights = {name: getattr(cell, name.lower()) for name in names}
    for name, weight in weights.items():
        weight.assign(recorded[f"par/{name}"].T)
    states = cell.get_initial_state(batch)
    outputs, traced = [], []
    with tf.GradientTape() as tape:
        tape.watch(u)
        for t in range(timesteps):
            y, states = cell(u[:, t], states)
            outputs.append(y)
            traced.append(states)
        loss = tf.reduce_sum(tf.stack(outputs, axis=1) * recorded["G/y"])
    np.testing.assert_allclose(np.stack(outputs, axis=1), recorded["out/y"], rtol=0, atol=1e-9)
    for index, name in enumerate(cell.state_names):
        first = np.stack([states[index] for states in traced[:4]], axis=1)
        np.testing.assert_allclose(first, recorded[f"trace/{name}"], rtol=0, atol=1e-9)
        np.testing.assert_allclose(states[index], recorded[f"final/{name}"], rtol=0, atol=1e-9)
    variables = {name: weight.value for name, weight in weights.items()}
    for name, slopes in tape.gradient(loss, {"u": u} | variables).items():
        expected = recorded[f"grad/{name}"]
        expected = expected if name == "u" else expected.T
        np.testing.assert_allclose(slopes, expected, rtol=0, atol=1e-8, err_msg=name)


def plain(cell, inputs):
    """Compute the outputs in complex numbers: the sum of all inputs, each with its power of lambda."""
    weight = {one.name: np.asarray(one, "float64") for one in cell.weights}
    lam = np.exp(-np.exp(weight["nu_log"]) + 1j * np.exp(weight["theta_log"]))
    b = (weight["b_re"] + 1j * weight["b_im"]) * np.exp(weight["gamma_log"])
    c = weight["c_re"] + 1j * weight["c_im"]
    outputs = np.zeros((*inputs.shape[:2], cell.units))
    for row in range(len(inputs)):
        for t in range(inputs.shape[1]):
            x = sum(lam ** (t - j) * (inputs[row, j] @ b) for j in range(t + 1))
            outputs[row, t] = np.real(x @ c) + inputs[row, t] @ weight["d"]
    return outputs


@settings(max_examples=15, deadline=None)
@given(
    units=st.integers(1, 3),
    modes=st.sampled_from([None, 1, 4]),
    size=st.integers(1, 3),
    activation=st.sampled_from([None, "relu"]),
    seed=st.integers(0, 999),
)
def test_steps_compute_the_equations_for_all_settings(units, modes, size, activation, seed):
    cell = drawn(built(LRUCell(units, modes, activation=activation, dtype="float64"), size), seed)
    inputs = np.random.default_rng(seed).normal(size=(2, 4, size))
    states, outputs = cell.get_initial_state(2), []
    for t in range(4):
        y, states = cell(tf.constant(inputs[:, t]), states)
        outputs.append(y)
    expected = plain(cell, inputs)
    expected = np.maximum(expected, 0) if activation else expected
    np.testing.assert_allclose(np.stack(outputs, axis=1), expected, rtol=1e-11, atol=1e-11)


def eigenvalues(cell):
    """Return lambda of a cell, complex, and gamma."""
    lambda_re, lambda_im, *_ = cell.prepare()
    return np.asarray(lambda_re) + 1j * np.asarray(lambda_im), np.exp(cell.gamma_log)


@pytest.mark.parametrize(("r_min", "r_max", "max_phase"), [(0.0, 0.99, 6.283185), (0.9, 0.999, 0.5)])
def test_first_eigenvalues_are_uniform_on_the_ring(r_min, r_max, max_phase):
    cell = built(LRUCell(1, 4000, r_min=r_min, r_max=r_max, max_phase=max_phase, dtype="float64"))
    values, gamma = eigenvalues(cell)
    area = (np.abs(values) ** 2 - r_min**2) / (r_max**2 - r_min**2)  # share of the ring within the modulus
    phases = np.angle(values) % (2 * np.pi) / max_phase
    for shares in (area, phases):
        assert shares.min() > -1e-9
        assert shares.max() < 1 + 1e-9
        np.testing.assert_allclose(np.quantile(shares, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.05)
    np.testing.assert_allclose(gamma, np.sqrt(1 - np.abs(values) ** 2))
    assert abs(np.corrcoef(area, phases)[0, 1]) < 0.1


def test_two_cells_begin_with_other_eigenvalues():
    one, other = (eigenvalues(built(LRUCell(1, 5)))[0] for _ in range(2))
    assert np.abs(one - other).min() > 0


def test_white_noise_gives_states_of_the_size_of_the_inputs():
    """gamma makes up for what a slow mode adds up: the mean of |x|^2 is 1, whatever lambda is."""
    cell = built(LRUCell(1, 200, r_min=0.5, r_max=0.95, dtype="float64"), size=20)
    states = cell.get_initial_state(100)
    for u in np.random.default_rng(0).normal(size=(60, 100, 20)):
        _, states = cell(tf.constant(u), states)
    np.testing.assert_allclose(sum(np.mean(np.square(x)) for x in states), 1, atol=0.1)


def of_one_mode(cell, modulus, phase):
    """Set the weights of one mode that adds up its inputs, and gives the real part."""
    weights = {"nu_log": np.log(-np.log(modulus)), "theta_log": np.log(phase), "gamma_log": 0, "b_re": 1}
    weights |= {"b_im": 0, "c_re": 1, "c_im": 0, "d": 0}
    for weight in cell.weights:
        weight.assign(np.reshape(weights[weight.name], weight.shape))


def test_an_impulse_turns_and_decays_as_a_power_of_lambda():
    """A modulus of 0.99 keeps 37% of it after 100 timesteps, and the angle tells how many there were."""
    cell = built(LRUCell(1, 1, dtype="float64"), size=1)
    turn = 2 * np.pi / 300
    of_one_mode(cell, 0.99, turn)
    states = cell.get_initial_state(1)
    for t in range(101):
        y, states = cell(tf.constant([[float(t == 0)]], tf.float64), states)
    value = complex(*(x[0, 0] for x in states))
    np.testing.assert_allclose(abs(value), 0.99**100)
    np.testing.assert_allclose(np.angle(value) / turn, 100)
    np.testing.assert_allclose(y, [[value.real]])


def test_stacked_cells_in_keras_rnn_equal_a_loop_without_systems():
    config = {"inputs": 2, "cells": [{"use": "lru", "units": 4, "modes": 3, "layers": 2}]}
    loop = Superloop(config)
    loop(INPUTS)
    drawn(loop)
    rnn = keras.layers.RNN([LRUCell(4, 3), LRUCell(4, 3)], return_sequences=True)
    as_cell = keras.layers.RNN(SuperloopCell(config), return_sequences=True)
    for layer in (rnn, as_cell):
        layer.build(INPUTS.shape)
        layer.set_weights(loop.get_weights())
        np.testing.assert_allclose(loop(INPUTS), layer(INPUTS), atol=1e-6)


def test_a_cell_in_keras_rnn_is_made_again_from_its_config():
    cell = LRUCell(3, 2, r_min=0.5, r_max=0.9, max_phase=1.0, activation="gelu")
    layer = keras.layers.RNN(cell)
    layer.build(INPUTS.shape)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    again.build(INPUTS.shape)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(INPUTS), layer(INPUTS))
    assert again.cell.get_config() == cell.get_config()


def test_its_state_stays_in_float32_in_mixed_precision():
    """A sum of 300 ones: float16 would round 0.9998 to 1, and the sum would be 300 where it is 291."""
    config = {"inputs": 1, "cells": [{"use": "lru", "units": 1}]}
    loop = Superloop(config, dtype=MIXED, return_state=True, return_sequences=False, jit_compile=False)
    loop.build((1, 300, 1))
    of_one_mode(loop.wiring.cells[0].cell, 0.9998, 1e-9)
    y, x_re, _ = loop(np.ones((1, 300, 1), "float32"))
    assert (y.dtype, x_re.dtype) == (tf.float16, tf.float32)
    np.testing.assert_allclose(x_re, [[(1 - 0.9998**300) / 0.0002]], rtol=1e-3)


def test_keras_rnn_takes_its_states_in_mixed_precision():
    plain, mixed = (keras.layers.RNN(LRUCell(3, dtype=dtype), dtype=dtype) for dtype in ("float32", MIXED))
    for layer in (plain, mixed):
        layer.build(INPUTS.shape)
    mixed.set_weights(drawn(plain).get_weights())
    np.testing.assert_allclose(mixed(INPUTS), plain(INPUTS), atol=2e-2)


def test_logarithms_out_of_range_give_finite_outputs_and_gradients():
    cell = built(LRUCell(2, 3), size=2)
    for weight in (cell.nu_log, cell.theta_log, cell.gamma_log):
        weight.assign([1000.0, -1000.0, 0.0])
    with tf.GradientTape() as tape:
        y, _ = cell(tf.ones((1, 2)), [tf.ones((1, 3)), tf.ones((1, 3))])
    assert np.isfinite(y).all()
    for slopes in tape.gradient(y, [weight.value for weight in cell.weights]):
        assert np.isfinite(slopes).all()


def test_as_many_modes_as_units_where_they_are_left_out():
    assert lru(LruConfig(units=3)).modes == 3
    assert lru(LruConfig(units=3, modes=5)).state_size == [5, 5]


def test_an_unknown_activation_is_refused():
    with pytest.raises(ConfigError, match="'activation' must be an activation of Keras: 'gelus'"):
        lru(LruConfig(units=3, activation="gelus"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"units": 0}, "units"),
        ({"modes": 0}, "modes"),
        ({"r_max": 1.0}, "r_max"),
        ({"r_min": -0.1}, "r_min"),
        ({"r_min": 0.9, "r_max": 0.5}, "'r_max' must be >= 'r_min', 0.9: 0.5"),
        ({"max_phase": 0.0}, "max_phase"),
    ],
)
def test_invalid_settings_are_rejected(wrong, message):
    with pytest.raises(ValueError, match=message):
        LruConfig(**({"units": 3} | wrong))
