"""The layer against oracles that are not our code: NumPy, Keras's own RNN, and sequences one by one."""

import json
import subprocess
import sys
from importlib.metadata import entry_points

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from superloop_core import (
    Builder,
    ConfigError,
    SourceError,
    Superloop,
    SuperloopError,
    TraceError,
    WeightsError,
    load_model,
)
from superloop_core.loop import shards as shards_module
from superloop_core.loop.trace_selection import ALL
from superloop_core.registry import Registry, registry_in_use

CELLS = ["sgu", "lstm", "gru", "simple_rnn"]
both = pytest.mark.parametrize("unroll", [False, True])


# The whole loop in NumPy, from section 1 of the design.


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softsign(x):
    return x / (1 + np.abs(x))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def numpy_cell(weights, units, kind, x, state):
    """One timestep of a cell: weights in Keras's order and layout."""
    if kind == "sgu":
        w_ctrl, b_ctrl, w_in, b_in = weights
        f = (softsign(np.concatenate([x, state[0]], -1) @ w_ctrl + b_ctrl) + 1) / 2
        candidate = x @ w_in + b_in
        h = (1 - f) * np.where(candidate > 0, candidate, 0.1 * candidate) + f * state[0]
        return h, [h]
    w, u, b = weights
    if kind == "simple_rnn":
        h = np.tanh(x @ w + state[0] @ u + b)
        return h, [h]
    if kind == "gru":
        z, r, new = np.split(x @ w + b[0], 3, -1)
        z_h, r_h, new_h = np.split(state[0] @ u + b[1], 3, -1)
        z, r = sigmoid(z + z_h), sigmoid(r + r_h)
        h = z * state[0] + (1 - z) * np.tanh(new + r * new_h)
        return h, [h]
    h, c = state
    i, f, g, o = np.split(x @ w + h @ u + b, 4, -1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    return h, [h, c]


def numpy_loop(layer, feed):
    """Return the outputs of every timestep, before any are suppressed."""
    config = layer.config
    weights = {weight.path.split("/", 2)[-1]: weight.numpy() for weight in layer.weights}
    kinds = [cell.use.partition(":")[2] for cell in config.cells for _ in range(cell.layers)]
    cell_weights = [[weight.numpy() for weight in cell.cell.weights] for cell in layer.wiring.cells]
    batch = next(iter(feed.values())).shape[0]
    states = [[np.zeros((batch, 3))] * (2 if kind == "lstm" else 1) for kind in kinds]
    memory = {
        "tape": np.zeros((batch, 1)),
        "scratch": np.zeros((batch, 3, 2)),
    }
    reads = {system.id: np.zeros((batch, 2)) for system in config.systems}
    outputs = []
    for t in range(config.timesteps or feed["inputs"].shape[1]):
        h = np.concatenate([*([feed["inputs"][:, t]] if config.inputs else []), *reads.values()], -1)
        for index, kind in enumerate(kinds):
            h, states[index] = numpy_cell(cell_weights[index], 3, kind, h, states[index])
        for id in reads:
            control = h @ weights[f"control_{id}/kernel"] + weights[f"control_{id}/bias"]
            if id == "tape":
                memory[id] = memory[id] + softsign(control)
                distance = memory[id] - np.arange(4)
                reads[id] = np.einsum("bi,biw->bw", 1 / (1 + distance**2), feed["tape_data"])
            else:
                store, recall, data = control[:, :3], control[:, 3:6], control[:, 6:]
                store, recall = softmax(store), softmax(recall)
                memory[id] = (1 - store)[..., None] * memory[id] + store[..., None] * data[:, None]
                reads[id] = np.einsum("bd,bdw->bw", recall, memory[id])
        seen = np.concatenate([h, *reads.values()], -1) if config.outputs_read_systems else h
        y = seen @ weights["outputs/kernel"] + weights["outputs/bias"] if config.outputs else h
        outputs.append(y)
    return np.stack(outputs, 1), states, memory, reads


@both
@pytest.mark.parametrize(
    ("cells", "systems", "settings_"),
    [
        (["sgu"], ("tape",), {}),
        (["lstm", "gru"], ("tape", "scratch"), {"suppress_output": 2}),
        (["simple_rnn"], ("scratch", "tape"), {"outputs_read_systems": True}),
        (["gru", "sgu"], ("scratch",), {"outputs": 0}),
        ([{"use": "sgu", "units": 3, "layers": 2}], ("tape",), {"inputs": 0, "timesteps": 5}),
        (["lstm"], (), {"suppress_output": 1}),
    ],
)
def test_the_loop_computes_what_the_design_writes(
    cells, systems, settings_, unroll, made, make_loop, unrolled, assert_close
):
    config = make_loop(*systems, cells=cells, **settings_)
    layer, feed = made(config, dtype="float64", unroll=unroll, timesteps=5)
    assert {weight.dtype for weight in layer.trainable_weights} == {"float64"}
    outputs, states, memory, reads = numpy_loop(layer, feed)
    answer = layer(feed)
    assert answer.dtype == "float64"
    # TensorFlow's leaky_relu, which the SGU is made of, holds its slope in float32.
    tolerance = 1e-8 if "sgu" in str(cells) else 1e-12
    assert_close(answer, outputs[:, config.get("suppress_output", 0) :], tolerance)
    if config["inputs"]:
        final = unrolled(layer, feed, static=unroll).state
        assert_close([list(state) for state in final.cells], states, tolerance)
        assert_close([state[0] for state in final.systems], [memory[id] for id in reads], tolerance)
        assert_close(final.reads, tuple(reads.values()), tolerance)


@both
def test_a_loop_of_an_lstm_without_systems_is_keras_lstm(unroll, made, make_loop, assert_close):
    layer, feed = made(make_loop(outputs=0), unroll=unroll)
    lstm = keras.layers.LSTM(3, return_sequences=True)
    lstm.build((None, None, 2))
    lstm.set_weights([weight for weight in layer.get_weights() if weight.dtype == "float32"])
    assert_close(layer(feed["inputs"]), lstm(feed["inputs"]))


# Static = dynamic.


def answers_and_gradients(layer, feed, graph=True, jit=False):
    """Return every trace and output, and the gradients of a number that depends on all of them.

    Outside a graph a loop runs step by step in Python, which takes a tenth of the time.
    """
    feed = {name: tf.convert_to_tensor(value) for name, value in feed.items()}

    def run(feed):
        with tf.GradientTape() as tape:
            tape.watch(feed)
            answer = layer(feed)
            loss = tf.add_n(
                [tf.cast(tf.reduce_sum(tf.sin(answer[name])), "float64") for name in sorted(answer)]
            )
        weights = {weight.path: weight.value for weight in layer.trainable_weights}
        return answer, tape.gradient(loss, {"weights": weights, "feed": feed})

    answer, gradients = (tf.function(run, jit_compile=jit, autograph=False) if graph else run)(feed)
    return answer, {"weights": list(gradients["weights"].values()), "feed": gradients["feed"]}


def test_static_and_dynamic_unrolling_agree(made, make_loop, unrolled, assert_close):
    config = make_loop("tape", "scratch", cells=["sgu", "lstm"])  # the kit shows it of each part
    dynamic, feed = made(config, traces=ALL, batch=2, timesteps=3)
    static, _ = made(config, traces=ALL, batch=2, timesteps=3, unroll=True, like=dynamic)
    expected = answers_and_gradients(dynamic, feed)
    assert_close(answers_and_gradients(static, feed, graph=False), expected)
    state = unrolled(dynamic, feed).state
    assert_close(unrolled(dynamic, feed, static=True).state, state)
    for id, system in zip(dynamic.wiring.ids, state.systems, strict=True):
        assert not np.allclose(system[0], expected[0][f"{id}.{system._fields[0]}"][:, -1])


@pytest.mark.slow
@both
def test_the_loop_compiles_under_xla_with_its_gradients(unroll, made, make_loop, assert_close):
    config = make_loop("tape", "scratch", cells=["simple_rnn"])
    layer, feed = made(config, traces=ALL, batch=2, timesteps=2, unroll=unroll)
    expected = answers_and_gradients(layer, feed, graph=False)
    assert_close(answers_and_gradients(layer, feed, jit=True), expected)


@both
def test_outside_a_graph_the_loop_answers_as_inside(unroll, made, make_loop, assert_close):
    layer, feed = made(make_loop("tape", "scratch"), traces=ALL, unroll=unroll)
    mask = np.array([[1, 1, 0, 1], [1, 1, 1, 1], [0, 0, 1, 1]], bool)
    assert_close(layer(feed, mask=mask), tf.function(layer, autograph=False)(feed, mask=mask))


@pytest.mark.parametrize(
    "options",
    [{"checkpoint_every": 3}, {"jit_compile": True, "checkpoint_every": 2}],
    ids=str,
)
@pytest.mark.slow
def test_ways_of_computing_change_no_answer_and_no_gradient(options, made, make_loop, assert_close):
    layer, feed = made(make_loop("tape", "scratch"), traces=ALL, jit_compile=False)
    other = Superloop.from_config(layer.get_config() | options)
    other(feed)
    other.set_weights(layer.get_weights())
    assert_close(answers_and_gradients(other, feed), answers_and_gradients(layer, feed, graph=False))


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1, 3])
def test_a_batch_of_fewer_rows_than_cores_may_come_where_their_number_is_not_known(rows, made, make_loop):
    layer, feed = made(make_loop("tape", timesteps=4), batch=rows, jit_compile=True)
    specs = {name: tf.TensorSpec([None, *array.shape[1:]]) for name, array in feed.items()}

    @tf.function(autograph=False, input_signature=[specs])
    def run(feed):
        with tf.GradientTape() as tape:
            outputs = layer(feed, training=True)
        return outputs, tape.gradient(outputs, [weight.value for weight in layer.trainable_weights])

    outputs, gradients = run(feed)
    np.testing.assert_allclose(outputs, layer(feed), rtol=1e-5, atol=1e-6)
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_a_compiled_loop_has_its_gradient_outside_a_graph_too(made, make_loop, assert_close):
    layer, feed = made(make_loop("tape"), jit_compile=True)
    plain, _ = made(make_loop("tape"), like=layer, jit_compile=False)
    slopes = []
    for one in (layer, plain):
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(tf.sin(one(feed, training=True)))
        slopes.append(tape.gradient(total, [weight.value for weight in one.trainable_weights]))
    assert_close(slopes[0], slopes[1])


