"""What Keras and TensorFlow do to any layer, done to a Superloop."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from superloop_core import Sequence, Superloop, SuperloopCell, SuperloopError
from superloop_core.builder import KerasCell
from superloop_core.builder.noise import noise_of, noise_of_part

STACK = {"use": "stack", "id": "stack", "depth": 3, "width": 2}
INPUTS = np.random.default_rng(0).normal(size=(2, 4, 2)).astype("float32")


@pytest.fixture
def config(make_loop):
    lstm = {"use": "lstm", "units": 3, "learn_initial_state": True, "dropout": 0.5}
    return make_loop(STACK | {"learn_initial_read": True}, cells=[lstm, "gru"])


def model_of(layer):
    """Return a small model with the layer in it."""
    inputs = keras.Input((4, 2))
    return keras.Model(inputs, keras.layers.Dense(1)(layer(inputs)))


def weights_of(layer):
    """Return a layer's weights, without the seeds of its dropout."""
    return [w for w in layer.weights if w.dtype == "float32"]


def frozen_when_made(config):
    return model_of(Superloop(config, trainable=False))


def frozen_before_it_is_built(config):
    layer = Superloop(config)
    layer.trainable = False
    return model_of(layer)


def frozen_after_it_is_built(config):
    model = model_of(Superloop(config, name="loop"))
    model.get_layer("loop").trainable = False
    return model


def cloned(config):
    return keras.models.clone_model(frozen_after_it_is_built(config))


def frozen_part_by_part(config):
    layer = Superloop(config)
    model = model_of(layer)
    for part in (*layer.wiring.cells, *layer.wiring.controls, layer.wiring.projection):
        part.trainable = False
    for offset in (w for w in layer.weights if "initial_" in w.path):
        offset.trainable = False
    return model


def a_frozen_cell(config):
    return model_of(keras.layers.RNN(SuperloopCell(config, trainable=False), return_sequences=True))


@pytest.mark.parametrize(
    "make",
    [
        frozen_when_made,
        frozen_before_it_is_built,
        frozen_after_it_is_built,
        cloned,
        frozen_part_by_part,
        a_frozen_cell,
    ],
)
def test_a_frozen_loop_is_not_trained(make, config):
    model = make(config)
    dense = model.layers[-1]
    assert [w.path for w in model.trainable_weights] == [w.path for w in dense.weights]
    before = [w.numpy() for w in weights_of(model.layers[1])]
    model.compile("sgd", "mse", run_eagerly=True)
    model.fit(INPUTS, np.ones((2, 4, 1)), verbose=0)
    assert len(before) > 8
    for was, is_now in zip(before, weights_of(model.layers[1]), strict=True):
        np.testing.assert_array_equal(was, is_now)


def test_a_loop_that_is_frozen_and_freed_is_trained_again(config):
    layer = Superloop(config, trainable=False)
    model_of(layer)
    assert layer.trainable_weights == []
    layer.trainable = True
    assert len(layer.trainable_weights) == len(weights_of(layer))


def test_parts_frozen_before_they_make_their_layers_stay_frozen(config):
    layer = Superloop(config)
    layer.wiring.cells[0].trainable = False
    model_of(layer)
    trained = {id(w) for w in layer.trainable_weights}
    assert not trained & {id(w) for w in layer.wiring.cells[0].weights}
    assert {id(w) for w in layer.wiring.cells[1].weights} <= trained


