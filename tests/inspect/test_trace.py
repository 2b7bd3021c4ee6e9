import keras
import numpy as np
import pytest
import tensorflow as tf

import superloop_core
from superloop_core import Superloop, SuperloopCell, SuperloopError, TraceError
from superloop_core.testing.subject import draw_weights


def assert_same(one, other):
    tf.nest.map_structure(
        lambda a, b: np.testing.assert_array_equal(np.asarray(a), np.asarray(b)), one, other
    )


@pytest.mark.parametrize("traces", [(), ["memo.cells"]])
def test_a_layer_s_traces_are_those_of_a_call_to_the_last_bit(made, stack_loop, traces):
    layer, feed = made(stack_loop(), traces=traces)
    recording, _ = made(stack_loop(), traces="all", like=layer)
    found = layer.trace(feed)
    assert_same(found.results, layer(feed))
    assert_same(dict(found), recording(feed))
    assert layer.traces == tuple(traces)
    assert found.states == {"cells.0.h", "cells.0.c", "memo.cells", "memo.read"}
    assert found.axes["memo.cells"] == ("sequence", "timestep", "stack", "slot", "number")
    assert found.kinds["memo.actions"] == "actions"
    assert found.labels == {"memo.actions": ("push", "pop", "stay")}
    np.testing.assert_array_equal(found.inputs["inputs"], feed["inputs"])


def test_lengths_sources_and_a_state_reach_the_loop(made, make_loop):
    layer, feed = made(make_loop("tape", suppress_output=1), timesteps=5)
    feed |= {"lengths": np.array([5, 2, 3])}
    start = {"tape.position": np.full((3, 1), 2.0)}
    found = layer.trace(feed, ["tape.*"], initial_state=start)
    assert_same(found.results, layer(feed, initial_state=start))
    assert set(found) == {"tape.position", "tape.weights", "tape.control", "tape.read"}
    np.testing.assert_array_equal(found["tape.position"][:, 0], start["tape.position"])
    np.testing.assert_array_equal(found.reached["tape_data"], feed["tape_data"])
    np.testing.assert_array_equal(found.lengths("tape.weights"), [5, 2, 3])
    assert set(found.inputs) == {"inputs", "tape_data", "lengths"}


def test_what_cannot_be_traced_is_an_error(made, stack_loop, x):
    layer, feed = made(stack_loop(), name="loop")
    with pytest.raises(TraceError, match=r"no trace 'memo.cels'; did you mean 'memo.cells'"):
        layer.trace(feed, ["memo.cels"])
    with pytest.raises(SuperloopError, match="loop: has no weights yet"):
        Superloop(stack_loop(), name="loop").trace(x)
    with pytest.raises(SuperloopError, match="inside a tf"):
        tf.function(layer.trace, autograph=False)(x)
    with pytest.raises(SuperloopError, match="called no Superloop layer"):
        superloop_core.trace(keras.Sequential([keras.layers.Dense(2)]), x)
    with pytest.raises(
        SuperloopError, match=r"'traces' is fixed .* call the layer's trace\(inputs, traces\)"
    ):
        layer.traces = "all"


class Subclassed(keras.Model):
    def __init__(self, config, compiled):
        super().__init__()
        self.first, self.second = Superloop(config, name="encoder"), Superloop(config, name="decoder")
        self.middle = keras.layers.Dense(2)
        self.run = tf.function(self._run) if compiled else self._run

    def _run(self, inputs):
        h = self.middle(self.first(inputs))
        return {"once": self.second(h), "twice": self.second(-h)}

    def call(self, inputs):
        return self.run(inputs)


@pytest.mark.parametrize("compiled", [False, True])
def test_the_loops_of_a_subclassed_model_are_found_as_they_are_called(stack_loop, x, compiled):
    model = Subclassed(stack_loop(), compiled)
    model._run(x)  # Keras makes weights as constants in a tf.function
    model(x)
    draw_weights(model)
    found = superloop_core.trace(model, x, ["*.memo.cells"])
    assert set(found) == {f"{loop}.memo.cells" for loop in ("encoder", "decoder", "decoder#2")}
    assert found.loops == {"encoder.": "encoder", "decoder.": "decoder", "decoder#2.": "decoder"}
    tf.nest.map_structure(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), found.results, model(x)
    )
    alone = model.second.trace(-np.asarray(model.middle(model.first(x))))
    np.testing.assert_allclose(found["decoder#2.memo.cells"], alone["memo.cells"], rtol=1e-5, atol=1e-6)


