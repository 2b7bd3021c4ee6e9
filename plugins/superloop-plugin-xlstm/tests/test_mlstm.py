"""Tests of mLSTM: recorded answers and gradients, the paper's equations in NumPy, and worked values."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from superloop_plugin_xlstm import MlstmConfig
from superloop_plugin_xlstm.mlstm import EPSILON, GATE_BIAS, MLSTM

from superloop_core import Sequence
from superloop_core.builder import dtype_policy

RECORDINGS = Path(__file__).parent / "recordings/mlstm.npz"


def mlstm(dtype="float64", **config):
    with dtype_policy(dtype):
        return MLSTM(MlstmConfig(**config))


def run(system, controls):
    """Step through controls ``(timesteps, batch, control)``; return the reads and all states."""
    sequence = Sequence(
        batch_size=controls.shape[1], timesteps=None, lengths=None, dtype=system.variable_dtype
    )
    state, reads, states = system.initial_state(sequence), [], []
    for control in controls:
        read, state, _ = system.step(tf.cast(control, system.variable_dtype), state, {})
        reads.append(read)
        states.append(state)
    return tf.stack(reads), states


@pytest.mark.parametrize("case", ["plain", "large_gates"])
def test_reads_states_and_gradients_are_the_recorded_ones(case):
    with np.load(RECORDINGS) as arrays:
        recorded = {key.removeprefix(f"{case}/"): arrays[key] for key in arrays if key.startswith(f"{case}/")}
    assert recorded["par/eps"] == EPSILON
    names = ("i_pre", "f_pre", "k", "q", "v")
    inputs = {name: tf.constant(recorded[f"in/{name}"]) for name in names}
    system = mlstm(key_size=inputs["k"].shape[-1], width=inputs["v"].shape[-1])
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        gates = [inputs["i_pre"][..., None], inputs["f_pre"][..., None] - GATE_BIAS]
        control = tf.concat([*gates, inputs["k"], inputs["q"], inputs["v"]], axis=-1)
        reads, states = run(system, tf.transpose(control, (1, 0, 2)))
        reads = tf.transpose(reads, (1, 0, 2))
        loss = tf.reduce_sum(reads * recorded["G/h"])
    np.testing.assert_allclose(reads, recorded["out/h"], rtol=0, atol=1e-11)
    for letter, name in {"C": "memory", "n": "normalizer", "m": "stabilizer"}.items():
        found = [getattr(state, name)[:, 0] for state in states]
        found = [np.swapaxes(one, 1, 2) if letter == "C" else one for one in found]
        np.testing.assert_allclose(found[-1], recorded[f"final/{letter}"], rtol=0, atol=1e-12)
        first = np.stack(found[:4], axis=1)
        np.testing.assert_allclose(first, recorded[f"trace/{letter}"], rtol=0, atol=1e-12)
    for name, slopes in tape.gradient(loss, inputs).items():
        np.testing.assert_allclose(slopes, recorded[f"grad/{name}"], rtol=0, atol=1e-10, err_msg=name)


def plain(config, controls):
    """Equations 19 to 27 without the stabilizer, head by head; m is for the epsilon alone."""
    timesteps, batch, _ = controls.shape
    heads, size, width = config.heads, config.key_size, config.width
    reads = np.zeros((timesteps, batch, heads, width))
    ends = np.cumsum([heads, heads, heads * size, heads * size])
    for b in range(batch):
        memory, n, m = np.zeros((heads, width, size)), np.zeros((heads, size)), np.zeros(heads)
        for t in range(timesteps):
            inputs, forgets, keys, queries, values = np.split(controls[t, b], ends)
            keys, queries, values = (x.reshape(heads, -1) for x in (keys, queries, values))
            for h in range(heads):
                f = 1 / (1 + np.exp(-forgets[h] - 4))
                if config.forget_gate == "exponential":
                    f = np.exp(forgets[h]) / (1 + np.exp(-4))
                i, k = np.exp(inputs[h]), keys[h] / np.sqrt(size)
                memory[h] = f * memory[h] + i * np.outer(values[h], k)
                n[h] = f * n[h] + i * k
                m[h] = max(np.log(f) + m[h], inputs[h])
                divisor = max(abs(n[h] @ queries[h]), 1) + EPSILON * np.exp(m[h])
                reads[t, b, h] = memory[h] @ queries[h] / divisor
    return reads.reshape(timesteps, batch, -1)


@settings(max_examples=25, deadline=None)
@given(
    config=st.builds(
        MlstmConfig,
        key_size=st.integers(1, 4),
        width=st.integers(1, 3),
        heads=st.integers(1, 3),
        forget_gate=st.sampled_from(["sigmoid", "exponential"]),
    ),
    seed=st.integers(0, 999),
)
def test_steps_compute_the_papers_equations_without_its_stabilizer(config, seed):
    controls = np.random.default_rng(seed).normal(scale=2, size=(4, 2, config.control_size))
    with dtype_policy("float64"):
        reads, _ = run(MLSTM(config), controls)
    np.testing.assert_allclose(reads, plain(config, controls), rtol=1e-11, atol=1e-11)


def control(value, input_gate=0.0, forget=100.0, key=(1, 0, 0, 0), query=(1, 0, 0, 0)):
    """Return a control of one head, whose keys have the length 1 after their division by 2."""
    return [[input_gate, forget, *np.multiply(2, key), *query, value]]


FOUR = {"key_size": 4, "width": 1}


def test_values_under_one_key_are_averaged():
    reads, _ = run(mlstm(**FOUR), np.array([control(one) for one in (8, 2, -1, 3)]))
    np.testing.assert_allclose(reads[:, 0, 0], [8, 5, 3, 3], rtol=1e-5)


def test_a_larger_input_gate_outweighs_what_is_stored_without_forgetting_other_keys():
    writes = [control(8), control(5, key=(0, 1, 0, 0)), control(2, input_gate=np.log(9))]
    other = control(0, input_gate=-100, query=(0, 1, 0, 0))
    reads, _ = run(mlstm(**FOUR), np.array([*writes, other]))
    np.testing.assert_allclose(reads[2:, 0, 0], [2.6, 5], rtol=1e-5)


def test_a_read_of_little_weight_is_not_made_larger():
    """A key of which only half has been written reads half of its value: the divisor is at least 1."""
    reads, _ = run(mlstm(**FOUR), np.array([control(8, input_gate=np.log(0.5))]))
    np.testing.assert_allclose(reads[0, 0], [4], rtol=1e-5)


def test_heads_are_independent():
    system = mlstm(key_size=1, width=1, heads=2)
    reads, _ = run(system, np.array([[[0, 0, 0, 0, 1, 1, 1, 1, 5, 6]]]))
    np.testing.assert_allclose(reads[0, 0], [5, 6], rtol=1e-5)


@pytest.mark.parametrize("forget_gate", ["sigmoid", "exponential"])
def test_an_untrained_gate_keeps_98_percent(forget_gate):
    system = mlstm(forget_gate=forget_gate, **FOUR)
    _, states = run(system, np.array([control(8, forget=0), control(0, input_gate=-100, forget=0)]))
    memories = [one.memory * tf.exp(one.stabilizer)[..., None, None] for one in states]
    np.testing.assert_allclose(memories[1][0, 0, 0, 0], 8 / (1 + np.exp(-4)), rtol=1e-12)


@pytest.mark.parametrize("size", [-1e30, -5000.0, -200.0, 200.0, 5000.0, 1e30])
@pytest.mark.parametrize("forget_gate", ["sigmoid", "exponential"])
def test_gates_of_any_size_give_finite_reads_and_gradients_in_float32(size, forget_gate):
    """Where m is below -88 exp(-m) is infinite, and the authors' code gives gradients of NaN."""
    system = mlstm("float32", forget_gate=forget_gate, **FOUR)
    drawn = np.random.default_rng(0).normal(size=(4, 1, system.control_size)).astype("float32")
    for gates in ([0], [1], [0, 1]):
        controls = drawn.copy()
        controls[:, :, gates] += size
        controls = tf.constant(controls)
        with tf.GradientTape() as tape:
            tape.watch(controls)
            reads, states = run(system, controls)
        assert np.isfinite(reads).all()
        assert np.isfinite(tape.gradient(reads, controls)).all()
        assert all(np.isfinite(tensor).all() for tensor in states[-1])
        if size < 0 and gates == [0, 1]:
            assert (states[-1].stabilizer.numpy() < -100).all()


def test_a_query_of_zeros_reads_zeros_after_any_write():
    reads, _ = run(mlstm(**FOUR), np.array([control(8, input_gate=800, query=(0, 0, 0, 0))]))
    np.testing.assert_array_equal(reads, 0)


@pytest.mark.parametrize("name", ["key_size", "width", "heads"])
def test_invalid_settings_are_rejected(name):
    with pytest.raises(ValueError, match=name):
        MlstmConfig(**{name: 0})
