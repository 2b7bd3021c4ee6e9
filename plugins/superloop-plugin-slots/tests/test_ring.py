"""Tests of the ring: the equations in NumPy, the order of its slots, and retrieval by several updates."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from superloop_plugin_slots import RingConfig
from superloop_plugin_slots.ring import Ring

from superloop_core import Sequence, Superloop
from superloop_core.builder import dtype_policy
from superloop_core.errors import ConfigError


def ring(**config):
    """Return a ring that computes in float64."""
    with dtype_policy("float64"):
        return Ring(RingConfig(**config))


def run(system, controls):
    """Step through controls ``(timesteps, batch, control)``; return the reads, the last state and traces."""
    sequence = Sequence(batch_size=controls.shape[1], timesteps=None, lengths=None, dtype="float64")
    state, reads, traces = system.initial_state(sequence), [], {}
    for control in controls:
        read, state, traces = system.step(tf.constant(control, tf.float64), state, {})
        reads.append(read.numpy())
    return np.stack(reads), state, traces


def softmax(scores):
    powers = np.exp(scores - max(scores))
    return powers / sum(powers)


def plain(config, controls):
    """Compute the reads from lists of entries, the oldest first, and not from slots."""
    n, d, width = config.heads, config.key_size, config.width
    reads = np.zeros((*controls.shape[:2], n, width))
    for b in range(controls.shape[1]):
        entries = [[] for _ in range(n)]
        for t in range(len(controls)):
            keys, queries, values, factors = np.split(controls[t, b], np.cumsum([n * d, n * d, n * width]))
            for h in range(n):
                entry = keys.reshape(n, d)[h], values.reshape(n, width)[h]
                beta = 1 / np.sqrt(d) if config.beta is None else config.beta
                if config.beta_from_control:
                    beta *= np.log1p((np.e - 1) * np.exp(factors[h]))
                stored = entries[h] if config.read_first else [*entries[h], entry][-config.slots :]
                query = queries.reshape(n, d)[h]
                for update in range(config.updates):
                    if not stored:
                        break
                    weights = softmax(np.array([beta * (key @ query) for key, _ in stored]))
                    of = int(update == config.updates - 1)  # of the values in the last one
                    query = sum(weight * pair[of] for weight, pair in zip(weights, stored, strict=True))
                    reads[t, b, h] = query if of else 0
                entries[h] = [*entries[h], entry][-config.slots :]
    return reads.reshape(*controls.shape[:2], -1)


CONFIGS = st.builds(
    RingConfig,
    slots=st.integers(1, 4),
    key_size=st.integers(1, 3),
    width=st.integers(1, 3),
    heads=st.integers(1, 2),
    updates=st.integers(1, 3),
    beta=st.sampled_from([None, 0.3, 2.0]),
    beta_from_control=st.booleans(),
    read_first=st.booleans(),
)


@settings(max_examples=30, deadline=None)
@given(config=CONFIGS, seed=st.integers(0, 999))
def test_steps_compute_the_equations_for_all_settings(config, seed):
    controls = np.random.default_rng(seed).normal(scale=2, size=(5, 2, config.control_size))
    with dtype_policy("float64"):
        reads, _, _ = run(Ring(config), controls)
    np.testing.assert_allclose(reads, plain(config, controls), rtol=1e-11, atol=1e-11)


def test_each_entry_overwrites_the_oldest_one_in_its_slot():
    """The entries of timesteps 0 to 4 are in the slots 0, 1, 2, 0 and 1."""
    system = ring(slots=3, key_size=1, width=1)
    controls = np.array([[[10.0 + t, 0, 20 + t]] for t in range(5)])
    _, two, _ = run(system, controls[:2])
    np.testing.assert_array_equal(two.keys[0, 0, :, 0], [10, 11, 0])
    np.testing.assert_array_equal(two.filled, [[1, 1, 0]])
    np.testing.assert_array_equal(two.cursor, [[0, 0, 1]])
    _, five, _ = run(system, controls)
    np.testing.assert_array_equal(five.keys[0, 0, :, 0], [13, 14, 12])
    np.testing.assert_array_equal(five.values[0, 0, :, 0], [23, 24, 22])
    np.testing.assert_array_equal(five.filled, [[1, 1, 1]])
    np.testing.assert_array_equal(five.cursor, [[0, 0, 1]])


def test_empty_slots_are_not_read():
    """A key of -9 against the query 1 would lose against the zeros of empty slots."""
    system = ring(slots=8, key_size=1, width=1, beta=1.0)
    reads, _, traces = run(system, np.array([[[-9, 1, 5]]]))
    np.testing.assert_array_equal(reads, [[[5]]])
    np.testing.assert_array_equal(traces["read_weights"], [[[1, 0, 0, 0, 0, 0, 0, 0]]])


@pytest.mark.parametrize("updates", [1, 3])
def test_an_empty_ring_reads_zeros_and_has_a_finite_gradient(updates):
    system = ring(slots=3, key_size=2, width=2, updates=updates, read_first=True)
    control = tf.constant([[1, 2, 3, 4, 5, 6]], tf.float64)
    state = system.initial_state(Sequence(batch_size=1, timesteps=None, lengths=None, dtype="float64"))
    with tf.GradientTape() as tape:
        tape.watch(control)
        read, after, traces = system.step(control, state, {})
        total = tf.reduce_sum(read) + tf.reduce_sum(after.keys)
    np.testing.assert_array_equal(read, [[0, 0]])
    np.testing.assert_array_equal(traces["read_weights"], [[[0, 0, 0]]])
    np.testing.assert_array_equal(tape.gradient(total, control), [[1, 1, 0, 0, 0, 0]])
    read, _, _ = system.step(control, after, {})
    np.testing.assert_allclose(read, [[5, 6]])


def test_an_entry_is_read_for_as_many_timesteps_as_there_are_slots():
    system = ring(slots=3, key_size=2, width=1, beta=50.0)
    first, other = [1, 0, 1, 0, 7], [0, 1, 1, 0, -7]  # both query the first key
    reads, _, _ = run(system, np.array([[first], [other], [other], [other]]))
    np.testing.assert_allclose(reads[:, 0, 0], [7, 7, 7, -7])


def of_patterns(beta, updates, patterns, query):
    """Return a query after updates by the patterns in a ring."""
    count, size = patterns.shape
    system = ring(slots=count, key_size=size, width=size, beta=beta, updates=updates, read_first=True)
    start = system.initial_state(Sequence(batch_size=1, timesteps=None, lengths=None, dtype="float64"))
    keys = tf.constant(patterns[None, None])
    state = start._replace(keys=keys, values=keys, filled=tf.ones_like(start.filled))
    read, _, _ = system.step(tf.constant([[*np.zeros(size), *query, *np.zeros(size)]]), state, {})
    return read[0].numpy()  # the values are the keys, so that the read is the last update


def energy(beta, patterns, query):
    scores = beta * patterns @ query
    return -(np.log(np.sum(np.exp(scores - max(scores)))) + max(scores)) / beta + query @ query / 2


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 999), beta=st.sampled_from([0.1, 1.0, 5.0]))
def test_no_update_increases_the_energy(seed, beta):
    rng = np.random.default_rng(seed)
    patterns, query = rng.normal(size=(5, 4)), 2 * rng.normal(size=4)
    energies = [energy(beta, patterns, query)]
    energies += [energy(beta, patterns, of_patterns(beta, n, patterns, query)) for n in (1, 2, 3, 4)]
    assert all(np.diff(energies) < 1e-12), energies


def test_further_updates_bring_a_distorted_query_to_its_pattern():
    rng = np.random.default_rng(0)
    patterns = rng.choice([-1.0, 1.0], size=(8, 16))
    query = patterns[2] * (np.arange(16) >= 5)  # the first five numbers are unknown
    errors = [np.linalg.norm(of_patterns(0.5, n, patterns, query) - patterns[2]) for n in (1, 2, 3, 5)]
    assert errors[0] > 0.2, errors
    assert errors[1] < 0.03, errors
    assert errors == sorted(errors, reverse=True)


def test_a_small_beta_reads_the_mean_of_the_values_and_a_large_one_the_best():
    patterns = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    query = np.array([0.2, 0.1])
    np.testing.assert_allclose(of_patterns(1e-9, 1, patterns, query), [0, 1 / 3], atol=1e-8)
    np.testing.assert_allclose(of_patterns(1e3, 1, patterns, query), [1, 0], atol=1e-8)


def test_a_factor_of_zero_leaves_beta_as_it_is_and_is_traced():
    system = ring(slots=2, key_size=2, width=1, heads=2, beta=3.0, beta_from_control=True)
    control = np.zeros((1, 1, system.control_size))
    control[..., -1] = 100.0
    _, _, traces = run(system, control)
    np.testing.assert_allclose(traces["beta"], [[3, 3 * (100 + np.log(np.e - 1))]])


def test_its_state_cannot_be_learned():
    system = {"use": "ring", "learn_initial_state": True}
    loop = Superloop({"inputs": 2, "cells": [{"use": "dense", "units": 3}], "systems": [system]})
    with pytest.raises(ConfigError, match="nothing of its state can be learned"):
        loop.build((1, 2, 2))


def test_a_masked_timestep_writes_nothing():
    loop = Superloop(
        {"inputs": 2, "cells": [{"use": "dense", "units": 3}], "systems": [{"use": "ring", "slots": 3}]},
        traces=["ring.filled"],
    )
    inputs = np.ones((2, 4, 2), "float32")
    mask = np.array([[True, False, True, True], [True, True, True, True]])
    filled = keras.ops.convert_to_numpy(loop(inputs, mask=mask)["ring.filled"])
    np.testing.assert_array_equal(filled[:, -1].sum(axis=-1), [2, 3])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"slots": 0}, "slots"),
        ({"key_size": 0}, "key_size"),
        ({"width": 0}, "width"),
        ({"heads": 0}, "heads"),
        ({"updates": 0}, "updates"),
        ({"beta": 0.0}, "beta"),
        ({"beta": -1.0}, "beta"),
    ],
)
def test_invalid_settings_are_rejected(wrong, message):
    with pytest.raises(ValueError, match=message):
        RingConfig(**wrong)