def test_a_checkpoint_of_tensorflow_holds_every_weight(config, tmp_path):
    model = model_of(Superloop(config))
    expected = model(INPUTS)
    weights = model.get_weights()
    path = tf.train.Checkpoint(model=model).save(tmp_path / "checkpoint")
    for weight in model.weights:
        weight.assign(tf.zeros_like(weight) - 1)
    other = model_of(Superloop(config))
    tf.train.Checkpoint(model=other).restore(path).assert_consumed()
    tf.train.Checkpoint(model=model).restore(path)
    for read in (model, other):
        for one, was in zip(read.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(one, was)
        np.testing.assert_array_equal(read(INPUTS), expected)


@pytest.mark.slow
@pytest.mark.parametrize("stateful", [False, True])
def test_a_saved_model_of_tensorflow_answers_as_the_layer(stateful, config, tmp_path, assert_close):
    layer = Superloop(config, stateful=stateful)
    run = tf.function(layer, autograph=False)
    expected = run(INPUTS)
    if stateful:
        layer.reset_state()
    module = tf.Module()
    module.layer, module.run = layer, run
    tf.saved_model.save(module, str(tmp_path / "saved"))
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    assert_close(loaded.run(INPUTS), expected)


def test_paths_of_weights_do_not_depend_on_what_was_made_before(config):
    layer = Superloop(config | {"cells": config["cells"] * 2}, name="loop")
    clone = Superloop.from_config(layer.get_config())
    for one in (layer, clone):
        one.build((2, 4, 2))
    paths = [variable.path for variable in layer.variables]
    assert paths == [variable.path for variable in clone.variables]
    assert "loop/wiring/keras_cell_1/gru_cell/kernel" in paths
    dense = keras.layers.Dense(1)
    assert keras.layers.Dense(1).name != dense.name  # Keras's own counters count on


def test_bidirectional_answers_with_the_states_of_both_directions(config, assert_close):
    both = keras.layers.Bidirectional(Superloop(config, return_state=True))
    answer, *states = both(INPUTS)
    forward, *of_forward = both.forward_layer(INPUTS)
    backward, *of_backward = both.backward_layer(INPUTS)
    assert_close(answer, tf.concat([forward, backward[:, ::-1]], axis=-1))
    assert_close(states, [*of_forward, *of_backward])
    specs = both.compute_output_spec(keras.KerasTensor((2, 4, 2)))
    assert [spec.shape for spec in specs] == [(2, 4, 4), *(tuple(state.shape) for state in states)]


@pytest.mark.parametrize(
    ("shape_of", "shape"),
    [
        (lambda layer: layer.compute_output_shape((None, 7, 2)), (None, 7, 2)),
        (lambda layer: layer.compute_output_spec(keras.KerasTensor((None, 7, 2))).shape, (None, 7, 2)),
        (lambda layer: keras.layers.Bidirectional(layer).compute_output_shape((None, 7, 2)), (None, 7, 4)),
        (
            lambda layer: keras.layers.TimeDistributed(layer).compute_output_shape((None, 6, 7, 2)),
            (None, 6, 7, 2),
        ),
    ],
)
def test_shapes_are_known_before_there_are_weights(shape_of, shape, config):
    layer = Superloop(config)
    assert tuple(shape_of(layer)) == shape
    assert not layer.built
    assert layer.weights == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("traces", "all"), ("stateful", True), ("unroll", True), ("checkpoint_every", 2), ("debug", True)],
)
def test_an_option_that_a_layer_is_made_with_cannot_be_changed_later(name, value, config):
    layer = Superloop(config)
    setattr(layer, name, getattr(layer, name))  # what it is already
    layer.traces = list(layer.traces)
    with pytest.raises(SuperloopError, match=rf"'{name}' is fixed when the layer is made"):
        setattr(layer, name, value)


class Dropper(keras.layers.Layer, keras.src.layers.rnn.dropout_rnn_cell.DropoutRNNCell):
    """A cell whose output is smaller than its state, with dropout of its state."""

    def __init__(self, units, output_size):
        super().__init__()
        self.state_size, self.output_size = units, output_size
        self.dropout, self.recurrent_dropout = 0.0, 0.5
        self.seed_generator = keras.random.SeedGenerator(1)
        self.masks = set()

    def call(self, inputs, states, training=False):
        if training:
            self.masks.add(tuple(self.get_recurrent_dropout_mask(states[0]).shape))
        return states[0][:, : self.output_size], states


@pytest.mark.parametrize("output_size", [5, 2, 1])
def test_the_mask_of_recurrent_dropout_has_the_shape_of_the_state(output_size):
    cell = Dropper(5, output_size)
    builder = KerasCell(cell)
    builder.build(3)
    sequence = Sequence(batch_size=2, timesteps=4, lengths=None, dtype="float32", training=True)
    with noise_of(np.array([1, 2], "uint32"), 0), noise_of_part("cells.0", 2):
        constants = builder.constants(sequence)
    builder.step(tf.ones((2, 3)), builder.initial_state(sequence), constants)
    assert cell.masks == {(2, 5)}
