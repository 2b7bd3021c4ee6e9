import attrs
import keras
import numpy as np
import pytest
import tensorflow as tf

from superloop_core import SourceError, Superloop, System, SystemSettings


def test_the_state_is_listed_by_name_and_as_keras_does_it(made, make_loop):
    layer, feed = made(make_loop("tape", "scratch", cells=["lstm", "gru"]), return_state=True)
    names = (
        "cells.0.h",
        "cells.0.c",
        "cells.1.h",
        "tape.position",
        "scratch.memory",
        "tape.read",
        "scratch.read",
    )
    assert layer.state_names == names
    outputs, *state = layer(feed)
    assert outputs.shape == (3, 4, 2)
    assert [tuple(tensor.shape) for tensor in state] == [(3, 3)] * 3 + [(3, 1), (3, 3, 2), (3, 2), (3, 2)]


def test_some_of_the_first_state_may_be_given_by_name(made, make_loop, assert_close):
    layer, feed = made(make_loop("tape"), traces=["tape.position", "tape.read", "cells.0.h"])
    given = {"tape.position": np.array([[1.0], [2.0], [3.0]]), "cells.0.h": np.full((3, 3), 0.5)}
    traces = layer(feed, initial_state=given)
    assert_close(traces["tape.position"][:, 0], given["tape.position"])
    assert_close(traces["cells.0.h"][:, 0], given["cells.0.h"])
    assert_close(traces["tape.read"][:, 0], np.zeros((3, 2)))


def test_a_state_goes_through_functional_models_beside_a_mask(made, make_loop, assert_close):
    """Keras hands no mask on where there are two arguments."""
    layer, feed = made(make_loop("tape"), return_state=True)
    inputs = layer.symbolic_inputs()
    state = [keras.Input(shape) for shape in ((3,), (3,), (1,), (2,))]
    masked = inputs | {"inputs": keras.layers.Masking(0.0)(inputs["inputs"])}
    model = keras.Model([inputs, state], layer(masked, initial_state=state))
    feed["inputs"][1, 2:] = 0
    given = [np.random.default_rng(3).normal(size=(3, *one.shape[1:])).astype("float32") for one in state]
    mask = np.any(feed["inputs"] != 0, axis=-1)
    assert not mask.all()
    assert_close(model([feed, given]), layer(feed, initial_state=given, mask=mask))


STACK = {"use": "stack", "id": "memo", "depth": 6, "width": 2}


def test_a_loop_that_starts_from_the_state_of_another_goes_on_as_one_loop(assert_close):
    config = {"inputs": 2, "outputs": 3, "cells": [{"use": "gru", "units": 4}], "systems": [STACK]}
    first, second, whole = Superloop(config, return_state=True), Superloop(config), Superloop(config)
    x = np.random.default_rng(0).normal(size=(3, 9, 2)).astype("float32")
    expected = whole(x)
    for layer in (first, second):
        layer.build(x.shape)
        layer.set_weights(whole.get_weights())
    outputs, *state = first(x[:, :5])
    assert_close(outputs, expected[:, :5])
    assert_close(second(x[:, 5:], initial_state=state), expected[:, 5:])


def test_an_encoder_and_a_decoder_with_one_memory_are_one_loop_with_the_cells_of_both(assert_close):
    """Only the memory remembers. The third input is 1 where it is the decoder's turn."""
    rng, stop = np.random.default_rng(1), 100.0

    def loop(units, **options):
        cells = [{"use": "dense", "units": units, "activation": "relu"}]
        systems = [STACK | {"feedback": False}]
        layer = Superloop(inputs=3, outputs=2, cells=cells, systems=systems, **options)
        layer.build((None, None, 3))
        return layer

    encoder, decoder, both = loop(4, return_state=True), loop(5), loop(9)
    assert encoder.state_names == ("memo.cells",)
    drawn = {layer: [rng.normal(size=w.shape) for w in layer.get_weights()] for layer in (encoder, decoder)}
    for layer, share in ((encoder, 0), (decoder, 1)):
        kernel, bias, *_ = drawn[layer]
        kernel[2] = stop if share else -stop  # one cell is 0 where it is the other's turn
        bias -= share * stop
        drawn[layer][3] = drawn[encoder][3]  # the bias of the control, which a turn cannot change
        layer.set_weights(drawn[layer])
    cells, biases, controls = (
        np.concatenate([drawn[encoder][i], drawn[decoder][i]], axis=-1 if i < 2 else 0) for i in range(3)
    )
    answers = np.concatenate([np.zeros((4, 2)), drawn[decoder][4]])
    both.set_weights([cells, biases, controls, drawn[encoder][3], answers, drawn[decoder][5]])

    x = rng.normal(size=(3, 11, 3)).astype("float32")
    x[:, :6, 2], x[:, 6:, 2] = 0, 1
    _, memory = encoder(x[:, :6])
    answer = decoder(x[:, 6:], initial_state={"memo.cells": memory})
    assert_close(answer, both(x)[:, 6:])
    assert np.abs(answer - decoder(x[:, 6:])).max() > 0.01


