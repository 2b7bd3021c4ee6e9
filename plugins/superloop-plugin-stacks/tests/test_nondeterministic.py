"""The nondeterministic stack against all runs of the automaton, the papers' recursion, recorded answers."""

import itertools
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from superloop_plugin_stacks import NondeterministicStackConfig
from superloop_plugin_stacks.nondeterministic import NondeterministicStack

from superloop_core import Sequence, Superloop
from superloop_core.builder import dtype_policy
from superloop_core.errors import SuperloopError

RECORDED = Path(__file__).parent / "recordings/nondeterministic_stack.npz"


def stack(dtype="float64", **config):
    with dtype_policy(keras.DTypePolicy(dtype)):
        system = NondeterministicStack(NondeterministicStackConfig(**config))
    system.build(system.control_size)
    return system


def run(system, controls):
    """Take the steps of ``(timesteps, batch, control)``; give every read, and the last state."""
    dtype = system.variable_dtype
    sequence = Sequence(batch_size=controls.shape[1], timesteps=len(controls), lengths=None, dtype=dtype)
    state, reads = system.initial_state(sequence), []
    for control in controls:
        read, state, _ = system.step(tf.constant(control, dtype), state, {})
        reads.append(read.numpy())
    return np.stack(reads), state


def draw(config, seed, timesteps, batch=2, scale=2.0):
    return np.random.default_rng(seed).normal(scale=scale, size=(timesteps, batch, config.control_size))


def weights_of(config, control):
    """Of one row: push[q,x,r,y], replace[q,x,r,y], pop[q,x,r], and the vector."""
    states, symbols = config.states, config.symbols
    scores = control[: config.actions].reshape(symbols, states, -1)
    weights = np.exp(scores)
    if config.normalize:
        weights = weights / weights.sum(axis=-1, keepdims=True)
    push, replace, pop = np.split(weights, [config.tops, 2 * config.tops], axis=-1)
    shape = (symbols, states, symbols, states)
    push, replace = (table.reshape(shape).transpose(1, 0, 3, 2) for table in (push, replace))
    return push, replace, pop.transpose(1, 0, 2), 1 / (1 + np.exp(-control[config.actions :]))


def read_of(config, alpha, eta):
    """What is read, of the weights of tops ``[r, y]``, and of their vectors ``[r, y, width]``."""
    share = (eta if config.width else alpha[..., None]) / alpha.sum()
    share = share.sum(axis=0, keepdims=True) if config.read == "symbols" else share
    return share.transpose(1, 0, 2).ravel()


def every_run(config, controls):
    """The reads of one row: each run is followed by itself, with its stack of (symbol, vector, pushed at)."""
    states, symbols, window = config.states, config.symbols, config.capacity or len(controls) + 1
    runs = [(1.0, 0, ((0, np.full(config.width, 0.5), -1),))]
    reads = []
    for j, control in enumerate(controls, 1):
        push, replace, pop, vector = weights_of(config, control)
        new = []
        for weight, q, (*under, (x, of_x, since)) in runs:
            for r, y in itertools.product(range(states), range(symbols)):
                new.append((weight * push[q, x, r, y], r, (*under, (x, of_x, since), (y, vector, j - 1))))
                if under or config.bottom == "replaceable":
                    new.append((weight * replace[q, x, r, y], r, (*under, (y, of_x, since))))
            if len(under) > (config.bottom == "fixed"):
                new.extend((weight * pop[q, x, r], r, tuple(under)) for r in range(states))
        runs = [one for one in new if j - one[2][-1][2] <= window]
        alpha, eta = np.zeros((states, symbols)), np.zeros((states, symbols, config.width))
        for weight, r, pile in runs:
            alpha[r, pile[-1][0]] += weight
            eta[r, pile[-1][0]] += weight * pile[-1][1]
        reads.append(read_of(config, alpha, eta))
    return np.stack(reads)


