"""The neural stack, queue and deque against worked steps, the paper's equations, and Python's containers."""

import collections

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from superloop_plugin_stacks import NeuralDequeConfig, NeuralQueueConfig, NeuralStackConfig
from superloop_plugin_stacks.neural_deque import NeuralDeque
from superloop_plugin_stacks.neural_queue import NeuralQueue
from superloop_plugin_stacks.neural_stack import NeuralStack

from superloop_core import Sequence, Superloop, SuperloopCell, SuperloopError
from superloop_core.builder import dtype_policy

KINDS = {
    "neural_stack": (NeuralStack, NeuralStackConfig, "stacks"),
    "neural_queue": (NeuralQueue, NeuralQueueConfig, "queues"),
    "neural_deque": (NeuralDeque, NeuralDequeConfig, "deques"),
}
every = pytest.mark.parametrize("kind", KINDS)


def memory(kind, *, memories=1, dtype="float64", **config):
    cls, config_class, several = KINDS[kind]
    with dtype_policy(dtype):
        return cls(config_class(**{several: memories}, **config))


def started(system, batch, timesteps=None):
    sequence = Sequence(batch_size=batch, timesteps=timesteps, lengths=None, dtype=system.variable_dtype)
    return system.initial_state(sequence)


def run(system, controls):
    """Take the steps of ``(timesteps, batch, control)``; give every read, and the last state."""
    state, reads = started(system, controls.shape[1], len(controls)), []
    for control in controls:
        read, state, _ = system.step(tf.constant(control, system.variable_dtype), state, ())
        reads.append(read.numpy())
    return np.stack(reads), state


def control_of(push, pop, value):
    """One control of one memory, of lists over its ends; strengths of 0 and 1 are exactly so."""
    logits = [{0: -1000.0, 1: 1000.0}.get(s) or np.log(s / (1 - s)) for s in (*push, *pop)]
    return [*logits, *value]


def told(kind, *steps):
    """Controls ``(timesteps, 1, control)`` of (push, pop, value); of pairs of them for a deque."""
    if kind == "neural_deque":
        steps = [tuple(zip(top, bottom, strict=True)) for top, bottom in steps]
    else:
        steps = [[[number] for number in step] for step in steps]
    return np.array([[control_of(*step)] for step in steps])


# The paper's recursion, for one memory: lists that grow, what is lowest first.


def pop(s, u, nearer):
    return [max(0, s[i] - max(0, u - nearer(s, i))) for i in range(len(s))]


def read(v, s, nearer):
    return sum(min(s[i], max(0, 1 - nearer(s, i))) * v[i] for i in range(len(s)))


def after(s, i):
    return sum(s[i + 1 :])


def before(s, i):
    return sum(s[:i])


def paper(kind, pushes, pops, values, capacity):
    """Take the steps of ``(timesteps, ends)``; give the reads, and what is held from the top on."""
    v, s, reads = [], [], []
    for d, u, value in zip(pushes, pops, values, strict=True):
        if kind == "neural_deque":
            s = pop(pop(s, u[0], after), u[1], before)
            v, s = [value[1], *v, value[0]], [d[1], *s, d[0]]
            if len(s) > 2 * capacity:
                del v[capacity : capacity + 2], s[capacity : capacity + 2]
            reads.append([read(v, s, after), read(v, s, before)])
        else:
            nearer = after if kind == "neural_stack" else before
            s = pop(s, u[0], nearer)
            v, s = [*v, value[0]][-capacity:], [*s, d[0]][-capacity:]
            reads.append([read(v, s, nearer)])
    return np.array(reads), v[::-1], s[::-1]


def expected(kind, config, controls):
    """The same of batches of several memories, as the systems are told of them."""
    timesteps, batch, _ = controls.shape
    n, ends, width = config.memories, config.ends, config.width
    strengths = 1 / (1 + np.exp(-controls[..., : 2 * n * ends]))
    strengths = strengths.reshape(timesteps, batch, 2, n, ends)
    strengths[:, :, 1] *= config.max_pop
    values = controls[..., 2 * n * ends :].reshape(timesteps, batch, n, ends, width)
    values = np.tanh(values) if config.value == "tanh" else values
    reads = np.zeros_like(values)
    held = {}
    for b in range(batch):
        for k in range(n):
            of_one = strengths[:, b, 0, k], strengths[:, b, 1, k], values[:, b, k]
            reads[:, b, k], *held[b, k] = paper(kind, *of_one, config.capacity or timesteps)
    return reads.reshape(timesteps, batch, -1), held


