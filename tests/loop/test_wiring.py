from typing import NamedTuple

import attrs
import keras
import numpy as np
import pytest
import tensorflow as tf

from superloop_core import ConfigError, PluginError, Sequence, SuperloopError, System
from superloop_core.builder import KerasCell
from superloop_core.loop.unroll import Unroll
from superloop_core.loop.wiring import Wiring


@attrs.frozen(kw_only=True)
class KeptConfig:
    size: int
    sources: dict = attrs.field(factory=dict)

    @property
    def control_size(self):
        return self.size

    @property
    def output_size(self):
        return self.size


class KeptState(NamedTuple):
    last: tf.Tensor  # (batch, size)


class Kept(System):
    """Answers with its control, plus its source if it has one; remembers it."""

    control_kernel_initializer = "ones"
    control_bias_initializer = keras.initializers.Constant(0.5)

    def initial_state(self, sequence):
        return KeptState(tf.fill((sequence.batch_size, self.config.size), -1.0))

    def step(self, control, state, constants):
        read = control + sum(constants.values(), start=tf.zeros_like(control))
        return read, KeptState(control), {"doubled": control * 2}


class Passing(keras.layers.Layer):
    """A cell whose output is its input, and whose state counts."""

    state_names = ("count",)
    state_size = 1

    def __init__(self, output_size):
        super().__init__()
        self.output_size = output_size

    def call(self, inputs, states, training=False):
        return inputs, [states[0] + 1]

    def get_initial_state(self, batch_size=None):
        return [tf.zeros((batch_size, 1))]


def sequence(batch=1, timesteps=3, **sources):
    lengths = tf.fill([batch], timesteps)
    return Sequence(batch_size=batch, timesteps=timesteps, lengths=lengths, dtype="float32", sources=sources)


def wired(input_size=1, build=True, **settings):
    systems = {"a": Kept(KeptConfig(size=1)), "b": Kept(KeptConfig(size=2, sources={"data": (2,)}))}
    wiring = Wiring([KerasCell(Passing(input_size + 3))], systems, **settings)
    if build:
        wiring.build(input_size)
    return wiring


DATA = {"b_data": tf.constant([[100.0, 200.0]])}


def test_the_cells_see_the_input_and_then_the_answers_of_the_systems_in_order():
    wiring, given = wired(), sequence(**DATA)
    constants = wiring.constants(given)
    output, state, _ = wiring.step(tf.constant([[7.0]]), wiring.initial_state(given), constants)
    np.testing.assert_array_equal(output, [[7, 0, 0, 0]])
    # Each control is the sum of what the cell gave, plus the bias 0.5; b adds its source.
    output, _, _ = wiring.step(tf.constant([[1.0]]), state, constants)
    np.testing.assert_array_equal(output, [[1, 7.5, 107.5, 207.5]])


def test_a_system_sees_its_own_sources_by_its_own_names_and_no_others():
    constants = wired().constants(sequence(a_data=tf.zeros((1, 1)), **DATA))
    assert constants.systems[0] == {}
    assert constants.systems[1].keys() == {"data"}


def test_traces_of_states_and_reads_stand_as_the_cells_saw_them_and_what_happened_as_it_came_to_be():
    wiring, given = wired(outputs=2), sequence(**DATA)
    state = wiring.initial_state(given)
    output, _, traces = wiring.step(tf.constant([[7.0]]), state, wiring.constants(given))
    expected = {
        "cells.0.count": [[0]],
        "cells.0.output": [[7, 0, 0, 0]],
        "a.last": [[-1]],
        "a.read": [[0]],
        "a.control": [[7.5]],
        "a.doubled": [[15]],
        "b.last": [[-1, -1]],
        "b.read": [[0, 0]],
        "b.control": [[7.5, 7.5]],
        "b.doubled": [[15, 15]],
        "outputs": output,
    }
    assert traces.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(traces[name], value, err_msg=name)


def test_the_feedback_can_be_set_and_is_dealt_out_in_the_order_of_the_systems():
    wiring, given = wired(), sequence(**DATA)
    state = wiring.with_feedback(wiring.initial_state(given), tf.constant([[1.0, 2.0, 3.0]]))
    output, _, _ = wiring.step(tf.constant([[0.0]]), state, wiring.constants(given))
    np.testing.assert_array_equal(output, [[0, 1, 2, 3]])


def test_an_output_may_read_what_the_systems_answer_in_the_same_timestep():
    wiring, given = wired(outputs=1, outputs_read_systems=True), sequence(**DATA)
    wiring.projection.set_weights([np.array([[1], [0], [0], [0], [10], [100], [1000]]), np.array([0.25])])
    output, _, _ = wiring.step(tf.constant([[7.0]]), wiring.initial_state(given), wiring.constants(given))
    np.testing.assert_allclose(output, [[7 + 10 * 7.5 + 100 * 107.5 + 1000 * 207.5 + 0.25]])