def recursion(config, controls):
    """The reads of one row, by the papers' gamma, zeta and alpha; times are one on, so that -1 is 0."""
    states, symbols, steps = config.states, config.symbols, len(controls)
    window = config.capacity or steps + 1
    gamma = np.zeros((steps + 1, steps + 2, states, symbols, states, symbols))
    zeta = np.zeros((*gamma.shape, config.width))
    alpha = np.zeros((steps + 2, states, symbols))
    alpha[1, 0, 0] = 1
    if config.bottom == "replaceable":  # in 2020 nothing precedes the bottom
        gamma[0, 1, 0, 0, 0, 0] = alpha[0, 0, 0] = 1
        zeta[0, 1, 0, 0, 0, 0] = 0.5
    reads = []
    for j, control in enumerate(controls, 2):
        push, replace, pop, vector = weights_of(config, control)
        eta = np.zeros((states, symbols, config.width))
        for i in range(max(j - window, 0), j):
            if i == j - 1:
                gamma[i, j] = push
                zeta[i, j] = push[..., None] * vector
            gamma[i, j] += np.einsum("qxsz,szry->qxry", gamma[i, j - 1], replace)
            zeta[i, j] += np.einsum("qxszm,szry->qxrym", zeta[i, j - 1], replace)
            for k in range(i + 1, j - 1):
                uncovered = np.einsum("uysz,szr->uyr", gamma[k, j - 1], pop)
                gamma[i, j] += np.einsum("qxuy,uyr->qxry", gamma[i, k], uncovered)
                zeta[i, j] += np.einsum("qxuym,uyr->qxrym", zeta[i, k], uncovered)
            alpha[j] += np.einsum("qx,qxry->ry", alpha[i], gamma[i, j])
            eta += np.einsum("qx,qxrym->rym", alpha[i], zeta[i, j])
        reads.append(read_of(config, alpha[j], eta))
    return np.stack(reads)


