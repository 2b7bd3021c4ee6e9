"""What a loop does with its parts, shown on five whose states differ.

The conformance kit checks each part by itself (``tests/test_conformance.py`` of each plugin).
"""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from superloop_core import Superloop
from superloop_core.loop.trace_selection import ALL
from superloop_core.registry import load_registry

ROWS, TIMESTEPS, INPUTS = 3, 4, 2

pytestmark = pytest.mark.slow


PARTS = {
    "cell lstm": "two states",
    "cell superloop": "a loop within the loop",
    "system attention": "a source",
    "system neural_stack": "a state that grows with the timesteps",
    "system ntm": "fields that may not be learned",
}


def cases():
    """Return a config for each of the parts."""
    table = {}
    for name in PARTS:
        kind, _, use = name.partition(" ")
        example = load_registry().resolve(kind, use).spec.example
        cells = [{"use": use, **example}] if kind == "cell" else [{"use": "simple_rnn", "units": 3}]
        systems = [{"use": use, "id": "it", **example}] if kind == "system" else []
        table[name] = {"inputs": INPUTS, "outputs": 2, "cells": cells, "systems": systems}
    return table


every = pytest.mark.parametrize("config", cases().values(), ids=cases())


@pytest.fixture
def drawn(make_feed):
    """Makes a layer with weights at random, of a seed, and something to feed it."""

    def make(config, *, like=None, timesteps=TIMESTEPS, **settings):
        layer = Superloop(config, **settings)
        feed = make_feed(layer, ROWS, timesteps)
        layer.build({name: array.shape for name, array in feed.items()})
        if like is None:
            rng = np.random.default_rng(7)
            weights = [rng.normal(scale=0.5, size=w.shape).astype("float32") for w in layer.trainable_weights]
            for variable, weight in zip(layer.trainable_weights, weights, strict=True):
                variable.assign(weight)
        else:
            layer.set_weights(like.get_weights())
        return layer, feed

    return make


def with_gradients(layer, feed, *, graph=True, **how):
    """Return what the layer answers, and the gradients of all its weights and of what it was fed.

    Outside a graph the timesteps are taken one by one, which for a few of them is a matter of moments.
    """

    def run(feed):
        floats = {name: tensor for name, tensor in feed.items() if tensor.dtype.is_floating}
        with tf.GradientTape() as tape:
            tape.watch(floats)
            answer = layer(feed, training=True, **how)
            numbers = [tf.reduce_sum(tf.sin(tf.cast(t, "float32"))) for t in tf.nest.flatten(answer)]
            loss = tf.add_n(numbers)
        watched = [weight.value for weight in layer.trainable_weights], floats
        return answer, tape.gradient(loss, watched, unconnected_gradients="zero")

    run = tf.function(run, autograph=False) if graph else run
    return run({name: tf.convert_to_tensor(array) for name, array in feed.items()})


@every
def test_keeping_one_state_in_three_changes_no_answer_and_no_gradient(config, drawn, assert_close):
    layer, feed = drawn(config, traces=ALL, return_state=True, jit_compile=False)
    expected = with_gradients(layer, feed, graph=False)
    other, _ = drawn(config, like=layer, traces=ALL, return_state=True, checkpoint_every=3, jit_compile=False)
    assert_close(tf.nest.flatten(with_gradients(other, feed)), tf.nest.flatten(expected), 1e-4)
    gradients, _ = expected[1]
    for weight, gradient in zip(layer.trainable_weights, gradients, strict=True):
        assert np.all(np.isfinite(gradient)), weight.path
        assert np.any(gradient != 0), weight.path