@pytest.mark.parametrize(
    "wrong",
    [{"jit_compile": "yes"}, {"checkpoint_every": 0}, {"traces": None}, {"traces": [1]}],
    ids=str,
)
def test_ways_of_computing_that_there_are_not_are_rejected(wrong, make_loop):
    with pytest.raises(SuperloopError, match=next(iter(wrong))):
        Superloop(make_loop("tape"), **wrong)


class Recording(keras.layers.SimpleRNNCell):
    """Notes at each step whether TensorFlow runs it at once."""

    def call(self, inputs, states, training=False):
        self.eager = tf.executing_eagerly()
        return super().call(inputs, states, training=training)


class InPython(Recording):
    """A cell that XLA cannot compile."""

    supports_jit = False


@pytest.mark.parametrize(
    ("cell", "options", "timesteps", "in_xla"),
    [
        (Recording, {}, 4, True),
        (Recording, {}, None, False),
        (Recording, {"debug": True}, 4, False),
        (InPython, {}, 4, False),
        (Recording, {"jit_compile": False}, 4, False),
        (Recording, {"jit_compile": True}, None, True),
        (Recording, {"jit_compile": True, "debug": True}, 4, False),
    ],
)
def test_a_graph_compiles_the_loop_where_it_can_and_may(cell, options, timesteps, in_xla):
    layer = Superloop(cells=[cell(2)], inputs=2, **options)
    layer.build((None, timesteps, 2))
    graph = tf.function(layer, autograph=False).get_concrete_function(tf.TensorSpec((3, timesteps, 2))).graph
    functions = graph.as_graph_def().library.function
    assert any(function.attr["_XlaMustCompile"].b for function in functions) == in_xla


