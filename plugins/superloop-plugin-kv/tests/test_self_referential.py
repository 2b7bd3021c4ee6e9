"""Tests of the self-referential weight matrix: recorded numbers, its equations in NumPy, worked steps."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from superloop_plugin_kv import SelfReferentialConfig
from superloop_plugin_kv.self_referential import SelfReferentialState

NAMES = ("W_y", "W_q", "W_k", "w_b")
SURE = 100.0


@pytest.mark.parametrize(
    ("case", "softmax"), [("plain", False), ("softmax_input", False), ("softmax_input", True)]
)
def test_reads_weights_and_gradients_are_the_recorded_ones(make, run, recorded, case, softmax):
    """Where softmax is the system's, its input is the logarithm of the recorded one."""
    arrays = recorded("srwm", case)
    x = tf.constant(arrays["in/x"])
    size = x.shape[-1]
    system = make("self_referential", inputs=size, width=size, softmax=softmax)
    variables = [getattr(system, name.lower()) for name in NAMES]
    for variable, name in zip(variables, NAMES, strict=True):
        variable.assign(arrays[f"par/{name}"][None])
    with tf.GradientTape() as tape:
        tape.watch(x)
        control = tf.math.log(x) if softmax else x
        reads, states = run(system, tf.transpose(control, (1, 0, 2)))
        reads = tf.transpose(reads, (1, 0, 2))
        loss = tf.reduce_sum(reads * arrays["G/y"])
    slope, *slopes = tape.gradient(loss, [x, *(variable.value for variable in variables)])
    np.testing.assert_allclose(reads, arrays["out/y"], rtol=0, atol=1e-9)
    weights = [tf.split(state.weights[:, 0], [size, size, size, 4], axis=-1) for state in states]
    for index, name in enumerate(NAMES):
        first = np.stack([of_step[index] for of_step in weights[:4]], axis=1)
        np.testing.assert_allclose(weights[-1][index], arrays[f"final/{name}"], rtol=0, atol=1e-9)
        np.testing.assert_allclose(first, arrays[f"trace/{name}"], rtol=0, atol=1e-9)
        np.testing.assert_allclose(slopes[index][0], arrays[f"grad/{name}"], rtol=0, atol=1e-8)
    expected = arrays["grad/x"]
    if softmax:  # the sum of its inputs does not matter
        expected = expected - np.sum(expected * arrays["in/x"], axis=-1, keepdims=True)
    np.testing.assert_allclose(slope, expected, rtol=0, atol=1e-8)


def softmax(x):
    powers = np.exp(x - x.max())
    return powers / powers.sum()


def plain(config, first, controls):
    """Compute the equations for each of the four matrices of each head; first: W_y, W_q, W_k and W_b."""
    timesteps, batch, _ = controls.shape
    reads = np.zeros((timesteps, batch, config.heads, config.width))
    ends = np.zeros((batch, config.heads, config.inputs, config.width + 2 * config.inputs + 4))
    for b in range(batch):
        for h in range(config.heads):
            weights = [matrix[h] for matrix in first]
            for t in range(timesteps):
                x = controls[t, b].reshape(config.heads, -1)[h]
                x = softmax(x) if config.softmax else x
                y, q, k, beta = (x @ matrix for matrix in weights)
                q, k, beta = softmax(q), softmax(k), 1 / (1 + np.exp(-beta))
                weights = [
                    matrix + rate * np.outer(k, q @ matrix - k @ matrix)
                    for matrix, rate in zip(weights, beta, strict=True)
                ]
                length = np.sqrt(sum(np.sum(matrix**2) for matrix in weights))
                weights = [matrix * min(1, config.limit / length) for matrix in weights]
                reads[t, b, h] = y
            ends[b, h] = np.concatenate(weights, axis=-1)
    return reads.reshape(timesteps, batch, -1), ends


CONFIGS = st.builds(
    SelfReferentialConfig,
    inputs=st.integers(2, 4),
    width=st.integers(1, 3),
    heads=st.integers(1, 3),
    softmax=st.booleans(),
    limit=st.sampled_from([1.0, 1e3]),
)


