"""The loop as a function of one timestep."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from superloop_core import SourceError, Superloop, SuperloopError


def stepped(layer, feed, **further):
    """Take a sequence step by step, with initial_state, constants and step."""
    sources = {name: array for name, array in feed.items() if name != "inputs"}
    state, constants = layer.initial_state(3, sources), layer.constants(3, sources, **further)
    outputs = []
    for t in range(4):
        output, state, traces = layer.step(feed["inputs"][:, t], state, constants)
        outputs.append(output)
    return tf.stack(outputs, axis=1), state, traces


@pytest.mark.parametrize("traced", [False, True])
def test_steps_are_a_call_with_its_gradients(traced, made, make_loop, assert_close):
    layer, feed = made(make_loop("tape", "scratch"), return_state=True, traces="all")
    run = tf.function(stepped, autograph=False) if traced else stepped
    with tf.GradientTape(persistent=True) as tape:
        expected, *last = layer(feed)
        outputs, state, traces = run(layer, feed)
        losses = [tf.reduce_sum(tf.sin(result)) for result in (expected["outputs"], outputs)]
    assert_close(outputs, expected["outputs"])
    assert_close(dict(state), dict(zip(layer.state_names, last, strict=True)))
    assert_close(dict(traces), {name: trace[:, -1] for name, trace in expected.items()})
    weights = [weight.value for weight in layer.trainable_weights]
    assert_close(*(tape.gradient(loss, weights) for loss in losses), 1e-4)


def test_the_step_is_a_signature_of_a_saved_model(made, make_loop, assert_close, tmp_path):
    layer, feed = made(make_loop("scratch"))

    class Streaming(tf.Module):
        def __init__(self):
            self.loop = layer
            self.constants = layer.constants(3)

        @tf.function(autograph=False)
        def step(self, inputs, state):
            output, state, _ = self.loop.step(inputs, state, self.constants)
            return {"output": output} | state

    module = Streaming()
    state = layer.initial_state(3)
    specs = {name: tf.TensorSpec(tensor.shape, tensor.dtype) for name, tensor in state.items()}
    signature = module.step.get_concrete_function(tf.TensorSpec((3, 2), tf.float32), specs)
    tf.saved_model.save(module, str(tmp_path), signatures={"step": signature})
    loaded = tf.saved_model.load(str(tmp_path))
    outputs = []
    for t in range(4):
        state = loaded.step(tf.constant(feed["inputs"][:, t]), state)
        outputs.append(state.pop("output"))
    assert_close(np.stack(outputs, axis=1), layer(feed))


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
def test_the_step_is_a_tflite_model(made, make_loop, assert_close):
    layer, feed = made(make_loop("scratch", cells=["gru"]))
    constants, first = layer.constants(3), layer.initial_state(3)
    names = {name: name.replace(".", "_") for name in first}

    @tf.function(autograph=False)
    def step(inputs, **state):
        output, new, _ = layer.step(inputs, {name: state[short] for name, short in names.items()}, constants)
        return {"output": output} | {short: new[name] for name, short in names.items()}

    specs = {names[name]: tf.TensorSpec(t.shape, t.dtype, name=names[name]) for name, t in first.items()}
    concrete = step.get_concrete_function(tf.TensorSpec((3, 2), tf.float32, name="inputs"), **specs)
    frozen = convert_variables_to_constants_v2(concrete)  # TensorFlow Lite 2.21 leaves the weights out
    lite = tf.lite.Interpreter(
        model_content=tf.lite.TFLiteConverter.from_concrete_functions([frozen]).convert()
    )
    lite.allocate_tensors()
    given = {detail["name"]: detail["index"] for detail in lite.get_input_details()}
    made = [detail["index"] for detail in lite.get_output_details()]
    results, outputs = {names[name]: np.asarray(tensor) for name, tensor in first.items()}, []
    for t in range(4):
        for name, array in (results | {"inputs": feed["inputs"][:, t]}).items():
            lite.set_tensor(given[name], array)
        lite.invoke()
        results = dict(zip(sorted(concrete.structured_outputs), map(lite.get_tensor, made), strict=True))
        outputs.append(results.pop("output"))
    assert_close(np.stack(outputs, axis=1), layer(feed))


def test_rows_of_a_state_can_be_chosen_as_a_beam_search_does(made, make_loop, assert_close):
    layer, feed = made(make_loop("scratch"))
    chosen = [2, 0, 0]
    state, constants = layer.initial_state(3), layer.constants(3)
    _, state, _ = layer.step(feed["inputs"][:, 0], state, constants)
    state = {name: tf.gather(tensor, chosen) for name, tensor in state.items()}
    output, _, _ = layer.step(feed["inputs"][chosen, 1], state, constants)
    assert_close(output, layer(feed)[:, 1].numpy()[chosen])


def test_what_does_not_fit_a_step_is_told(made, make_loop):
    layer, _ = made(make_loop("scratch"), name="loop")
    state, constants = layer.initial_state(3), layer.constants(3)
    for wrong, shape in ((None, "None"), (np.zeros((3, 4)), r"\(3, 4\)")):
        with pytest.raises(SourceError, match=rf"loop: a step takes .* shape \(batch, 2\): {shape}"):
            layer.step(wrong, state, constants)
    del state["scratch.memory"]
    with pytest.raises(SourceError, match=r"loop: a state must have all tensors, but 'scratch\.memory'"):
        layer.step(np.zeros((3, 2)), state, constants)
    with pytest.raises(SuperloopError, match="has no weights yet"):
        Superloop(make_loop()).initial_state(2)


def test_the_first_state_is_that_of_keras(made, make_loop, assert_close):
    layer, feed = made(make_loop("scratch"))
    state = layer.get_initial_state(batch_size=3)
    assert [tuple(tensor.shape) for tensor in state] == [(3, 3), (3, 3), (3, 3, 2), (3, 2)]
    assert_close(layer(feed, initial_state=state), layer(feed))


def test_the_state_of_a_stateful_layer_can_be_read_and_set(made, make_loop, assert_close):
    layer, feed = made(make_loop("scratch"), stateful=True)
    layer.reset_state()
    assert layer.kept_state is None
    layer(feed)
    stored = layer.kept_state
    assert stored.keys() == set(layer.state_names)
    second = layer(feed).numpy()
    layer.reset_state(stored)
    assert_close(layer(feed), second, 0.0)
    layer.reset_state(list(stored.values()))
    assert_close(layer(feed), second, 0.0)
    with pytest.raises(SourceError, match=r"must have all tensors, but 'cells\.0\.c' is missing"):
        layer.reset_state({"cells.0.h": np.zeros((3, 3))})
    with pytest.raises(SourceError, match="stores no state: make it with stateful=True"):
        made(make_loop())[0].reset_state(stored)


def test_a_step_of_a_loop_with_dropout_needs_its_number(made, make_loop, assert_close):
    keras.utils.set_random_seed(0)
    layer, feed = made(make_loop(cells=[{"use": "lstm", "units": 3, "dropout": 0.5}]))
    constants, state = layer.constants(3, training=True), layer.initial_state(3)
    x = feed["inputs"][:, 0]
    with pytest.raises(SuperloopError, match="the loop draws noise, so a step needs its number: timestep=t"):
        layer.step(x, state, constants)
    one, other = (layer.step(x, state, constants, timestep=0)[0] for _ in range(2))
    assert_close(one, other, 0.0)
    another = layer.step(x, state, layer.constants(3, training=True), timestep=0)[0]
    assert np.abs(np.asarray(one) - another).max() > 1e-3


def test_the_first_state_is_drawn_by_the_seed_of_the_constants(made, make_loop, assert_close):
    layer, _ = made(make_loop(cells=[{"use": "lstm", "units": 3, "dropout": 0.5}]))
    layer.wiring.stochastic = True
    (generator,) = [g for inner in layer._flatten_layers() for g in inner._seed_generators]
    before = generator.state.numpy()
    layer.initial_state(3)
    assert_close(layer.constants(3).seed, before)
    assert (generator.state.numpy() != before).any()