def test_without_inputs_the_cells_see_the_answers_only():
    wiring, given = wired(input_size=0), sequence(**DATA)
    output, _, _ = wiring.step(None, wiring.initial_state(given), wiring.constants(given))
    np.testing.assert_array_equal(output, [[0, 0, 0]])


def test_a_step_changes_nothing_but_what_it_returns():
    wiring, given = wired(outputs=2), sequence(**DATA)
    state, constants = wiring.initial_state(given), wiring.constants(given)
    first = wiring.step(tf.constant([[7.0]]), state, constants)
    wiring.step(tf.constant([[9.0]]), first[1], constants)
    again = wiring.step(tf.constant([[7.0]]), state, constants)
    tf.nest.map_structure(np.testing.assert_array_equal, first, again)


@pytest.mark.parametrize("static", [False, True])
def test_a_loop_can_be_the_cell_of_another(static):
    inner = wired(input_size=3, build=False)  # 2 inputs and the outer system's answer
    outer = Wiring([inner, KerasCell(keras.layers.SimpleRNNCell(2))], {"c": Kept(KeptConfig(size=1))})
    outer.build(2)
    given = sequence(batch=1, timesteps=3, **DATA)
    inputs = tf.random.stateless_normal((1, 3, 2), seed=(1, 2))
    result = Unroll(outer, static=static, traces="all")(inputs, given, outer.initial_state(given))
    assert "cells.0.b.last" in result.traces

    inner_state, read, h = inner.initial_state(given), tf.zeros((1, 1)), tf.zeros((1, 2))
    for t in range(3):
        fed = tf.concat([inputs[:, t], read], axis=-1)
        hidden, inner_state, _ = inner.step(fed, inner_state, inner.constants(given))
        h, _ = outer.cells[1].cell(hidden, [h])
        np.testing.assert_allclose(result.outputs[:, t], h, rtol=1e-5)
        read = tf.reduce_sum(h, axis=-1, keepdims=True) + 0.5
    np.testing.assert_allclose(result.state.reads[0], read, rtol=1e-5)


class Careless(Kept):
    """A system whose step gives what it is told to."""

    def __init__(self, give):
        super().__init__(KeptConfig(size=2))
        self.give = give

    def step(self, control, state, constants):
        return self.give(control, state)


