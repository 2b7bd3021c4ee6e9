import attrs
import keras
import numpy as np
import pytest
import tensorflow as tf

from superloop_core import SourceError, SuperloopCell, SuperloopError, System, SystemSettings


@pytest.mark.parametrize("unroll", [False, True])
def test_keras_rnn_over_the_cell_is_the_loop(unroll, made, make_loop, assert_close):
    config = make_loop("scratch", cells=["lstm", "sgu"], outputs_read_systems=True)
    layer, feed = made(config)
    rnn = keras.layers.RNN(SuperloopCell(config), return_sequences=True, return_state=True, unroll=unroll)
    rnn.build(feed["inputs"].shape)
    rnn.set_weights(layer.get_weights())
    mask = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 1, 0]], bool)
    outputs, *state = rnn(feed["inputs"], mask=mask)
    with_state, _ = made(config, like=layer, return_state=True)
    expected, *final = with_state(feed, mask=mask)
    assert outputs.shape == expected.shape
    assert_close(outputs, expected)
    assert_close([np.reshape(tensor, (3, -1)) for tensor in final], state)


def test_a_cell_in_a_model_is_saved_and_trained(tmp_path, make_loop, assert_close):
    inputs = keras.Input((5, 2))
    cell = SuperloopCell(make_loop("scratch"))
    model = keras.Model(inputs, keras.layers.RNN(cell)(inputs))
    assert cell.state_names == ("cells_0_h", "cells_0_c", "scratch_memory", "scratch_read")
    model.compile("adam", "mse")
    x = np.random.default_rng(0).normal(size=(8, 5, 2)).astype("float32")
    losses = model.fit(x, x[:, 0], epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    model.save(tmp_path / "model.keras")
    assert_close(keras.saving.load_model(tmp_path / "model.keras")(x), model(x))


@attrs.frozen(kw_only=True)
class MemoConfig(SystemSettings):
    dtype: str = "float32"
    control_size = output_size = 2


class Memo(System):
    """Reads what it remembers, at first a weight."""

    def build(self, input_size):
        self.first = self.add_weight(shape=(input_size,), initializer="ones", name="first")

    def initial_state(self, sequence):
        return tf.cast(tf.tile(self.first[None], [sequence.batch_size, 1]), self.config.dtype)

    def step(self, control, state, constants):
        return tf.cast(state, control.dtype), tf.cast(control, state.dtype), {}


def test_a_weight_may_be_the_first_state_of_a_cell(make_loop):
    cell = SuperloopCell(make_loop({"id": "memo", "use": Memo(MemoConfig())}))
    assert cell.state_names[2] == "memo"
    (first,) = [weight for weight in cell.trainable_weights if weight.name == "first"]
    first.assign([3, 4])
    np.testing.assert_array_equal(cell.get_initial_state(batch_size=2)[2], [[3, 4], [3, 4]])
    rnn = keras.layers.RNN(cell)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(rnn(np.ones((2, 3, 2), "float32")))
    assert np.all(tape.gradient(total, first.value) != 0)


def test_what_a_cell_cannot_do_is_reported(make_loop):
    with pytest.raises(SuperloopError, match="real states, but this loop has complex ones; use Superloop"):
        SuperloopCell(make_loop({"id": "memo", "use": Memo(MemoConfig(dtype="complex64"))}))
    with pytest.raises(SuperloopError, match="has no sources, but this loop reads tape_data"):
        SuperloopCell(make_loop("tape"))
    with pytest.raises(SuperloopError, match="remove 'timesteps' and 'suppress_output'"):
        SuperloopCell(make_loop("scratch", timesteps=3))
    with pytest.raises(SourceError, match="the config says inputs = 2: 7"):
        keras.layers.RNN(SuperloopCell(make_loop("scratch"), name="it"))(np.zeros((1, 2, 7)))
