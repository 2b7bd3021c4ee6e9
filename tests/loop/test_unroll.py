from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from superloop_core import Builder, Sequence, TraceError
from superloop_core.loop.trace_selection import ALL
from superloop_core.loop.unroll import Unroll


class Total(NamedTuple):
    total: tf.Tensor


class RunningTotal(Builder):
    """The smallest Builder: it adds up what it is fed, or ones; what it does is plain to see."""

    output_size = 1
    variables = ()

    def build(self, input_size):
        del input_size

    def initial_state(self, sequence):
        return Total(tf.zeros((sequence.batch_size, 1)))

    def constants(self, sequence):
        return sequence.sources.get("factor", tf.constant(1.0))

    def step(self, inputs, state, constants):
        new = state.total + constants * (tf.ones_like(state.total) if inputs is None else inputs)
        return new * 10, Total(new), {"total": state.total, "pair": tf.stack([state.total, new], axis=-1)}


def run(inputs, *, batch=1, timesteps=None, mask=None, static=False, traces=ALL, factor=1.0):
    if inputs is not None:
        inputs = tf.convert_to_tensor(inputs, tf.float32)[..., None]  # (batch, timesteps, 1)
        batch, timesteps = inputs.shape[:2]
    sequence = Sequence(
        batch_size=batch,
        timesteps=timesteps,
        lengths=tf.fill([batch], timesteps),
        dtype="float32",
        sources={"factor": tf.convert_to_tensor(factor)},
    )
    builder = RunningTotal()
    state = builder.initial_state(sequence)
    return Unroll(builder, static=static, traces=traces)(inputs, sequence, state, mask=mask)


both = pytest.mark.parametrize("static", [False, True])
where = pytest.mark.parametrize("graph", [False, True])


@both
@where
def test_every_timestep_is_taken_once_in_order(static, graph):
    result = tf.function(run)([[1, 2, 3]], static=static) if graph else run([[1, 2, 3]], static=static)
    np.testing.assert_array_equal(result.outputs[..., 0], [[10, 30, 60]])
    np.testing.assert_array_equal(result.state.total, [[6]])
    np.testing.assert_array_equal(result.traces["total"][..., 0], [[0, 1, 3]])
    np.testing.assert_array_equal(result.traces["pair"][:, :, 0], [[[0, 1], [1, 3], [3, 6]]])


@both
def test_a_loop_without_inputs_takes_the_timesteps_of_the_sequence(static):
    result = run(None, batch=2, timesteps=3, static=static)
    np.testing.assert_array_equal(result.outputs[..., 0], [[10, 20, 30]] * 2)


@both
def test_the_number_of_timesteps_may_be_a_tensor_in_a_dynamic_loop(static):
    @tf.function(input_signature=[tf.TensorSpec((None, None, 1))], autograph=False)
    def total(inputs):
        shape = tf.shape(inputs)
        sequence = Sequence(
            batch_size=shape[0], timesteps=3 if static else shape[1], lengths=None, dtype="float32"
        )
        state = RunningTotal().initial_state(sequence)
        return Unroll(RunningTotal(), static=static, traces=["total"])(inputs, sequence, state)

    result = total(tf.ones((2, 3, 1)))
    np.testing.assert_array_equal(result.outputs[..., 0], [[10, 20, 30]] * 2)
    np.testing.assert_array_equal(result.traces["total"][..., 0], [[0, 1, 2]] * 2)


@both
def test_where_the_mask_is_false_the_state_stays_and_the_last_valid_timestep_is_repeated(static):
    mask = [[False, True, False, True, False]]
    result = run([[1, 2, 4, 8, 16]], mask=mask, static=static)
    np.testing.assert_array_equal(result.state.total, [[10]])
    np.testing.assert_array_equal(result.outputs[..., 0], [[0, 20, 20, 100, 100]])
    np.testing.assert_array_equal(result.traces["total"][..., 0], [[0, 0, 0, 2, 2]])


@both
def test_a_row_without_a_valid_timestep_keeps_its_first_state_and_gives_zeros(static):
    result = run([[1, 2], [1, 2]], mask=[[False, False], [True, True]], static=static)
    np.testing.assert_array_equal(result.state.total, [[0], [3]])
    np.testing.assert_array_equal(result.outputs[..., 0], [[0, 0], [10, 30]])


@both
def test_a_mask_of_ones_and_zeros_is_a_mask(static):
    result = run([[1, 2, 4]], mask=np.array([[1, 0, 1]]), static=static)
    np.testing.assert_array_equal(result.outputs[..., 0], [[10, 10, 50]])