@pytest.mark.parametrize("jit_compile", ["auto", True])
def test_outside_a_graph_a_loop_is_compiled_on_demand_only(jit_compile):
    cell = Recording(2)
    Superloop(cells=[cell], jit_compile=jit_compile)(np.ones((3, 2, 2), "float32"))
    assert cell.eager == (jit_compile == "auto")


# Rows and masks.


@pytest.mark.parametrize(
    ("rows", "slots", "parts"),
    [
        (128, 16384, 16),  # a DNC's links
        (128, 2560, 4),
        (128, 16, 2),
        (16, 16384, 2),  # no less than 8 rows
        (15, 10, 1),
        (127, 16384, 1),  # a prime
        (None, 16384, 2),
    ],
)
def test_a_batch_runs_in_parts_whose_memories_stay_in_the_cache(rows, slots, parts, monkeypatch):
    monkeypatch.setattr(shards_module.os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    state = {"link": tf.zeros((1, slots)), "index": tf.zeros((1,), "int32")}
    assert shards_module.count_shards(rows, state) == parts


@pytest.mark.slow
def test_parts_of_a_batch_give_what_the_batch_gives(made, make_loop, assert_close, monkeypatch):
    monkeypatch.setattr(shards_module, "CACHE", 1)
    monkeypatch.setattr(shards_module, "LEAST_ROWS", 2)
    config = make_loop("tape", "scratch")
    whole, feed = made(config, batch=12, traces=ALL, jit_compile=False)
    in_parts, _ = made(config, batch=12, traces=ALL, jit_compile=True, like=whole)
    assert_close(answers_and_gradients(in_parts, feed), answers_and_gradients(whole, feed, graph=False))


@both
def test_rows_of_a_batch_do_not_know_of_each_other(unroll, made, make_loop, assert_close):
    layer, feed = made(make_loop("tape", "scratch"), traces=ALL, unroll=unroll)
    together = layer(feed)
    for row in range(3):
        alone = layer({name: value[row : row + 1] for name, value in feed.items()})
        assert_close(alone, {name: value[row : row + 1] for name, value in together.items()})


def one_by_one(layer, feed, mask):
    """Yield what each row's valid timesteps give without a mask, with their gradients."""
    for row, valid in enumerate(mask):
        alone = {name: value[row : row + 1] for name, value in feed.items()}
        alone["inputs"] = alone["inputs"][:, valid]
        yield row, valid, alone


@pytest.mark.parametrize(
    "mask",
    [
        [[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]],
        [[1, 0, 1, 1], [0, 1, 0, 1], [0, 0, 1, 0]],
    ],
    ids=["padding", "holes"],
)
@pytest.mark.parametrize(("how", "unroll"), [("argument", False), ("dict", True), ("masking layer", False)])
@pytest.mark.slow
def test_a_masked_batch_gives_what_the_sequences_give_one_by_one(
    mask, how, unroll, made, make_loop, unrolled, assert_close
):
    mask = np.array(mask, bool)
    layer, feed = made(make_loop("tape", "scratch", cells=["lstm", "sgu"]), traces=ALL, unroll=unroll)
    feed["inputs"] = np.where(mask[..., None], feed["inputs"], -7).astype("float32")
    watched = [weight.value for weight in layer.trainable_weights]
    with tf.GradientTape() as tape:
        if how == "masking layer":
            answer = layer(feed | {"inputs": keras.layers.Masking(-7.0)(feed["inputs"])})
        else:
            answer = layer(feed, mask=mask if how == "argument" else {"inputs": mask, "tape_data": None})
        loss = tf.reduce_sum(tf.sin(answer["outputs"]) * mask[..., None])
    gradients = tape.gradient(loss, watched, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    final = unrolled(layer, feed, mask=mask, static=unroll).state

    summed = [np.zeros(weight.shape) for weight in watched]
    for row, valid, alone in one_by_one(layer, feed, mask):
        with tf.GradientTape() as tape:
            expected = layer(alone)
            loss = tf.reduce_sum(tf.sin(expected["outputs"]))
        summed = [
            one + other
            for one, other in zip(
                summed,
                tape.gradient(loss, watched, unconnected_gradients=tf.UnconnectedGradients.ZERO),
                strict=True,
            )
        ]
        for name, trace in answer.items():
            assert_close(trace[row][valid], expected[name][0], at=name)
            for t in range(4):  # what is masked repeats the last that is not
                before = np.flatnonzero(valid[: t + 1])
                last = expected[name][0, len(before) - 1] if len(before) else 0 * expected[name][0, 0]
                assert_close(trace[row, t], last, at=f"{name} at {t}")
        state = unrolled(layer, alone, static=unroll).state
        assert_close(tf.nest.map_structure(lambda part, row=row: part[row : row + 1], final), state)
    assert_close(gradients, summed, 1e-4)


def test_the_last_output_of_a_masked_sequence_is_its_last_valid_one(made, make_loop, assert_close):
    layer, feed = made(make_loop("tape"))
    last, _ = made(make_loop("tape"), return_sequences=False, like=layer)
    mask = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]], bool)
    outputs = layer(feed, mask=mask)
    assert_close(last(feed, mask=mask), np.stack([outputs[0, 3], outputs[1, 1], outputs[2, 2]]))


