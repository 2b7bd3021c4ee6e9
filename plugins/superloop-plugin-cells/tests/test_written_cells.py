"""The cells written here, against the equations of their papers in plain NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
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
        summed = x @ kernel + h @ recurrent + bias
        for row in range(len(x)):
            for unit in range(n):
                told_i, told_f, told_c, told_o = summed[row, unit::n]
                i = sigmoid(told_i + peepholes[0, unit] * c[row, unit])
                f = sigmoid(told_f + peepholes[1, unit] * c[row, unit])
                c[row, unit] = f * c[row, unit] + i * np.tanh(told_c)
                o = sigmoid(told_o + peepholes[2, unit] * c[row, unit])
                h[row, unit] = o * np.tanh(c[row, unit])
    return [h, c]


def numpy_layer_norm_lstm(cell, weights, inputs, states):
    """Ba, Kiros and Hinton, equations 20 to 22, row by row."""
    kernel, recurrent, bias, input_gain, recurrent_gain, cell_gain, cell_bias = weights

    def normalized(z):
        mean = sum(z) / len(z)
        variance = sum((one - mean) ** 2 for one in z) / len(z)
        return (z - mean) / np.sqrt(variance + 1e-5)

    h, c = (state.copy() for state in states)
    for x in inputs:
        for row in range(len(x)):
            told = input_gain * normalized(x[row] @ kernel)
            told = told + recurrent_gain * normalized(h[row] @ recurrent) + bias
            i, f, g, o = np.split(told, 4)
            c[row] = sigmoid(f) * c[row] + sigmoid(i) * np.tanh(g)
            h[row] = sigmoid(o) * np.tanh(cell_gain * normalized(c[row]) + cell_bias)
    return [h, c]


def numpy_min_gru(cell, weights, inputs, states):
    """Feng et al., the sequential form; with g where it is positive."""
    kernel, bias = weights
    (h,) = (state.copy() for state in states)
    for x in inputs:
        for row in range(len(x)):
            for unit in range(cell.units):
                z = sigmoid(x[row] @ kernel[:, unit] + bias[unit])
                v = x[row] @ kernel[:, cell.units + unit] + bias[cell.units + unit]
                if cell.positive:
                    v = v + 0.5 if v >= 0 else sigmoid(v)
                h[row, unit] = (1 - z) * h[row, unit] + z * v
    return [h]


def numpy_indrnn(cell, weights, inputs, states):
    """Li et al., equation 2, unit by unit."""
    kernel, recurrent, bias = weights
    (h,) = (state.copy() for state in states)
    for x in inputs:
        for row in range(len(x)):
            for unit in range(cell.units):
                v = x[row] @ kernel[:, unit] + recurrent[unit] * h[row, unit] + bias[unit]
                h[row, unit] = max(v, 0) if cell.activation == "relu" else np.tanh(v)
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
def test_whatever_the_settings_it_computes_the_equations(make, units, size, batch, seed):
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
    for state, right in zip(states, expected, strict=True):
        np.testing.assert_allclose(state, right, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("unroll", [False, True])
def test_in_keras_rnn_it_answers_as_in_a_loop_without_systems(name, unroll):
    loop = Superloop({"inputs": 2, "cells": [{"use": name, "units": 4, "layers": 2}]}, unroll=unroll)
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
def test_in_keras_rnn_it_comes_back_from_its_config(cell):
    layer = keras.layers.RNN(cell)
    layer.build(INPUTS.shape)
    drawn(layer)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    again.build(INPUTS.shape)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(INPUTS), layer(INPUTS))
    assert again.cell.get_config() == cell.get_config()


@pytest.mark.parametrize("name", CELLS)
def test_ten_thousand_steps_stay_finite(name):
    loop = Superloop({"inputs": 2, "cells": [{"use": name, "units": 4}]}, jit_compile=False)
    inputs = tf.random.stateless_normal((2, 10_000, 2), seed=(1, 2))
    loop.build(inputs.shape)
    for weight in drawn(loop).weights:
        if weight.constraint is not None:
            weight.assign(weight.constraint(weight.value))
    assert np.isfinite(tf.function(loop, autograph=False)(inputs)).all()


def test_an_lstm_without_peepholes_is_the_one_of_keras():
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
def test_an_lstm_starts_by_remembering(name):
    cell = CELLS[name](2)
    cell.build((None, 1))
    weights = {weight.name: np.asarray(weight) for weight in cell.weights}
    np.testing.assert_array_equal(weights["bias"], [0, 0, 1, 1, 0, 0, 0, 0])
    if name == "peephole_lstm":
        assert not np.any(weights["peepholes"])


@pytest.mark.parametrize("cls", [PeepholeLSTMCell, LayerNormLSTMCell])
def test_dropout_has_one_mask_for_all_gates_of_an_lstm(cls):
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
def test_dropout_is_drawn_anew_for_each_batch_in_a_loop_and_in_keras_rnn(name, setting):
    loop = Superloop({"inputs": 2, "cells": [{"use": name, "units": 8, setting: 0.5}]})
    rnn = keras.layers.RNN(CELLS[name](8, **{setting: 0.5}), return_sequences=True)
    for layer in (loop, rnn):
        first, second = (np.asarray(layer(INPUTS, training=True)) for _ in range(2))
        assert np.abs(first - second).max() > 1e-3
        np.testing.assert_array_equal(layer(INPUTS), layer(INPUTS))


def test_layer_normalization_does_not_see_how_large_a_product_is():
    cell = built(LayerNormLSTMCell(4))
    states = [np.zeros((3, 4), "float32"), np.ones((3, 4), "float32")]
    usual, _ = cell(INPUTS[:, 0], states)
    large, _ = cell(INPUTS[:, 0] * 1000, states)
    np.testing.assert_allclose(large, usual, atol=1e-3)


def test_layer_normalization_is_computed_in_float32_in_mixed_precision():
    """Products of some 10,000, whose squares float16 cannot hold."""
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


def test_a_minimal_gate_keeps_or_takes():
    cell = MinGRUCell(1)
    cell.build((None, 1))
    cell.set_weights([np.array([[100.0, 2.0]]), np.array([0.0, 1.0])])  # z by the sign of x; h~ = 2 x + 1
    h = np.array([[5.0]], "float32")
    np.testing.assert_allclose(cell(np.array([[-1.0]]), [h])[0], [[5.0]])
    np.testing.assert_allclose(cell(np.array([[3.0]]), [h])[0], [[7.0]])
    np.testing.assert_allclose(cell(np.array([[0.0]]), [h])[0], [[3.0]])  # half of 5, half of 1


def test_a_minimal_gate_does_not_see_the_state():
    cell = built(MinGRUCell(3, dtype="float64"))
    rng = np.random.default_rng(3)
    x, one, other = rng.normal(size=(1, 2)), rng.normal(size=(1, 3)), rng.normal(size=(1, 3))
    ends = [np.asarray(cell(x, [h])[0]) for h in (one, other, (one + other) / 2)]
    np.testing.assert_allclose(ends[2], (ends[0] + ends[1]) / 2, rtol=1e-12)  # the step is affine in h


def test_a_positive_candidate_keeps_the_state_positive():
    layer = keras.layers.RNN(MinGRUCell(4, positive=True), return_sequences=True)
    layer.build(INPUTS.shape)
    assert np.all(np.asarray(drawn(layer, scale=5.0)(INPUTS)) >= 0)


def test_independent_units_see_themselves_only():
    cell = built(IndRNNCell(3, activation="tanh"))
    h = tf.constant([[0.1, 0.2, 0.3]])
    with tf.GradientTape() as tape:
        tape.watch(h)
        output, _ = cell(INPUTS[:1, 0], [h])
    slopes = np.asarray(tape.jacobian(output, h))[0, :, 0]
    np.testing.assert_array_equal(slopes, np.diag(np.diag(slopes)))
    assert np.all(np.diag(slopes) != 0)


def test_a_unit_of_relu_that_keeps_all_of_itself_is_a_sum():
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


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"use": "indrnn", "timesteps": -1}, "'timesteps' must be >= 0: -1"),
        ({"use": "indrnn", "activation": "sigmoid"}, "'activation' must be one of 'relu', 'tanh'"),
        ({"use": "min_gru", "dropout": 0.1}, "no setting 'dropout'"),
        ({"use": "peephole_lstm", "units": 0}, "'units' must be >= 1: 0"),
        ({"use": "layer_norm_lstm", "recurrent_dropout": 1.0}, "'recurrent_dropout' must be < 1"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(wrong, told):
    with pytest.raises(ValueError, match=told):
        Superloop({"inputs": 2, "cells": [{"units": 3} | wrong]})
