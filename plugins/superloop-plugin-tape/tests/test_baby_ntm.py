"""Tests of the memory of the Baby-NTM: worked steps, recorded answers, and the operations as matrices."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from superloop_plugin_tape import BabyNTMConfig
from superloop_plugin_tape.baby_ntm import BabyNTM, BabyNTMState

from superloop_core import Sequence
from superloop_core.builder import dtype_policy

RECORDED = Path(__file__).parent / "recordings/baby_ntm.npz"
LEFT, RIGHT, STAY, PUSH, POP = np.eye(5) * 200 - 100


def memory(**config):
    """Return a BabyNTM that computes in float64."""
    with dtype_policy("float64"):
        return BabyNTM(BabyNTMConfig(**config))


def run(system, controls):
    """Step through controls ``(timesteps, batch, control)``; return the reads and the cells of each step."""
    batch, timesteps = controls.shape[1], len(controls)
    sequence = Sequence(batch_size=batch, timesteps=timesteps, lengths=None, dtype="float64")
    state, reads, cells = system.initial_state(sequence), [], []
    for control in tf.unstack(tf.convert_to_tensor(controls)):
        read, state, _ = system.step(control, state, ())
        reads.append(read)
        cells.append(state.cells)
    return tf.stack(reads), tf.stack(cells)


def logit(share):
    return np.log(share / (1 - share))


def matrices(n):
    """Return the operations on a column of n slots, in the order of the actions."""
    left = np.roll(np.eye(n), 1, axis=1)  # the row i picks slot i + 1
    down, up = np.eye(n, k=-1), np.eye(n, k=1)
    return np.stack([left, left.T, np.eye(n), down, up])


def plain(config, controls):
    """Compute the equations with matrices."""
    timesteps, batch, _ = controls.shape
    m = np.zeros((batch, config.memories, config.slots, config.width))
    operations = matrices(config.slots)
    cells = []
    for t in range(timesteps):
        scores, values = np.split(controls[t], [config.memories * 5], axis=-1)
        shares = np.exp(scores.reshape(batch, config.memories, 5))
        shares /= shares.sum(axis=-1, keepdims=True)
        m = np.einsum("bka,amn,bknw->bkmw", shares, operations, m)
        m[:, :, 0] += 1 / (1 + np.exp(-values.reshape(batch, config.memories, config.width)))
        cells.append(m)
    return np.stack(cells)


@settings(max_examples=25, deadline=None)
@given(
    config=st.builds(
        BabyNTMConfig, slots=st.integers(1, 5), width=st.integers(1, 3), memories=st.integers(1, 3)
    ),
    seed=st.integers(0, 999),
)
def test_steps_compute_the_equations_for_all_settings(config, seed):
    controls = np.random.default_rng(seed).normal(scale=3, size=(5, 2, config.control_size))
    with dtype_policy("float64"):
        reads, cells = run(BabyNTM(config), controls)
    expected = plain(config, controls)
    np.testing.assert_allclose(cells, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(reads, expected[:, :, :, 0].reshape(5, 2, -1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("case", ["mixed", "sharp"])
def test_memories_and_gradients_are_the_recorded_ones(case):
    with np.load(RECORDED) as arrays:
        recorded = {key.removeprefix(f"{case}/"): arrays[key] for key in arrays if key.startswith(case)}
    slots, width = recorded["G/memory"].shape
    system = memory(slots=slots, width=width)
    actions, value = tf.constant(recorded["in/actions"]), tf.constant(recorded["in/value"])
    with tf.GradientTape() as tape:
        tape.watch([actions, value])
        reads, cells = run(system, tf.concat([actions, value], axis=-1)[:, None])
        loss = tf.reduce_sum(reads[:, 0] * recorded["G/read"])
        loss += tf.reduce_sum(cells[-1, 0, 0] * recorded["G/memory"])
    np.testing.assert_allclose(reads[:, 0], recorded["out/read"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(cells[:, 0, 0], recorded["trace/memory"], rtol=0, atol=1e-12)
    of_actions, of_value = tape.gradient(loss, [actions, value])
    np.testing.assert_allclose(of_actions, recorded["grad/actions"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(of_value, recorded["grad/value"], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (LEFT, [2, 3, 4, 1]),
        (RIGHT, [4, 1, 2, 3]),
        (STAY, [1, 2, 3, 4]),
        (PUSH, [0, 1, 2, 3]),
        (POP, [2, 3, 4, 0]),
    ],
)
def test_each_action_moves_the_slots_and_adds_the_value_to_the_first(action, expected):
    system = memory(slots=4, width=1)
    before = BabyNTMState(tf.constant([[[[1.0], [2], [3], [4]]]], tf.float64))
    control = tf.constant([[*action, logit(0.25)]], tf.float64)
    read, state, named = system.step(control, before, ())
    np.testing.assert_allclose(state.cells[0, 0, :, 0], expected + np.eye(4)[0] / 4, atol=1e-12)
    np.testing.assert_allclose(read, [[expected[0] + 0.25]], atol=1e-12)
    index = int(np.argmax(action))
    assert system.slot_names["actions"][index] == ("left", "right", "stay", "push", "pop")[index]
    np.testing.assert_allclose(named["actions"][0, 0, index], 1)


def test_a_rotated_value_comes_back_and_a_popped_one_does_not():
    """A stack and a ring at once: a full turn brings the top back, as long as nothing is popped."""
    small = -1000.0
    for turns, expected in (([LEFT] * 3, 0.75), ([LEFT, LEFT, POP], 0.75), ([POP, LEFT, LEFT], 0)):
        controls = np.array([[[*PUSH, logit(0.75)]], *[[[*turn, small]] for turn in turns]])
        reads, _ = run(memory(slots=3, width=1), controls)
        np.testing.assert_allclose(reads[-1, 0], [expected], atol=1e-12)


def test_a_counter_that_only_looks_grows():
    """The value is added after a stay too: the worked difference from a tape, which replaces."""
    controls = np.array([[[*STAY, 0.0]]] * 5)
    reads, _ = run(memory(slots=3, width=1), controls)
    np.testing.assert_allclose(reads[:, 0, 0], [0.5, 1, 1.5, 2, 2.5], atol=1e-12)


@pytest.mark.parametrize("wrong", [{"slots": 0}, {"width": 0}, {"memories": 0}])
def test_memories_of_nothing_are_rejected(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        BabyNTMConfig(**wrong)
