import keras
import numpy as np
import pytest
from superloop_plugin_cells.sgu import SGUCell

from superloop_core import Superloop


def drawn(layer, seed=0):
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.normal(size=weight.shape) for weight in layer.get_weights()])
    return layer


def numpy_sgu(weights, inputs):
    """Compute the equations in float64; return h at every timestep."""
    w_ctrl, b_ctrl, w_in, b_in = weights
    h, states = np.zeros((len(inputs), len(b_in))), []
    for x in np.moveaxis(inputs, 1, 0):
        control = np.concatenate([x, h], axis=-1) @ w_ctrl + b_ctrl
        f = (control / (1 + np.abs(control)) + 1) / 2
        candidate = x @ w_in + b_in
        h = (1 - f) * np.maximum(candidate, 0.1 * candidate) + f * h
        states.append(h)
    return np.stack(states, axis=1)


@pytest.mark.slow
def test_a_step_by_hand():
    cell = SGUCell(1)
    cell.build((None, 1))
    cell.set_weights([np.array([[1.0], [0.5]]), np.array([0.0]), np.array([[2.0]]), np.array([1.0])])
    # control 1 + 0.5 * 2 = 2, softsign 2/3, f = 5/6; candidate 2 * 1 + 1 = 3; h = 3/6 + 2 * 5/6
    h, _ = cell(np.array([[1.0]]), [np.array([[2.0]])])
    np.testing.assert_allclose(h, [[13 / 6]], rtol=1e-6)
    # control -1, softsign -1/2, f = 1/4; candidate -1, after the leaky ReLU -0.1; h = -0.1 * 3/4
    h, _ = cell(np.array([[-1.0]]), [np.array([[0.0]])])
    np.testing.assert_allclose(h, [[-0.075]], rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_cell_in_keras_rnn_computes_the_equations(dtype):
    inputs = np.random.default_rng(1).normal(size=(3, 5, 2)).astype(dtype)
    layer = keras.layers.RNN(SGUCell(4, dtype=dtype), return_sequences=True, dtype=dtype)
    layer.build(inputs.shape)
    drawn(layer)
    outputs = layer(inputs)
    assert outputs.dtype == dtype
    # TensorFlow's leaky_relu stores its slope in float32 and computes in float64.
    tolerance = {"float32": 1e-5, "float64": 1e-7}[dtype]
    np.testing.assert_allclose(
        outputs, numpy_sgu(layer.get_weights(), inputs), rtol=tolerance, atol=tolerance
    )


def test_stacked_cells_in_keras_rnn_equal_a_loop_without_systems():
    inputs = np.random.default_rng(1).normal(size=(3, 5, 2)).astype("float32")
    loop = Superloop({"inputs": 2, "cells": [{"use": "sgu", "units": 4, "layers": 2}]})
    loop(inputs)
    drawn(loop)
    rnn = keras.layers.RNN([SGUCell(4), SGUCell(4)], return_sequences=True)
    rnn.build(inputs.shape)
    rnn.set_weights(loop.get_weights())
    np.testing.assert_allclose(loop(inputs), rnn(inputs), atol=1e-6)


def test_a_cell_in_keras_rnn_is_saved_and_loaded(tmp_path):
    inputs = np.random.default_rng(1).normal(size=(3, 5, 2)).astype("float32")
    model = keras.Sequential([keras.Input((5, 2)), keras.layers.RNN(SGUCell(4))])
    drawn(model)
    model.save(tmp_path / "sgu.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "sgu.keras")(inputs), model(inputs))


def test_original_weights_have_a_kernel_and_a_bias_for_each_layer():
    cell = SGUCell(3)
    cell.build((None, 2))
    shapes = {
        layer: [tuple(variable.shape) for variable in variables]
        for layer, variables in cell.original_weights().items()
    }
    assert shapes == {"DenseCtrl": [(5, 3), (3,)], "DenseIn": [(2, 3), (3,)]}
