import keras
import numpy as np
import pytest
import tensorflow as tf
from superloop_plugin_attention import AttentionConfig
from superloop_plugin_attention.attention import Attention

from superloop_core import PluginError, Superloop
from superloop_core.builder import KerasCell, Sequence, addressing_dtype, dtype_policy
from superloop_core.builder.keras_cell import as_builder
from superloop_core.builder.noise import noise_of, noise_of_part
from superloop_core.builder.protocol import structure_names


def sequence(batch=2, timesteps=3, **known):
    lengths = tf.fill([batch], timesteps)
    return Sequence(batch_size=batch, timesteps=timesteps, lengths=lengths, dtype="float32", **known)


class TwoSums(keras.layers.Layer):
    """A stranger's cell: three states of sizes of their own, and an attribute that Keras's mean more by."""

    state_size = (2, 1, 2)
    output_size = 2
    dropout = 0.5

    def call(self, inputs, states, training=False):
        total, count, last = states
        return total + inputs, [total + inputs, count + 1, last * 0 + inputs]

    def get_initial_state(self, batch_size=None):
        return [keras.ops.zeros((batch_size, size)) for size in self.state_size]


@pytest.mark.parametrize(
    ("cell", "fields"),
    [
        (keras.layers.LSTMCell(3), ("h", "c")),
        (keras.layers.GRUCell(3), ("h",)),
        (keras.layers.SimpleRNNCell(3), ("h",)),
        (TwoSums(), None),
    ],
)
def test_the_states_of_a_keras_cell_get_names_where_they_are_one_or_two(cell, fields):
    state = KerasCell(cell).initial_state(sequence())
    assert getattr(state, "_fields", None) == fields
    assert len(state) == len(fields or cell.state_size)


def test_a_step_of_a_keras_cell_is_the_call_of_the_cell():
    cell = keras.layers.LSTMCell(3)
    builder = KerasCell(cell)
    builder.build(2)
    inputs, state = tf.random.normal((2, 2)), [tf.random.normal((2, 3)), tf.random.normal((2, 3))]
    output, new, named = builder.step(inputs, state, builder.constants(sequence()))
    expected, (h, c) = cell(inputs, state)
    np.testing.assert_array_equal(output, expected)
    np.testing.assert_array_equal(new.h, h)
    np.testing.assert_array_equal(new.c, c)
    np.testing.assert_array_equal(named["output"], expected)


def test_a_cell_that_knows_nothing_of_dropout_masks_is_taken_in_training_too():
    builder = KerasCell(TwoSums())
    builder.build(2)
    constants = builder.constants(sequence(training=True))
    state = builder.initial_state(sequence())
    for count in (1, 2):
        output, state, _ = builder.step(tf.ones((2, 2)), state, constants)
        np.testing.assert_array_equal(output, np.full((2, 2), count))
        np.testing.assert_array_equal(state[1], np.full((2, 1), count))


def test_a_stack_of_keras_cells_in_one_gets_its_states_in_their_structure():
    stack = keras.layers.StackedRNNCells([keras.layers.LSTMCell(3), keras.layers.LSTMCell(2)])
    builder = KerasCell(stack)
    builder.build(2)
    inputs = tf.random.normal((2, 4, 2))
    state = builder.initial_state(sequence())
    for t in range(4):
        output, state, _ = builder.step(inputs[:, t], state, builder.constants(sequence()))
    expected = keras.layers.RNN(stack)(inputs)
    np.testing.assert_allclose(output, expected, atol=1e-6)


def test_dropout_masks_are_drawn_in_training_only_and_leave_nothing_on_the_cell():
    cell = keras.layers.LSTMCell(3, dropout=0.5, recurrent_dropout=0.5)
    builder = KerasCell(cell)
    builder.build(2)
    assert builder.constants(sequence()) == (False, [{}], {})
    with noise_of(np.array([1, 2], "uint32"), 0), noise_of_part("cells.0", 2):
        training, masks, prepared = builder.constants(sequence(training=True))
    assert training
    assert masks[0].keys() == {"_dropout_mask", "_recurrent_dropout_mask"}
    builder.step(tf.ones((2, 2)), builder.initial_state(sequence()), (training, masks, prepared))
    assert cell._dropout_mask is None
    assert cell._recurrent_dropout_mask is None


@pytest.mark.parametrize(
    ("policy", "dtype"),
    [
        ("float32", "float32"),
        ("float64", "float64"),
        ("mixed_float16", "float32"),
        ("mixed_bfloat16", "float32"),
        ("bfloat16", "float32"),
    ],
)
def test_systems_compute_in_float32_at_least(policy, dtype):
    assert addressing_dtype(keras.DTypePolicy(policy)) == dtype
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        system = Attention(AttentionConfig(width=1))
    finally:
        keras.config.set_dtype_policy(before)
    assert system.initial_state(sequence()).position.dtype == dtype
    assert system.add_weight(shape=(1,), name="of_mine").value.dtype == dtype


def test_layers_have_the_dtype_policy_that_they_are_made_within():
    before = keras.config.dtype_policy()
    with dtype_policy("float64"):
        within = keras.layers.Dense(1)
        with dtype_policy(None):
            nested = keras.layers.Dense(1)
    assert (within.dtype_policy.name, nested.dtype_policy.name) == ("float64", "float64")
    assert keras.config.dtype_policy() == before