def test_the_mask_goes_on_with_traces_too(make_loop):
    inputs = keras.layers.Masking()(np.array([[[1, 1], [1, 1], [0, 0]]], "float32"))
    feed = {"inputs": inputs, "tape_data": np.zeros((1, 4, 2), "float32")}
    layer = Superloop(make_loop("tape", suppress_output=1), traces="tape.*", return_state=True)
    answer, *state = layer(feed)
    np.testing.assert_array_equal(answer["outputs"]._keras_mask, [[True, False]])
    np.testing.assert_array_equal(answer["tape.position"]._keras_mask, [[True, True, False]])
    assert all(getattr(tensor, "_keras_mask", None) is None for tensor in state)


def test_the_mask_goes_on_with_a_sequence_of_outputs(make_loop):
    inputs = keras.layers.Masking()(np.array([[[1, 1], [1, 1], [0, 0]]], "float32"))
    feed = {"inputs": inputs, "tape_data": np.zeros((1, 4, 2), "float32")}
    outputs = Superloop(make_loop("tape", suppress_output=1))(feed)
    np.testing.assert_array_equal(outputs._keras_mask, [[True, False]])
    last = Superloop(make_loop("tape"), return_sequences=False)(feed)
    assert getattr(last, "_keras_mask", None) is None


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_what_stands_under_a_mask_does_not_matter(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    mask = np.array(
        data.draw(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=2, max_size=2))
    )
    config = {"inputs": 2, "cells": [{"use": "gru", "units": 2}]}
    system = data.draw(st.sampled_from(["attention", "register_memory"]))
    sizes = {"depth": 2} if system == "register_memory" else {}
    config["systems"] = [{"use": system, "id": "it", "width": 2} | sizes]
    layer = Superloop(config, traces=ALL, unroll=data.draw(st.booleans()))
    feed = {"inputs": rng.normal(size=(2, 4, 2)).astype("float32")}
    if system == "attention":
        feed["it_data"] = rng.normal(size=(2, 3, 2)).astype("float32")
    clean = layer(feed, mask=mask)
    feed["inputs"] = np.where(
        mask[..., None], feed["inputs"], data.draw(st.sampled_from([np.nan, np.inf, 1e30]))
    )
    dirty = layer(feed | {"inputs": feed["inputs"].astype("float32")}, mask=mask)
    for name in clean:
        np.testing.assert_array_equal(clean[name], dirty[name], err_msg=name)


# Traces.


def test_a_trace_at_t_is_what_the_cells_saw(made, make_loop, assert_close):
    layer, feed = made(make_loop("tape"), traces=ALL)
    answer = {name: np.asarray(value) for name, value in layer(feed).items()}
    assert_close(answer["tape.position"][:, 0], np.zeros((3, 1)))
    assert_close(answer["tape.read"][:, 0], np.zeros((3, 2)))
    moves = softsign(answer["tape.control"])
    assert_close(answer["tape.position"][:, 1:], answer["tape.position"][:, :-1] + moves[:, :-1])
    read = np.einsum("bti,biw->btw", answer["tape.weights"], feed["tape_data"])
    assert_close(answer["tape.read"][:, 1:], read[:, :-1])
    assert_close(answer["cells.0.h"][:, 1:], answer["cells.0.output"][:, :-1])
    w, u, b = (weight.numpy() for weight in layer.wiring.cells[0].cell.trainable_weights)
    fed = np.concatenate([feed["inputs"], answer["tape.read"]], -1)
    for t in range(4):
        h, c = answer["cells.0.h"][:, t], answer["cells.0.c"][:, t]
        assert_close(answer["cells.0.output"][:, t], numpy_cell((w, u, b), 3, "lstm", fed[:, t], (h, c))[0])


