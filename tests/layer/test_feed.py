import keras
import numpy as np
import pytest
import tensorflow as tf

from superloop_core import SourceError, Superloop
from superloop_core.config import read_loop
from superloop_core.layer.feed import FeedReader
from superloop_core.registry import load_registry


@pytest.fixture
def reader(make_loop):
    config = read_loop(make_loop("tape"), load_registry())
    return FeedReader(config, "loop", keras.DTypePolicy("float32"))


def given(**more):
    return {"inputs": np.ones((2, 3, 2)), "tape_data": np.ones((2, 4, 2)), **more}


def test_lengths_are_a_mask(reader):
    feed = reader.read(given(lengths=[3, 1]))
    np.testing.assert_array_equal(feed.mask, [[True, True, True], [True, False, False]])
    np.testing.assert_array_equal(feed.lengths, [3, 1])
    np.testing.assert_array_equal(reader.read(given()).lengths, [3, 3])
    assert feed.timesteps == 3
    assert feed.batch_size == 2


def test_a_row_may_be_empty(reader):
    np.testing.assert_array_equal(reader.read(given(lengths=[0, 3])).lengths, [0, 3])


def test_masks_may_be_lists_arrays_or_what_keras_attached(reader):
    expected = [[True, False, True], [True, True, True]]
    for mask in (expected, np.array(expected), np.array(expected, "int32"), {"inputs": expected}):
        np.testing.assert_array_equal(reader.read(given(), mask).mask, expected)
    attached = tf.ones((2, 3, 2))
    attached._keras_mask = tf.constant(expected)
    np.testing.assert_array_equal(reader.read(given(inputs=attached)).mask, expected)


def test_a_masked_source_reads_as_zeros_and_its_mask_is_handed_on(reader):
    data = np.ones((2, 4, 2))
    data[1, 2:] = np.nan
    mask = [[True] * 4, [True, True, False, False]]
    feed = reader.read(given(tape_data=data), {"tape_data": mask})
    np.testing.assert_array_equal(feed.sources["tape_data"][1], [[1, 1], [1, 1], [0, 0], [0, 0]])
    np.testing.assert_array_equal(feed.source_masks["tape_data"], mask)
    assert feed.mask is None


def test_a_tape_with_padding_gives_what_the_shorter_tape_gives(make_loop, made, assert_close):
    tape = {"use": "attention", "id": "tape", "width": 2, "normalize": True, "bounded": True}
    long, feed = made(make_loop(tape | {"datapoints": 4}), traces=["tape.read", "tape.position"])
    short, _ = made(make_loop(tape | {"datapoints": 2}), traces=["tape.read", "tape.position"], like=long)
    padded = feed | {"tape_data": np.where(np.arange(4)[:, None] < 2, feed["tape_data"], np.nan)}
    mask = np.tile(np.arange(4) < 2, (3, 1))
    expected = short(feed | {"tape_data": feed["tape_data"][:, :2]})
    assert_close(long(padded, mask={"tape_data": mask}), expected)
    masking = keras.layers.Masking(-9.0)(np.where(np.isnan(padded["tape_data"]), -9, feed["tape_data"]))
    assert_close(long(feed | {"tape_data": masking}), expected)


def test_one_feed_may_be_reversed(reader):
    feed = reader.read(given(inputs=np.arange(12).reshape(2, 3, 2)), [[True, True, False]] * 2).backwards()
    np.testing.assert_array_equal(feed.inputs[0], [[4, 5], [2, 3], [0, 1]])
    np.testing.assert_array_equal(feed.mask[0], [False, True, True])


@pytest.mark.parametrize(
    ("feed", "mask", "told"),
    [
        (given(lengths=[4, 1]), None, "loop: 'lengths' must be from 0 to the 3 timesteps there are: [4]"),
        (given(lengths=[-1, 1]), None, "loop: 'lengths' must be from 0 to the 3 timesteps there are: [-1]"),
        (given(lengths=[[1, 2]]), None, "loop: 'lengths' must have the shape (batch): (1, 2)"),
        (given(lengths=[1, 2]), [[True] * 3] * 2, "loop: both a mask and 'lengths' are given"),
        (given(), [[True] * 3], "loop: everything must have the same batch size: {'inputs': 2,"),
        (given(), [[True] * 2] * 2, "loop: 'mask' must have the shape (batch, 3): (2, 2)"),
        (
            [np.ones((2, 3, 2))],
            None,
            "loop: the inputs must be a tensor, a dict, or a list of 2 ('inputs', 'tape_data'): a list of 1",
        ),
        (given(inputs=np.full((2, 3, 2), "a")), None, "loop: 'inputs' must be numbers: "),
        (given(), {"tape": [[True] * 4] * 2}, "loop: a mask of 'tape', which is not given"),
        (
            given(),
            {"tape_data": [[True] * 3] * 2},
            "loop: 'mask of tape_data' must have the shape (batch, 4)",
        ),
        (
            given(initial_feedback=np.ones((2, 2))),
            {"initial_feedback": [[True]] * 2},
            "loop: 'initial_feedback' can have no mask",
        ),
    ],
)
def test_what_does_not_fit_is_reported(reader, feed, mask, told):
    with pytest.raises(SourceError) as refused:
        reader.read(feed, mask)
    assert str(refused.value).startswith(told)


def test_lengths_go_through_a_functional_model_and_on_as_a_mask(make_loop, make_feed, assert_close):
    layer = Superloop(make_loop("tape"))
    inputs = layer.symbolic_inputs() | {"lengths": keras.Input((), dtype="int32", name="lengths")}
    outputs = layer(inputs)
    assert outputs._keras_mask is not None
    pooled = keras.layers.GlobalAveragePooling1D()(outputs)
    model = keras.Model(inputs, [outputs, pooled])
    feed = make_feed(layer) | {"lengths": np.array([4, 2, 1], "int32")}
    sequence, mean = model.predict(feed, verbose=0)
    expected = np.stack([sequence[row, :n].mean(0) for row, n in enumerate([4, 2, 1])])
    assert_close(mean, expected)


def test_a_ragged_tensor_is_padded_and_masked(reader):
    inputs, tape = np.ones((2, 3, 2), "float32"), np.ones((2, 4, 2), "float32")
    ragged = tf.RaggedTensor.from_tensor(inputs, lengths=[3, 1])
    feed = reader.read(given(inputs=ragged, tape_data=tf.RaggedTensor.from_tensor(tape, lengths=[2, 4])))
    np.testing.assert_array_equal(feed.lengths, [3, 1])
    np.testing.assert_array_equal(feed.inputs[1], [[1, 1], [0, 0], [0, 0]])
    np.testing.assert_array_equal(feed.source_masks["tape_data"], [[1, 1, 0, 0], [1, 1, 1, 1]])
    with pytest.raises(SourceError, match=r"'inputs' is ragged, which says its lengths; give no others"):
        reader.read(given(inputs=ragged, lengths=[3, 1]))
    with pytest.raises(SourceError, match=r"'inputs' is sparse; give tf\.sparse\.to_dense of it"):
        reader.read(given(inputs=tf.sparse.from_dense(inputs)))


def test_ragged_inputs_give_what_lengths_give(make_loop, made, assert_close):
    layer, feed = made(make_loop("tape"), return_state=True)
    ragged = feed | {"inputs": tf.RaggedTensor.from_tensor(feed["inputs"], lengths=[4, 1, 3])}
    assert_close(layer(ragged), layer(feed | {"lengths": np.array([4, 1, 3])}))
