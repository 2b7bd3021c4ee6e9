"""The same works in JAX: by hand with lax.scan, and with Haiku; jitted, Python and NumPy left out."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
from timing import run, timed


def fitted(loss, predict, params, optimizer, inputs, targets):
    """Time training and predicting."""
    held = {"params": params, "state": optimizer.init(params)}

    @jax.jit
    def train(params, state, inputs, targets):
        gradients = jax.grad(loss)(params, inputs, targets)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(params, updates), state

    def step():
        held["params"], held["state"] = train(held["params"], held["state"], inputs, targets)
        jax.block_until_ready(held["params"])

    predict = jax.jit(predict)
    figures = timed(train=step, predict=lambda: jax.block_until_ready(predict(held["params"], inputs)))
    return {"build": 0.0} | figures


def original_example(timesteps=64, batch=1024):
    """32 SGU layers of 16 units, attention over 16 x 1, RMSprop."""
    layers, units, rng = 32, 16, np.random.default_rng(0)

    def dense(size, units):
        limit = np.sqrt(6 / (size + units))
        return jnp.asarray(rng.uniform(-limit, limit, (size, units)), jnp.float32), jnp.zeros(units)

    sizes = [3] + [units] * (layers - 1)
    params = {
        "cells": [{"ctrl": dense(size + units, units), "in": dense(size, units)} for size in sizes],
        "control": (jnp.asarray(rng.uniform(0, 0.1, (units, 1)), jnp.float32), jnp.full((1,), 0.9)),
    }

    def step(params, data, carry, x):
        states, position, read = carry
        hidden, new = jnp.concatenate([x, read], -1), []
        for weights, h in zip(params["cells"], states, strict=True):
            (w_ctrl, b_ctrl), (w_in, b_in) = weights["ctrl"], weights["in"]
            f = (jax.nn.soft_sign(jnp.concatenate([hidden, h], -1) @ w_ctrl + b_ctrl) + 1) / 2
            hidden = (1 - f) * jax.nn.leaky_relu(hidden @ w_in + b_in, 0.1) + f * h
            new.append(hidden)
        moved = position + jax.nn.soft_sign(hidden @ params["control"][0] + params["control"][1])
        weights = 1 / (1 + (moved - jnp.arange(16.0)) ** 2)
        return (new, moved, jnp.einsum("bn,bnw->bw", weights, data)), position

    def predict(params, inputs):
        xs, data = inputs
        zeros = [jnp.zeros((batch, units))] * layers, jnp.zeros((batch, 1)), jnp.zeros((batch, 1))
        _, positions = jax.lax.scan(
            lambda carry, x: step(params, data, carry, x), zeros, xs.transpose(1, 0, 2)
        )
        return positions[-1]

    inputs = np.zeros((batch, timesteps, 2), "f"), rng.integers(0, 5, (batch, 16, 1)).astype("f")
    targets = rng.integers(0, 15, (batch, 1)).astype("f")
    return fitted(
        lambda params, inputs, targets: jnp.mean((predict(params, inputs) - targets) ** 2),
        *(predict, params, optax.rmsprop(4e-4), inputs, targets),
    )


class StackCore(hk.RNNCore):
    """A stack beside a vanilla RNN of 256 units."""

    def __init__(self, depth, width):
        super().__init__()
        self.rnn, self.depth, self.width = hk.VanillaRNN(256), depth, width

    def initial_state(self, batch_size):
        return jnp.zeros((batch_size, 256)), jnp.zeros((batch_size, self.depth, self.width))

    def __call__(self, inputs, state):
        hidden, cells = state
        out, hidden = self.rnn(jnp.concatenate([inputs, cells[:, 0]], -1), hidden)
        actions = jax.nn.softmax(hk.Linear(3)(out))[:, :, None, None]
        value = hk.Linear(self.width)(out)[:, None]
        pushed = jnp.concatenate([value, cells[:, :-1]], 1)
        popped = jnp.concatenate([cells[:, 1:], jnp.zeros_like(value)], 1)
        cells = actions[:, 0] * pushed + actions[:, 1] * popped + actions[:, 2] * cells
        return out, (hidden, cells)


class TapeCore(hk.RNNCore):
    """A tape that turns under its head, beside a vanilla RNN of 256 units."""

    def __init__(self, slots, width, jump):
        super().__init__()
        self.rnn, self.slots, self.width, self.jump = hk.VanillaRNN(256), slots, width, jump

    def initial_state(self, batch_size):
        return jnp.zeros((batch_size, 256)), jnp.zeros((batch_size, self.slots, self.width))

    def __call__(self, inputs, state):
        hidden, tape = state
        out, hidden = self.rnn(jnp.concatenate([inputs, tape[:, 0]], -1), hidden)
        actions = jax.nn.softmax(hk.Linear(5)(out))[:, :, None, None]
        tape = jnp.concatenate([hk.Linear(self.width)(out)[:, None], tape[:, 1:]], 1)
        moved = jnp.stack([jnp.roll(tape, by, 1) for by in (0, -1, 1, -self.jump, self.jump)], 1)
        return out, (hidden, jnp.sum(actions * moved, 1))


def stack_rnn(batch=128, timesteps=40):
    """A stack of 30 cells of 8 numbers; 4 symbols in, 4 out; Adam."""
    return core(lambda: StackCore(30, 8), 4, batch, timesteps)


def tape_rnn(batch=128, timesteps=40):
    """A tape of 40 slots of 8 numbers; 8 symbols in, 8 out; Adam."""
    return core(lambda: TapeCore(40, 8, timesteps), 8, batch, timesteps)


def core(make, symbols, batch, timesteps):
    """Fit what a core gives, projected, to its inputs."""

    def network(inputs):
        made = make()
        outputs, _ = hk.dynamic_unroll(made, inputs, made.initial_state(batch), time_major=False)
        return hk.Linear(symbols)(outputs)

    transformed = hk.without_apply_rng(hk.transform(network))
    rng = np.random.default_rng(0)
    inputs = np.eye(symbols, dtype="float32")[rng.integers(0, symbols, (batch, timesteps))]
    params = transformed.init(jax.random.PRNGKey(0), inputs)
    return fitted(
        lambda params, inputs, targets: jnp.mean((transformed.apply(params, inputs) - targets) ** 2),
        *(transformed.apply, params, optax.adam(1e-3), inputs, inputs),
    )


if __name__ == "__main__":
    run({f.__name__: f for f in (original_example, stack_rnn, tape_rnn)})