def test_a_cell_without_an_initial_state_of_its_own_starts_with_zeros(assert_close):
    class Bare(keras.layers.Layer):
        state_size = (2, 3)
        output_size = 2

        def call(self, inputs, states, training=False):
            del training
            return inputs + states[0], [states[0] + 1, states[1] - 1]

    cell = KerasCell(Bare())
    cell.build(2)
    sequence = Sequence(batch_size=4, timesteps=1, lengths=None, dtype="float32")
    state = cell.initial_state(sequence)
    assert_close((state.h, state.c), (np.zeros((4, 2)), np.zeros((4, 3))))
    output, state, _ = cell.step(np.ones((4, 2), "float32"), state, cell.constants(sequence))
    assert_close((output, state.h, state.c), (np.ones((4, 2)), np.ones((4, 2)), -np.ones((4, 3))))


class Duck:
    """A Builder of the last version: the methods, and no base class."""

    output_size = 2

    def build(self, input_size):
        self.input_size = input_size

    def initial_state(self, sequence):
        return {"total": tf.zeros((sequence.batch_size, 2))}

    def constants(self, sequence):
        del sequence

    def step(self, inputs, state, constants):
        total = state["total"] + inputs
        return total, {"total": total}, {}


def test_an_object_with_the_methods_of_a_builder_gets_the_defaults_of_the_others():
    builder = as_builder(Duck())
    state = builder.initial_state(sequence())
    assert builder.state_names(state) == ["total"]
    assert (builder.label, builder.sources, builder.supports_jit, builder.prepare()) == (
        "Duck",
        {},
        True,
        None,
    )


def test_what_is_neither_a_builder_nor_a_keras_cell_is_none():
    assert as_builder(object()) is None
    assert as_builder(keras.layers.Dense(2)) is None


def test_a_system_s_class_can_declare_that_xla_cannot_compile_it():
    class Python(Attention):
        supports_jit = False

    assert Python(AttentionConfig(width=1)).supports_jit is False
    assert Attention(AttentionConfig(width=1)).supports_jit is True


def test_names_of_a_state_follow_its_structure():
    nest = {"b": (1, [2, 3]), "a": TwoSums}
    assert structure_names(nest) == ["a", "b.0", "b.1.0", "b.1.1"]
    assert structure_names(7) == [""]


def test_the_masks_of_a_stack_are_drawn_for_each_of_its_cells():
    stack = keras.layers.StackedRNNCells(
        [keras.layers.LSTMCell(3, recurrent_dropout=0.5), keras.layers.GRUCell(2, dropout=0.5)]
    )
    builder = KerasCell(stack)
    builder.build(4)
    assert builder.stochastic == "training"
    with noise_of(np.array([1, 2], "uint32"), 0), noise_of_part("cells.0", 2):
        _, (first, second), _ = builder.constants(sequence(training=True))
    assert [mask.shape for mask in keras.tree.flatten(first)] == [(2, 3)] * 4  # one for each gate
    assert [mask.shape for mask in keras.tree.flatten(second)] == [(2, 3)]


class Matrix(keras.layers.Layer):
    """A cell whose state is a matrix and a vector."""

    state_size = [(2, 3), 3]  # noqa: RUF012, as Keras takes it
    output_size = 3

    def call(self, inputs, states, training=False):
        matrix, total = states
        new = matrix * 0.5 + inputs[:, :2, None] * total[:, None]
        return keras.ops.sum(new, axis=1), [new, total + 1]


def test_a_keras_cell_may_have_a_matrix_for_a_state():
    builder = KerasCell(Matrix())
    builder.build(2)
    state = builder.initial_state(sequence())
    assert [tuple(tensor.shape) for tensor in state] == [(2, 2, 3), (2, 3)]
    inputs = tf.ones((2, 2))
    for _ in range(2):
        output, state, _ = builder.step(inputs, state, builder.constants(sequence()))
    np.testing.assert_array_equal(output, np.full((2, 3), 2.0))


def test_a_cell_that_says_that_xla_cannot_compile_it_is_believed():
    class NotCompiled(keras.layers.SimpleRNNCell):
        supports_jit = False

    assert not KerasCell(NotCompiled(2)).supports_jit


class Stateless(keras.layers.Layer):
    """A Keras cell without a state."""

    def __init__(self, state_size=(), **settings):
        super().__init__()
        self.state_size = state_size
        for name, value in settings.items():
            setattr(self, name, value)

    def call(self, inputs, states):
        return inputs * 2, states


def test_a_keras_cell_may_have_no_state():
    for empty in ([], ()):
        outputs = Superloop(cells=[Stateless(empty, output_size=3)])(np.ones((2, 4, 3)))
        np.testing.assert_array_equal(outputs, np.full((2, 4, 3), 2))
    with pytest.raises(PluginError, match="Stateless: a cell without a state must say its 'output_size'"):
        KerasCell(Stateless())
    for odd in (0, None, -1, [3, None]):
        with pytest.raises(PluginError, match="'state_size' must be a number >= 1, or a list of numbers"):
            KerasCell(Stateless(odd, output_size=3))