@both
def test_traces_change_no_output(unroll, made, make_loop, assert_close):
    config = make_loop("tape", "scratch")
    traced, feed = made(config, traces=ALL, unroll=unroll)
    some, _ = made(config, traces=["scratch.memory", "tape.position"], unroll=unroll, like=traced)
    plain, _ = made(config, unroll=unroll, like=traced)
    one, _ = made(config, traces="tape.position", unroll=unroll, like=traced)
    answer = traced(feed)
    assert set(answer) == {
        *("outputs", "cells.0.h", "cells.0.c", "cells.0.output"),
        *("tape.position", "tape.read", "tape.control", "tape.weights"),
        *("scratch.memory", "scratch.read", "scratch.control"),
        *("scratch.write_weights", "scratch.read_weights"),
    }
    assert_close(plain(feed), answer["outputs"])
    names = {"outputs", "scratch.memory", "tape.position"}
    assert_close(some(feed), {name: answer[name] for name in names})
    assert_close(one(feed), {name: answer[name] for name in ("outputs", "tape.position")})


@both
def test_traces_have_every_timestep_where_outputs_are_suppressed(unroll, made, make_loop):
    layer, feed = made(
        make_loop("tape", suppress_output=3), traces=["tape.position", "outputs"], unroll=unroll
    )
    answer = layer(feed)
    assert answer["outputs"].shape == (3, 1, 2)
    assert answer["tape.position"].shape == (3, 4, 1)


@both
@pytest.mark.parametrize("traces", [["tape.postion"], "tape.postion"])
def test_an_unknown_trace_is_answered_with_the_nearest_name(traces, unroll, make_loop, make_feed):
    layer = Superloop(make_loop("tape", timesteps=4), traces=traces, unroll=unroll)
    with pytest.raises(TraceError, match=r"^no trace 'tape.postion'; did you mean 'tape.position'\?$"):
        layer(make_feed(layer))
    with pytest.raises(TraceError, match=r"did you mean 'tape\.position'"):
        layer(layer.symbolic_inputs())


@both
def test_the_loop_closes_a_timestep_later(unroll, made, make_loop):
    layer, feed = made(make_loop("tape"), traces=["tape.read", "cells.0.output"], unroll=unroll)
    before = layer(feed)
    after = layer(feed | {"tape_data": feed["tape_data"] + 1})
    for name in ("tape.read", "cells.0.output"):
        changed = np.abs(after[name] - before[name]).max(axis=(0, 2))
        assert changed[0] == 0
        assert np.all(changed[1:] > 1e-4)


# Training.


@both
def test_dropout_is_drawn_in_training_once_for_a_sequence(unroll):
    cell = {"use": "simple_rnn", "units": 40, "dropout": 0.5}
    layer = Superloop({"inputs": 40, "cells": [cell]}, unroll=unroll)
    ones = np.ones((2, 5, 40), "float32")
    layer(ones)
    layer.set_weights([np.eye(40), np.zeros((40, 40)), np.zeros(40), *layer.get_weights()[3:]])
    np.testing.assert_allclose(layer(ones), np.tanh(ones), atol=1e-6)
    dropped = np.asarray(layer(ones, training=True))
    kept = dropped > 0
    assert 0 < kept.sum() < kept.size
    np.testing.assert_allclose(dropped, np.where(kept, np.tanh(2.0), 0), atol=1e-6)
    assert np.all(kept == kept[:, :1])
    assert np.any(kept[0] != kept[1])
    assert np.any(np.asarray(layer(ones, training=True)) != dropped)


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "unroll"), [("lstm", True), ("gru", False)])
def test_dropout_of_inputs_and_states_works_inside_fit(cell, unroll, make_loop, make_feed):
    dropping = {"use": cell, "units": 3, "dropout": 0.3, "recurrent_dropout": 0.3}
    layer = Superloop(make_loop("tape", cells=[dropping], timesteps=4), unroll=unroll)
    inputs = layer.symbolic_inputs()
    model = keras.Model(inputs, layer(inputs))
    model.compile("sgd", "mse")
    feed = make_feed(layer)
    before = model.predict(feed, verbose=0)
    history = model.fit(feed, np.ones((3, 4, 2)), epochs=2, verbose=0).history
    assert np.all(np.isfinite(history["loss"]))
    assert np.any(model.predict(feed, verbose=0) != before)
    np.testing.assert_array_equal(model(feed), model(feed))
    assert np.any(model(feed, training=True) != model(feed))


@pytest.mark.slow
def test_fit_takes_a_loss_down_with_a_mask_and_under_xla(make_loop, make_feed):
    layer = Superloop(make_loop("tape", "scratch", timesteps=4))
    inputs = layer.symbolic_inputs()
    masked = inputs | {"inputs": keras.layers.Masking(0.0)(inputs["inputs"])}
    model = keras.Model(inputs, layer(masked))
    model.compile(keras.optimizers.Adam(0.02), "mse", jit_compile=True)
    feed = make_feed(layer, batch=4)
    feed["inputs"][:2, 2:] = 0
    losses = model.fit(feed, np.full((4, 4, 2), 0.5), epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "tolerance"),
    [("float32", 1e-4), pytest.param("mixed_float16", 2e-2, marks=pytest.mark.release)],
)
def test_fit_with_small_last_batches_gives_what_it_gives_without_xla(
    policy, tolerance, make_loop, make_feed, assert_close
):
    def fitted(jit_compile):
        keras.utils.set_random_seed(1)
        layer = Superloop(make_loop("tape", timesteps=4), jit_compile=jit_compile, dtype=policy)
        inputs = layer.symbolic_inputs(lengths=True)
        model = keras.Model(inputs, layer(inputs))
        model.compile(keras.optimizers.SGD(0.1), "mse", metrics=["mae"])
        feed = make_feed(layer, batch=11) | {"lengths": np.arange(11) % 5}
        data = feed, np.full((11, 4, 2), 0.5)
        history = model.fit(*data, validation_data=data, batch_size=4, epochs=2, verbose=0).history
        answers = [model.predict(feed, batch_size=size, verbose=0) for size in (4, 3)]
        return history, model.get_weights(), answers

    assert_close(fitted("auto"), fitted(False), tolerance)