@settings(max_examples=20, deadline=None)
@given(config=CONFIGS, seed=st.integers(0, 999))
def test_steps_compute_the_equations(make, run, config, seed):
    rng = np.random.default_rng(seed)
    names = ("inputs", "width", "heads", "softmax", "limit")
    system = make("self_referential", **{name: getattr(config, name) for name in names})
    first = [
        rng.normal(size=(config.heads, config.inputs, n)) for n in (config.width, *2 * [config.inputs], 4)
    ]
    for name, weights in zip(NAMES, first, strict=True):
        getattr(system, name.lower()).assign(weights)
    controls = rng.normal(scale=2, size=(4, 2, config.control_size))
    reads, states = run(system, controls)
    expected_reads, expected_weights = plain(config, first, controls)
    np.testing.assert_allclose(reads, expected_reads, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(states[-1].weights, expected_weights, rtol=1e-9, atol=1e-9)


def test_a_write_copies_what_is_under_the_query_to_the_key_in_all_weights(make, run):
    """With x = (0, 1), k = (1, 0) and q = (0, 1), so all of the second row replaces the first."""
    system = make("self_referential", inputs=2, width=1, softmax=False)
    rows = [[7, 1, 2, 3, 4, 5, 6, 7, 8], [9, -SURE, SURE, SURE, -SURE, SURE, SURE, SURE, SURE]]
    weights = tf.constant([[rows]], tf.float64)
    reads, states = run(system, np.array([[[0, 1]]]), SelfReferentialState(weights))
    np.testing.assert_allclose(reads[0, 0], [9])  # before the write
    np.testing.assert_allclose(states[-1].weights[0, 0], [rows[1], rows[1]])


def test_each_of_the_four_matrices_has_its_own_strength(make, run):
    system = make("self_referential", inputs=2, width=1, softmax=False)
    for column in range(4):
        strengths = [SURE if other == column else -SURE for other in range(4)]
        rows = np.array([[7, 1, 2, 3, 4, 5, 6, 7, 8], [9, -SURE, SURE, SURE, -SURE, *strengths]])
        _, states = run(system, np.array([[[0, 1]]]), SelfReferentialState(tf.constant([[rows]])))
        changed = np.abs(states[-1].weights[0, 0] - rows) > 1e-9
        expected = np.repeat(np.arange(4) == column, [1, 2, 2, 4])
        np.testing.assert_array_equal(changed, [expected, [False] * 9])


def test_the_limit_holds_weights_that_enlarge_themselves(make, run):
    """Only W_y changes. k = (1/2, 1/4, 1/4) and q = (1, 0, 0): what is under q - k grows by 1/8 each time."""
    sure = 20.0
    rows = np.zeros((3, 1 + 3 + 3 + 4))
    rows[:, 0] = [2, -1, -1]
    rows[2, 1:] = [sure, -sure, -sure, np.log(2), 0, 0, sure, -sure, -sure, -sure]
    start = SelfReferentialState(tf.constant([[rows]]))
    controls = np.tile([0.0, 0, 1], (40, 1, 1))
    ends = {}
    for limit in (60.0, 1e9):
        system = make("self_referential", inputs=3, width=1, softmax=False, limit=limit)
        _, states = run(system, controls, start)
        ends[limit] = [np.linalg.norm(states[t].weights) for t in (9, 39)]
        under = [np.array([0.5, -0.25, -0.25]) @ state.weights[0, 0, :, 0].numpy() for state in states[:10]]
        np.testing.assert_allclose(np.divide(under[1:], under[:-1]), 1.125, rtol=1e-6)
    np.testing.assert_allclose(ends[60.0], [ends[1e9][0], 60])
    assert ends[1e9][1] > 200


def test_the_weights_at_the_start_are_trained_and_write_with_strengths_below_a_half(make, run):
    system = make("self_referential", inputs=64, width=2, heads=2)
    assert [variable.trainable for variable in system.variables] == [True] * 4
    np.testing.assert_allclose(np.std(system.w_k), 1 / 8, rtol=0.05)
    assert np.std(system.w_k.numpy() - system.w_q.numpy()) > 0.1  # drawn each by itself
    np.testing.assert_allclose(np.mean(system.w_b), -1, atol=0.05)


@pytest.mark.parametrize("wrong", [{"inputs": 1}, {"width": 0}, {"heads": 0}, {"limit": 0.0}])
def test_invalid_settings_are_rejected(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SelfReferentialConfig(**wrong)
