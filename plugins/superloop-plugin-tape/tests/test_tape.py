"""Tests of the tape: worked steps, recorded answers, and the equations in NumPy."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from superloop_plugin_tape import TapeConfig
from superloop_plugin_tape.tape import Tape

from superloop_core import Sequence, SourceError, Superloop
from superloop_core.builder import dtype_policy

RECORDED = Path(__file__).parent / "recordings/tape.npz"


def tape(**config):
    """Return a Tape that computes in float64."""
    with dtype_policy("float64"):
        system = Tape(TapeConfig(**config))
    system.build(system.control_size)
    return system


def run(system, controls, lengths=None, jump=None):
    """Step through controls ``(timesteps, batch, control)``; return reads, displacements and last cells."""
    batch = controls.shape[1]
    sequence = Sequence(
        batch_size=batch,
        timesteps=len(controls),
        lengths=None if lengths is None else tf.constant(lengths, tf.int32),
        dtype="float64",
        sources={} if jump is None else {"jump": tf.constant(jump, tf.float64)},
    )
    state, constants = system.initial_state(sequence), system.constants(sequence)
    reads, displacements = [], []
    for control in controls:
        read, state, named = system.step(tf.constant(control, tf.float64), state, constants)
        reads.append(read.numpy())
        displacements.append(named["displacement"].numpy())
    return np.stack(reads), np.stack(displacements), state.cells.numpy()


def plain(config, controls, lengths):
    """Compute the equations, slot by slot."""
    timesteps, batch, _ = controls.shape
    n = config.slots
    s = np.zeros((batch, config.tapes, n, config.width))
    reads = np.zeros((timesteps, batch, config.tapes, config.width))
    for t in range(timesteps):
        for b in range(batch):
            jump = int(lengths[b])
            turns = (0, 1, -1, jump, -jump) if config.jumps else (0, 1, -1)  # new[m] = old[m + turn]
            for k in range(config.tapes):
                a = controls[t, b, k * config.actions : (k + 1) * config.actions]
                a = np.exp(a - a.max()) / np.exp(a - a.max()).sum()
                start = config.tapes * config.actions + k * config.width
                s[b, k, 0] = controls[t, b, start : start + config.width]
                new = np.zeros_like(s[b, k])
                for share, turn in zip(a, turns, strict=True):
                    for m in range(n):
                        new[m] += share * s[b, k, (m + turn) % n]
                s[b, k] = new
                reads[t, b, k] = new[0]
    return reads.reshape(timesteps, batch, -1), s


@pytest.mark.parametrize(("case", "layers"), [("linear", ()), ("mlp", (5, 4))])
def test_tapes_and_gradients_are_the_recorded_ones(case, layers):
    with np.load(RECORDED) as arrays:
        recorded = {key.removeprefix(f"{case}/"): arrays[key] for key in arrays if key.startswith(case)}
    batch, timesteps, tapes, width = recorded["out/read"].shape
    slots = recorded["trace/cells"].shape[3]
    system = tape(slots=slots, width=width, tapes=tapes, jump="source", value_layers=layers)
    weights = [kind + str(i) for i in range(len(layers)) for kind in "wb"]
    for variable, name in zip(system.trainable_variables, weights, strict=True):
        variable.assign(recorded[f"par/{name}"])
    source = {"jump": tf.fill([batch], tf.cast(recorded["par/jump"], "float64"))}
    sequence = Sequence(batch_size=batch, timesteps=timesteps, lengths=None, dtype="float64", sources=source)
    controls = tf.constant(recorded["in/control"])
    state, constants, reads, cells = system.initial_state(sequence), system.constants(sequence), [], []
    with tf.GradientTape() as slopes:
        slopes.watch(controls)
        for t in range(timesteps):
            read, state, _ = system.step(controls[:, t], state, constants)
            reads.append(tf.reshape(read, (batch, tapes, width)))
            cells.append(state.cells)
        loss = tf.reduce_sum(tf.stack(reads, 1) * recorded["G/read"])
        loss += tf.reduce_sum(cells[-1] * recorded["G/cells"])
    np.testing.assert_allclose(tf.stack(reads, 1), recorded["out/read"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(tf.stack(cells, 1), recorded["trace/cells"], rtol=0, atol=1e-9)
    of_controls, *of_weights = slopes.gradient(loss, [controls, *system.trainable_variables])
    np.testing.assert_allclose(of_controls, recorded["grad/control"], rtol=0, atol=1e-8)
    for slope, name in zip(of_weights, weights, strict=True):
        np.testing.assert_allclose(slope, recorded[f"grad/{name}"], rtol=0, atol=1e-8)


def test_hidden_layers_need_not_be_as_wide_as_the_tapes():
    config = TapeConfig(width=8, tapes=2, value_layers=(64, 3))
    assert config.control_size == 2 * 5 + 64
    with pytest.raises(ValueError, match="value_layers"):
        TapeConfig(value_layers=(4, 0))


STAY, LEFT, RIGHT, JUMP_LEFT, JUMP_RIGHT = np.eye(5) * 200 - 100


def test_the_worked_steps():
    """Write 1 and turn left; then write 2 with a mixture of all actions. Checked by hand."""
    controls = np.array([[[*LEFT, 1]], [[*np.log([0.1, 0.6, 0.1, 0.1, 0.1]), 2]]])
    _, _, cells = run(tape(slots=5, width=1), controls[:1], lengths=[2])
    np.testing.assert_allclose(cells[0, 0, :, 0], [0, 0, 0, 0, 1], atol=1e-12)
    reads, _, cells = run(tape(slots=5, width=1), controls, lengths=[2])
    np.testing.assert_allclose(cells[0, 0, :, 0], [0.3, 0.3, 0.3, 0.8, 1.3], atol=1e-12)
    np.testing.assert_allclose(reads[-1, 0], [0.3], atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    config=st.builds(
        TapeConfig,
        slots=st.integers(1, 5),
        width=st.integers(1, 3),
        tapes=st.integers(1, 3),
        jumps=st.booleans(),
    ),
    seed=st.integers(0, 999),
)
def test_steps_compute_the_equations_for_all_settings(config, seed):
    rng = np.random.default_rng(seed)
    controls = rng.normal(scale=3, size=(6, 2, config.control_size))
    lengths = rng.integers(0, 12, size=2)  # some longer than the tape
    with dtype_policy("float64"):
        reads, _, cells = run(Tape(config), controls, lengths)
    expected_reads, expected_cells = plain(config, controls, lengths)
    np.testing.assert_allclose(reads, expected_reads, rtol=0, atol=1e-12)
    np.testing.assert_allclose(cells, expected_cells, rtol=0, atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(jump=st.lists(st.integers(-9, 9), min_size=2, max_size=2), seed=st.integers(0, 999))
def test_a_source_sets_the_jump_of_each_batch_element(jump, seed):
    system = tape(slots=4, width=2, jump="source")
    controls = np.random.default_rng(seed).normal(scale=3, size=(4, 2, system.control_size))
    reads, _, cells = run(system, controls, lengths=[4, 1], jump=np.array(jump) + 0.25)
    expected_reads, expected_cells = plain(system.config, controls, jump)
    np.testing.assert_allclose(reads, expected_reads, rtol=0, atol=1e-12)
    np.testing.assert_allclose(cells, expected_cells, rtol=0, atol=1e-12)


def test_an_action_and_its_opposite_bring_back_a_written_value():
    """Write 7 and turn; write 3 and turn back: the 7 is under the head."""
    for there, back in ((LEFT, RIGHT), (RIGHT, LEFT), (JUMP_LEFT, JUMP_RIGHT), (JUMP_RIGHT, JUMP_LEFT)):
        reads, _, _ = run(tape(slots=7, width=1), np.array([[[*there, 7]], [[*back, 3]]]), lengths=[3])
        np.testing.assert_allclose(reads[:, 0, 0], [0, 7], atol=1e-12)


def test_a_jump_wraps_around_the_tape():
    reads, _, _ = run(tape(slots=3, width=1), np.array([[[*JUMP_LEFT, 7]]]), lengths=[3])
    np.testing.assert_allclose(reads[:, 0, 0], [7])
    for slots, length in ((3, 4), (5, 6)):  # the same as one turn to the left
        _, _, cells = run(tape(slots=slots, width=1), np.array([[[*JUMP_LEFT, 7]]]), lengths=[length])
        np.testing.assert_allclose(cells[0, 0, :, 0], [0] * (slots - 1) + [7], atol=1e-12)


def test_a_tape_of_one_slot_reads_what_it_writes():
    controls = np.random.default_rng(0).normal(size=(3, 1, 7))
    reads, _, _ = run(tape(slots=1, width=2), controls, lengths=[3])
    np.testing.assert_allclose(reads[:, 0], controls[:, 0, 5:], atol=1e-12)


def test_tapes_are_independent():
    both = np.array([[[*LEFT, *RIGHT, 1, 5]], [[*RIGHT, *STAY, 2, 6]]])
    reads, _, _ = run(tape(slots=4, width=1, tapes=2), both, lengths=[2])
    np.testing.assert_allclose(reads[:, 0], [[0, 0], [1, 6]], atol=1e-12)


def test_the_sum_of_displacements_is_the_position_of_the_head():
    """A mark is written at the first slot; with one-hot actions the sum is the distance to it."""
    turns = [LEFT, LEFT, JUMP_LEFT, RIGHT, STAY, JUMP_RIGHT, LEFT]
    at = np.cumsum([1, 1, 3, -1, 0, -3, 1])
    for steps in range(1, len(turns) + 1):
        values = [9] + [0] * (steps - 1)
        controls = np.array([[[*turn, value]] for turn, value in zip(turns[:steps], values, strict=True)])
        if 0 in at[: steps - 1]:
            continue  # the mark was under the head, and is overwritten
        _, displacements, cells = run(tape(slots=16, width=1), controls, lengths=[3])
        assert np.sum(displacements) == pytest.approx(at[steps - 1])
        assert int(np.argmax(cells[0, 0, :, 0])) == -at[steps - 1] % 16
    even = np.zeros((1, 1, 6))
    _, displacements, _ = run(tape(slots=16, width=1), even, lengths=[3])
    assert displacements == pytest.approx(0)


def begun(system, timesteps, jump):
    """Return the state at t = 0 and the constants of a batch of one sequence."""
    sequence = Sequence(
        batch_size=1,
        timesteps=timesteps,
        lengths=None,
        dtype="float64",
        sources={"jump": tf.constant([jump], tf.float64)},
    )
    return system.initial_state(sequence), system.constants(sequence)


@pytest.mark.parametrize("length", [1, 2, 3, 7, 40])
def test_two_tapes_give_a_string_twice_where_a_jump_has_its_length(length):
    """The controller sees the input and the reads; its memory does not grow with the string.

    The first tape is walked in the first copy. The second waits at the start, so that it can be walked in
    the second: from the end of the first copy a jump back would come one step too late.
    """
    mark = 5.0
    string = np.random.default_rng(length).choice([-1.0, 1.0], size=length)
    system = tape(slots=2 * length + 2, width=1, tapes=2, jump="source")
    state, constants = begun(system, 3 * length, jump=length)
    reads, answers, phase = np.zeros(2), [], "input"
    for symbol in [*string, *np.zeros(2 * length)]:
        if symbol:  # write it on both tapes, and walk on
            turns, values = (LEFT, LEFT), (symbol, symbol)
        elif phase == "input":  # the first request: mark the end, and go back to the start
            turns, values, phase = (JUMP_RIGHT, JUMP_RIGHT), (mark, 0), "first"
        elif phase == "first" and reads[0] != mark:  # walk along the first tape
            turns, values = (LEFT, STAY), reads
        else:  # and along the second
            turns, values, phase = (STAY, LEFT), reads, "second"
        control = np.array([[*turns[0], *turns[1], *values]])
        read, state, _ = system.step(tf.constant(control), state, constants)
        reads = np.round(read.numpy()[0])
        if not symbol:
            answers.append(reads[0] if phase == "first" and reads[0] != mark else reads[1])
    assert answers == [*string, *string]


@pytest.mark.parametrize("length", [1, 2, 3, 7, 40])
def test_one_tape_gives_a_string_again_and_again_with_two_steps_in_a_timestep(length):
    """Walk a ring of as many slots as the string has: jump back from the first symbol, which has a mark."""
    string = np.random.default_rng(length).choice([-1.0, 1.0], size=length)
    system = tape(slots=length + 2, width=2, jump="source")
    state, constants = begun(system, 6 * length, jump=length)
    read, answers = np.zeros(2), []
    for t, symbol in enumerate([*string, *np.zeros(2 * length)]):
        passed, state, _ = system.step(tf.constant([[*LEFT, *read]]), state, constants)
        slot = np.array([symbol, t == 0]) if symbol else np.round(passed.numpy()[0])
        turn = JUMP_RIGHT if slot[1] else STAY
        read, state, _ = system.step(tf.constant([[*turn, *slot]]), state, constants)
        read = np.round(read.numpy()[0])
        if not symbol:
            answers.append(slot[0])
    assert answers == [*string, *string]


def loop(**config):
    return {
        "inputs": 2,
        "outputs": 1,
        "cells": [{"use": "gru", "units": 4}],
        "systems": [{"use": "tape", "id": "tape", "slots": 8, "width": 2} | config],
    }


def random_weights(layer, seed=0):
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.normal(size=weight.shape) for weight in layer.weights])


def test_a_session_of_unknown_length_names_the_two_remedies():
    layer = Superloop(loop())
    layer.build((1, 3, 2))
    with pytest.raises(SourceError, match=r"open the session with 'timesteps', or set .* jump = \"source\""):
        layer.session(batch_size=1)
    without = Superloop(loop(jumps=False))
    without.build((1, 3, 2))
    without.session(batch_size=1).step(np.ones((1, 2)))


@pytest.mark.parametrize("jump", ["length", "source"])
def test_a_session_equals_a_call(jump):
    layer = Superloop(loop(jump=jump))
    inputs = tf.random.stateless_normal((2, 5, 2), seed=(1, 2))
    source = {"tape_jump": np.array([2, 6])} if jump == "source" else {}
    layer.build({"inputs": inputs.shape} | dict.fromkeys(source, (2,)))
    random_weights(layer)
    expected = layer({"inputs": inputs} | source)
    session = layer.session(source, batch_size=2, timesteps=5 if jump == "length" else None)
    stepped = [session.step(inputs[:, t]) for t in range(5)]
    np.testing.assert_allclose(tf.stack(stepped, axis=1), expected, atol=1e-5)


def test_noise_makes_each_batch_element_choose_an_action_in_training():
    """The tape writes 1 and then takes one of five actions: the 1 is read after 'stay' only."""
    keras.utils.set_random_seed(0)  # of the noise
    layer = Superloop(loop(width=1, jump="source", noise=1e6) | {"outputs": 1, "outputs_read_systems": True})
    inputs = {"inputs": np.zeros((200, 1, 2), "float32"), "tape_jump": np.full(200, 3)}
    layer.build({name: array.shape for name, array in inputs.items()})
    for weight in layer.weights:
        weight.assign(np.zeros(weight.shape))
    control, output = layer.wiring.controls[0], layer.wiring.projection
    control.bias.assign([0, 0, 0, 0, 0, 1])
    output.kernel.assign([[0], [0], [0], [0], [1]])  # of the cell's four units, and of the read vector
    np.testing.assert_allclose(layer(inputs), 0.2, atol=1e-6)
    reads = np.round(layer(inputs, training=True), 3)
    assert set(reads.flat) == {0, 1}
    assert 20 < reads.sum() < 60  # a fifth of 200, with a standard deviation of 6


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"slots": 0}, "slots"),
        ({"width": 0}, "width"),
        ({"tapes": 0}, "tapes"),
        ({"noise": -1}, "noise"),
        ({"noise": float("inf")}, "noise"),
        ({"jumps": False, "jump": "source"}, "'jump' = 'source' needs 'jumps' = true"),
    ],
)
def test_invalid_settings_are_rejected(wrong, message):
    with pytest.raises(ValueError, match=message):
        TapeConfig(**wrong)