@pytest.mark.parametrize(("part", "jit_compile"), [("cell lstm", False), ("system attention", True)])
def test_padded_sequences_give_what_they_give_one_by_one(part, jit_compile, drawn, assert_close):
    config = cases()[part]
    layer, feed = drawn(config, traces=ALL, return_state=True, jit_compile=jit_compile)
    plain, _ = drawn(config, like=layer, traces=ALL, return_state=True, jit_compile=False)
    lengths = np.array([4, 1, 3])
    padded = feed["inputs"].copy()
    for row, length in enumerate(lengths):
        padded[row, length:] = np.nan
    padded = feed | {"inputs": padded, "lengths": lengths}
    (traces, *state), (of_weights, of_feed) = with_gradients(layer, padded)
    masked = layer(padded | {"lengths": None}, mask=np.arange(4) < lengths[:, None])
    assert_close(tf.nest.flatten(masked), tf.nest.flatten((traces, *state)))

    summed = [np.zeros(gradient.shape) for gradient in of_weights]
    for row, length in enumerate(lengths):
        alone = {name: array[row : row + 1] for name, array in feed.items()}
        alone["inputs"] = alone["inputs"][:, :length]
        (expected, *final), (slopes, _) = with_gradients(plain, alone, graph=False)
        # What is padded repeats what is last, and is counted as often in the loss.
        extra = with_last_repeated(plain, alone, 4 - length)
        for name, trace in expected.items():
            assert_close(traces[name][row, :length], trace[0], at=name)
            assert_close(traces[name][row, length:], np.repeat(trace[:, -1], 4 - length, axis=0), at=name)
        for one, other in zip(state, final, strict=True):
            assert_close(one[row], other[0])
        for total, slope, more in zip(summed, slopes, extra, strict=True):
            total += np.asarray(slope) + np.asarray(more)
        assert np.all(np.asarray(of_feed["inputs"])[row, length:] == 0)
    assert_close(list(of_weights), summed, 1e-4)


def with_last_repeated(layer, feed, times):
    """Return the gradient of the last timestep's part of the loss, so many times."""
    with tf.GradientTape() as tape:
        answer, *_ = layer({name: tf.convert_to_tensor(array) for name, array in feed.items()}, training=True)
        last = [tf.reduce_sum(tf.sin(tf.cast(trace[:, -1], "float32"))) for trace in answer.values()]
        loss = times * tf.add_n(last)
    weights = [weight.value for weight in layer.trainable_weights]
    return tape.gradient(loss, weights, unconnected_gradients="zero")


@every
def test_a_sequence_in_chunks_gives_what_the_whole_gives(config, drawn, assert_close):
    whole, feed = drawn(config, traces=ALL, return_state=True)
    expected, *final = whole(feed)
    chunks = [feed | {"inputs": feed["inputs"][:, :1]}, feed | {"inputs": feed["inputs"][:, 1:]}]

    state, handed_on = None, []
    for chunk in chunks:
        answer, *state = whole(chunk, initial_state=state)
        handed_on.append(answer)
    assert_close(state, final)

    stateful, _ = drawn(config, like=whole, traces=ALL, stateful=True, jit_compile=False)
    run = tf.function(stateful, autograph=False)
    kept = [run(chunk) for chunk in chunks]
    for name, trace in expected.items():
        assert_close(np.concatenate([answer[name] for answer in handed_on], axis=1), trace, at=name)
        assert_close(np.concatenate([answer[name] for answer in kept], axis=1), trace, at=name)
    stateful.reset_state()
    assert_close(run(chunks[0]), kept[0])

    session = whole.session(
        {name: array for name, array in feed.items() if name != "inputs"}, batch_size=ROWS
    )
    for t in range(TIMESTEPS):
        output = session.step(feed["inputs"][:, t])
        assert_close(output, expected["outputs"][:, t])
        for name, trace in session.traces.items():
            assert_close(trace, expected[name][:, t], at=name)
    assert_close(list(session.state.values()), final)
    assert tuple(session.state) == whole.state_names


def what_may_be_learned(layer):
    """Names of the state's tensors that the systems let be learned at t = 0."""
    wiring = layer.wiring
    fields = {id: system.learned_fields for id, system in zip(wiring.ids, wiring.systems, strict=True)}
    return [
        name
        for name in layer.state_names
        for id, _, field in [name.partition(".")]
        if field == "read" or fields.get(id) is None or field in fields[id]
    ]


@every
def test_the_first_state_can_be_learned_and_is_saved(config, drawn, assert_close):
    may_be = what_may_be_learned(drawn(config)[0])
    memory = any(name.startswith("it.") and name != "it.read" for name in may_be)
    parts = {
        "cells": [cell | {"learn_initial_state": True} for cell in config["cells"]],
        "systems": [
            system | {"learn_initial_state": memory, "learn_initial_read": True}
            for system in config.get("systems", [])
        ],
    }
    layer, feed = drawn(config | parts, traces=ALL)
    learned = [weight for weight in layer.trainable_weights if "initial_" in weight.path]
    assert len(learned) == len(may_be)
    of_weights = dict(
        zip(
            [weight.path for weight in layer.trainable_weights],
            with_gradients(layer, feed, graph=False)[1][0],
            strict=True,
        )
    )
    answer, unlearned = layer(feed), drawn(config, traces=ALL)[0](feed)
    for weight in learned:
        name = weight.path.rpartition("initial_")[2]
        assert np.any(of_weights[weight.path] != 0), name
        if name in answer:
            assert_close(answer[name][:, 0], unlearned[name][:, 0] + weight, at=name)
    again = Superloop.from_config(layer.get_config())
    again.build({name: array.shape for name, array in feed.items()})
    again.set_weights(layer.get_weights())
    assert_close(again(feed), answer)


