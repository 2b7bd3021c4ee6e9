import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from superloop_plugin_registers import RegisterMemoryConfig
from superloop_plugin_registers.register_memory import RegisterMemory, RegisterMemoryState

from superloop_core import Sequence
from superloop_core.builder import dtype_policy


def registers(depth, width):
    """Return a RegisterMemory that computes in float64."""
    with dtype_policy("float64"):
        return RegisterMemory(RegisterMemoryConfig(depth=depth, width=width))


def step(system, control, memory):
    return system.step(
        tf.constant(control, tf.float64), RegisterMemoryState(tf.constant(memory, tf.float64)), {}
    )


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


def numpy_step(control, memory):
    """Step one batch element in float64, register by register; return read, memory and both weights."""
    depth, width = memory.shape
    store, recall = softmax(control[:depth]), softmax(control[depth : 2 * depth])
    data = control[2 * depth :]
    after, read = np.empty_like(memory), np.zeros(width)
    for i in range(depth):
        after[i] = (1 - store[i]) * memory[i] + store[i] * data
        read += recall[i] * after[i]
    return read, after, store, recall


@settings(max_examples=30, deadline=None)
@given(depth=st.integers(1, 4), width=st.integers(1, 4), seed=st.integers(0, 999))
def test_a_step_computes_the_equations_for_all_sizes(depth, width, seed):
    rng = np.random.default_rng(seed)
    control = rng.normal(scale=2, size=(3, 2 * depth + width))
    memory = rng.normal(size=(3, depth, width))
    read, state, named = step(registers(depth, width), control, memory)
    for b in range(3):
        expected = numpy_step(control[b], memory[b])
        ours = (read[b], state.memory[b], named["write_weights"][b], named["read_weights"][b])
        for one, other in zip(ours, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_a_store_changes_one_register_and_a_recall_reads_it():
    memory = [[[1, 1], [2, 2], [3, 3]]]
    sharp = [0, 50, 0, 0, 50, 0, 7, 8]  # store in the second, recall from the second, (7, 8)
    read, state, _ = step(registers(3, 2), [sharp], memory)
    np.testing.assert_allclose(read, [[7, 8]])
    np.testing.assert_allclose(state.memory, [[[1, 1], [7, 8], [3, 3]]])
    elsewhere = [0, 50, 0, 0, 0, 50, 7, 8]
    read, _, _ = step(registers(3, 2), [elsewhere], memory)
    np.testing.assert_allclose(read, [[3, 3]])


def test_equal_scores_write_and_read_all_registers_equally():
    read, state, _ = step(registers(2, 1), [[0, 0, 0, 0, 4]], [[[0], [2]]])
    np.testing.assert_allclose(state.memory, [[[2], [3]]])
    np.testing.assert_allclose(read, [[2.5]])


def test_a_single_register_holds_the_last_stored_vector():
    read, state, _ = step(registers(1, 2), [[3, -9, 5, 6]], [[[1, 2]]])
    np.testing.assert_allclose(state.memory, [[[5, 6]]])
    np.testing.assert_allclose(read, [[5, 6]])


def test_registers_start_with_zeros():
    sequence = Sequence(batch_size=2, timesteps=1, lengths=tf.constant([1, 1]), dtype="float32")
    np.testing.assert_array_equal(registers(3, 2).initial_state(sequence).memory, np.zeros((2, 3, 2)))


def test_enormous_scores_give_finite_weights():
    read, state, _ = step(registers(2, 1), [[1e4, -1e4, -1e4, 1e4, 5]], [[[1], [2]]])
    np.testing.assert_allclose(state.memory, [[[5], [2]]])
    np.testing.assert_allclose(read, [[2]])


@pytest.mark.parametrize("wrong", [{"depth": 0}, {"width": 0}])
def test_sizes_out_of_range_are_rejected(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RegisterMemoryConfig(**({"depth": 3, "width": 2} | wrong))