@pytest.mark.slow
@pytest.mark.parametrize("bottom", ["replaceable", "fixed"])
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("capacity", [0, 2, 3, 6])
def test_it_reads_what_all_runs_together_have_on_top(normalize, capacity, bottom):
    """10 actions in each of 5 steps: 100,000 runs."""
    system = stack(states=2, symbols=2, width=2, normalize=normalize, capacity=capacity, bottom=bottom)
    controls = draw(system.config, seed=capacity, timesteps=5, batch=1)
    expected = every_run(system.config, controls[:, 0])
    np.testing.assert_allclose(run(system, controls)[0][:, 0], expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(recursion(system.config, controls[:, 0]), expected, rtol=0, atol=1e-12)


CONFIGS = st.builds(
    NondeterministicStackConfig,
    states=st.integers(1, 3),
    symbols=st.integers(1, 3),
    normalize=st.booleans(),
    read=st.sampled_from(["symbols", "states_and_symbols"]),
    capacity=st.sampled_from([0, 2, 3, 4, 7, 30]),
    width=st.integers(0, 2),
    bottom=st.sampled_from(["replaceable", "fixed"]),
)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(config=CONFIGS, seed=st.integers(0, 999), timesteps=st.integers(1, 12))
def test_for_all_settings_it_computes_the_recursion(config, seed, timesteps):
    with dtype_policy(keras.DTypePolicy("float64")):
        system = NondeterministicStack(config)
    system.build(system.control_size)
    controls = draw(config, seed, timesteps)
    expected = np.stack([recursion(config, controls[:, row]) for row in range(2)], axis=1)
    np.testing.assert_allclose(run(system, controls)[0], expected, rtol=0, atol=1e-12)


def test_the_bottom_has_its_own_vector_until_it_is_left_behind():
    system = stack(dtype="float32", states=1, symbols=1, width=1, capacity=3)
    system.bottom.assign([np.log(3)])  # a sigmoid of 3/4
    replace = [*certain(system.config, 1), 0.0]
    np.testing.assert_allclose(run(system, np.array([[replace]] * 3))[0].ravel(), [0.75, 0.75, 0], atol=1e-6)


def test_the_fixed_bottom_is_the_recorded_one_of_2020():
    with np.load(RECORDED) as arrays:
        recorded = {key.removeprefix("fixed/"): arrays[key] for key in arrays}
    scores = tf.constant(recorded["in/scores"])  # (batch, timesteps, states, symbols, actions)
    batch, timesteps, states, symbols, _ = scores.shape
    system = stack(states=states, symbols=symbols, normalize=True, read="symbols", bottom="fixed")
    tops = system.config.tops
    # Ours are numbered symbol by symbol.
    order = np.arange(tops).reshape(states, symbols).T.ravel()
    columns = np.concatenate([order, tops + order, 2 * tops + np.arange(states)])
    sequence = Sequence(batch_size=batch, timesteps=timesteps, lengths=None, dtype="float64")
    state, reads, alphas = system.initial_state(sequence), [], []
    with tf.GradientTape() as tape:
        tape.watch(scores)
        controls = tf.gather(tf.transpose(scores, (0, 1, 3, 2, 4)), columns, axis=-1)
        for t in range(timesteps):
            read, state, _ = system.step(tf.reshape(controls[:, t], (batch, -1)), state, {})
            reads.append(read)
            alphas.append(tf.reshape(state.alpha, (batch, symbols, states)))
        loss = tf.reduce_sum(tf.stack(reads, 1) * recorded["G/read"])
    np.testing.assert_allclose(tf.stack(reads, 1), recorded["out/read"], rtol=0, atol=1e-12)
    alpha = recorded["trace/alpha"] / recorded["trace/alpha"].sum(axis=(2, 3), keepdims=True)
    np.testing.assert_allclose(np.stack(alphas, 1), alpha.swapaxes(2, 3), rtol=0, atol=1e-12)
    np.testing.assert_allclose(tape.gradient(loss, scores), recorded["grad/scores"], rtol=0, atol=1e-11)


def test_a_fixed_bottom_ends_the_runs_that_replace_or_uncover_it():
    """A half of the runs pushes 1 and a half replaces the bottom; then all pop."""
    for bottom, expected in (("replaceable", [[0.5, 0.5], [1, 0]]), ("fixed", [[0, 1], [0, 0]])):
        system = stack(dtype="float32", states=1, symbols=2, bottom=bottom)
        half, pop = np.full((2, 5), -100.0), certain(system.config, 4)
        half[0, 1] = half[0, 2] = 0
        reads, _ = run(system, np.array([[half.ravel()], [pop]]))
        np.testing.assert_allclose(reads[:, 0], expected, atol=1e-12)


def certain(config, action):
    """Scores by which one action is certain under every top: pushes come first, then replaces and pops."""
    scores = np.full((config.tops, 2 * config.tops + config.states), -100.0)
    scores[:, action] = 100
    return scores.ravel()


@pytest.mark.parametrize("normalize", [True, False])
def test_with_certain_actions_it_is_a_pushdown_stack(normalize):
    system = stack(dtype="float32", states=2, symbols=3, width=1, normalize=normalize)
    tops, rng = system.config.tops, np.random.default_rng(0)
    pile, controls, expected = [(0, 0.5)], [], []
    for _ in range(60):
        kind = rng.choice(["push", "replace", "pop"] if len(pile) > 1 else ["push", "replace"])
        symbol, state, value = rng.integers(3), rng.integers(2), rng.random()
        top = symbol * 2 + state
        if kind == "push":
            pile.append((symbol, value))
        elif kind == "replace":
            pile[-1] = (symbol, pile[-1][1])
        else:
            pile.pop()
        action = {"push": top, "replace": tops + top, "pop": 2 * tops + state}[kind]
        controls.append([[*certain(system.config, action), np.log(value / (1 - value))]])
        read = np.zeros((3, 2))
        read[pile[-1][0], state] = pile[-1][1]
        expected.append(read.ravel())
    reads, _ = run(system, np.array(controls))
    np.testing.assert_allclose(reads[:, 0], expected, atol=1e-6)


@pytest.mark.parametrize("normalize", [True, False])
def test_where_no_run_is_left_it_reads_zeros(normalize):
    system = stack(dtype="float32", states=1, symbols=2, normalize=normalize)
    push, pop = certain(system.config, 1), certain(system.config, 4)
    reads, _ = run(system, np.array([[push], [pop], [pop], [push], [pop]]))
    np.testing.assert_allclose(reads[:, 0], [[0, 1], [1, 0], [0, 0], [0, 0], [0, 0]])


@pytest.mark.parametrize("normalize", [True, False])
def test_actions_are_traced_as_shares_of_all_that_the_runs_do(normalize):
    system = stack(states=2, symbols=2, normalize=normalize, capacity=4)
    config, controls = system.config, draw(system.config, seed=3, timesteps=5)
    sequence = Sequence(batch_size=2, timesteps=5, lengths=None, dtype="float64")
    state = system.initial_state(sequence)
    for control in controls:
        alpha = state.alpha.numpy()
        _, state, named = system.step(tf.constant(control), state, {})
        scores = control.reshape(2, config.tops, -1)
        done = np.exp(scores) / (np.exp(scores).sum(-1, keepdims=True) if normalize else 1)
        done *= alpha[:, :, None]
        done /= done.sum(axis=(1, 2), keepdims=True)
        traced = np.concatenate([named[name] for name in ("push", "replace", "pop")], axis=-1)
        np.testing.assert_allclose(traced, done, atol=1e-12)


def test_a_factor_that_the_exps_of_a_timestep_share_says_nothing():
    """Without ``normalize`` scores may be so high or low that no float holds their exp."""
    system = stack(states=2, symbols=2, capacity=4)
    controls = draw(system.config, seed=1, timesteps=8)
    expected, _ = run(system, controls)
    shifted = controls + np.linspace(-5000, 5000, 8)[:, None, None]
    np.testing.assert_allclose(run(system, shifted)[0], expected, atol=1e-9)


@pytest.mark.slow
def test_it_holds_for_200_timesteps_in_a_window():
    system = stack(states=2, symbols=2, normalize=True, capacity=4, width=1)
    controls = draw(system.config, seed=2, timesteps=200, batch=1)
    expected = recursion(system.config, controls[:, 0])
    np.testing.assert_allclose(run(system, controls)[0][:, 0], expected, rtol=0, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("normalize", [True, False])
def test_ten_thousand_steps_neither_vanish_nor_overflow(normalize):
    """By the equations as they stand alpha would be 1e-5000 or so; float64 tells what is right."""

    def last(dtype):
        system = stack(dtype=dtype, states=2, symbols=2, normalize=normalize, capacity=5, width=2)
        size = system.config.control_size
        bias = np.zeros(size)
        bias[: system.config.actions].reshape(4, 10)[:, -2:] = 3  # of pops
        sequence = Sequence(batch_size=2, timesteps=10_000, lengths=None, dtype=dtype)

        @tf.function(autograph=False, jit_compile=True)
        def loop():
            def body(t, state, low, high, read):
                drawn = tf.random.stateless_normal((2, size), seed=tf.stack([t, 7]), stddev=3.0)
                read, state, _ = system.step(tf.cast(drawn, dtype) + bias, state, {})
                total = tf.reduce_sum(state.alpha, axis=1)
                return t + 1, state, tf.minimum(low, total), tf.maximum(high, total), read

            ones = tf.ones((2,), dtype)
            first = 0, system.initial_state(sequence), ones, ones, tf.zeros((2, system.output_size), dtype)
            return tf.while_loop(lambda t, *_: t < 10_000, body, first)[2:]

        low, high, read = loop()
        np.testing.assert_allclose([low, high], 1, atol=1e-5)
        return read

    np.testing.assert_allclose(last("float32"), last("float64"), atol=1e-4)


@pytest.mark.release
@pytest.mark.parametrize("normalize", [True, False])
def test_a_thousand_steps_and_their_gradient_stay_finite(normalize):
    """With scores of some hundreds, so that runs die and come back."""
    layer = Superloop(
        {
            "inputs": 2,
            "outputs": 1,
            "cells": [{"use": "gru", "units": 4}],
            "systems": [{"use": "nondeterministic_stack", "capacity": 6, "width": 2, "normalize": normalize}],
        },
        jit_compile=True,
    )
    inputs = tf.random.stateless_normal((2, 1000, 2), seed=(1, 2))
    layer(inputs)
    rng = np.random.default_rng(0)
    layer.set_weights([rng.normal(scale=50, size=weight.shape) for weight in layer.weights])

    @tf.function(autograph=False)
    def gradient():
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(layer(inputs, training=True))
        return tape.gradient(total, [weight.value for weight in layer.weights])

    for slope in gradient():
        assert np.isfinite(slope).all()


@pytest.mark.slow
def test_all_timesteps_are_kept_whether_or_not_their_number_is_known_beforehand():
    """A capacity beyond the sequence, capacity = 0, and capacity = 0 where only the data tells."""
    config = {"inputs": 2, "outputs": 1, "cells": [{"use": "gru", "units": 4}]}
    inputs = np.random.default_rng(0).normal(size=(2, 7, 2)).astype("float32")

    def answer(capacity, timesteps, weights=None):
        system = {"use": "nondeterministic_stack", "capacity": capacity, "width": 1}
        symbolic = keras.Input((timesteps, 2))
        model = keras.Model(symbolic, Superloop(config | {"systems": [system]})(symbolic))
        rng = np.random.default_rng(1)
        model.set_weights([rng.normal(size=weight.shape) for weight in model.weights])
        return model.predict(inputs, verbose=0)

    expected = answer(20, 7)
    np.testing.assert_allclose(answer(0, 7), expected, atol=1e-6)
    np.testing.assert_allclose(answer(0, None), expected, atol=1e-6)


def test_all_timesteps_of_a_sequence_without_end_are_rejected():
    sequence = Sequence(batch_size=1, timesteps=None, lengths=None, dtype="float32")
    with pytest.raises(SuperloopError, match="set 'capacity'"):
        stack().initial_state(sequence)


@pytest.mark.parametrize("wrong", [{"states": 0}, {"symbols": 0}, {"capacity": 1}, {"width": -1}])
def test_what_could_not_work_is_rejected(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        NondeterministicStackConfig(**wrong)
