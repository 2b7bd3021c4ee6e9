"""Connections of systems: the timestep at which information arrives, in each of them."""

from typing import NamedTuple

import attrs
import keras
import numpy as np
import pytest
import tensorflow as tf

from superloop_core import (
    ConfigError,
    Sequence,
    Superloop,
    SuperloopCell,
    SuperloopError,
    System,
    draw_uniform,
)
from superloop_core.builder import KerasCell
from superloop_core.loop.wiring import Wire, Wiring

STACK = {"use": "stack", "depth": 3, "width": 2}
GRU = {"use": "gru", "units": 4}
LOOP = {"use": "superloop", "loop": {"cells": [GRU], "systems": [STACK | {"id": "own"}]}}


@attrs.frozen(kw_only=True)
class EchoConfig:
    control_size = 1
    output_size = 1


class EchoState(NamedTuple):
    last: tf.Tensor  # (batch, 1)


class Echo(System):
    """Reads the control plus 10 times what is stored, and stores the control."""

    control_kernel_initializer = "ones"

    def initial_state(self, sequence):
        return EchoState(tf.zeros((sequence.batch_size, 1)))

    def step(self, control, state, constants):
        return control + 10 * state.last, EchoState(control), {}


class Sum(keras.layers.Layer):
    """A cell without memory: its output is the sum of its inputs."""

    state_size = 1
    output_size = 1

    def call(self, inputs, states, training=False):
        return tf.reduce_sum(inputs, axis=-1, keepdims=True), states

    def get_initial_state(self, batch_size=None):
        return [tf.zeros((batch_size, 1))]


def run(inputs, cells=1, wires=None, systems=("memo",), **settings):
    """Return the traces of every timestep of one sequence, ``(timesteps,)`` each; all weights are ones.

    ``cells`` are Builders, or a number of cells that add their inputs.
    """
    shared = wires or {}
    made = {id: Echo(EchoConfig()) for id in systems if not shared.get(id, Wire()).shares}
    of_ids = {id: made[shared[id].shares if id in shared and shared[id].shares else id] for id in systems}
    cells = [KerasCell(Sum()) for _ in range(cells)] if isinstance(cells, int) else cells
    wiring = Wiring(cells, of_ids, wires=shared, **settings)
    wiring.build(1)
    for weight in wiring.trainable_variables:
        if weight.name == "kernel":
            weight.assign(tf.ones_like(weight))
    steps = len(inputs)
    sequence = Sequence(batch_size=1, timesteps=steps, lengths=tf.fill([1], steps), dtype="float32")
    state, constants, taken = wiring.initial_state(sequence), wiring.constants(sequence), []
    for number in inputs:
        _, state, traces = wiring.step(tf.constant([[float(number)]]), state, constants)
        taken.append(traces)
    return {name: [float(one[name][0, 0]) for one in taken] for name in taken[0]}


def test_a_read_vector_arrives_at_the_cell_one_timestep_later():
    seen = run([1, 0, 0])
    # The cell: 1; the memory reads 1, and at the next timestep 1 + 10, which is the cell's input after it.
    assert seen["cells.0.output"] == [1, 1, 11]
    assert seen["memo.read"] == [0, 1, 11]


def test_without_feedback_it_arrives_at_the_output_in_the_same_timestep_and_never_at_the_cell():
    seen = run([1, 0, 0], wires={"memo": Wire(feedback=False)}, outputs=1)
    assert seen["cells.0.output"] == [1, 0, 0]
    assert seen["memo.read"] == [1, 10, 0]
    assert seen["outputs"] == [1 + 1, 10, 0]


def test_with_feedforward_it_arrives_at_both():
    seen = run([1, 0, 0], wires={"memo": Wire(feedforward=True)}, outputs=1)
    assert seen["cells.0.output"] == [1, 1, 11]
    assert seen["outputs"] == [1 + 1, 1 + 11, 11 + 21]


def test_between_cells_it_arrives_at_the_next_cell_in_the_same_timestep():
    seen = run([1, 0, 0], cells=2, wires={"memo": Wire(cell=0, feedback=False)})
    assert seen["cells.0.output"] == [1, 0, 0]
    assert seen["cells.1.output"] == seen["outputs"] == [1 + 1, 10, 0]


def test_the_first_cell_may_be_the_one_that_controls():
    wired = {"cells": 2, "residual": [1]}  # the second cell doubles
    assert run([1, 0], **wired)["memo.control"] == [2, 4]
    assert run([1, 0], **wired, wires={"memo": Wire(cell=0)})["memo.control"] == [1, 1]