# Shapes.


def test_symbolic_inputs_may_include_the_lengths(make_loop):
    layer = Superloop(make_loop(timesteps=4))
    inputs = layer.symbolic_inputs(lengths=True)
    assert {name: tensor.shape for name, tensor in inputs.items()} == {
        "inputs": (None, 4, 2), "lengths": (None,),
    }  # fmt: skip
    model = keras.Model(inputs, layer(inputs))
    x = np.ones((2, 4, 2), "float32")
    short = model({"inputs": x, "lengths": np.array([4, 1])})
    np.testing.assert_allclose(short[1, 3], layer(x)[1, 0], rtol=1e-5)


def test_one_layer_serves_sequences_of_several_lengths_and_does_not_grow(
    made, make_loop, make_feed, assert_close
):
    layer, feed = made(make_loop("tape", "scratch"))
    count = layer.count_params()
    longer = make_feed(layer, timesteps=9)
    longer["inputs"][:, :4] = feed["inputs"]
    longer["tape_data"] = feed["tape_data"]
    assert_close(layer(longer)[:, :4], layer(feed))
    assert layer.count_params() == count
    fixed = [made(make_loop("tape", "scratch", timesteps=n))[0] for n in (1, 7)]
    assert [one.count_params() for one in fixed] == [count, count]


def test_a_functional_model_serves_any_length_and_batch(made, make_loop, make_feed, assert_close):
    layer, feed = made(make_loop("tape"))
    inputs = layer.symbolic_inputs()
    assert inputs["inputs"].shape == (None, None, 2)
    answer = layer(inputs)
    assert answer.shape == (None, None, 2)
    model = keras.Model(inputs, answer)
    for batch, timesteps in ((1, 1), (5, 6)):
        feed = make_feed(layer, batch, timesteps)
        assert_close(model.predict(feed, verbose=0), layer(feed))


@both
def test_two_systems_of_one_kind_have_sources_and_traces_of_their_own(unroll, made, make_loop, assert_close):
    tapes = [{"id": id, "use": "attention", "width": 2} for id in ("left", "right")]
    layer, feed = made(make_loop(*tapes), traces=["left.position", "right.position"], unroll=unroll)
    assert set(feed) == {"inputs", "left_data", "right_data"}
    answer = layer(feed)
    assert np.abs(answer["left.position"] - answer["right.position"]).max() > 1e-3
    # Both are as one system would be if the other's answers were not read: change one, see the other's lag.
    other = layer(feed | {"left_data": feed["left_data"] + 1})
    assert_close(other["right.position"][:, :2], answer["right.position"][:, :2])
    assert np.abs(other["right.position"][:, 2] - answer["right.position"][:, 2]).max() > 1e-5


@both
def test_a_loop_without_inputs_and_sources_runs_on_its_initial_feedback(unroll, made, make_loop):
    layer, feed = made(make_loop("scratch", inputs=0, timesteps=3), traces=["scratch.read"], unroll=unroll)
    assert {name: value.shape for name, value in feed.items()} == {"initial_feedback": (3, 2)}
    answer = layer(feed)
    assert answer["outputs"].shape == (3, 3, 2)
    np.testing.assert_array_equal(answer["scratch.read"][:, 0], feed["initial_feedback"])
    with pytest.raises(SourceError, match=r"'initial_feedback' is missing.*\(batch, 2\)"):
        layer({})


def test_the_initial_feedback_is_what_the_cells_see_first(made, make_loop, assert_close):
    layer, feed = made(make_loop("tape", "scratch"), traces=["tape.read", "scratch.read"])
    feedback = np.arange(12, dtype="float32").reshape(3, 4)
    answer = layer(feed | {"initial_feedback": feedback})
    first = np.concatenate([answer["tape.read"][:, 0], answer["scratch.read"][:, 0]], -1)
    np.testing.assert_array_equal(first, feedback)
    assert_close(layer(feed | {"initial_feedback": feedback * 0}), layer(feed))


# What the layer refuses.