def test_a_decoder_of_other_cells_trains_the_encoder_whose_memory_it_reads(tmp_path):
    encoder = Superloop(inputs=2, cells=[{"use": "lstm", "units": 5}], systems=[STACK], return_state=True)
    decoder = Superloop(inputs=2, outputs=2, cells=[{"use": "gru", "units": 4}], systems=[STACK])
    source, target = keras.Input((None, 2)), keras.Input((None, 2))
    _, *state = encoder(source)
    memory = state[encoder.state_names.index("memo.cells")]
    model = keras.Model([source, target], decoder(target, initial_state={"memo.cells": memory}))
    x = np.random.default_rng(0).normal(size=(3, 4, 2)).astype("float32")
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(model([x, x[:, :2]]) ** 2)
    slopes = tape.gradient(total, encoder.trainable_weights)
    assert all(np.abs(slope).max() > 1e-6 for slope in slopes)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded([x, x[:, :2]]), model([x, x[:, :2]]))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            [np.zeros((3, 3))],
            "a state must be a list of 4 tensors, cells.0.h, cells.0.c, tape.position",
        ),
        (
            {"tape.postion": np.zeros((3, 1))},
            "the state has no 'tape.postion'; did you mean 'tape.position'?",
        ),
        (
            {"tape.position": np.zeros((3, 2))},
            "'tape.position' of the state must have the shape (3, 1): (3, 2)",
        ),
        (
            {"tape.position": np.zeros((2, 1))},
            "'tape.position' of the state must have the shape (3, 1): (2, 1)",
        ),
    ],
)
def test_a_state_that_does_not_fit_is_rejected(given, told, made, make_loop):
    layer, feed = made(make_loop("tape"), name="loop")
    with pytest.raises(SourceError) as refused:
        layer(feed, initial_state=given)
    assert str(refused.value).startswith(f"loop: {told}")


def test_a_stateful_layer_needs_its_rows_and_keeps_to_them(make_loop, make_feed):
    layer = Superloop(make_loop("tape"), stateful=True)
    with pytest.raises(SourceError, match="stateful = True needs the batch size"):
        layer(layer.symbolic_inputs())
    layer(make_feed(layer))
    with pytest.raises(SourceError, match="was built for the batch size 3: 2"):
        layer(make_feed(layer, batch=2))


def test_a_stateful_layer_needs_the_sizes_of_sources_that_a_state_has():
    @attrs.frozen(kw_only=True)
    class VisitsConfig(SystemSettings):
        control_size = output_size = 1
        sources = {"data": (None, 1)}  # noqa: RUF012

    class Visits(System):
        """Counts its steps for each slot of its source."""

        def initial_state(self, sequence):
            return tf.zeros_like(sequence.sources["data"])

        def step(self, control, state, constants):
            return state[:, -1], state + 1, {}

    cell, system = keras.layers.SimpleRNNCell(2), {"id": "visits", "use": Visits(VisitsConfig())}
    layer = Superloop(cells=[cell], systems=[system], inputs=2, stateful=True, name="loop")
    with pytest.raises(SourceError) as refused:
        layer(layer.symbolic_inputs(batch_size=3))
    rule = "stateful = True needs the sizes of the sources that decide the shape of a state"
    assert str(refused.value) == f"loop: {rule}: (None, None, 1); give them a known shape"
    data = keras.Input((4, 1), batch_size=3)
    assert layer(layer.symbolic_inputs(batch_size=3) | {"visits_data": data}).shape == (3, None, 2)
    assert layer.states[layer.state_names.index("visits")].shape == (3, 4, 1)


