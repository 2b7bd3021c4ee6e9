"""Tests of the memory in fast weights: worked steps, and the equations in NumPy."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from superloop_plugin_kv import KeyValueConfig
from superloop_plugin_kv.key_value import KeyValue

from superloop_core import Sequence
from superloop_core.builder import dtype_policy


def key_value(**config):
    """Return a KeyValue that computes in float64."""
    with dtype_policy("float64"):
        return KeyValue(KeyValueConfig(**config))


def run(system, controls):
    """Step through controls ``(timesteps, batch, control)``; return the reads and the last memory."""
    sequence = Sequence(batch_size=controls.shape[1], timesteps=None, lengths=None, dtype="float64")
    state, reads = system.initial_state(sequence), []
    for control in controls:
        read, state, _ = system.step(tf.constant(control, tf.float64), state, {})
        reads.append(read.numpy())
    return np.stack(reads), state.memory.numpy()


def features(config, x):
    """Map and normalize one key."""
    if config.feature_map == "silu":
        x = x / (1 + np.exp(-x))
    if config.feature_map == "elu":
        x = np.array([one + 1 if one > 0 else np.exp(one) for one in x])
    if config.feature_map == "dpfp":
        r = [max(one, 0) for one in x] + [max(-one, 0) for one in x]
        x = np.array([r[i] * r[(i + j) % len(r)] for j in range(1, config.nu + 1) for i in range(len(r))])
    size = np.sqrt(np.sum(x**2)) if config.norm == "unit" else np.sum(x)
    return x / max(size, 1e-6)


def plain(config, controls):
    """Compute the equations, head by head and write by write."""
    timesteps, batch, _ = controls.shape
    n, heads, d, width = config.writes, config.heads, config.key_size, config.width
    memory = np.zeros((batch, heads, width, config.key_features))
    reads = np.zeros((timesteps, batch, heads, width))
    ends = np.cumsum([n * heads, n * heads * d, heads * d, n * heads * width])
    for t in range(timesteps):
        for b in range(batch):
            strengths, keys, queries, values, gates = np.split(controls[t, b], ends)
            strengths, keys = strengths.reshape(n, heads), keys.reshape(n, heads, d)
            queries, values = queries.reshape(heads, d), values.reshape(n, heads, width)
            for h in range(heads):
                decay = np.full(config.key_features, config.decay)
                if config.gate != "none":
                    decay /= 1 + np.exp(-4 - gates.reshape(heads, -1)[h])
                memory[b, h] = memory[b, h] @ np.diag(decay)
                for j in range(n):
                    beta = config.max_strength / (1 + np.exp(-strengths[j, h]))
                    key = features(config, keys[j, h])
                    error = values[j, h] - memory[b, h] @ key if config.rule == "delta" else values[j, h]
                    memory[b, h] += beta * np.outer(error, key)
                reads[t, b, h] = memory[b, h] @ features(config, queries[h])
    return reads.reshape(timesteps, batch, -1), memory


MAPS = st.sampled_from(
    [("linear", "unit"), ("silu", "unit"), ("elu", "unit"), ("elu", "sum"), ("dpfp", "unit"), ("dpfp", "sum")]
)
CONFIGS = st.builds(
    lambda mapped, **rest: KeyValueConfig(feature_map=mapped[0], norm=mapped[1], **rest),
    mapped=MAPS,
    key_size=st.integers(2, 4),
    width=st.integers(1, 3),
    heads=st.integers(1, 3),
    rule=st.sampled_from(["delta", "sum"]),
    decay=st.sampled_from([0.0, 0.5, 1.0]),
    gate=st.sampled_from(["none", "scalar", "channel"]),
    writes=st.integers(1, 3),
    max_strength=st.sampled_from([1.0, 1.5, 2.0]),
    nu=st.integers(1, 3),
)


@settings(max_examples=60, deadline=None)
@given(config=CONFIGS, seed=st.integers(0, 999))
def test_steps_compute_the_equations_for_all_settings(config, seed):
    controls = np.random.default_rng(seed).normal(scale=2, size=(3, 4, config.control_size))
    with dtype_policy("float64"):
        reads, memory = run(KeyValue(config), controls)
    expected_reads, expected_memory = plain(config, controls)
    np.testing.assert_allclose(reads, expected_reads, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(memory, expected_memory, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
def test_two_half_writes_by_hand():
    """Strength 0 is beta = 1/2; the key (3, 4) becomes (.6, .8); the query (1, 0) reads the first column."""
    control = np.array([0, 3, 4, 1, 0, 10, -20])
    reads, memory = run(key_value(key_size=2, width=2), np.array([[control], [control]]))
    np.testing.assert_allclose(reads[:, 0], [[3, -6], [4.5, -9]])  # the second adds half of the error
    np.testing.assert_allclose(memory[0, 0], [[4.5, 6], [-9, -12]])
    reads, _ = run(key_value(key_size=2, width=2, rule="sum", decay=0.5), np.array([[control], [control]]))
    np.testing.assert_allclose(reads[:, 0], [[3, -6], [4.5, -9]])  # half decays, half is added
    reads, _ = run(key_value(key_size=2, width=2, rule="sum"), np.array([[control], [control]]))
    np.testing.assert_allclose(reads[:, 0], [[3, -6], [6, -12]])


@pytest.mark.slow
def test_dpfp_of_one_key_by_hand():
    """r = (1, 0, 0, 2): the products of neighbours are 0, 0, 0 and 2, that of the last and the first."""
    control = np.array([100, 1, -2, 1, -2, 7])
    reads, memory = run(key_value(key_size=2, width=1, feature_map="dpfp"), np.array([[control]]))
    np.testing.assert_allclose(memory[0, 0], [[0, 0, 0, 7]], atol=1e-12)
    np.testing.assert_allclose(reads[0, 0], [7])


SURE, NEVER = 100.0, -100.0


@settings(max_examples=30, deadline=None)
@given(
    mapped=MAPS.filter(lambda mapped: mapped[1] == "unit"),
    decay=st.sampled_from([0.7, 1.0]),
    seed=st.integers(0, 999),
)
def test_a_write_replaces_the_value_under_its_key(mapped, decay, seed):
    rng = np.random.default_rng(seed)
    system = key_value(key_size=4, width=3, feature_map=mapped[0], decay=decay)
    before = rng.normal(size=(5, 1, system.control_size))
    key, value, other = rng.normal(size=4), rng.normal(size=3), rng.normal(size=3)
    pairs = np.array([[[SURE, *key, *key, *value]], [[SURE, *key, *key, *other]]])
    reads, _ = run(system, np.concatenate([before, pairs]))
    np.testing.assert_allclose(reads[-2:, 0], [value, other], atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999))
def test_orthogonal_keys_do_not_interfere(seed):
    rng = np.random.default_rng(seed)
    keys = np.linalg.qr(rng.normal(size=(4, 4)))[0] * rng.uniform(0.1, 9, size=4)
    values = rng.normal(size=(4, 2))
    writes = [[[SURE, *key, *keys[0], *value]] for key, value in zip(keys.T, values, strict=True)]
    reads = [[[NEVER, *keys[0], *key, 9, 9]] for key in keys.T]
    actual, _ = run(key_value(key_size=4, width=2), np.array(writes + reads))
    np.testing.assert_allclose(actual[4:, 0], values, atol=1e-9)


def test_a_value_decays_in_every_step():
    write, hold = [SURE, 1, 0, 1, 0, 8], [NEVER, 1, 0, 1, 0, 9]
    reads, _ = run(key_value(key_size=2, width=1, decay=0.5), np.array([[write], [hold], [hold]]))
    np.testing.assert_allclose(reads[:, 0, 0], [8, 4, 2])


@pytest.mark.parametrize(
    "config",
    [{}, {"feature_map": "dpfp"}, {"feature_map": "dpfp", "norm": "sum"}, {"rule": "sum"}],
)
def test_a_key_of_zeros_writes_nothing_reads_zeros_and_has_a_finite_gradient(config):
    system = key_value(key_size=3, width=2, **config)
    write = [SURE, 1, 2, 3, 1, 2, 3, 5, 6]
    nothing = [SURE, *[0] * 6, 7, 8]
    _, memory = run(system, np.array([[write]]))
    reads, after = run(system, np.array([[write], [nothing]]))
    np.testing.assert_array_equal(after, memory)
    np.testing.assert_array_equal(reads[1], [[0, 0]])
    state = system.initial_state(Sequence(batch_size=1, timesteps=None, lengths=None, dtype="float64"))
    control = tf.constant([nothing], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(control)
        read, new, _ = system.step(control, state, {})
        total = tf.reduce_sum(read) + tf.reduce_sum(new.memory)
    assert np.isfinite(tape.gradient(total, control)).all()


def test_heads_are_independent():
    system = key_value(key_size=2, width=1, heads=2)
    both = [SURE, SURE, 1, 0, 1, 0, 1, 0, 1, 0, 5, 6]
    reads, _ = run(system, np.array([[both]]))
    np.testing.assert_allclose(reads[0, 0], [5, 6])


@pytest.mark.slow
@pytest.mark.parametrize("config", [{}, {"feature_map": "elu", "norm": "sum"}, {"rule": "sum"}])
def test_ten_thousand_steps_stay_finite(config):
    """Keys and values are random, not those of a loop."""
    system = KeyValue(KeyValueConfig(key_size=4, width=3, heads=2, **config))
    controls = tf.random.stateless_normal((10_000, 2, system.control_size), seed=(1, 2)) * 3
    sequence = Sequence(batch_size=2, timesteps=None, lengths=None, dtype="float32")

    @tf.function(autograph=False, jit_compile=True)
    def largest(controls):
        def body(t, state, most):
            read, state, _ = system.step(controls[t], state, {})
            return t + 1, state, tf.maximum(most, tf.reduce_max(tf.abs(read)))

        start = (0, system.initial_state(sequence), 0.0)
        return tf.while_loop(lambda t, *_: t < 10_000, body, start)[1:]

    state, most = largest(controls)
    assert np.isfinite(state.memory).all()
    assert np.isfinite(most)
    if "rule" not in config:
        assert most < 100, most  # values of a standard deviation of 3


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"key_size": 0}, "key_size"),
        ({"width": 0}, "width"),
        ({"heads": 0}, "heads"),
        ({"decay": 1.5}, "decay"),
        ({"decay": -0.5}, "decay"),
        ({"writes": 0}, "writes"),
        ({"max_strength": 0.0}, "max_strength"),
        ({"max_strength": 2.5}, "max_strength"),
        ({"norm": "sum"}, "'feature_map' must be 'elu' or 'dpfp' with 'norm' = 'sum': 'linear'"),
        ({"norm": "sum", "feature_map": "silu"}, "with 'norm' = 'sum': 'silu'"),
        ({"feature_map": "dpfp", "key_size": 1}, "'key_size' must be >= 2"),
        ({"feature_map": "dpfp", "key_size": 2, "nu": 4}, "'nu' must be less than"),
    ],
)
def test_invalid_settings_are_rejected(wrong, message):
    with pytest.raises(ValueError, match=message):
        KeyValueConfig(**wrong)
