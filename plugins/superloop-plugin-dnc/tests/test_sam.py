"""Sparse access memory against its equations in plain NumPy, and as a machine that runs a program."""

import attrs
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from superloop_plugin_dnc import SAMConfig
from superloop_plugin_dnc.sam import SAM

from superloop_core import Sequence, SourceError, Superloop, SuperloopError
from superloop_core.builder import dtype_policy

SURE = 50.0


def sam(dtype="float64", **config):
    with dtype_policy(dtype):
        return SAM(SAMConfig(**config))


def empty(system, batch=1):
    sequence = Sequence(batch_size=batch, timesteps=1, lengths=None, dtype=system.variable_dtype)
    return system.initial_state(sequence)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def plain_step(config, control, memory, last_access, w_r, t):
    """One step of one row, with dense weightings; ``w_r`` is (heads, slots), and t the timestep from 1."""
    heads, slots, width = config.heads, config.slots, config.width
    q, a, beta, alpha, gamma = np.split(control, np.cumsum([heads * width, heads * width, heads, heads]))
    q, a = q.reshape(heads, width), a.reshape(heads, width)
    beta, alpha, gamma = 1 + np.log1p(np.exp(beta)), sigmoid(alpha), sigmoid(gamma)
    unused = sorted(range(slots), key=lambda i: (last_access[i], i))[:heads]
    w = np.zeros((heads, slots))
    for h in range(heads):
        w[h] = alpha[h] * gamma[h] * w_r[h]
        w[h, unused[h]] += alpha[h] * (1 - gamma[h])
    memory = memory.copy()
    memory[unused] = 0
    memory += w.T @ a
    new, reads = np.zeros((heads, slots)), []
    for h in range(heads):
        cosine = [m @ q[h] / np.sqrt((m @ m + 1e-6) * (q[h] @ q[h] + 1e-6)) for m in memory]
        nearest = sorted(range(slots), key=lambda i: (-cosine[i], i))[: config.top_k]
        for i in nearest:
            new[h, i] = np.exp(beta[h] * cosine[i])
        new[h] /= new[h].sum()
        reads.append(new[h] @ memory)
    total = w.sum(0) + new.sum(0)
    return np.concatenate(reads), memory, np.where(total > config.threshold, t, last_access), new


@st.composite
def configs(draw):
    slots = draw(st.integers(1, 7))
    return SAMConfig(
        slots=slots,
        width=draw(st.integers(2, 4)),
        heads=draw(st.integers(1, min(3, slots))),
        top_k=draw(st.integers(1, slots)),
        threshold=draw(st.sampled_from([0.005, 0.3])),
    )


@settings(max_examples=15, deadline=None)
@given(config=configs(), seed=st.integers(0, 999))
def test_steps_compute_the_equations_for_all_settings(config, seed):
    rng, batch = np.random.default_rng(seed), 2
    system = sam(**attrs.asdict(config))
    first = rng.normal(size=(batch, config.slots, config.width))  # no two slots are alike
    state = empty(system, batch)._replace(memory=tf.constant(first))
    rows = [(first[b], np.zeros(config.slots), np.zeros((config.heads, config.slots))) for b in range(batch)]
    for t, control in enumerate(rng.normal(scale=2, size=(6, batch, config.control_size)), 1):
        read, state, _ = system.step(tf.constant(control), state, {})
        for b in range(batch):
            expected, *rows[b] = plain_step(config, control[b], *rows[b], t)
            np.testing.assert_allclose(read[b], expected, rtol=0, atol=1e-10)
            np.testing.assert_allclose(state.memory[b], rows[b][0], rtol=0, atol=1e-10)
            np.testing.assert_array_equal(state.accessed[b], rows[b][1])
            dense = np.zeros((config.heads, config.slots))
            np.put_along_axis(dense, state.read_slots[b].numpy(), state.read_weights[b].numpy(), axis=1)
            np.testing.assert_allclose(dense, rows[b][2], rtol=0, atol=1e-10)


def control_of(query, word=(0, 0, 0), alpha=-SURE, gamma=-SURE):
    return tf.constant([[*query, *word, 1e4, alpha, gamma]], tf.float64)


AXES = np.eye(3)


def test_words_go_to_slots_in_turn_and_the_least_recently_read_is_overwritten():
    system = sam(slots=3, width=3, top_k=1)
    state = empty(system)
    for word in AXES:
        _, state, traces = system.step(control_of(word, word, alpha=SURE), state, {})
    np.testing.assert_allclose(state.memory[0], AXES, atol=1e-12)
    assert traces["write_slots"].numpy().item() == 2
    read, state, _ = system.step(control_of(AXES[1]), state, {})  # slot 0 is unused for longest: emptied
    np.testing.assert_allclose(read[0], AXES[1], atol=1e-12)
    np.testing.assert_allclose(state.memory[0], [[0, 0, 0], AXES[1], AXES[2]], atol=1e-12)
    np.testing.assert_array_equal(state.accessed[0], [1, 4, 3])


def test_a_word_can_be_added_to_what_was_read_last():
    system = sam(slots=4, width=3, top_k=1)
    state = empty(system)
    for word in AXES[:2]:
        _, state, _ = system.step(control_of(word, word, alpha=SURE), state, {})
    _, state, _ = system.step(control_of(AXES[0]), state, {})
    changed = control_of(AXES[0], [0, 0, 5], alpha=SURE, gamma=SURE)
    read, state, _ = system.step(changed, state, {})
    np.testing.assert_allclose(read[0], [1, 0, 5], atol=1e-12)
    np.testing.assert_allclose(state.memory[0, :2], [[1, 0, 5], [0, 1, 0]], atol=1e-12)