def refusals():
    data, inputs = np.zeros((3, 4, 2), "float32"), np.zeros((3, 5, 2), "float32")
    good = {"inputs": inputs, "tape_data": data}
    return {
        "no source": ({"inputs": inputs}, r"'tape_data' is missing; call .* \(batch, 4, 2\)"),
        "a tensor": (
            inputs,
            r"'tape_data' is missing; call the layer with a dict .*'inputs' \(batch, any, 2\)",
        ),
        "no inputs": ({"tape_data": data}, "'inputs' is missing; call the layer with a dict"),
        "unknown": (good | {"tape_dat": data}, r"has no input 'tape_dat'; did you mean 'tape_data'\?"),
        "another system's": (
            good | {"zzz": data},
            "has no input 'zzz'; there are: initial_feedback, inputs, lengths, tape_data",
        ),
        "a wrong size": (
            good | {"tape_data": data[:, :3]},
            r"'tape_data' must .* \(batch, 4, 2\): \(3, 3, 2\)",
        ),
        "a wrong rank": (good | {"inputs": inputs[0]}, r"'inputs' must .* \(batch, any, 2\): \(5, 2\)"),
        "wrong feedback": (
            good | {"initial_feedback": data[:, 0, :1]},
            r"'initial_feedback' must .* \(batch, 2\): \(3, 1\)",
        ),
        "other rows": (good | {"tape_data": data[:1]}, "same batch size: {'inputs': 3, 'tape_data': 1}"),
    }


@pytest.mark.parametrize("case", refusals())
def test_what_does_not_fit_is_rejected_by_place_rule_value_and_next_move(case, make_loop):
    feed, message = refusals()[case]
    layer = Superloop(make_loop("tape"), name="looping")
    with pytest.raises(SourceError, match=f"^looping: .*{message}"):
        layer(feed)
    symbolic = tf.nest.map_structure(lambda array: keras.Input(batch_shape=array.shape), feed)
    with pytest.raises(SourceError, match=f"^looping: .*{message}"):
        Superloop(make_loop("tape"), name="looping")(symbolic)


@pytest.mark.parametrize("shape", [(3,), (3, 4, 1)])
def test_a_mask_of_a_wrong_shape_is_rejected(shape, make_loop, make_feed):
    layer = Superloop(make_loop("tape"), name="looping")
    with pytest.raises(SourceError, match=r"^looping: 'mask' must have the shape \(batch, 4\): "):
        layer(make_feed(layer), mask=np.ones(shape, bool))


def test_static_unrolling_of_who_knows_how_many_timesteps_is_rejected(make_loop):
    layer = Superloop(make_loop("tape"), unroll=True)
    with pytest.raises(SourceError, match=r"unroll = True needs the number of timesteps: set 'timesteps'"):
        layer(layer.symbolic_inputs())


# Saved and loaded.

IN_A_FRESH_PROCESS = """
import json, sys
import numpy as np
import superloop_core
for path in json.loads(sys.argv[1]):
    model = superloop_core.load_model(path)
    with np.load(path + ".npz") as given:
        feed = {name.removeprefix("feed:"): given[name] for name in given if name.startswith("feed:")}
        answer = model(feed["inputs"] if list(feed) == ["inputs"] else feed)
        answer = answer if isinstance(answer, dict) else {"outputs": answer}
        for name, value in answer.items():
            np.testing.assert_allclose(value, given["answer:" + name], rtol=1e-6, atol=1e-6, err_msg=name)
        assert len(answer) == sum(name.startswith("answer:") for name in given)
print("the same")
"""


@pytest.mark.slow
def test_a_model_saved_and_loaded_in_a_fresh_process_answers_the_same(tmp_path, make_loop, make_feed):
    layers = {
        "all": Superloop(make_loop("tape", "scratch", cells=CELLS, suppress_output=1), traces=ALL),
        "static": Superloop(make_loop("tape", timesteps=4), unroll=True, return_sequences=False),
        "no_inputs": Superloop(make_loop("scratch", inputs=0, timesteps=3), traces=["scratch.read"]),
        "no_source": Superloop(make_loop("scratch", cells=[{"use": "gru", "units": 3, "dropout": 0.5}])),
        "float64": Superloop(make_loop("tape"), dtype="float64"),
    }
    paths = []
    for name, layer in layers.items():
        inputs = layer.symbolic_inputs()
        model = keras.Model(inputs, layer(inputs))
        feed = make_feed(layer)
        answer = model(feed["inputs"] if list(feed) == ["inputs"] else feed)
        answer = answer if isinstance(answer, dict) else {"outputs": answer}
        paths.append(str(tmp_path / f"{name}.keras"))
        model.save(paths[-1])
        saved = {f"feed:{key}": value for key, value in feed.items()}
        saved |= {f"answer:{key}": np.asarray(value) for key, value in answer.items()}
        np.savez(paths[-1] + ".npz", **saved)
    done = subprocess.run(
        [sys.executable, "-c", IN_A_FRESH_PROCESS, json.dumps(paths)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "the same\n", done.stderr


def test_a_folder_with_a_model_in_it_is_loaded_too(tmp_path, make_loop, make_feed, assert_close):
    layer = Superloop(make_loop("tape"))
    inputs = layer.symbolic_inputs()
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    feed = make_feed(layer)
    assert_close(load_model(tmp_path)(feed), model(feed))


def test_a_layer_is_made_again_from_its_config(made, make_loop, assert_close):
    settings = {"traces": ["tape.position"], "return_sequences": False, "unroll": True, "dtype": "float64"}
    layer, feed = made(make_loop("tape", suppress_output=1), name="looping", **settings)
    config = json.loads(json.dumps(layer.get_config()))
    again = Superloop.from_config(config)
    assert again.config == layer.config
    assert again.get_config() == layer.get_config()
    again(feed)
    again.set_weights(layer.get_weights())
    assert_close(again(feed), layer(feed))


def test_a_layer_takes_a_config_as_a_file_a_dict_or_an_object(tmp_path, make_loop):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"loop": make_loop("tape")}))
    configs = [path, str(path), make_loop("tape"), {"loop": make_loop("tape")}]
    made = [Superloop(config).config for config in configs]
    assert all(config == made[0] for config in made)
    assert Superloop(made[0]).config is made[0]