@every
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float64"])
def test_dtype_policies_leave_addressing_in_float32_at_least(config, policy, drawn, assert_close):
    plain, _ = drawn(config, traces=ALL)
    layer, feed = drawn(config, like=plain, traces=ALL, dtype=policy)
    answer, (of_weights, _) = with_gradients(layer, feed, graph=False)
    assert answer["outputs"].dtype == layer.compute_dtype
    assert all(np.all(np.isfinite(gradient)) for gradient in of_weights)
    expected = plain({name: array.astype("float32") for name, array in feed.items()})
    tolerance = {"mixed_bfloat16": 1e-1, "float64": 1e-4}[policy]
    wide = "float64" if policy == "float64" else "float32"
    for name, trace in answer.items():
        assert_close(tf.cast(trace, "float32"), expected[name], tolerance, at=name)
        if name.startswith("it.") and trace.dtype.is_floating and not name.endswith(".read"):
            assert trace.dtype == wide, name


@every
def test_backwards_is_forwards_over_the_reversed_inputs(config, drawn, assert_close):
    forwards, feed = drawn(config, traces=ALL)
    backwards, _ = drawn(config, like=forwards, traces=ALL, go_backwards=True)
    reversed_ = feed | {"inputs": feed["inputs"][:, ::-1]}
    assert_close(backwards(feed), forwards(reversed_))
    mask = np.array([[1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 1, 0]], bool)
    assert_close(backwards(feed, mask=mask), forwards(reversed_, mask=mask[:, ::-1]))


@every
def test_shapes_are_known_before_anything_is_computed(config, drawn):
    layer, feed = drawn(config, traces=ALL, return_state=True)
    told = layer.compute_output_shape({name: (None, *array.shape[1:]) for name, array in feed.items()})
    received = keras.tree.map_structure(lambda tensor: (None, *tensor.shape[1:]), layer(feed))
    assert told[0] == received[0]
    assert list(told[1:]) == list(received[1:])


@every
def test_an_exported_model_answers_as_the_model_does(config, drawn, tmp_path, assert_close):
    layer, feed = drawn(config, traces=ALL)
    inputs = layer.symbolic_inputs()
    model = keras.Model(inputs, layer(inputs))
    model.export(tmp_path / "model", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "model")
    fed = {name: tf.convert_to_tensor(array) for name, array in feed.items()}
    fed = fed if isinstance(inputs, dict) else fed["inputs"]
    assert_close(dict(loaded.serve(fed)), dict(model(fed)))


TRAINED = """
import sys, json, numpy as np, keras
from superloop_core import Superloop
config = json.loads(sys.argv[1])
digests = []
for _ in range(int(sys.argv[2])):
    keras.utils.set_random_seed(3)
    layer = Superloop(config)
    inputs = layer.symbolic_inputs()
    model = keras.Model(inputs, layer(inputs))
    model.compile("adam", "mse")
    rng = np.random.default_rng(0)
    feed = {n: rng.normal(size=(24, *(6 if s is None else s for s in shape))).astype("float32")
            for n, shape in layer.input_shapes.items()}
    feed = feed if isinstance(inputs, dict) else feed["inputs"]
    model.fit(feed, rng.normal(size=(24, 6, 2)).astype("float32"), batch_size=12, epochs=2, verbose=0)
    digests.append(b"".join(weight.tobytes() for weight in model.get_weights()).hex()[:4096])
assert len(set(digests)) == 1, "twice in a row"
print(digests[0])
"""


@pytest.mark.release
def test_the_same_seed_gives_the_same_weights_twice_in_a_row_and_in_another_process(make_loop):
    cell = {"use": "gru", "units": 3, "dropout": 0.3, "recurrent_dropout": 0.2}
    config = json.dumps(make_loop("tape", cells=[cell], timesteps=6))
    command = [sys.executable, "-c", TRAINED, config]
    runs = [
        subprocess.run([*command, times], check=True, capture_output=True, text=True).stdout
        for times in ("2", "1")
    ]
    assert runs[0] == runs[1]
    assert len(runs[0]) > 500