def test_a_control_may_see_the_read_vector_of_another_system_in_the_same_timestep():
    wires = {"a": Wire(feedback=False), "b": Wire(feedback=False, reads=("a",))}
    seen = run([1, 0, 0], systems=("a", "b"), wires=wires, outputs=1)
    assert seen["a.read"] == [1, 10, 0]
    assert seen["b.control"] == [1 + 1, 10, 0]


def test_systems_that_share_a_memory_take_turns_at_it_in_each_timestep():
    wires = {"a": Wire(cell=0, feedback=False), "b": Wire(feedback=False, shares="a")}
    seen = run([1, 2, 0], cells=2, systems=("a", "b"), wires=wires, outputs=1)
    assert seen["a.control"] == [1, 2, 0]
    assert seen["a.read"] == [1, 2 + 10 * 2, 0 + 10 * 24]  # what b stored in the timestep before
    assert seen["b.control"] == [1 + 1, 2 + 22, 0 + 240]  # the second cell sees a's read vector
    assert seen["b.read"] == [2 + 10 * 1, 24 + 10 * 2, 240 + 10 * 0]  # what a stored in this one
    assert seen["a.last"] == [0, 2, 24]


def test_what_one_nested_loop_stores_another_reads_in_the_same_timestep():
    """Two loops, each with a cell and a memory of its own, control one more memory."""

    def inner():
        return Wiring([KerasCell(Sum())], {"own": Echo(EchoConfig())})

    wires = {"a": Wire(cell=0, feedback=False), "b": Wire(feedback=False, shares="a")}
    seen = run([1, 2, 0], cells=[inner(), inner()], systems=("a", "b"), wires=wires, outputs=1)
    # The first loop: its input, and what it read from its own memory in the timestep before.
    assert seen["a.control"] == [1, 2 + 1, 0 + 13]
    assert seen["cells.0.own.last"] == [0, 1, 3]
    # The second loop: the output of the first, the read vector a, and what it read from its own memory.
    assert seen["b.control"] == [1 + 1, 3 + 23 + 2, 13 + 293 + 48]
    assert seen["cells.1.own.last"] == [0, 2, 28]
    # Each reads its control, and 10 times what the other stored: b in this timestep, a in the one before.
    assert seen["b.read"] == [2 + 10 * 1, 28 + 10 * 3, 354 + 10 * 13]
    assert seen["a.read"] == [1, 3 + 10 * 2, 13 + 10 * 28]
    assert seen["outputs"] == [2 + 12, 28 + 58, 354 + 484]


def test_a_residual_connection_adds_what_is_below_and_no_read_vector():
    seen = run([1, 0, 0], residual=[0])
    assert seen["outputs"] == [1 + 1, 2, 2 + 20]
    assert seen["cells.0.output"] == [1, 2, 22]


def test_a_normalized_input_has_mean_0_and_deviation_1_for_each_row():
    cell = keras.layers.SimpleRNNCell(3, activation=None)
    wiring = Wiring([KerasCell(cell)], {}, normalized=[0])
    wiring.build(4)
    cell.set_weights([np.eye(4, 3), np.zeros((3, 3)), np.zeros(3)])
    x = np.array([[1.0, 2, 3, 6], [0, 0, 4, 4]], "float32")
    sequence = Sequence(batch_size=2, timesteps=1, lengths=tf.ones(2, "int32"), dtype="float32")
    output, _, _ = wiring.step(tf.constant(x), wiring.initial_state(sequence), wiring.constants(sequence))
    expected = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-3)
    np.testing.assert_allclose(output, expected[:, :3], rtol=1e-5)


def test_think_steps_are_timesteps_with_an_input_of_zeros():
    alone = run([1, 0, 0, 3, 0, 0])
    thinking = run([1, 3], think_steps=2)
    for name in ("outputs", "memo.control", "cells.0.output"):
        assert thinking[name] == alone[name][2::3], name
    for name in ("memo.read", "memo.last"):  # before the timestep
        assert thinking[name] == alone[name][0::3], name


QUEUE = {"use": "neural_queue", "id": "q", "capacity": 0, "width": 2}


@pytest.mark.parametrize(
    "config", [{"think_steps": 1, "systems": [QUEUE]}, {"systems": [QUEUE, {"id": "b", "shares": "q"}]}]
)
def test_a_memory_with_a_slot_for_each_timestep_is_refused_where_a_timestep_is_several_steps(config):
    with pytest.raises(SuperloopError, match=r"q: .*capacity"):
        Superloop({"inputs": 2, "cells": [GRU], **config})(np.zeros((3, 6, 2), "float32"))