def test_a_model_whose_plugin_is_missing_says_what_to_install(tmp_path):
    layer = Superloop({"inputs": 2, "cells": [{"use": "gru", "units": 3}]}, name="superloop")
    inputs = layer.symbolic_inputs()
    keras.Model(inputs, layer(inputs)).save(tmp_path / "model.keras")
    found = entry_points(group="superloop.plugins")
    others = Registry(entry for entry in found if entry.name != "cells")
    with registry_in_use(others), pytest.raises(ConfigError) as refused:
        load_model(tmp_path / "model.keras")
    told = "no cell 'superloop-plugin-cells:gru'; install it: pip install superloop-plugin-cells"
    assert str(refused.value) == f"superloop.loop.cells[0]: {told}"


def test_every_plugin_that_is_missing_is_reported_at_once(tmp_path, make_loop):
    first, second = (Superloop(make_loop(id), name=id) for id in ("tape", "scratch"))
    inputs = first.symbolic_inputs()
    outputs = [first(inputs), second(inputs["inputs"])]
    keras.Model(inputs, outputs).save(tmp_path / "model.keras")
    with registry_in_use(Registry()), pytest.raises(ConfigError) as refused:
        load_model(tmp_path / "model.keras")
    assert [problem.where for problem in refused.value.problems] == [
        "tape.loop.cells[0]", "tape.loop.systems[0]", "scratch.loop.cells[0]", "scratch.loop.systems[0]",
    ]  # fmt: skip
    assert "pip install superloop-plugin-registers" in str(refused.value)


@pytest.mark.slow
def test_a_saved_model_loads_the_plugins_that_it_needs_and_no_others(tmp_path):
    layer = Superloop({"inputs": 2, "cells": [{"use": "gru", "units": 3}]})
    inputs = layer.symbolic_inputs()
    keras.Model(inputs, layer(inputs)).save(tmp_path / "model.keras")
    code = (
        "import sys, superloop_core\n"
        f"superloop_core.load_model({str(tmp_path / 'model.keras')!r})\n"
        "print(*sorted(name for name in sys.modules if name.startswith('superloop_plugin')))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert {name.partition(".")[0] for name in done.stdout.split()} == {"superloop_plugin_cells"}


def test_a_file_of_weights_is_no_model_and_says_what_to_do(tmp_path):
    (tmp_path / "best.weights.h5").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"only \.keras files are read; for weights, make the model"):
        load_model(tmp_path / "best.weights.h5")


def test_a_file_that_is_not_a_model_is_rejected(tmp_path):
    with pytest.raises(WeightsError, match="there is no such file; name a"):
        load_model(tmp_path)
    (tmp_path / "model.keras").write_bytes(b"no model")
    with pytest.raises(WeightsError, match=r"model\.keras: cannot be loaded"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"tape_dat": np.zeros((2, 4, 2), "float32")}, "has no input 'tape_dat'; did you mean 'tape_data'?"),
        ({"tape_data": None}, "'tape_data' is missing; call the layer with a dict that holds"),
        (
            {"inputs": np.zeros((2, 1, 2), "float32")},
            "a sequence must have more timesteps than suppress_output = 1: 1",
        ),
    ],
)
def test_what_is_wrong_in_a_call_is_reported_in_a_line(make_loop, make_feed, change, told):
    layer = Superloop(make_loop("tape", suppress_output=1), name="loop")
    with pytest.raises(SourceError) as refused:
        layer(make_feed(layer, batch=2) | change)
    assert str(refused.value).startswith(f"loop: {told}")


def test_keras_does_not_reword_our_errors_in_functional_calls(make_loop):
    layer = Superloop(make_loop("tape"), traces=["tape.positon"])
    with pytest.raises(TraceError) as refused:
        layer(layer.symbolic_inputs())
    assert str(refused.value) == "no trace 'tape.positon'; did you mean 'tape.position'?"


class Sparse(keras.layers.Layer, Builder):
    """A cell that names a loss."""

    output_size = 3

    def build(self, input_size):
        self.dense = keras.layers.Dense(3)
        self.dense.build((None, input_size))

    def initial_state(self, sequence):
        return ()

    def constants(self, sequence):
        return ()

    def step(self, inputs, state, constants):
        outputs = self.dense(inputs)
        return outputs, state, {"losses.sparsity": keras.ops.sum(keras.ops.abs(outputs), axis=-1)}


@pytest.mark.parametrize("policy", ["float64", "mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("unroll", [False, True])
def test_a_named_loss_is_added_in_fit_under_every_dtype_policy(policy, unroll):
    inputs = np.random.default_rng(0).normal(size=(4, 6, 2)).astype("float32")
    loop = Superloop(cells=[Sparse(dtype=policy)], dtype=policy, unroll=unroll)
    model = keras.Sequential([keras.Input((6, 2)), loop])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    expected = np.abs(model.predict(inputs, verbose=0)).astype("float64")
    losses = model.fit(inputs, np.zeros((4, 6, 3)), verbose=0).history["loss"]
    np.testing.assert_allclose(losses, np.square(expected).mean() + expected.sum((1, 2)).mean(), rtol=5e-3)