def test_loops_in_models_within_models_in_both_directions_and_with_masks(stack_loop):
    tokens = np.array([[1, 2, 3, 0], [4, 0, 0, 0]])
    words = keras.Input((None,), dtype="int32", name="words")
    h = keras.layers.Embedding(5, 2, mask_zero=True)(words)
    h = Superloop(stack_loop(outputs=2), name="inner")(h)
    h = keras.layers.Bidirectional(Superloop(stack_loop(), name="both"))(h)
    model = keras.Sequential(
        [keras.Input((None,), dtype="int32"), keras.Model(words, keras.layers.Dense(1)(h))]
    )
    draw_weights(model)
    found = superloop_core.trace(model, tokens)
    assert_same(found.results, model(tokens))
    assert list(found.loops) == ["inner.", "forward_both.", "backward_both."]
    np.testing.assert_array_equal(found.lengths("inner.memo.cells"), [3, 1])
    np.testing.assert_array_equal(
        found["inner.memo.cells"][1, 1:], found["inner.memo.cells"][1, :1].repeat(3, 0)
    )
    # Padding comes first where the timesteps are processed from last to first.
    np.testing.assert_array_equal(found.reached["backward_both.mask"][1], [False, False, False, True])
    np.testing.assert_array_equal(found.inputs["inputs"], tokens)


@pytest.mark.parametrize("unroll", [False, True])
def test_a_cell_of_keras_rnn_is_traced_step_by_step(stack_loop, x, unroll):
    rnn = keras.layers.RNN(SuperloopCell(stack_loop()), return_sequences=True, unroll=unroll)
    model = keras.Sequential([keras.Input((5, 2)), rnn])
    draw_weights(model)
    found = superloop_core.trace(model, x)
    assert_same(found.results, model(x))
    assert_same(found["outputs"], found.results)
    layer = Superloop(stack_loop(), traces="all")
    layer(x)
    layer.set_weights(model.get_weights())
    for name, trace in layer(x).items():
        np.testing.assert_allclose(found[name], trace, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found.reached["inputs"], x)


def test_a_cell_that_a_program_calls_is_traced_from_its_first_step(stack_loop, x):
    class Stepping(keras.Model):
        def __init__(self):
            super().__init__()
            self.cell = SuperloopCell(stack_loop())

        def call(self, inputs):
            state, outputs = self.cell.get_initial_state(3), []
            for t in range(5):
                output, state = self.cell(inputs[:, t], state)
                outputs.append(output)
            return tf.stack(outputs, axis=1)

    model = Stepping()
    model(x)
    found = superloop_core.trace(model, x)
    assert_same(found["outputs"], found.results)


def test_nothing_in_the_model_changes_and_noise_is_that_of_the_next_call(stack_loop, x):
    noisy = {"use": "lstm", "units": 4, "dropout": 0.5}
    stateful = Superloop(stack_loop(cells=[noisy]), stateful=True)
    model = keras.Sequential([keras.Input((5, 2), batch_size=3), stateful, keras.layers.BatchNormalization()])
    model(x)
    before = [np.array(variable) for variable in model.variables]
    kept = {name: np.array(tensor) for name, tensor in stateful.kept_state.items()}
    found = superloop_core.trace(model, x)
    assert_same(before, [np.array(variable) for variable in model.variables])
    assert_same(kept, stateful.kept_state)
    np.testing.assert_array_equal(found["memo.cells"][:, 0], kept["memo.cells"])
    assert_same(found.results, model(x))


def test_loops_within_loops_say_what_their_traces_are(x, stack_loop):
    inner = {"use": "superloop", "loop": {name: stack_loop()[name] for name in ("cells", "systems")}}
    outer = stack_loop(cells=[inner], systems=[{"use": "superloop", "id": "sub", "loop": stack_loop()}])
    layer = Superloop(outer)
    layer(x)
    found = layer.trace(x)
    for path in ("cells.0.memo", "sub.memo"):
        assert found.kinds[f"{path}.cells"] == "stack"
        assert found.labels[f"{path}.actions"] == ("push", "pop", "stay")


def test_a_compiled_loop_gives_its_traces(made, stack_loop):
    layer, feed = made(stack_loop(), jit_compile=True)
    plain, _ = made(stack_loop(), traces="all", like=layer)
    found = layer.trace(feed)
    for name, trace in plain(feed).items():
        np.testing.assert_allclose(found[name], trace, rtol=1e-4, atol=1e-5)


def test_low_precision_becomes_arrays(x, stack_loop):
    layer = Superloop(stack_loop(), dtype="mixed_bfloat16")
    layer(x)
    found = layer.trace(x)
    assert found["cells.0.h"].dtype == "float32"
