"""Tests of the LMU's memory: recorded answers, its matrices in other ways, and the delay that it holds."""

import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from numpy.polynomial.legendre import legval
from superloop_plugin_ssm import LmuConfig
from superloop_plugin_ssm.legendre import delay, expm, zero_order_hold
from superloop_plugin_ssm.lmu import LMU, LMUState

from superloop_core import Sequence
from superloop_core.builder import dtype_policy

RECORDED = Path(__file__).parent / "recordings" / "lmu.npz"
SEQUENCE = Sequence(batch_size=1, timesteps=None, lengths=None, dtype="float64")


def lmu(**config):
    """Return the memory, which computes in float64."""
    with dtype_policy("float64"):
        return LMU(LmuConfig(**config))


@pytest.mark.parametrize("case", ["order4_theta10", "order8_theta50", "order4_theta50"])
def test_matrices_memories_and_gradients_are_the_recorded_ones(case):
    with np.load(RECORDED) as arrays:
        recorded = {key.removeprefix(f"{case}/"): arrays[key] for key in arrays if key.startswith(f"{case}/")}
    u = tf.constant(recorded["in/u"])
    batch, timesteps, signals = u.shape
    order = int(recorded["par/order"])
    system = lmu(order=order, theta=float(recorded["par/theta"]), signals=signals)
    np.testing.assert_allclose(system.a_d, recorded["out/A"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(system.b_d, recorded["out/B"], rtol=0, atol=1e-12)
    constants = system.constants(SEQUENCE)
    state = LMUState(tf.zeros((batch, signals, order), tf.float64))
    memories = []
    with tf.GradientTape() as tape:
        tape.watch(u)
        for t in range(timesteps):
            read, state, _ = system.step(u[:, t], state, constants)
            memories.append(tf.reshape(read, state.memory.shape))
        memory = tf.stack(memories, axis=1)
        loss = tf.reduce_sum(memory * recorded["G/m"])
    np.testing.assert_allclose(memory, recorded["out/m"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(state.memory, recorded["final/m"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(tape.gradient(loss, u), recorded["grad/u"], rtol=0, atol=1e-9)


def integrated(order, theta, u, steps=400):
    """Return the memories of one signal: the paper's differential equation, by Runge and Kutta's method."""
    a, b = np.zeros((order, order)), np.zeros(order)
    for i in range(order):
        b[i] = (2 * i + 1) * (-1) ** i
        for j in range(order):
            a[i, j] = (2 * i + 1) * (-1 if i < j else (-1) ** (i - j + 1))

    def slope(m, value):
        return (a @ m + b * value) / theta

    m, memories, h = np.zeros(order), [], 1 / steps
    for value in u:
        for _ in range(steps):
            k1 = slope(m, value)
            k2 = slope(m + h / 2 * k1, value)
            k3 = slope(m + h / 2 * k2, value)
            m = m + h / 6 * (k1 + 2 * k2 + 2 * k3 + slope(m + h * k3, value))
        memories.append(m)
    return np.array(memories)


def remembered(system, u):
    """Return the memories of one signal after each timestep, ``(timesteps, order)``."""
    constants, state, memories = system.constants(SEQUENCE), system.initial_state(SEQUENCE), []
    for value in u:
        _, state, _ = system.step(tf.constant([[value]], tf.float64), state, constants)
        memories.append(state.memory[0, 0].numpy())
    return np.array(memories)


@pytest.mark.parametrize(("order", "theta"), [(1, 1.0), (3, 2.5), (5, 12.0), (8, 40.0)])
def test_the_memory_solves_the_differential_equation(order, theta):
    u = np.random.default_rng(order).normal(size=6)
    memories = remembered(lmu(order=order, theta=theta, signals=1), u)
    np.testing.assert_allclose(memories, integrated(order, theta, u), rtol=0, atol=1e-8)


def test_a_memory_of_order_one_by_hand():
    """theta m' = u - m: a step of 1 leaves exp(-1 / theta) of the distance to u."""
    memories = remembered(lmu(order=1, theta=2.0, signals=1), [3.0, 3.0])
    np.testing.assert_allclose(memories[:, 0], [3 * (1 - np.exp(-0.5)), 3 * (1 - np.exp(-1))])


@pytest.mark.parametrize("order", [1, 2, 3, 6])
def test_the_sum_of_the_memory_is_the_pade_approximant_of_a_delay(order):
    """Its transfer function is the approximant of exp(-theta s) with the degrees order - 1 and order."""
    a, b = delay(order)
    factorial = np.cumprod([1.0, *range(1, 2 * order)])
    for z in (0.3, 1.0, 2.0j, 1 - 1j):  # z = theta s
        transfer = np.sum(np.linalg.solve(z * np.eye(order) - a, b))
        upper = sum(
            factorial[2 * order - 1 - j] * factorial[order - 1] * (-z) ** j
            / (factorial[2 * order - 1] * factorial[j] * factorial[order - 1 - j])
            for j in range(order)
        )  # fmt: skip
        lower = sum(
            factorial[2 * order - 1 - j] * factorial[order] * z**j
            / (factorial[2 * order - 1] * factorial[j] * factorial[order - j])
            for j in range(order + 1)
        )  # fmt: skip
        np.testing.assert_allclose(transfer, upper / lower, rtol=1e-11)


def test_a_constant_signal_is_the_first_number_and_nothing_else():
    """P_0 = 1: a window of a constant needs no other polynomial."""
    memory = remembered(lmu(order=4, theta=5.0, signals=1), np.full(60, 7.0))[-1]
    np.testing.assert_allclose(memory, [7, 0, 0, 0], atol=1e-9)


def smooth(theta, periods, timesteps=400, seed=0):
    """Return a signal of eight frequencies, of up to ``periods`` periods in a window of theta timesteps."""
    rng = np.random.default_rng(seed)
    frequencies, phases = rng.uniform(0, periods, size=8), rng.uniform(0, 2 * np.pi, size=8)
    return np.sin(2 * np.pi * frequencies * np.arange(timesteps)[:, None] / theta + phases).sum(axis=1)


def error(order, theta, u, ago):
    """Return the relative error of the signal ``ago`` timesteps before, read with Legendre polynomials.

    A signal is constant in a timestep, so that its middle is half a timestep earlier than its end.
    """
    a, b = delay(order)
    a_d, b_d = zero_order_hold(a / theta, b / theta)
    memories = [np.zeros(order)]
    for value in u:
        memories.append(a_d @ memories[-1] + b_d * value)
    readout = legval(2 * (ago + 0.5) / theta - 1, np.eye(order))  # P_i at the delay
    read = np.array(memories[1:]) @ readout
    settled = slice(200, None)  # timesteps: two windows
    before = np.roll(u, ago)[settled]
    return np.sqrt(np.mean((read[settled] - before) ** 2) / np.mean(before**2))


def test_the_error_of_a_delay_of_a_whole_window_falls_as_the_order_grows():
    """Three periods in a window of 100 timesteps; the oldest timestep of the window is 99 before."""
    u = smooth(100, 3)
    errors = {order: error(order, 100.0, u, 99) for order in (4, 8, 10, 12, 16)}
    assert list(errors.values()) == sorted(errors.values(), reverse=True), errors
    assert errors[4] > 0.5, errors  # too few polynomials for three periods
    assert errors[10] < 0.15, errors
    assert errors[16] < 2e-3, errors


@pytest.mark.parametrize("ago", [25, 50, 75])
def test_every_delay_within_the_window_is_read_from_one_memory(ago):
    assert error(16, 100.0, smooth(100, 3), ago) < 2e-3


def test_a_step_reads_a_delay_of_theta_timesteps_of_two_signals():
    """The same in the system: the sum of the memory, of which each signal has its own."""
    u = np.stack([smooth(20, 1, timesteps=80, seed=seed) for seed in (1, 2)], axis=-1)
    system = lmu(order=8, theta=20.0, signals=2)
    constants, state, sums = system.constants(SEQUENCE), system.initial_state(SEQUENCE), []
    for t in range(len(u)):
        read, state, _ = system.step(tf.constant(u[t : t + 1]), state, constants)
        sums.append(np.reshape(read, (2, 8)).sum(axis=-1))
    middle = (u[20:-20] + u[21:-19]) / 2  # theta before the end of a timestep one ends and the next begins
    np.testing.assert_allclose(sums[40:], middle, atol=0.02 * np.abs(u).max())


def test_the_example_of_the_readme_prints_the_error_that_it_says(capsys):
    readme = Path(__file__).parents[1] / "README.md"
    (code,) = re.findall(r"```python\n(.*?)```", readme.read_text("utf8"), re.DOTALL)
    exec(code, {})
    assert f"{float(capsys.readouterr().out):.4f}" == code.split()[-1]


@pytest.mark.parametrize(("order", "theta"), [(256, 784.0), (64, 4.0), (12, 1.0)])
def test_the_exponential_of_a_large_matrix_is_exact_and_stable(order, theta):
    a, b = delay(order)
    a_d, b_d = zero_order_hold(a / theta, b / theta)
    half, _ = zero_order_hold(a / (2 * theta), b / (2 * theta))
    np.testing.assert_allclose(half @ half, a_d, rtol=0, atol=1e-11)
    np.testing.assert_allclose(a @ b_d, (a_d - np.eye(order)) @ b, rtol=0, atol=1e-8 * order)
    assert np.abs(np.linalg.eigvals(a_d)).max() < 1


def test_exponentials_by_hand():
    np.testing.assert_array_equal(expm(np.zeros((2, 2))), np.eye(2))
    turned = expm(np.array([[0, -30 * np.pi], [30 * np.pi, 0]]))  # fifteen turns
    np.testing.assert_allclose(turned, np.eye(2), atol=1e-11)
    np.testing.assert_allclose(expm(np.array([[0.0, 5.0], [0.0, 0.0]])), [[1, 5], [0, 1]], atol=1e-14)


@pytest.mark.parametrize("wrong", ["order", "theta", "signals"])
def test_invalid_settings_are_rejected(wrong):
    with pytest.raises(ValueError, match=wrong):
        LmuConfig(**{wrong: 0})