def test_a_stateful_layer_keeps_its_state_in_predict_and_saves_weights_only(make_loop, make_feed, tmp_path):
    layer = Superloop(make_loop("scratch", timesteps=4), stateful=True)
    inputs = layer.symbolic_inputs(batch_size=3)
    model = keras.Model(inputs, layer(inputs))
    assert model.count_params() == parameters_of(layer)
    feed = make_feed(layer)["inputs"]
    first, second = model.predict(feed, verbose=0), model.predict(feed, verbose=0)
    assert not np.allclose(first, second)
    layer.reset_state()
    np.testing.assert_allclose(model.predict(feed, verbose=0), first, rtol=1e-6)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(feed, verbose=0), first, rtol=1e-6)


def parameters_of(layer):
    return sum(int(np.prod(weight.shape)) for weight in layer.trainable_weights)


def test_a_stateful_layer_passes_no_gradient_to_the_call_before(make_loop, make_feed):
    layer = Superloop(make_loop("scratch"), stateful=True)
    feed = {name: tf.convert_to_tensor(array) for name, array in make_feed(layer).items()}
    with tf.GradientTape() as tape:
        tape.watch(feed["inputs"])
        layer(feed)
        second = layer({"inputs": tf.ones((3, 4, 2))})
    assert tape.gradient(second, feed["inputs"]) is None


def test_bidirectional_takes_a_loop(make_loop, assert_close):
    layer = Superloop(make_loop("scratch"), name="loop")
    both = keras.layers.Bidirectional(layer)
    inputs = np.random.default_rng(0).normal(size=(2, 5, 2)).astype("float32")
    answer = both(inputs)
    assert answer.shape == (2, 5, 4)
    assert_close(answer[..., :2], both.forward_layer(inputs))
    assert_close(answer[..., 2:], both.backward_layer(inputs)[:, ::-1])


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_a_stateful_loop_takes_chunks_under_every_dtype_policy(policy, make_loop, make_feed, assert_close):
    config = make_loop("tape", "scratch", {"use": "stack", "id": "stack", "depth": 3, "width": 2})
    layer = Superloop(config, stateful=True, dtype=policy)
    feed = make_feed(layer)
    whole = layer(feed)
    layer.reset_state()
    chunks = [layer(feed | {"inputs": feed["inputs"][:, part]}) for part in (slice(0, 3), slice(3, None))]
    assert_close(tf.cast(tf.concat(chunks, axis=1), "float32"), tf.cast(whole, "float32"), 1e-6)


def test_a_tape_that_jumps_by_the_number_of_timesteps_takes_no_chunks(make_loop, make_feed):
    tape = {"use": "tape", "id": "tape", "slots": 5, "width": 3}
    layer = Superloop(make_loop(tape), stateful=True)
    with pytest.raises(SourceError, match=r"a tape jumps by the number of timesteps, which is unknown"):
        layer(make_feed(layer))
    by_source = Superloop(make_loop(tape | {"jump": "source"}), stateful=True)
    assert by_source(make_feed(by_source)).shape == (3, 4, 2)


def test_a_batch_of_another_size_is_rejected_in_a_graph_too(make_loop):
    inputs = keras.Input((4, 2), batch_size=4)
    model = keras.Model(inputs, Superloop(make_loop(), stateful=True)(inputs))
    model.compile("sgd", "mse")
    data, targets = np.ones((8, 4, 2), "float32"), np.ones((8, 4, 2), "float32")
    batches = tf.data.Dataset.from_tensor_slices((data, targets)).batch(4)  # of a size that is not known
    model.fit(batches, shuffle=False, verbose=0)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"was built for the batch size 4; drop the rem"):
        model.predict(data[:5], batch_size=4, verbose=0)


def test_a_batch_whose_size_is_known_only_in_the_run_is_checked_then(make_loop):
    layer = Superloop(make_loop(), stateful=True)
    layer.build((2, 4, 2))
    run = tf.function(layer, input_signature=[tf.TensorSpec((None, 4, 2))], autograph=False)
    assert run(np.ones((2, 4, 2))).shape == (2, 4, 2)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"was built for the batch size 2"):
        run(np.ones((3, 4, 2)))