def test_the_heads_write_to_slots_of_their_own():
    system = sam(slots=4, width=2, heads=3, top_k=1)
    control = tf.constant([[*[1] * 6, 1, 2, 3, 4, 5, 6, *[0] * 3, *[SURE] * 3, *[-SURE] * 3]], tf.float64)
    _, state, traces = system.step(control, empty(system), {})
    np.testing.assert_array_equal(traces["write_slots"], [[0, 1, 2]])
    np.testing.assert_allclose(state.memory[0], [[1, 2], [3, 4], [5, 6], [0, 0]], atol=1e-12)


def test_gradients_pass_through_a_write_and_a_later_read():
    """The slope of a read by the word that was written is alpha (1 - gamma); by another word it is 0."""
    system = sam(slots=3, width=3, top_k=1)
    word, other = tf.constant(AXES[:1]), tf.constant(AXES[1:2])
    with tf.GradientTape() as tape:
        tape.watch([word, other])
        state = empty(system)
        for one, gamma in ((word, 0.0), (other, -SURE)):
            control = tf.concat([one, one, tf.constant([[1e4, 0.0, gamma]], tf.float64)], axis=1)
            _, state, _ = system.step(control, state, {})
        read, _, _ = system.step(control_of(AXES[0]), state, {})
        total = tf.reduce_sum(read)
    of_word, of_other = tape.gradient(total, [word, other])
    np.testing.assert_allclose(of_word, np.full((1, 3), 0.25), atol=1e-9)
    np.testing.assert_allclose(of_other, np.zeros((1, 3)), atol=1e-9)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"slots": -1}, "'slots'"),
        ({"slots": 3, "top_k": 4}, "'top_k' must be at most 'slots', 3: 4"),
        ({"slots": 3, "heads": 4, "top_k": 1}, "'heads' must be at most 'slots', 3: 4"),
        ({"threshold": 1.0}, "'threshold'"),
    ],
)
def test_settings_that_do_not_fit_are_rejected(wrong, message):
    with pytest.raises(ValueError, match=message):
        SAMConfig(**wrong)


@settings(max_examples=12, deadline=None)
@given(
    heads=st.integers(1, 3),
    top_k=st.integers(1, 4),
    threshold=st.sampled_from([0.005, 0.3]),
    timesteps=st.integers(1, 6),
    more=st.integers(0, 40),
    seed=st.integers(0, 999),
)
def test_as_many_slots_as_the_timesteps_use_give_the_reads_and_gradients_of_more(
    heads, top_k, threshold, timesteps, more, seed
):
    enough = timesteps * (heads + top_k)
    sequence = Sequence(batch_size=2, timesteps=timesteps, lengths=None, dtype="float64")
    rng = np.random.default_rng(seed)
    controls = tf.constant(rng.normal(scale=3, size=(timesteps, 2, heads * (2 * 3 + 3))))

    def reads_and_slopes(slots):
        system = sam(slots=slots, width=3, heads=heads, top_k=top_k, threshold=threshold)
        with tf.GradientTape() as tape:
            tape.watch(controls)
            state, reads = system.initial_state(sequence), []
            for control in tf.unstack(controls):
                read, state, _ = system.step(control, state, {})
                reads.append(read)
            total = tf.reduce_sum(tf.sin(tf.stack(reads)))
        return tf.stack(reads), tape.gradient(total, controls), state

    reads, slopes, state = reads_and_slopes(0)
    of_more, slopes_of_more, larger = reads_and_slopes(enough + more)
    np.testing.assert_array_equal(reads, of_more)
    np.testing.assert_array_equal(slopes, slopes_of_more)
    assert state.memory.shape == (2, enough, 3)
    np.testing.assert_array_equal(state.memory, larger.memory[:, :enough])
    assert not np.any(larger.memory[:, enough:])


def test_it_cannot_know_the_slots_of_a_sequence_without_end():
    sequence = Sequence(batch_size=1, timesteps=None, lengths=None, dtype="float64")
    with pytest.raises(SuperloopError, match=r"slots = 0 means .* set 'slots'"):
        sam(slots=0).initial_state(sequence)


def test_a_call_cannot_go_on_with_slots_of_another_call():
    config = {"inputs": 2, "outputs": 1, "cells": [{"use": "dense", "units": 3}]}
    x = np.random.default_rng(0).normal(size=(2, 4, 2)).astype("float32")

    def loop(slots):
        sam = {"use": "sam", "id": "m", "slots": slots, "width": 3}
        layer = Superloop(config | {"systems": [sam]}, return_state=True, jit_compile=False)
        layer(x)
        return layer

    grows = loop(0)
    _, *state = grows(x)
    for passed_on in (state, dict(zip(grows.state_names, state, strict=True))):
        with pytest.raises(SourceError, match=r"'m\.memory' is as large as one call needs"):
            grows(x, initial_state=passed_on)
    grows(x, initial_state={"m.read": np.ones((2, 3), "float32")})  # the rest of it fits
    fixed = loop(30)
    _, *state = fixed(x)
    fixed(x, initial_state=state)
    session = grows.session(batch_size=2, timesteps=4)
    for t in range(4):
        session.step(x[:, t])
    with pytest.raises(
        SuperloopError, match="this session is for 4 timesteps, as its memory is as large as these"
    ):
        session.step(x[:, 0])
    assert session.timestep == 4
