"""Tests of the dense cell: the system is the only path from one timestep to the next."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from superloop_plugin_cells.dense import DenseCell

from superloop_core import Superloop, load_model

INPUTS = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
STACK = {"use": "stack", "id": "memo", "depth": 3, "width": 2}


def loop_of(systems=(), layers=2, **settings):
    """Return a built loop of dense cells with drawn weights."""
    cells = [{"use": "dense", "units": 4, "layers": layers, **settings}]
    loop = Superloop({"inputs": 3, "outputs": 2, "cells": cells, "systems": list(systems)})
    loop.build(INPUTS.shape)
    rng = np.random.default_rng(1)
    loop.set_weights([rng.normal(size=weight.shape) for weight in loop.get_weights()])
    return loop


def dependence(loop):
    """Return the largest slope of the output at one timestep by the input at another, ``(5, 5)``."""
    x = tf.constant(INPUTS)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(loop(x), axis=(0, 2))
    return np.abs(tape.jacobian(y, x)).max(axis=(1, 3))


def test_a_step_by_hand():
    cell = DenseCell(2, activation="relu")
    cell.build((None, 2))
    cell.set_weights([np.array([[1, 2], [3, -4]]), np.array([0.5, 0.25])])
    output, states = cell(np.array([[1.0, 2.0]]), [])
    np.testing.assert_array_equal(output, [[7.5, 0]])  # 1 + 6 + 0.5; 2 - 8 + 0.25 is negative
    assert states == []


def test_the_activation_is_tanh_where_it_is_left_out():
    assert DenseCell(2).activation is keras.activations.tanh
    assert loop_of(activation="gelu").wiring.parts()["cells.0"].cell.activation is keras.activations.gelu


def test_a_loop_without_systems_equals_dense_layers_of_keras():
    loop = loop_of()
    layers = [keras.layers.Dense(4, "tanh"), keras.layers.Dense(4, "tanh"), keras.layers.Dense(2)]
    peer = keras.Sequential([keras.Input((5, 3)), *layers])
    peer.set_weights(loop.get_weights())
    np.testing.assert_allclose(loop(INPUTS), peer(INPUTS), atol=1e-5)


def test_without_systems_nothing_passes_from_one_timestep_to_the_next():
    slopes = dependence(loop_of())
    assert (np.diag(slopes) > 0).all()
    np.testing.assert_array_equal(slopes, np.diag(np.diag(slopes)))


def test_the_system_is_the_only_path_from_one_timestep_to_the_next():
    loop = loop_of([STACK])
    before = np.tril(np.ones((5, 5), bool), -1)
    assert (dependence(loop)[before] > 0).all()
    kernel = loop.wiring.cells[0].cell.kernel  # its last rows are those of the read vector
    cut = np.array(kernel)
    cut[3:] = 0
    kernel.assign(cut)
    slopes = dependence(loop)
    np.testing.assert_array_equal(slopes, np.diag(np.diag(slopes)))


@pytest.mark.parametrize("systems", [[], [STACK]])
def test_a_session_a_mask_and_a_saved_model_agree_with_a_call(systems, tmp_path):
    loop = loop_of(systems)
    expected = np.array(loop(INPUTS))
    session = loop.session(batch_size=2)
    steps = [np.array(session.step(INPUTS[:, t])) for t in range(5)]
    np.testing.assert_allclose(np.stack(steps, axis=1), expected, atol=1e-6)
    mask = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], bool)
    masked = np.array(loop(INPUTS, mask=mask))
    np.testing.assert_allclose(masked[mask], expected[mask], atol=1e-6)
    inputs = keras.Input((None, 3))
    keras.Model(inputs, loop(inputs)).save(tmp_path / "model.keras")
    np.testing.assert_allclose(load_model(tmp_path / "model.keras")(INPUTS), expected, atol=1e-6)


def test_a_stateful_layer_stores_the_state_of_its_system():
    config = loop_of([STACK]).config
    loop, whole = Superloop(config, stateful=True), Superloop(config)
    for layer in (loop, whole):
        layer.build(INPUTS.shape)
    loop.set_weights(whole.get_weights())
    parts = [loop(INPUTS[:, :2]), loop(INPUTS[:, 2:])]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole(INPUTS), atol=1e-6)


def test_its_trace_is_its_output_and_it_has_no_state():
    config = {"inputs": 3, "cells": [{"use": "dense", "units": 4}], "systems": [STACK]}
    loop = Superloop(config, traces=["cells.0.output"])
    results = loop(INPUTS)
    assert set(loop.state_names) == {"memo.cells", "memo.read"}
    np.testing.assert_array_equal(results["cells.0.output"], results["outputs"])


def test_a_cell_is_made_again_from_its_config():
    cell = DenseCell(3, activation="silu", kernel_regularizer="l2")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(cell))
    assert again.get_config() == cell.get_config()