@pytest.mark.parametrize("kind", ["cell", "system"])
def test_a_nested_loop_may_think(kind):
    inner = {"use": "superloop", "loop": {"inputs": 0, "cells": [GRU], "think_steps": 1}}
    if kind == "system":
        inner["loop"] |= {"inputs": 2, "outputs": 2}
        parts = {"cells": [GRU], "systems": [inner]}
    else:
        parts = {"cells": [inner]}
    traces = Superloop({"inputs": 2, **parts}, traces="all")(np.ones((3, 4, 2), "float32"))
    path = "cells.0.cells.0.h" if kind == "cell" else "superloop.cells.0.h"
    assert np.all(np.asarray(traces[path])[:, 0] == 0)  # the state before the first step


WIRED = {
    "no feedback": {"cells": [{"use": "dense", "units": 4}], "systems": [STACK | {"feedback": False}]},
    "between cells": {
        "cells": [GRU, GRU | {"residual": True, "layer_norm": True}],
        "systems": [STACK | {"controlled_by": 0, "feedback": False, "learn_initial_state": True}],
    },
    "one after the other": {
        "cells": [GRU],
        "systems": [
            STACK | {"id": "a", "feedforward": True},
            {"use": "attention", "id": "tape", "width": 2, "reads": ["a"]},
            {"id": "b", "shares": "a", "reads": ["a", "tape"], "learn_initial_read": True},
        ],
    },
    "two loops": {
        "cells": [LOOP, LOOP],
        "systems": [STACK | {"controlled_by": 0, "feedforward": True}, {"id": "b", "shares": "stack"}],
    },
    "thinking": {
        "think_steps": 1,
        "cells": [GRU | {"layers": 2, "layer_norm": True, "dropout": 0.2}],
        "systems": [STACK],
    },
}


def drawn(config):
    """Return a loop with random weights, and a batch of sequences of several lengths."""
    rng = np.random.default_rng(0)
    keras.utils.set_random_seed(0)
    loop = Superloop({"inputs": 2, "outputs": 3} | config)
    shapes = {name: [4 if size is None else size for size in s] for name, s in loop.input_shapes.items()}
    feed = {name: rng.normal(size=(3, *shape)).astype("float32") for name, shape in shapes.items()}
    loop.build({name: array.shape for name, array in feed.items()})
    for weight in loop.trainable_variables:
        weight.assign(rng.normal(scale=0.5, size=weight.shape))
    return loop, feed | {"lengths": np.array([4, 2, 3])}