@pytest.mark.parametrize(
    ("kind", "reads"), [("neural_stack", [0.8, 1.5, 2.8]), ("neural_queue", [0.8, 1.3, 2.7])]
)
def test_the_worked_steps(kind, reads):
    """Three steps of (push, pop, value), checked by hand."""
    controls = told(kind, (0.8, 0, 1), (0.5, 0.1, 2), (0.9, 0.9, 3))
    actual, _ = run(memory(kind, width=1, value="linear"), controls)
    np.testing.assert_allclose(actual[:, 0, 0], reads, rtol=1e-14)


def test_the_worked_steps_of_a_deque():
    """Two steps of (push, pop, value) of the top and of the bottom, checked by hand."""
    controls = told("neural_deque", ((0.8, 0, 1), (0.6, 0, -1)), ((0.5, 0.9, 2), (0.3, 0.2, 3)))
    reads, state = run(memory("neural_deque", width=1, value="linear"), controls)
    np.testing.assert_allclose(reads[:, 0], [[0.6, -0.2], [1.3, 1.4]], rtol=1e-14)
    np.testing.assert_allclose(state.strengths[0, 0], [0.5, 0, 0.3, 0.3], rtol=1e-14)
    np.testing.assert_allclose(state.values[0, 0, :, 0], [2, 1, -1, 3], rtol=1e-14)


@pytest.mark.slow
@every
@settings(max_examples=25, deadline=None)
@given(
    config=st.fixed_dictionaries(
        {
            "capacity": st.integers(0, 4),
            "width": st.integers(1, 3),
            "memories": st.integers(1, 2),
            "value": st.sampled_from(["linear", "tanh"]),
            "max_pop": st.sampled_from([1.0, 2.5]),
        }
    ),
    timesteps=st.integers(1, 7),
    seed=st.integers(0, 999),
)
def test_for_all_settings_it_computes_the_equations(kind, config, timesteps, seed):
    system = memory(kind, **config)
    controls = np.random.default_rng(seed).normal(scale=3, size=(timesteps, 2, system.control_size))
    reads, state = run(system, controls)
    expected_reads, held = expected(kind, system.config, controls)
    np.testing.assert_allclose(reads, expected_reads, rtol=1e-12, atol=1e-12)
    for (b, k), (values, strengths) in held.items():
        unused = state.strengths.shape[2] - len(strengths)
        end = len(strengths) // system.config.ends  # a deque's unused slots are in its middle
        strengths, values = (np.insert(np.array(a), [end] * unused, 0, axis=0) for a in (strengths, values))
        np.testing.assert_allclose(state.strengths[b, k], strengths, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(state.values[b, k], values, rtol=1e-12, atol=1e-12)


whether = st.integers(0, 1)


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(st.tuples(whether, whether, st.integers(1, 99)), min_size=1, max_size=10))
@pytest.mark.parametrize("kind", ["neural_stack", "neural_queue"])
def test_with_strengths_of_0_and_1_it_is_a_list_or_a_queue(kind, steps):
    held, tops = collections.deque(), []
    for push, pop_it, value in steps:
        if pop_it and held:
            held.pop() if kind == "neural_stack" else held.popleft()
        if push:
            held.append(value)
        tops.append(held[-1 if kind == "neural_stack" else 0] if held else 0)
    reads, _ = run(memory(kind, width=1, value="linear"), told(kind, *steps))
    np.testing.assert_array_equal(reads[:, 0, 0], tops)


@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(st.tuples(*[st.tuples(whether, whether, st.integers(1, 99))] * 2), min_size=1, max_size=10)
)
def test_with_strengths_of_0_and_1_it_is_a_double_ended_queue(steps):
    held, ends = collections.deque(), []
    for (push_top, pop_top, top), (push_bottom, pop_bottom, bottom) in steps:
        if pop_top and held:
            held.pop()
        if pop_bottom and held:
            held.popleft()
        held.extend([top] * push_top)
        held.extendleft([bottom] * push_bottom)
        ends.append([held[-1], held[0]] if held else [0, 0])
    reads, _ = run(memory("neural_deque", width=1, value="linear"), told("neural_deque", *steps))
    np.testing.assert_array_equal(reads[:, 0], ends)


