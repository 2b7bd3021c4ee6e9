"""Tests of the memory of RWKV-7: recorded numbers, the equations in NumPy, and what only it can do."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from superloop_plugin_kv import Rwkv7Config
from superloop_plugin_kv.rwkv7 import DECAY_BIAS, Rwkv7State

SURE = 100.0


def logit(share):
    return tf.math.log(share) - tf.math.log(1 - share)


@pytest.mark.parametrize("case", ["plain", "start"])
def test_reads_memories_and_gradients_are_the_recorded_ones(make, run, recorded, case):
    """The recorded k is written under as it is: here it is a key of its direction, and a longer value."""
    arrays = recorded("rwkv7", case)
    inputs = {key[3:]: tf.constant(array) for key, array in arrays.items() if key.startswith("in/")}
    (batch, _, key_size), width = inputs["k"].shape, inputs["v"].shape[-1]
    system = make("rwkv7", key_size=key_size, width=width)
    start = tf.constant(arrays.get("par/S0", np.zeros((batch, key_size, width))))
    with tf.GradientTape() as tape:
        tape.watch([inputs, start])
        key = inputs["k"] / inputs["a"]
        length = tf.norm(key, axis=-1, keepdims=True)
        decay = logit(-tf.math.log(inputs["w"]) * tf.exp(tf.constant(0.5, tf.float64))) - DECAY_BIAS
        control = tf.concat(
            [inputs["kk"] - key, key, inputs["r"], logit(inputs["a"]), decay, inputs["v"] * length], axis=-1
        )
        state = Rwkv7State(tf.transpose(start, (0, 2, 1))[:, None])
        reads, states = run(system, tf.transpose(control, (1, 0, 2)), state)
        reads = tf.transpose(reads, (1, 0, 2)) * tf.norm(inputs["r"], axis=-1, keepdims=True)
        loss = tf.reduce_sum(reads * arrays["G/o"])
    memories = [tf.transpose(state.memory[:, 0], (0, 2, 1)) for state in states]
    np.testing.assert_allclose(reads, arrays["out/o"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(memories[-1], arrays["final/S"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(np.stack(memories[:4], axis=1), arrays["trace/S"], rtol=0, atol=1e-9)
    for name, slopes in tape.gradient(loss, inputs | {"S0": start}).items():
        if f"grad/{name}" in arrays:
            expected = arrays[f"grad/{name}"]
            if name == "kk":  # the system makes its length 1
                expected = expected - np.sum(expected * inputs["kk"], axis=-1, keepdims=True) * inputs["kk"]
            np.testing.assert_allclose(slopes, expected, rtol=0, atol=1e-8, err_msg=name)


def plain(config, controls):
    """Compute the equations, head by head, with the transition as a matrix."""
    timesteps, batch, _ = controls.shape
    heads, d, width = config.heads, config.key_size, config.width
    memory = np.zeros((batch, heads, width, d))
    reads = np.zeros((timesteps, batch, heads, width))
    for t in range(timesteps):
        for b in range(batch):
            parts, values = (
                controls[t, b, : 5 * heads * d].reshape(5, heads, d),
                controls[t, b, 5 * heads * d :],
            )
            for h, value in enumerate(values.reshape(heads, width)):
                removal, key, receptance, rate, decay = parts[:, h]
                k, r = key / np.linalg.norm(key), receptance / np.linalg.norm(receptance)
                kk = (key + removal) / np.linalg.norm(key + removal)
                a = 1 / (1 + np.exp(-rate))
                w = np.exp(-np.exp(-0.5) / (1 + np.exp(3.5 - decay)))
                transition = np.diag(w) - np.outer(kk, a * kk)
                memory[b, h] = memory[b, h] @ transition + np.outer(value, a * k)
                memory[b, h] *= min(1, config.limit / np.linalg.norm(memory[b, h]))
                reads[t, b, h] = memory[b, h] @ r
    return reads.reshape(timesteps, batch, -1), memory


CONFIGS = st.builds(
    Rwkv7Config,
    key_size=st.integers(1, 4),
    width=st.integers(1, 3),
    heads=st.integers(1, 3),
    limit=st.sampled_from([0.5, 1e4]),
)


@settings(max_examples=30, deadline=None)
@given(config=CONFIGS, seed=st.integers(0, 999))
def test_steps_compute_the_equations(make, run, config, seed):
    system = make(
        "rwkv7", key_size=config.key_size, width=config.width, heads=config.heads, limit=config.limit
    )
    controls = np.random.default_rng(seed).normal(scale=2, size=(4, 2, config.control_size))
    reads, states = run(system, controls)
    expected_reads, expected_memory = plain(config, controls)
    np.testing.assert_allclose(reads, expected_reads, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(states[-1].memory, expected_memory, rtol=1e-9, atol=1e-9)


def control_of(removal_key, key, rate, value, receptance=(1, 0), decay=(-SURE, -SURE)):
    removal = np.subtract(removal_key, key)
    return np.array([[*removal, *key, *receptance, *rate, *decay, *value]])[None]


def test_a_value_is_removed_under_one_key_and_another_written_under_a_second(make, run):
    """No single write of a delta rule does that."""
    system = make("rwkv7", key_size=2, width=1)
    state = Rwkv7State(tf.constant([[[[5.0, 7.0]]]], tf.float64))
    reads, states = run(system, control_of((3, 0), (0, 2), (SURE, SURE), [4]), state)
    np.testing.assert_allclose(states[-1].memory[0, 0], [[0, 11]], atol=1e-9)
    np.testing.assert_allclose(reads[0, 0], [0], atol=1e-9)


def test_each_number_of_a_key_has_its_own_rate(make, run):
    """(5, 7) holds 12 / sqrt 2 under (1, 1) / sqrt 2, which is 6 in both numbers; one of them is removed."""
    system = make("rwkv7", key_size=2, width=1)
    state = Rwkv7State(tf.constant([[[[5.0, 7.0]]]], tf.float64))
    _, states = run(system, control_of((1, 1), (1, 1), (SURE, -SURE), [0]), state)
    np.testing.assert_allclose(states[-1].memory[0, 0], [[-1, 7]], atol=1e-9)


def test_what_is_removed_is_read_before_the_decay(make, run):
    """With the least decay w, a memory under its removal key becomes (w - 1) times itself, and not 0."""
    system = make("rwkv7", key_size=2, width=1)
    state = Rwkv7State(tf.constant([[[[5.0, 0.0]]]], tf.float64))
    _, states = run(system, control_of((1, 0), (1, 0), (SURE, SURE), [0], decay=(SURE, SURE)), state)
    np.testing.assert_allclose(states[-1].memory[0, 0], [[5 * (np.exp(-np.exp(-0.5)) - 1), 0]], atol=1e-9)


def test_the_limit_holds_a_memory_that_two_removals_in_turn_enlarge(make, run):
    """The product of these two transitions has an eigenvalue of 1.24."""
    sure = np.log(99)  # rates of 0.99 and 0.01
    turns = [
        control_of((np.cos(angle), np.sin(angle)), (0, 0), rate, [0])
        for angle, rate in ((2.7227, (-sure, sure)), (1.9897, (sure, -sure)))
    ]
    controls = np.concatenate(60 * turns)
    state = Rwkv7State(tf.constant([[[[1.0, 0.3]]]], tf.float64))
    ends = {}
    for limit in (100.0, 1e9):
        _, states = run(make("rwkv7", key_size=2, width=1, limit=limit), controls, state)
        ends[limit] = [np.linalg.norm(states[t].memory) for t in (19, 119)]
    np.testing.assert_allclose(ends[100.0], [ends[1e9][0], 100])
    np.testing.assert_allclose(ends[1e9][1] / ends[1e9][0], 1.242**50, rtol=0.02)


def test_an_untrained_memory_keeps_98_percent(make, run):
    system = make("rwkv7", key_size=2, width=1)
    state = Rwkv7State(tf.constant([[[[5.0, 7.0]]]], tf.float64))
    _, states = run(system, np.array([[[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9.0]]]), state)
    np.testing.assert_allclose(states[-1].memory[0, 0], [[5 * 0.982, 7 * 0.982]], atol=0.01)


@pytest.mark.parametrize("wrong", [{"key_size": 0}, {"width": 0}, {"heads": 0}, {"limit": 0.0}])
def test_invalid_settings_are_rejected(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Rwkv7Config(**wrong)