@both
def test_what_stands_in_the_padding_matters_neither_to_the_answer_nor_to_the_gradient(static):
    factor = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        result = run([[1, np.nan, 3]], mask=[[True, False, True]], static=static, factor=factor)
        total = tf.reduce_sum(result.state.total)
    assert float(total) == 8
    assert float(tape.gradient(total, factor)) == 4


@both
def test_only_the_traces_asked_for_are_recorded(static):
    assert run([[1, 2]], static=static, traces=["total"]).traces.keys() == {"total"}
    assert run([[1, 2]], static=static, traces=()).traces == {}
    assert run([[1, 2]], static=static, traces=ALL).traces.keys() == {"total", "pair"}


@both
def test_traces_may_be_asked_for_by_a_pattern_and_come_once(static):
    assert run([[1, 2]], static=static, traces=["t*", "total"]).traces.keys() == {"total"}
    assert run([[1, 2]], static=static, traces=["*a*"]).traces.keys() == {"total", "pair"}
    with pytest.raises(TraceError, match="no trace 'x\\*'; there are: pair, total"):
        run([[1, 2]], static=static, traces=["x*"])


@both
@where
def test_an_unknown_trace_is_answered_with_the_nearest_name(static, graph):
    function = tf.function(run, autograph=False) if graph else run
    with pytest.raises(TraceError, match="no trace 'totl'; did you mean 'total'"):
        function([[1, 2]], static=static, traces=["totl"])


@both
def test_a_loop_compiles_under_xla_with_its_gradient(static):
    factor = tf.Variable(2.0)

    @tf.function(jit_compile=True)
    def gradient():
        with tf.GradientTape() as tape:
            result = run([[1, 2, 3]], mask=[[True, False, True]], static=static, factor=factor)
            total = tf.reduce_sum(result.outputs)
        return total, tape.gradient(total, factor)

    total, slope = gradient()
    assert float(total) == 10 * (2 + 2 + 8)
    assert float(slope) == 10 * (1 + 1 + 4)


class Counting(RunningTotal):
    """Counts how often its step is traced; adds ``shift``, which is a constant, but no tensor."""

    def __init__(self):
        self.traced = 0
        self.shift = 0.0

    def constants(self, sequence):
        return {"factor": sequence.sources["factor"], "shift": self.shift}

    def step(self, inputs, state, constants):
        self.traced += 1
        new = state.total + constants["factor"] * inputs + constants["shift"]
        return new, Total(new), {}


def test_what_was_traced_serves_another_graph_of_the_same_shapes_and_no_other():
    builder = Counting()
    loop = Unroll(builder)

    def total(values, factor=1.0):
        @tf.function(autograph=False)  # a graph of its own, each time
        def run(inputs, factor):
            sequence = Sequence(
                batch_size=1,
                timesteps=inputs.shape[1],
                lengths=None,
                dtype="float32",
                sources={"factor": factor},
            )
            return loop(inputs, sequence, builder.initial_state(sequence), jit_compile=True).state.total

        return float(run(tf.constant([values])[..., None], tf.constant(factor))[0, 0])

    assert total([1.0, 2.0]) == 3
    traced = builder.traced
    assert total([3.0, 4.0]) == 7
    assert total([3.0, 4.0], factor=2.0) == 14
    assert builder.traced == traced
    assert total([1.0, 2.0, 3.0]) == 6
    builder.shift = 10.0  # another step, by what is no tensor
    assert total([1.0, 2.0]) == 23


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_any_mask_gives_what_the_valid_timesteps_alone_give(data):
    timesteps = data.draw(st.integers(1, 5))
    row = st.lists(st.booleans(), min_size=timesteps, max_size=timesteps)
    mask = data.draw(st.lists(row, min_size=1, max_size=3))
    numbers = st.lists(st.integers(-9, 9), min_size=timesteps, max_size=timesteps)
    inputs = data.draw(st.lists(numbers, min_size=len(mask), max_size=len(mask)))
    static = data.draw(st.booleans())
    result = run(inputs, mask=mask, static=static)
    for row, (valid, values) in enumerate(zip(mask, inputs, strict=True)):
        total, expected = 0, []
        for one, value in zip(valid, values, strict=True):
            total += value if one else 0
            expected.append(total * 10)
        np.testing.assert_array_equal(result.outputs[row, :, 0], expected)
        assert float(result.state.total[row, 0]) == total