@pytest.mark.parametrize(("capacity", "last"), [(3, 0), (4, 1)])
def test_a_full_stack_loses_what_was_pushed_first_and_each_timestep_takes_a_slot(capacity, last):
    steps = [(1, 0, 1), (1, 0, 2), (0, 0, 9), (0, 1, 9)]
    system = memory("neural_stack", capacity=capacity, width=1, value="linear")
    reads, _ = run(system, told("neural_stack", *steps))
    np.testing.assert_array_equal(reads[:, 0, 0], [1, 2, 2, last])


def test_a_full_queue_loses_what_was_pushed_first():
    steps = [(1, 0, 1), (1, 0, 2), (1, 0, 3), (0, 0, 9), (0, 1, 9)]
    system = memory("neural_queue", capacity=2, width=1, value="linear")
    reads, _ = run(system, told("neural_queue", *steps))
    np.testing.assert_array_equal(reads[:, 0, 0], [1, 1, 2, 3, 0])


@pytest.mark.parametrize(("capacity", "last"), [(4, [0, 0]), (5, [1, -1])])
def test_a_full_deque_loses_what_was_pushed_first_at_each_end(capacity, last):
    steps = [((1, 0, t), (1, 0, -t)) for t in (1, 2, 3)] + [((0, 1, 9), (0, 1, 9))] * 2
    system = memory("neural_deque", capacity=capacity, width=1, value="linear")
    reads, _ = run(system, told("neural_deque", *steps))
    np.testing.assert_array_equal(reads[:, 0], [[1, -1], [2, -2], [3, -3], [2, -2], last])


@pytest.mark.parametrize("kind", ["neural_stack", "neural_queue"])
def test_a_deque_with_one_end_is_a_stack_and_pushed_at_one_and_popped_at_the_other_a_queue(kind):
    rng = np.random.default_rng(5)
    steps = [(*rng.uniform(0.05, 0.95, size=2), rng.normal()) for _ in range(12)]
    none = (0, 0, 9)
    if kind == "neural_stack":
        both = [(step, none) for step in steps]
    else:
        both = [((push, 0, value), (0, pop, 9)) for push, pop, value in steps]
    expected_reads, _ = run(memory(kind, width=1, value="linear"), told(kind, *steps))
    reads, _ = run(memory("neural_deque", width=1, value="linear"), told("neural_deque", *both))
    end = 0 if kind == "neural_stack" else 1
    np.testing.assert_allclose(reads[:, 0, end], expected_reads[:, 0, 0], rtol=1e-12, atol=1e-12)


@every
def test_memories_side_by_side_do_not_know_of_each_other(kind):
    rng = np.random.default_rng(3)
    several, one = (memory(kind, memories=n, capacity=3, width=2) for n in (3, 1))
    ends = one.config.ends
    parts = rng.normal(size=(6, 2, 3, one.control_size))
    amounts, values = np.split(parts, [2 * ends], axis=-1)
    amounts = amounts.reshape(6, 2, 3, 2, ends).swapaxes(2, 3)
    controls = np.concatenate([amounts.reshape(6, 2, -1), values.reshape(6, 2, -1)], axis=-1)
    reads = run(several, controls)[0].reshape(6, 2, 3, -1)
    for k in range(3):
        np.testing.assert_allclose(reads[:, :, k], run(one, parts[:, :, k])[0], rtol=1e-12)


@every
def test_an_empty_memory_gives_zeros_and_its_pop_a_gradient_of_zero(kind):
    system = memory(kind, capacity=3, width=2)
    control = tf.constant(np.random.default_rng(1).normal(size=(1, system.control_size)))
    n = system.config.ends
    with tf.GradientTape() as tape:
        tape.watch(control)
        read_of_it, state, named = system.step(control, started(system, 1), ())
    slope = tape.gradient(read_of_it, control)[0]
    assert np.isfinite(slope).all()
    np.testing.assert_array_equal(slope[n : 2 * n], 0)
    assert np.all(slope[:n] != 0)
    np.testing.assert_array_equal(state.strengths[0, 0, :1], named["push"][0, 0, :1])
    nothing = tf.constant(np.full((1, system.control_size), -1000.0))
    np.testing.assert_array_equal(system.step(nothing, started(system, 1), ())[0], 0)