MISTAKES = {
    "two values": (
        lambda control, state: (control, state),
        "memo: the step of Careless must return (output, state, dict of named tensors): 2 values",
    ),
    "no dict": (
        lambda control, state: (control, state, None),
        "memo: the step of Careless must return (output, state, dict of named tensors): 3 values",
    ),
    "a wrong answer": (
        lambda control, state: (control[:, :1], state, {}),
        "memo: the step of Careless must return an output (batch, 2), as output_size says: (1, 1)",
    ),
    "another state": (
        lambda control, state: (control, (control, control), {}),
        "memo: the step of Careless must return a state of the structure of initial_state's: ",
    ),
    "a state that grows": (
        lambda control, state: (control, KeptState(tf.concat([state.last, control], -1)), {}),
        "memo: the step of Careless must return 'memo.last' with the shape and dtype it had, (1, 2)",
    ),
    "a state of another dtype": (
        lambda control, state: (control, KeptState(tf.cast(control, "float64")), {}),
        "memo: the step of Careless must return 'memo.last' with the shape and dtype it had, (1, 2)",
    ),
    "a scalar": (
        lambda control, state: (control, state, {"norm": tf.norm(control)}),
        "memo: the step of Careless must name tensors (batch, ...), but 'norm' is none: ",
    ),
    "a name that is taken": (
        lambda control, state: (control, state, {"last": control}),
        "memo: the step of Careless must give its traces names of their own, but 'last' is: ",
    ),
    "a name of the core's": (
        lambda control, state: (control, state, {"control": control}),
        "memo: the step of Careless must give its traces names of their own, but 'control' is: ",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_step_that_breaks_the_contract_is_reported_by_system_rule_and_value(mistake):
    give, told = MISTAKES[mistake]
    wiring = Wiring([KerasCell(Passing(3))], {"memo": Careless(give)})
    wiring.build(1)
    given = sequence()
    with pytest.raises(PluginError) as refused:
        wiring.step(tf.constant([[7.0]]), wiring.initial_state(given), wiring.constants(given))
    assert str(refused.value).startswith(told)


@pytest.mark.parametrize("state", [dict, list, lambda named: named["last"]])
def test_a_state_may_be_any_nest_of_tensors(state):
    class Plain(Kept):
        def initial_state(self, sequence):
            zeros = tf.zeros((sequence.batch_size, 1))
            return state({"last": zeros}) if state is not list else [zeros]

        def step(self, control, old, constants):
            return control, tf.nest.map_structure(lambda tensor: tensor + 1, old), {}

    wiring = Wiring([KerasCell(Passing(2))], {"it": Plain(KeptConfig(size=1))})
    wiring.build(1)
    given = sequence()
    result = Unroll(wiring, traces="all")(tf.zeros((1, 3, 1)), given, wiring.initial_state(given))
    name = {dict: "it.last", list: "it.0"}.get(state, "it")
    np.testing.assert_array_equal(result.traces[name][0, :, 0], [0, 1, 2])
    assert wiring.state_names(result.state)[1] == name


def test_what_the_data_decides_the_size_of_cannot_be_learned():
    class AsWide(Kept):
        def initial_state(self, sequence):
            return KeptState(tf.zeros_like(sequence.sources["data"]))

    system = AsWide(KeptConfig(size=1, sources={"data": (None,)}))
    wiring = Wiring([KerasCell(Passing(2))], {"it": system}, learned=["it"])
    with pytest.raises(ConfigError, match=r"it\.last: cannot be learned, since its size is not in the"):
        wiring.build(1)


def test_the_state_of_a_memory_as_large_as_the_timesteps_has_a_spec_where_there_is_a_number_of_them():
    class Growing(Kept):
        def initial_state(self, sequence):
            if sequence.timesteps is None:
                raise SuperloopError("how many timesteps?")
            return KeptState(tf.zeros((sequence.batch_size, sequence.timesteps)))

    wiring = Wiring([KerasCell(Passing(2))], {"it": Growing(KeptConfig(size=1))}, learned=["cells.0"])
    wiring.build(1)  # what else is learned is not kept from it
    specs = wiring.state_specs()
    assert wiring.state_names(specs) == ["cells.0.count", "it.last", "it.read"]
    assert specs.systems[0].last.shape.as_list() == [None, None]
    with pytest.raises(SuperloopError, match="how many timesteps"):
        wiring.state_specs(timesteps=None)


def test_a_system_says_which_fields_may_be_learned():
    class Two(NamedTuple):
        weighting: tf.Tensor
        memory: tf.Tensor

    class Addressed(Kept):
        learned_fields = ("memory",)

        def initial_state(self, sequence):
            return Two(tf.ones((sequence.batch_size, 2)) / 2, tf.zeros((sequence.batch_size, 2)))

    wiring = Wiring([KerasCell(Passing(3))], {"it": Addressed(KeptConfig(size=2))}, learned=["it", "it.read"])
    wiring.build(1)
    (memory, read) = [weight for weight in wiring.trainable_weights if "initial" in weight.path]
    memory.assign([1, 2])
    read.assign([3, 4])
    state = wiring.initial_state(sequence(batch=2))
    np.testing.assert_array_equal(state.systems[0].weighting, [[0.5, 0.5]] * 2)
    np.testing.assert_array_equal(state.systems[0].memory, [[1, 2]] * 2)
    np.testing.assert_array_equal(state.reads[0], [[3, 4]] * 2)


@pytest.mark.parametrize(
    ("fields", "dtype", "reason"),
    [
        ((), "float32", "nothing of its state can be learned"),
        (("memry",), "float32", "nothing of its state can be learned"),
        ((), "complex64", "nothing of its state can be learned"),
        (None, "int32", "nothing of its state can be learned"),
        (None, "complex64", "a complex state cannot be learned"),
    ],
)
def test_learning_a_state_of_which_nothing_can_be_learned_is_rejected(fields, dtype, reason):
    class Typed(Kept):
        learned_fields = fields

        def initial_state(self, sequence):
            return KeptState(tf.zeros((sequence.batch_size, 2), dtype))

    wiring = Wiring([KerasCell(Passing(2))], {"it": Typed(KeptConfig(size=2))}, learned=["it"])
    with pytest.raises(ConfigError, match=f"it: {reason}; leave out its 'learn_initial_state'"):
        wiring.build(1)


def test_an_initializer_that_is_shared_draws_anew_for_each_system():
    random = keras.initializers.RandomNormal()
    systems = {"a": Kept(KeptConfig(size=2)), "b": Kept(KeptConfig(size=2))}
    for system in systems.values():
        system.control_kernel_initializer = random
    wiring = Wiring([KerasCell(Passing(5))], systems)
    wiring.build(1)
    assert not np.allclose(wiring.controls[0].kernel, wiring.controls[1].kernel)
