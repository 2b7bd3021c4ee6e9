"""Initializers, regularizers, constraints and activations of the cells and of the loop's projections."""

import keras
import numpy as np
import pytest

from superloop_core import ConfigError, Superloop, load_model
from superloop_core.layer import assembly
from superloop_core.registry import load_registry

KERAS = ("lstm", "gru", "simple_rnn", "peephole_lstm", "layer_norm_lstm")
OWN = ("sgu", "min_gru", "indrnn", "dense")
STACK = {"use": "stack", "depth": 3, "width": 2}


def loop_of(cell, **loop):
    layer = Superloop({"inputs": 2, "cells": [{"units": 3, **cell}], "systems": [STACK]} | loop)
    layer.build((None, 4, 2))
    return layer


@pytest.mark.parametrize("use", [*KERAS, *OWN])
def test_names_and_tables_of_keras_make_the_weights(use):
    normal = {"class_name": "RandomNormal", "config": {"mean": 5.0, "stddev": 0.01}}
    given = {"kernel_initializer": "ones", "bias_initializer": normal, "kernel_regularizer": "l2"}
    cell = loop_of({"use": use, **given}).wiring.parts()["cells.0"]
    kernels = [np.array(w) for w in cell.weights if w.name.endswith("kernel") and "recurrent" not in w.name]
    biases = [np.array(w) for w in cell.weights if w.name.endswith("bias") and w.name != "cell_bias"]
    assert len(kernels) == len(biases) == (2 if use == "sgu" else 1)
    assert all((kernel == 1).all() for kernel in kernels)
    share = 0.75 if "lstm" in use else 1  # Keras sets the bias of the forget gate to 1
    assert all((np.abs(bias - 5) < 0.1).mean() == share for bias in biases)
    squares = sum((kernel**2).sum() for kernel in kernels)
    np.testing.assert_allclose(sum(map(float, cell.losses)), 0.01 * squares, rtol=1e-5)


@pytest.mark.parametrize("use", KERAS)
def test_recurrent_kernels_have_settings_of_their_own(use):
    given = {
        "recurrent_initializer": "ones",
        "recurrent_regularizer": "l1",
        "recurrent_constraint": "unit_norm",
    }
    cell = loop_of({"use": use, **given}).wiring.parts()["cells.0"]
    (kernel,) = (weight for weight in cell.weights if weight.name == "recurrent_kernel")
    np.testing.assert_array_equal(kernel, np.ones_like(kernel))
    assert isinstance(kernel.constraint, keras.constraints.UnitNorm)
    np.testing.assert_allclose(float(sum(cell.losses)), 0.01 * np.size(kernel), rtol=1e-5)


def test_the_activation_is_that_of_keras():
    inputs = np.random.default_rng(0).normal(size=(2, 5, 2)).astype("float32")
    for use, settings, layer in (
        ("simple_rnn", {"activation": "relu"}, keras.layers.SimpleRNN),
        ("lstm", {"activation": "gelu", "recurrent_activation": "hard_sigmoid"}, keras.layers.LSTM),
        ("gru", {"activation": "softsign", "recurrent_activation": "relu6"}, keras.layers.GRU),
    ):
        peer = layer(3, return_sequences=True, **settings)
        loop = Superloop({"inputs": 2, "cells": [{"use": use, "units": 3, **settings}]})
        peer.build((None, 5, 2)), loop.build((None, 5, 2))
        loop.set_weights(peer.get_weights())
        np.testing.assert_allclose(loop(inputs), peer(inputs), rtol=1e-5, atol=1e-6)


def test_layers_of_one_cell_do_not_draw_the_same_numbers():
    settings = {"use": "min_gru", "units": 2, "layers": 2, "kernel_initializer": "random_normal"}
    loop = Superloop({"inputs": 2, "cells": [settings]})
    loop.build((None, 4, 2))
    first, second = (np.array(cell.weights[0]) for cell in loop.wiring.cells)
    assert np.abs(first - second).max() > 0