@pytest.mark.slow
@pytest.mark.parametrize("wired", WIRED)
def test_every_wiring_has_the_same_outputs_and_gradients_unrolled_and_compiled(wired):
    loop, feed = drawn(WIRED[wired])
    compiled = Superloop(loop.config, jit_compile=True)
    compiled.build({name: array.shape for name, array in feed.items()})
    compiled.set_weights(loop.get_weights())

    def with_slopes(layer):
        with tf.GradientTape() as tape:
            outputs = layer(feed)
            loss = tf.reduce_sum(outputs**2)
        return outputs, tape.gradient(loss, layer.trainable_variables)

    plain, slopes = with_slopes(loop)  # step by step in Python
    outputs, others = tf.function(with_slopes, autograph=False)(compiled)
    np.testing.assert_allclose(outputs, plain, rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(slopes, others, strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("wired", WIRED)
def test_a_session_takes_the_steps_of_every_wiring(wired):
    loop, feed = drawn(WIRED[wired])
    sources = {name: array for name, array in feed.items() if name not in ("inputs", "lengths")}
    session = loop.session(sources, batch_size=3)
    steps = [session.step(feed["inputs"][:, t]) for t in range(4)]
    np.testing.assert_allclose(steps[3][0], loop(feed)[0, 3], rtol=1e-4, atol=1e-5)


def test_a_model_with_all_connections_is_saved(tmp_path):
    loop, feed = drawn(
        WIRED["one after the other"] | {"cells": [GRU, GRU | WIRED["between cells"]["cells"][1]]}
    )
    inputs = loop.symbolic_inputs(lengths=True)
    model = keras.Model(inputs, loop(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for before, after in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(loaded.layers[-1](feed), loop(feed))


def test_a_wiring_can_be_a_cell_of_keras_and_nested():
    config = {"inputs": 2, "outputs": 3} | WIRED["between cells"]
    cell = SuperloopCell(config)
    x = np.random.default_rng(0).normal(size=(2, 3, 2)).astype("float32")
    rnn = keras.layers.RNN(cell, return_sequences=True)
    loop = Superloop(config)
    expected = loop(x)
    rnn.build(x.shape)
    cell.set_weights(loop.get_weights())
    np.testing.assert_allclose(rnn(x), expected, rtol=1e-5, atol=1e-6)
    inner = {"outputs": 2, "cells": [GRU], "systems": [STACK | {"feedback": False}]}
    outer = Superloop({"inputs": 2, "cells": [{"use": "superloop", "loop": inner}]})
    assert outer(x).shape == (2, 3, 2)


class Noisy(Echo):
    stochastic = True

    def step(self, control, state, constants):
        noise = draw_uniform((1,))
        return noise, state, {"noise": noise, "losses.noise": noise[:, 0]}


def test_each_think_step_draws_noise_of_its_own_and_losses_are_added():
    keras.utils.set_random_seed(3)
    noisy = [{"use": Noisy(EchoConfig()), "id": "a"}]
    loop = Superloop(cells=[GRU], systems=noisy, think_steps=2, traces=["a.*"])
    result = loop(np.zeros((2, 3, 1), "float32"))
    drawn = result["a.noise"].numpy()
    assert len(np.unique(drawn)) == drawn.size
    thought = float(loop.losses[0])  # the mean over rows of the sum over timesteps and their steps
    assert thought > drawn.sum(axis=1).mean()


@pytest.mark.parametrize(
    ("systems", "rule"),
    [
        ([STACK | {"reads": ["x"]}], "systems[0] \"stack\": 'reads' must name systems that take their steps"),
        ([STACK | {"reads": ["b"]}, STACK | {"id": "b"}], "'reads' must name systems"),
        ([STACK, STACK | {"id": "b", "reads": ["stack", "stack"]}], "must name a system once"),
        ([STACK | {"controlled_by": 2}], "'controlled_by' must be the number of a cell, at most 1: 2"),
        ([STACK | {"feedback": False}], "'feedback = false' needs outputs >= 1 or a cell above"),
        ([STACK | {"feedforward": True}], "'feedforward = true' needs outputs >= 1"),
        ([STACK | {"controlled_by": 0, "feedback": False, "learn_initial_read": True}], "needs feedback"),
        ([{"id": "b", "shares": "a"}], "'shares' must be the id of a system before it"),
        ([STACK, {"id": "b", "shares": "stack"}, {"id": "c", "shares": "b"}], "one of stack: 'b'"),
        ([STACK, {"id": "b", "shares": "stack", "depth": 4}], "no setting 'depth'"),
        ([STACK, {"id": "b", "shares": "stack", "settings": {"depth": 4}}], "no setting 'settings'"),
        ([STACK, {"id": "b", "shares": "stack", "given": 3}], "no setting 'given'"),
        ([STACK, {"id": "b", "shares": "stack", "learn_initial_state": True}], "set it there"),
        ([STACK, {"id": "b", "shares": "stack", "use": "stack"}], "leave it out"),
        ([STACK, {"shares": "stack"}], "'id' is missing"),
    ],
)
def test_connections_that_cannot_be_are_refused(systems, rule):
    with pytest.raises(ConfigError) as error:
        Superloop({"inputs": 2, "cells": [GRU, GRU], "systems": systems})
    assert rule in str(error.value)


def test_a_residual_connection_between_different_sizes_is_refused():
    loop = Superloop({"inputs": 2, "cells": [GRU | {"residual": True}]})
    with pytest.raises(
        ConfigError, match=r"cells.0: 'residual' adds the output of the external input.* 2 and 4"
    ):
        loop.build((None, None, 2))


@attrs.frozen(kw_only=True)
class OlderConfig(EchoConfig):
    reads: int = 2


class Older(System[OlderConfig]):
    """A system of an older version, with a setting that is now a word of the loop."""

    initial_state = Echo.initial_state
    step = Echo.step


def test_a_setting_of_a_plugin_is_the_plugins_though_it_has_the_name_of_a_connection():
    loop = Superloop({"inputs": 1, "cells": [GRU], "systems": [{"use": Older, "reads": 3}]})
    assert loop.config.systems[0].settings.reads == 3
    assert loop.config.systems[0].reads == ()
