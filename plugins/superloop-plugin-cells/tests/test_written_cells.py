"""Tests of the four cells of the literature, with the equations of their papers in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from superloop_plugin_cells import IndRnnConfig
from superloop_plugin_cells.indrnn import IndRNNCell
from superloop_plugin_cells.layer_norm_lstm import LayerNormLSTMCell
from superloop_plugin_cells.min_gru import MinGRUCell
from superloop_plugin_cells.peephole_lstm import PeepholeLSTMCell

from superloop_core import Superloop

INPUTS = np.random.default_rng(0).normal(size=(3, 5, 2)).astype("float32")
CELLS = {
    "peephole_lstm": PeepholeLSTMCell,
    "layer_norm_lstm": LayerNormLSTMCell,
    "min_gru": MinGRUCell,
    "indrnn": IndRNNCell,
}


def drawn(layer, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.normal(scale=scale, size=weight.shape) for weight in layer.get_weights()])
    return layer


def built(cell, size=2, seed=0):
    cell.build((None, size))
    return drawn(cell, seed)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def numpy_peephole_lstm(cell, weights, inputs, states):
    """Gers, Schraudolph and Schmidhuber: gate by gate, unit by unit."""
    kernel, recurrent, bias, peepholes = weights
    n = cell.units
    h, c = (state.copy() for state in states)
    for x in inputs:
        z = x @ kernel + h @ recurrent + bias
        for b in range(len(x)):
            for unit in range(n):
                z_i, z_f, z_c, z_o = z[b, unit::n]
                i = sigmoid(z_i + peepholes[0, unit] * c[b, unit])
                f = sigmoid(z_f + peepholes[1, unit] * c[b, unit])
                c[b, unit] = f * c[b, unit] + i * np.tanh(z_c)
                o = sigmoid(z_o + peepholes[2, unit] * c[b, unit])
                h[b, unit] = o * np.tanh(c[b, unit])
    return [h, c]


def numpy_layer_norm_lstm(cell, weights, inputs, states):
    """Ba, Kiros and Hinton, equations 20 to 22, one batch element at a time."""
    kernel, recurrent, bias, input_gain, recurrent_gain, cell_gain, cell_bias = weights

    def normalized(z):
        mean = sum(z) / len(z)
        variance = sum((one - mean) ** 2 for one in z) / len(z)
        return (z - mean) / np.sqrt(variance + 1e-5)

    h, c = (state.copy() for state in states)
    for x in inputs:
        for b in range(len(x)):
            z = input_gain * normalized(x[b] @ kernel)
            z = z + recurrent_gain * normalized(h[b] @ recurrent) + bias
            i, f, g, o = np.split(z, 4)
            c[b] = sigmoid(f) * c[b] + sigmoid(i) * np.tanh(g)
            h[b] = sigmoid(o) * np.tanh(cell_gain * normalized(c[b]) + cell_bias)
    return [h, c]


def numpy_min_gru(cell, weights, inputs, states):
    """Feng et al., the sequential form; with g if positive."""
    kernel, bias = weights
    (h,) = (state.copy() for state in states)
    for x in inputs:
        for b in range(len(x)):
            for unit in range(cell.units):
                z = sigmoid(x[b] @ kernel[:, unit] + bias[unit])
                v = x[b] @ kernel[:, cell.units + unit] + bias[cell.units + unit]
                if cell.positive:
                    v = v + 0.5 if v >= 0 else sigmoid(v)
                h[b, unit] = (1 - z) * h[b, unit] + z * v
    return [h]


def numpy_indrnn(cell, weights, inputs, states):
    """Li et al., equation 2, unit by unit."""
    kernel, recurrent, bias = weights
    (h,) = (state.copy() for state in states)
    for x in inputs:
        for b in range(len(x)):
            for unit in range(cell.units):
                v = x[b] @ kernel[:, unit] + recurrent[unit] * h[b, unit] + bias[unit]
                h[b, unit] = max(v, 0) if cell.activation == "relu" else np.tanh(v)
    return [h]


ORACLES = {
    PeepholeLSTMCell: numpy_peephole_lstm,
    LayerNormLSTMCell: numpy_layer_norm_lstm,
    MinGRUCell: numpy_min_gru,
    IndRNNCell: numpy_indrnn,
}


@settings(max_examples=40, deadline=None)
@given(
    make=st.sampled_from(
        [
            (PeepholeLSTMCell, {}),
            (LayerNormLSTMCell, {}),
            (MinGRUCell, {}),
            (MinGRUCell, {"positive": True}),
            (IndRNNCell, {"activation": "relu"}),
            (IndRNNCell, {"activation": "tanh", "timesteps": 5}),
        ]
    ),
    units=st.integers(1, 4),
    size=st.integers(1, 3),
    batch=st.integers(1, 3),
    seed=st.integers(0, 999),
)
def test_steps_compute_the_equations_for_all_settings(make, units, size, batch, seed):
    cls, arguments = make
    cell = built(cls(units, dtype="float64", **arguments), size, seed)
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(5, batch, size))
    start = [rng.normal(size=(batch, units)) for _ in cell.state_names]
    states = [tf.constant(state) for state in start]
    for x in inputs:
        output, states = cell(tf.constant(x), states)
    expected = ORACLES[cls](cell, cell.get_weights(), inputs, start)
    assert output.dtype == "float64"
    np.testing.assert_allclose(output, expected[0], rtol=1e-11, atol=1e-11)
    for state, correct in zip(states, expected, strict=True):
        np.testing.assert_allclose(state, correct, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", CELLS)
def test_stacked_cells_in_keras_rnn_equal_a_loop_without_systems(name):
    loop = Superloop({"inputs": 2, "cells": [{"use": name, "units": 4, "layers": 2}]})
    loop(INPUTS)
    drawn(loop, scale=0.5)
    rnn = keras.layers.RNN([CELLS[name](4), CELLS[name](4)], return_sequences=True)
    rnn.build(INPUTS.shape)
    rnn.set_weights(loop.get_weights())
    np.testing.assert_allclose(loop(INPUTS), rnn(INPUTS), atol=1e-6)


@pytest.mark.parametrize(
    "cell",
    [
        PeepholeLSTMCell(3, dropout=0.25, recurrent_dropout=0.5),
        LayerNormLSTMCell(3, dropout=0.25, recurrent_dropout=0.5),
        MinGRUCell(3, positive=True),
        IndRNNCell(3, activation="tanh", timesteps=7),
    ],
    ids=lambda cell: cell.name,
)
def test_a_cell_in_keras_rnn_is_made_again_from_its_config(cell):
    layer = keras.layers.RNN(cell)
    layer.build(INPUTS.shape)
    drawn(layer)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    again.build(INPUTS.shape)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(INPUTS), layer(INPUTS))
    assert again.cell.get_config() == cell.get_config()


def test_an_lstm_with_peepholes_of_zero_equals_that_of_keras():
    cell, plain = built(PeepholeLSTMCell(4)), keras.layers.LSTMCell(4)
    plain.build((None, 2))
    *shared, peepholes = cell.get_weights()
    plain.set_weights(shared)
    cell.set_weights([*shared, np.zeros_like(peepholes)])
    rng = np.random.default_rng(1)
    states = [rng.normal(size=(3, 4)).astype("float32") for _ in "hc"]
    for ours, theirs in zip(
        tf.nest.flatten(cell(INPUTS[:, 0], states)),
        tf.nest.flatten(plain(INPUTS[:, 0], states)),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("name", ["peephole_lstm", "layer_norm_lstm"])
def test_the_forget_bias_starts_at_one_and_peepholes_at_zero(name):
    cell = CELLS[name](2)
    cell.build((None, 1))
    weights = {weight.name: np.asarray(weight) for weight in cell.weights}
    np.testing.assert_array_equal(weights["bias"], [0, 0, 1, 1, 0, 0, 0, 0])
    if name == "peephole_lstm":
        assert not np.any(weights["peepholes"])


@pytest.mark.parametrize("cls", [PeepholeLSTMCell, LayerNormLSTMCell])
def test_all_gates_share_one_dropout_mask(cls):
    plain = built(cls(6), size=8)
    cell = cls(6, dropout=0.5, recurrent_dropout=0.5)
    cell.build((None, 8))
    cell.set_weights(plain.get_weights())
    rng = np.random.default_rng(2)
    x, h, c = (rng.normal(size=(3, size)).astype("float32") for size in (8, 6, 6))
    masks = cell.get_dropout_mask(x), cell.get_recurrent_dropout_mask(h)
    assert {0.0, 2.0} == set(np.unique(masks[0])) == set(np.unique(masks[1]))
    output, _ = cell(x, [h, c], training=True)
    np.testing.assert_allclose(output, plain(x * masks[0], [h * masks[1], c])[0], atol=1e-6)
    np.testing.assert_allclose(cell(x, [h, c])[0], plain(x, [h, c])[0], atol=1e-6)


@pytest.mark.parametrize("name", ["peephole_lstm", "layer_norm_lstm"])
@pytest.mark.parametrize("setting", ["dropout", "recurrent_dropout"])
def test_each_batch_draws_new_dropout_masks(name, setting):
    keras.utils.set_random_seed(0)  # two masks of few units may be equal by chance
    loop = Superloop({"inputs": 2, "cells": [{"use": name, "units": 8, setting: 0.5}]})
    rnn = keras.layers.RNN(CELLS[name](8, **{setting: 0.5}), return_sequences=True)
    for layer in (loop, rnn):
        first, second = (np.asarray(layer(INPUTS, training=True)) for _ in range(2))
        assert np.abs(first - second).max() > 1e-3
        np.testing.assert_array_equal(layer(INPUTS), layer(INPUTS))


def test_layer_normalization_is_invariant_to_the_scale_of_the_inputs():
    cell = built(LayerNormLSTMCell(4))
    states = [np.zeros((3, 4), "float32"), np.ones((3, 4), "float32")]
    usual, _ = cell(INPUTS[:, 0], states)
    large, _ = cell(INPUTS[:, 0] * 1000, states)
    np.testing.assert_allclose(large, usual, atol=1e-3)


def test_layer_normalization_is_computed_in_float32_in_mixed_precision():
    """Products are about 10,000; their squares overflow float16."""
    plain = built(LayerNormLSTMCell(4))
    mixed = LayerNormLSTMCell(4, dtype="mixed_float16")
    mixed.build((None, 2))
    mixed.set_weights(plain.get_weights())
    states = [np.zeros((3, 4)), np.ones((3, 4))]
    expected, _ = plain(INPUTS[:, 0] * 8192, [state.astype("float32") for state in states])
    output, after = mixed(INPUTS[:, 0] * 8192, [state.astype("float16") for state in states])
    assert {output.dtype, *(state.dtype for state in after)} == {tf.float16}
    np.testing.assert_allclose(tf.cast(output, "float32"), expected, atol=5e-3)


def test_layer_normalization_of_zeros_is_zeros_with_a_finite_gradient():
    cell = built(LayerNormLSTMCell(4))
    x = tf.zeros((1, 2))
    with tf.GradientTape() as tape:
        tape.watch(x)
        output, _ = cell(x, [tf.zeros((1, 4)), tf.zeros((1, 4))])
    assert np.isfinite(output).all()
    assert np.isfinite(tape.gradient(output, x)).all()


@pytest.mark.slow
def test_a_step_of_the_minimal_gate_by_hand():
    cell = MinGRUCell(1)
    cell.build((None, 1))
    # z = sigmoid(100 x), h~ = 2 x + 1
    cell.set_weights([np.array([[100.0, 2.0]]), np.array([0.0, 1.0])])
    h = np.array([[5.0]], "float32")
    np.testing.assert_allclose(cell(np.array([[-1.0]]), [h])[0], [[5.0]])
    np.testing.assert_allclose(cell(np.array([[3.0]]), [h])[0], [[7.0]])
    np.testing.assert_allclose(cell(np.array([[0.0]]), [h])[0], [[3.0]])  # half of 5, half of 1


def test_the_minimal_gate_does_not_depend_on_the_state():
    cell = built(MinGRUCell(3, dtype="float64"))
    rng = np.random.default_rng(3)
    x, one, other = rng.normal(size=(1, 2)), rng.normal(size=(1, 3)), rng.normal(size=(1, 3))
    ends = [np.asarray(cell(x, [h])[0]) for h in (one, other, (one + other) / 2)]
    np.testing.assert_allclose(ends[2], (ends[0] + ends[1]) / 2, rtol=1e-12)  # the step is affine in h


def test_a_positive_candidate_keeps_the_state_positive():
    layer = keras.layers.RNN(MinGRUCell(4, positive=True), return_sequences=True)
    layer.build(INPUTS.shape)
    assert np.all(np.asarray(drawn(layer, scale=5.0)(INPUTS)) >= 0)


def test_an_independent_unit_depends_on_its_own_state_only():
    cell = built(IndRNNCell(3, activation="tanh"))
    h = tf.constant([[0.1, 0.2, 0.3]])
    with tf.GradientTape() as tape:
        tape.watch(h)
        output, _ = cell(INPUTS[:1, 0], [h])
    slopes = np.asarray(tape.jacobian(output, h))[0, :, 0]
    np.testing.assert_array_equal(slopes, np.diag(np.diag(slopes)))
    assert np.all(np.diag(slopes) != 0)


def test_a_relu_unit_with_a_recurrent_weight_of_one_sums_its_inputs():
    layer = keras.layers.RNN(IndRNNCell(1))
    layer.build((1, 4, 1))
    layer.set_weights([np.array([[2.0]]), np.array([1.0]), np.array([0.5])])
    total = layer(np.array([[[1.0], [2.0], [3.0], [4.0]]]))
    np.testing.assert_allclose(total, [[2 * 10 + 4 * 0.5]])


@pytest.mark.parametrize(("timesteps", "limit"), [(0, 1.0), (1, 2.0), (100, 2 ** (1 / 100))])
def test_recurrent_weights_start_and_stay_within_the_limit(timesteps, limit):
    layer = keras.layers.RNN(IndRNNCell(500, timesteps=timesteps))
    layer.build((None, None, 2))
    recurrent = layer.cell.recurrent
    start = np.asarray(recurrent)
    assert 0 <= start.min() < 0.1 * limit
    assert 0.9 * limit < start.max() <= limit
    for slope in (-1.0, 1.0):
        keras.optimizers.SGD(10.0).apply([tf.fill((500,), slope)], [recurrent])
        np.testing.assert_allclose(recurrent, np.full(500, -slope * limit), rtol=1e-6)


def test_a_negative_number_of_timesteps_is_rejected():
    with pytest.raises(ValueError, match="'timesteps' must be >= 0: -1"):
        IndRnnConfig(units=3, timesteps=-1)
