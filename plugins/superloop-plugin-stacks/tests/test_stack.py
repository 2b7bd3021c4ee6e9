"""The stack against worked steps, recorded answers, and the equations in plain NumPy."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from superloop_plugin_stacks import StackConfig
from superloop_plugin_stacks.stack import Stack, StackState

from superloop_core import Sequence, Superloop
from superloop_core.builder import dtype_policy

RECORDED = Path(__file__).parent / "recordings/stack.npz"


def stack(dtype="float32", **config):
    with dtype_policy(dtype):
        system = Stack(StackConfig(**config))
    system.build(system.control_size)
    return system


def run(system, controls):
    """Take the steps of ``(timesteps, batch, control)``; give every read, and the last cells."""
    batch, dtype = controls.shape[1], system.variable_dtype
    sequence = Sequence(batch_size=batch, timesteps=len(controls), lengths=None, dtype=dtype)
    state, reads = system.initial_state(sequence), []
    for control in controls:
        read, state, _ = system.step(tf.constant(control, dtype), state, {})
        reads.append(read.numpy())
    return np.stack(reads), state.cells.numpy()


def softmax(scores):
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return shares / shares.sum(axis=-1, keepdims=True)


def plain(config, controls, query=None):
    """The equations, cell by cell."""
    timesteps, batch, _ = controls.shape
    s = np.full((batch, config.stacks, config.depth, config.width), float(config.empty))
    filled = np.zeros((batch, config.stacks, config.depth))
    reads = np.zeros((timesteps, batch, config.stacks, config.top_cells * config.width))
    for t in range(timesteps):
        for b in range(batch):
            every = controls[t, b, : config.stacks * config.actions]
            together = softmax(every)
            for k in range(config.stacks):
                own = slice(k * config.actions, (k + 1) * config.actions)
                a = together[own] if config.superposition == "joint" else softmax(every[own])
                start = config.stacks * config.actions + k * config.width
                value = controls[t, b, start : start + config.width]
                value = 1 / (1 + np.exp(-value)) if config.value == "sigmoid" else value
                new, in_use = np.zeros_like(s[b, k]), np.zeros(config.depth)
                for i in range(config.depth):
                    last = i + 1 == config.depth
                    above = value if i == 0 else s[b, k, i - 1]
                    below = config.empty if last else s[b, k, i + 1]
                    stay = a[2] if config.no_op else 0
                    new[i] = a[0] * above + a[1] * below + stay * s[b, k, i]
                    pushed = 1 if i == 0 else filled[b, k, i - 1]
                    in_use[i] = a[0] * pushed + stay * filled[b, k, i]
                    in_use[i] += 0 if last else a[1] * filled[b, k, i + 1]
                s[b, k], filled[b, k] = new, in_use
                if config.read == "attention":
                    scores = [float(query[k] @ (in_use[i] * new[i])) for i in range(config.depth)]
                    reads[t, b, k] = softmax(np.array(scores)) @ new
                else:
                    reads[t, b, k] = np.concatenate([new[i] for i in range(config.top_cells)])
    return reads.reshape(timesteps, batch, -1), s


def test_the_worked_steps():
    """Three steps of (push, pop, stay; value), checked by hand."""
    steps = [((0.8, 0.1, 0.1), (1, 2)), ((0.6, 0.3, 0.1), (3, -1)), ((0.1, 0.7, 0.2), (5, 5))]
    controls = np.array([[[*np.log(actions), *value]] for actions, value in steps])
    reads, cells = run(stack(depth=4, width=2), controls)
    np.testing.assert_allclose(cells[0, 0, :3], [[1.212, 1.084], [0.284, 0.148], [0.048, 0.096]], atol=1e-6)
    np.testing.assert_allclose(reads[-1, 0], [1.212, 1.084], atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    config=st.builds(
        dict,
        depth=st.integers(2, 4),
        width=st.integers(1, 3),
        stacks=st.integers(1, 3),
        no_op=st.booleans(),
        value=st.sampled_from(["linear", "sigmoid"]),
        superposition=st.sampled_from(["each", "joint"]),
        empty=st.sampled_from([0, -1]),
        read=st.sampled_from([{"read": "attention"}, {"top_cells": 1}, {"top_cells": 2}]),
    ),
    seed=st.integers(0, 999),
)
def test_for_all_settings_it_computes_the_equations(config, seed):
    rng = np.random.default_rng(seed)
    system = stack(dtype="float64", **config | config.pop("read"))
    controls = rng.normal(scale=3, size=(4, 2, system.control_size))
    query = rng.normal(size=(system.config.stacks, system.config.width))
    if system.config.read == "attention":
        system.query.assign(query)
    reads, cells = run(system, controls)
    expected_reads, expected_cells = plain(system.config, controls, query)
    np.testing.assert_allclose(reads, expected_reads, rtol=0, atol=1e-12)
    np.testing.assert_allclose(cells, expected_cells, rtol=0, atol=1e-12)


def test_stacks_with_one_softmax_are_the_recorded_ones():
    with np.load(RECORDED) as arrays:
        recorded = {key.removeprefix("joint/"): arrays[key] for key in arrays}
    system = stack(dtype="float64", depth=4, width=3, stacks=2, superposition="joint")
    controls = tf.constant(recorded["in/control"])  # (batch, timesteps, control)
    batch, timesteps, _ = controls.shape
    sequence = Sequence(batch_size=batch, timesteps=timesteps, lengths=None, dtype="float64")
    state, reads, cells = system.initial_state(sequence), [], []
    with tf.GradientTape() as tape:
        tape.watch(controls)
        for t in range(timesteps):
            read, state, _ = system.step(controls[:, t], state, {})
            reads.append(tf.reshape(read, (batch, 2, 3)))
            cells.append(state.cells)
        loss = tf.reduce_sum(tf.stack(reads, 1) * recorded["G/read"])
        loss += tf.reduce_sum(cells[-1] * recorded["G/cells"])
    np.testing.assert_allclose(tf.stack(reads, 1), recorded["out/read"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(tf.stack(cells, 1), recorded["trace/cells"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(tape.gradient(loss, controls), recorded["grad/control"], rtol=0, atol=1e-12)


PUSH, POP, STAY = np.eye(3) * 200 - 100


def test_with_certain_actions_it_is_a_stack():
    """Last in, first out; an empty stack gives zeros; a full one loses what is deepest."""
    pushes = [[*PUSH, value] for value in (1, 2, 3)]
    rest = [[*STAY, 9], [*POP, 9], [*POP, 9], [*POP, 9], [*POP, 9]]
    reads, _ = run(stack(depth=3, width=1), np.array([pushes + rest]).transpose(1, 0, 2))
    np.testing.assert_allclose(reads[:, 0, 0], [1, 2, 3, 3, 2, 1, 0, 0])
    reads, _ = run(stack(depth=2, width=1), np.array([pushes + rest]).transpose(1, 0, 2))
    np.testing.assert_allclose(reads[:, 0, 0], [1, 2, 3, 3, 2, 0, 0, 0])


def test_an_emptied_stack_reads_as_one_that_was_never_used():
    """Popping more than was pushed brings -1 up from below; a pushed 0 can be told from an empty cell."""
    steps = np.array([[[*PUSH, 0]], [[*POP, 9]], [[*POP, 9]], [[*POP, 9]]])
    reads, cells = run(stack(depth=2, width=1, empty=-1), steps)
    np.testing.assert_allclose(reads[:, 0, 0], [0, -1, -1, -1])
    np.testing.assert_allclose(cells, -1)


def test_several_top_cells_are_read_from_the_top_down():
    steps = np.array([[[*PUSH, *value]] for value in ((1, 2), (3, 4), (5, 6))])
    reads, _ = run(stack(depth=3, width=2, top_cells=2), steps)
    np.testing.assert_allclose(reads[:, 0], [[1, 2, 0, 0], [3, 4, 1, 2], [5, 6, 3, 4]])


def test_one_softmax_acts_on_one_stack_only():
    """A certain push on the first stack takes every share from the second, which is emptied."""
    system = stack(depth=2, width=1, stacks=2, superposition="joint")
    sure, unsure = [100, -100, -100], [-100, -100, -100]
    steps = np.array([[[*unsure, *sure, 1, 2]], [[*sure, *unsure, 3, 4]]])
    reads, cells = run(system, steps)
    np.testing.assert_allclose(reads[:, 0], [[0, 2], [3, 0]], atol=1e-6)
    np.testing.assert_allclose(cells[0, 1], 0, atol=1e-6)


def test_attention_finds_the_cell_that_is_like_the_query_at_any_depth():
    system = stack(depth=4, width=2, read="attention")
    system.query.assign([[50.0, -50.0]])
    steps = np.array([[[*PUSH, *value]] for value in ((1, 0), (0, 1), (0, 2))])
    reads, _ = run(system, steps)
    np.testing.assert_allclose(reads[:, 0], [[1, 0]] * 3, atol=1e-5)


def test_attention_does_not_score_the_numbers_of_empty_cells():
    """-1 in three empty cells would win by its product with the query, but they score 0."""
    system = stack(depth=4, width=1, read="attention", empty=-1)
    system.query.assign([[-30.0]])
    reads, _ = run(system, np.array([[[*PUSH, -0.5]]]))
    np.testing.assert_allclose(reads, [[[-0.5]]], atol=1e-5)


def test_stacks_side_by_side_do_not_know_of_each_other():
    both = [[*PUSH, *PUSH, 1, 5], [*POP, *PUSH, 2, 6], [*STAY, *POP, 3, 7]]
    reads, _ = run(stack(depth=3, width=1, stacks=2), np.array([both]).transpose(1, 0, 2))
    np.testing.assert_allclose(reads[:, 0], [[1, 5], [0, 6], [0, 5]])


@pytest.mark.slow
def test_a_thousand_steps_and_their_gradient_stay_finite():
    layer = Superloop(
        {
            "inputs": 2,
            "outputs": 1,
            "cells": [{"use": "gru", "units": 4}],
            "systems": [{"use": "stack", "depth": 8, "width": 2}],
        },
        jit_compile=True,
    )
    inputs = tf.random.stateless_normal((2, 1000, 2), seed=(1, 2))
    layer(inputs)
    rng = np.random.default_rng(0)
    layer.set_weights([rng.normal(size=weight.shape) for weight in layer.weights])

    @tf.function(autograph=False)
    def gradient():
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(layer(inputs, training=True))
        return tape.gradient(total, [weight.value for weight in layer.weights])

    for slope in gradient():
        assert np.isfinite(slope).all()


@pytest.mark.parametrize("no_op", [True, False])
def test_each_action_does_what_its_label_in_pictures_says(no_op):
    system = stack(depth=3, width=1, no_op=no_op)
    before = StackState(tf.constant([[[[1.0], [2.0], [3.0]]]]))
    tops = {}
    for index, label in enumerate(system.slot_names["actions"]):
        scores = [50.0 * (index == other) for other in range(system.config.actions)]
        read, *_ = system.step(tf.constant([[*scores, 7.0]]), before, {})
        tops[label] = float(read[0, 0])
    assert tops == {"push": 7, "pop": 2} | ({"stay": 1} if no_op else {})


@pytest.mark.parametrize(
    "wrong",
    [
        {"depth": 0},
        {"width": 0},
        {"stacks": 0},
        {"top_cells": 0},
        {"top_cells": 3, "depth": 2},
        {"top_cells": 2, "read": "attention"},
        {"empty": 1},
    ],
)
def test_invalid_settings_are_rejected(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        StackConfig(**wrong)