def test_a_constraint_and_a_regularizer_act_in_training_and_after_loading(tmp_path):
    limit = {"class_name": "MaxNorm", "config": {"max_value": 0.1, "axis": 0}}
    cell = {"use": "gru", "units": 3, "kernel_constraint": limit, "kernel_regularizer": "l2"}
    weights = {"kernel_constraint": limit, "kernel_initializer": "ones"}
    config = {"inputs": 2, "outputs": 1, "cells": [cell], "systems": [STACK]}
    layer = Superloop(config | {"control_weights": weights, "output_weights": weights})
    inputs = layer.symbolic_inputs()
    model = keras.Model(inputs, layer(inputs))
    assert (np.array(layer.wiring.controls[0].kernel) == 1).all()
    assert (np.array(layer.wiring.projection.kernel) == 1).all()
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 5, 2)), np.ones((4, 5, 1)), verbose=0)
    for kernel in (layer.wiring.controls[0].kernel, layer.wiring.projection.kernel):
        assert np.linalg.norm(kernel, axis=0).max() <= 0.1001
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(sum(map(float, loaded.losses)), sum(map(float, model.losses)), rtol=1e-5)
    assert loaded.layers[-1].wiring.projection.kernel.constraint is not None


def test_the_systems_keep_their_initializers_unless_one_is_given():
    tape = {"use": "attention", "id": "tape", "width": 2}
    config = {"inputs": 2, "cells": [{"use": "gru", "units": 3}], "systems": [tape]}
    own, given = (
        assembly.assemble(Superloop(config | more).config).controls[0].kernel_initializer
        for more in ({}, {"control_weights": {"bias_initializer": "ones"}})
    )
    assert type(own) is type(given) is keras.initializers.RandomUniform


def test_what_is_not_given_is_not_saved():
    layer = Superloop({"inputs": 2, "cells": [{"use": "lstm", "units": 3}]})
    saved = layer.get_config()["config"]
    assert not any(name.endswith("_weights") for name in saved)
    (cell,) = saved["cells"]
    assert set(cell) == {"use", "layers", "learn_initial_state", "units", "dropout", "recurrent_dropout"}


@pytest.mark.parametrize("use", OWN)
def test_a_cell_of_ours_is_saved_with_its_settings(use):
    spec = load_registry().resolve("cell", use).spec
    cell = spec.create(spec.config(units=3, kernel_regularizer="l2"))
    assert cell.get_config()["kernel_regularizer"]["class_name"] == "L2"
    assert "kernel_regularizer" not in spec.create(spec.config(units=3)).get_config()
    again = type(cell).from_config(cell.get_config())
    assert again.get_config() == cell.get_config()


REFUSED = {
    "'kernel_initializer' must be an initializer of Keras: 'orthogonl'; did you mean 'orthogonal'?": (
        {"use": "lstm", "kernel_initializer": "orthogonl"}, {},
    ),
    "'kernel_regularizer' must be a regularizer of Keras: 'l3'": (
        {"use": "sgu", "kernel_regularizer": "l3"}, {},
    ),
    "'activation' must be an activation of Keras: 'tan'; did you mean 'tanh'?": (
        {"use": "simple_rnn", "activation": "tan"}, {},
    ),
    "'recurrent_constraint' must be a constraint of Keras: {'class_name': 'NonNeg', 'config': {'size': 3}}": (
        {"use": "gru", "recurrent_constraint": {"class_name": "NonNeg", "config": {"size": 3}}}, {},
    ),
    "is no class of Keras that is made from a file": (
        {"use": "gru", "kernel_initializer": {"class_name": "Popen", "module": "subprocess"}}, {},
    ),
    "loop.output_weights: 'bias_initializer' must be an initializer of Keras: 'zeross'; did you mean": (
        {"use": "gru"}, {"outputs": 2, "output_weights": {"bias_initializer": "zeross"}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("message", REFUSED)
def test_what_keras_does_not_have_is_refused_with_place_and_value(message):
    cell, loop = REFUSED[message]
    with pytest.raises(ConfigError) as refused:
        loop_of(cell, **loop)
    assert message in str(refused.value)
    assert str(refused.value).startswith(("loop.cells[0]", "loop.output_weights"))
