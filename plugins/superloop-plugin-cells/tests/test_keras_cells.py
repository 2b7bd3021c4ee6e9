import keras
import numpy as np
import pytest
from superloop_plugin_cells import KerasCellConfig, keras_cells

from superloop_core import Superloop

INPUTS = np.random.default_rng(0).normal(size=(3, 5, 2)).astype("float32")
LAYERS = {
    "lstm": keras.layers.LSTM,
    "gru": keras.layers.GRU,
    "simple_rnn": keras.layers.SimpleRNN,
}


def loop_of(cell):
    loop = Superloop({"inputs": 2, "cells": [{"use": cell, "units": 4}]})
    loop(INPUTS)
    rng = np.random.default_rng(1)
    for weight in loop.trainable_weights:
        weight.assign(rng.normal(size=weight.shape))
    return loop


@pytest.mark.parametrize("cell", LAYERS)
def test_a_loop_without_systems_equals_the_layer_of_keras(cell):
    loop = loop_of(cell)
    layer = LAYERS[cell](4, return_sequences=True)
    layer.build(INPUTS.shape)
    for ours, theirs in zip(loop.trainable_weights, layer.trainable_weights, strict=True):
        theirs.assign(ours)
    np.testing.assert_allclose(loop(INPUTS), layer(INPUTS), atol=1e-6)


@pytest.mark.parametrize("cell", LAYERS)
def test_a_cell_in_keras_rnn_equals_a_loop_without_systems(cell):
    loop = loop_of(cell)
    rnn = keras.layers.RNN(getattr(keras_cells, cell)(KerasCellConfig(units=4)), return_sequences=True)
    rnn.build(INPUTS.shape)
    for ours, theirs in zip(loop.trainable_weights, rnn.trainable_weights, strict=True):
        theirs.assign(ours)
    np.testing.assert_allclose(loop(INPUTS), rnn(INPUTS), atol=1e-6)


@pytest.mark.parametrize("cell", LAYERS)
def test_a_factory_passes_the_settings_on(cell):
    made = getattr(keras_cells, cell)(KerasCellConfig(units=4, dropout=0.25, recurrent_dropout=0.5))
    assert (made.units, made.dropout, made.recurrent_dropout) == (4, 0.25, 0.5)


@pytest.mark.parametrize("setting", ["dropout", "recurrent_dropout"])
@pytest.mark.parametrize("cell", LAYERS)
def test_dropout_masks_equal_those_of_keras(cell, setting):
    ours = getattr(keras_cells, cell)(KerasCellConfig(units=4, **{setting: 0.5}))
    theirs = type(ours).__bases__[-1](4, seed=3, **{setting: 0.5})
    ours.seed_generator = keras.random.SeedGenerator(3)
    states = [np.random.default_rng(2).normal(size=(3, 4)).astype("float32")] * (2 if cell == "lstm" else 1)
    theirs(INPUTS[:, 0], states)
    ours(INPUTS[:, 0], states)
    ours.set_weights(theirs.get_weights())
    output, expected = (cell(INPUTS[:, 0], states, training=True)[0] for cell in (ours, theirs))
    np.testing.assert_allclose(output, expected, atol=1e-6)
    assert np.abs(output - ours(INPUTS[:, 0], states)[0]).max() > 1e-3


@pytest.mark.parametrize("arguments", [{"use_bias": False}, {"reset_after": False}])
def test_a_gru_with_other_arguments_equals_that_of_keras(arguments):
    ours, theirs = (cls(4, **arguments) for cls in (keras_cells.GRUCell, keras.layers.GRUCell))
    states = [np.random.default_rng(2).normal(size=(3, 4)).astype("float32")]
    for cell in (theirs, ours):
        cell(INPUTS[:, 0], states)
    ours.set_weights(theirs.get_weights())
    np.testing.assert_allclose(ours(INPUTS[:, 0], states)[0], theirs(INPUTS[:, 0], states)[0], atol=1e-6)


@pytest.mark.parametrize(
    ("setting", "value"), [("units", 0), ("dropout", 1.0), ("dropout", -0.1), ("recurrent_dropout", 1.5)]
)
def test_settings_out_of_range_are_rejected(setting, value):
    with pytest.raises(ValueError, match=f"'{setting}' must be"):
        KerasCellConfig(**({"units": 4} | {setting: value}))
