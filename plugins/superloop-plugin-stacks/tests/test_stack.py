"""The stack against worked steps, and against the equations in plain NumPy."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from superloop_plugin_stacks import StackConfig
from superloop_plugin_stacks.stack import Stack, StackState

from superloop_core import Sequence, Superloop


def stack(**config):
    return Stack(StackConfig(**config))


def run(system, controls):
    """Take the steps of ``(timesteps, batch, control)``; give every read, and the last state."""
    batch = controls.shape[1]
    sequence = Sequence(batch_size=batch, timesteps=len(controls), lengths=None, dtype="float32")
    state, reads = system.initial_state(sequence), []
    for control in controls:
        read, state, _ = system.step(tf.constant(control, "float32"), state, {})
        reads.append(read.numpy())
    return np.stack(reads), state.cells.numpy()


def plain(config, controls):
    """The equations, cell by cell."""
    timesteps, batch, _ = controls.shape
    s = np.zeros((batch, config.stacks, config.depth, config.width))
    reads = np.zeros((timesteps, batch, config.stacks, config.width))
    for t in range(timesteps):
        for b in range(batch):
            for k in range(config.stacks):
                a = controls[t, b, k * config.actions : (k + 1) * config.actions]
                a = np.exp(a - a.max()) / np.exp(a - a.max()).sum()
                start = config.stacks * config.actions + k * config.width
                value = controls[t, b, start : start + config.width]
                value = 1 / (1 + np.exp(-value)) if config.value == "sigmoid" else value
                new = np.zeros_like(s[b, k])
                for i in range(config.depth):
                    above = value if i == 0 else s[b, k, i - 1]
                    below = s[b, k, i + 1] if i + 1 < config.depth else 0
                    new[i] = a[0] * above + a[1] * below + (a[2] * s[b, k, i] if config.no_op else 0)
                s[b, k] = new
                reads[t, b, k] = new[0]
    return reads.reshape(timesteps, batch, -1), s


def test_the_worked_steps():
    """Three steps of (push, pop, stay; value), checked by hand."""
    steps = [((0.8, 0.1, 0.1), (1, 2)), ((0.6, 0.3, 0.1), (3, -1)), ((0.1, 0.7, 0.2), (5, 5))]
    controls = np.array([[[*np.log(actions), *value]] for actions, value in steps])
    reads, cells = run(stack(depth=4, width=2), controls)
    np.testing.assert_allclose(cells[0, 0, :3], [[1.212, 1.084], [0.284, 0.148], [0.048, 0.096]], atol=1e-6)
    np.testing.assert_allclose(reads[-1, 0], [1.212, 1.084], atol=1e-6)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    config=st.builds(
        StackConfig,
        depth=st.integers(1, 4),
        width=st.integers(1, 3),
        stacks=st.integers(1, 3),
        no_op=st.booleans(),
        value=st.sampled_from(["linear", "sigmoid"]),
    ),
    seed=st.integers(0, 999),
)
def test_for_all_settings_it_computes_the_equations(config, seed):
    controls = np.random.default_rng(seed).normal(scale=3, size=(6, 2, config.control_size))
    reads, cells = run(Stack(config), controls)
    expected_reads, expected_cells = plain(config, controls)
    np.testing.assert_allclose(reads, expected_reads, atol=1e-5)
    np.testing.assert_allclose(cells, expected_cells, atol=1e-5)


PUSH, POP, STAY = np.eye(3) * 200 - 100


def test_with_certain_actions_it_is_a_stack():
    """Last in, first out; an empty stack gives zeros; a full one loses what is deepest."""
    pushes = [[*PUSH, value] for value in (1, 2, 3)]
    rest = [[*STAY, 9], [*POP, 9], [*POP, 9], [*POP, 9], [*POP, 9]]
    reads, _ = run(stack(depth=3, width=1), np.array([pushes + rest]).transpose(1, 0, 2))
    np.testing.assert_allclose(reads[:, 0, 0], [1, 2, 3, 3, 2, 1, 0, 0])
    reads, _ = run(stack(depth=2, width=1), np.array([pushes + rest]).transpose(1, 0, 2))
    np.testing.assert_allclose(reads[:, 0, 0], [1, 2, 3, 3, 2, 0, 0, 0])


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


@pytest.mark.parametrize("wrong", [{"depth": 0}, {"width": 0}, {"stacks": 0}])
def test_stacks_of_nothing_are_rejected(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        StackConfig(**wrong)