@pytest.mark.slow
@every
def test_ten_thousand_random_steps_stay_finite_and_strengths_within_0_and_1(kind):
    system = memory(kind, memories=2, capacity=8, width=2, dtype="float32")

    @tf.function(jit_compile=True, autograph=False)
    def long():
        def body(t, state, largest):
            control = 20 * tf.random.stateless_normal((2, system.control_size), seed=tf.stack([t, 1]))
            read_of_it, state, _ = system.step(control, type(state)(*state), ())
            bounds = [tf.reduce_max(state.strengths), 0 - tf.reduce_min(state.strengths) + 1]
            return t + 1, state, tf.maximum(largest, tf.stack([tf.reduce_max(abs(read_of_it)), *bounds]))

        start = tf.constant(0), started(system, 2), tf.zeros(3)
        return tf.while_loop(lambda t, *_: t < 10_000, body, start)

    _, state, (read_of_it, strength, below_zero) = long()
    assert all(np.isfinite(tensor).all() for tensor in state)
    assert strength <= 1
    assert below_zero <= 1
    assert read_of_it <= 1 + 1e-5  # a mean of values within -1 and 1


def loop(kind, **config):
    return {
        "inputs": 2,
        "outputs": 1,
        "cells": [{"use": "gru", "units": 4}],
        "systems": [{"use": kind, "id": "it", "width": 2, **config}],
    }


@every
def test_pops_start_low(kind):
    """As the paper asks, in appendix B."""
    layer = Superloop(loop(kind, capacity=2))
    layer.build((1, 3, 2))
    ends = layer.config.systems[0].settings.ends
    bias = layer.wiring.controls[0].bias
    np.testing.assert_array_equal(bias, [0] * ends + [-1] * ends + [0, 0] * ends)


@every
def test_pops_start_equally_low_where_they_may_be_stronger(kind):
    system = memory(kind, width=2, capacity=2, max_pop=4.0)
    bias = system.control_bias_initializer((system.control_size,), "float64")
    _, u, _ = system.interface(bias[None])
    np.testing.assert_allclose(u, np.full((1, 1, system.config.ends), 1 / (1 + np.e)), rtol=1e-6)


def test_a_pop_of_2_removes_two_values_at_once():
    """Three values of strength 1; then u = 2, of at most 4."""
    steps = told("neural_stack", (1, 0, 1), (1, 0, 2), (1, 0, 3), (0, 0.5, 0))
    reads, state = run(memory("neural_stack", width=1, value="linear", max_pop=4.0), steps)
    np.testing.assert_allclose(reads[:, 0, 0], [1, 2, 3, 1], atol=1e-12)
    np.testing.assert_allclose(state.strengths[0, 0], [0, 0, 0, 1], atol=1e-12)


@every
def test_without_a_capacity_it_holds_as_much_as_the_sequence_is_long(kind):
    inputs = keras.Input((None, 2))
    layer = Superloop(loop(kind), traces=["it.strengths"], return_state=True, jit_compile=False)
    answer, *state = layer(inputs)
    model = keras.Model(inputs, [answer["it.strengths"], *state])
    enough = Superloop(loop(kind, capacity=9), return_state=True, jit_compile=False)
    for timesteps in (3, 6):
        feed = np.random.default_rng(2).normal(size=(2, timesteps, 2)).astype("float32")
        strengths, *state = model(feed)
        ends = layer.config.systems[0].settings.ends
        assert strengths.shape == (2, timesteps, 1, ends * timesteps)
        if not enough.built:
            enough.build(feed.shape)
        enough.set_weights(layer.get_weights())
        np.testing.assert_allclose(state[-1], enough(feed)[-1], rtol=1e-5, atol=1e-6)


@every
def test_where_the_number_of_timesteps_is_unknown_it_asks_for_a_capacity(kind):
    layer = Superloop(loop(kind))
    layer.build((1, None, 2))
    with pytest.raises(SuperloopError, match=r"^\w+: capacity = 0 means .* set 'capacity'"):
        layer.session()
    layer.session(timesteps=3).step(np.zeros((1, 2)))
    with pytest.raises(SuperloopError, match="set 'capacity'"):
        SuperloopCell(loop(kind))
    with pytest.raises(SuperloopError, match="set 'capacity'"):
        Superloop(loop(kind), stateful=True).build((1, 3, 2))
    layer = Superloop(loop(kind, capacity=2))
    layer.build((1, None, 2))
    layer.session().step(np.zeros((1, 2)))


@pytest.mark.parametrize("wrong", [{"capacity": -1}, {"width": 0}, {"queues": 0}])
def test_memories_of_nothing_are_rejected(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        NeuralQueueConfig(**wrong)
