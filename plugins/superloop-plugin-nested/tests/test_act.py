"""Adaptive computation time beside a float64 NumPy reading of Graves (2016)."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from superloop_plugin_nested.act import EPSILON

from superloop_core import ConfigError, Superloop

RNN = {"use": "simple_rnn", "units": 3}


def made(max_steps=4, cell=RNN, **settings):
    cells = [{"use": "act", "cell": cell, "max_steps": max_steps, **settings}]
    loop = Superloop({"inputs": 2, "cells": cells}, traces="all", dtype="float64")
    x = np.random.default_rng(0).normal(size=(5, 4, 2))
    loop(x)
    rng = np.random.default_rng(1)
    for weight in loop.trainable_variables:
        weight.assign(rng.normal(scale=0.7, size=weight.shape))
    loop.wiring.cells[0].halt.kernel.assign([[2.0], [-2.0], [1.0]])
    loop.wiring.cells[0].halt.bias.assign([0.3])
    return loop, x


def read(x, kernel, recurrent, bias, halt_kernel, halt_bias, max_steps):
    """Return outputs, weights of the steps, and N + R, row by row and timestep by timestep."""
    outputs, weights, ponder = (
        np.zeros((*x.shape[:2], 3)),
        np.zeros((*x.shape[:2], max_steps)),
        np.zeros(x.shape[:2]),
    )
    for row in range(len(x)):
        state = np.zeros(3)
        for t in range(x.shape[1]):
            h, seen, total = state, [], 0.0
            for n in range(max_steps):
                h = np.tanh(np.concatenate([x[row, t], [float(n == 0)]]) @ kernel + h @ recurrent + bias)
                seen.append(h)
                halting = 1 / (1 + np.exp(-(h @ halt_kernel + halt_bias)[0]))
                if total + halting > 1 - EPSILON or n == max_steps - 1:
                    weights[row, t, n] = 1 - total
                    break
                weights[row, t, n] = halting
                total += halting
            ponder[row, t] = n + 1 + weights[row, t, n]
            state = weights[row, t, : n + 1] @ np.array(seen)
            outputs[row, t] = state
    return outputs, weights, ponder


def test_outputs_steps_and_cost_are_those_of_the_paper():
    loop, x = made(ponder_cost=0.5)
    weights = [np.array(weight) for weight in loop.trainable_variables]
    outputs, halting, ponder = read(x, *weights, max_steps=4)
    traces = loop(x)
    assert len({int(steps) for steps in ponder.flat}) > 1  # not always the same number of steps
    np.testing.assert_allclose(traces["outputs"], outputs, atol=1e-12)
    np.testing.assert_allclose(traces["cells.0.halting"], halting, atol=1e-12)
    np.testing.assert_allclose(traces["cells.0.ponder"], ponder, atol=1e-12)
    np.testing.assert_allclose(float(loop.losses[0]), 0.5 * ponder.sum(axis=1).mean(), rtol=1e-6)


def test_the_gradient_of_the_cost_is_that_of_the_remainder():
    loop, x = made(ponder_cost=1.0)
    bias = loop.wiring.cells[0].halt.bias
    with tf.GradientTape() as tape:
        loop(x)
        loss = tf.cast(loop.losses[0], "float64")
    slope = tape.gradient(loss, bias)
    remainders = []
    for step in (1e-6, -2e-6):
        bias.assign_add([step])
        remainders.append(float(np.sum(loop(x)["cells.0.ponder"], axis=1).mean()))
    np.testing.assert_allclose(slope[0], (remainders[0] - remainders[1]) / 2e-6, rtol=1e-4)


def test_without_a_cost_there_is_no_loss():
    loop, x = made(ponder_cost=0.0)
    loop(x)
    assert loop.losses == []


def test_one_step_is_the_cell_itself():
    loop, x = made(max_steps=1)
    alone = Superloop({"inputs": 3, "cells": [RNN]}, dtype="float64")
    flagged = np.concatenate([x, np.ones((*x.shape[:2], 1))], axis=-1)
    alone(flagged)
    alone.set_weights(loop.wiring.cells[0].cell.get_weights())
    np.testing.assert_allclose(loop(x)["outputs"], alone(flagged), atol=1e-12)


def test_a_cell_that_counts_in_integers_is_refused():
    class Counting(keras.layers.Layer):
        state_size, output_size, state_names = 1, 2, ("count",)

        def call(self, inputs, states, training=False):
            return inputs[:, :2], [states[0] + 1]

        def get_initial_state(self, batch_size=None):
            return [tf.zeros((batch_size, 1), tf.int32)]

    with pytest.raises(ConfigError, match="'act' must have a state of floats: int32"):
        made(cell=Counting(dtype="float64"))
