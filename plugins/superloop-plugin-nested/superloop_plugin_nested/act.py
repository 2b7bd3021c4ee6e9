"""Adaptive computation time."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from superloop_core import Builder, ConfigError, Sequence, assemble
from superloop_core.builder import State, Tensor, is_loss
from superloop_plugin_nested.settings import ActConfig

EPSILON = 0.01  # a row halts when its halting probabilities sum up to more than 1 - EPSILON


class Act(keras.layers.Layer, Builder):  # type: ignore[misc]
    """Takes several steps of a cell at each timestep, until their halting probabilities sum up to 1.

    ::

        y_n, s_n = cell([x ; n = 1], s_{n-1})           s_0: the state of the previous timestep
        h_n      = sigmoid(W y_n + b)                   b = 1 at first
        N        = the first n with h_1 + ... + h_n > 1 - 0.01, or max_steps
        R        = 1 - h_1 - ... - h_{N-1}
        p_n      = h_n for n < N,  R for n = N,  0 for n > N
        y, s     = sum_n p_n y_n, sum_n p_n s_n
        loss     = ponder_cost (N + R)                  summed over timesteps; its gradient is that of R

    Each row halts by itself, but all ``max_steps`` steps are computed.

    Reference: Graves, "Adaptive Computation Time for Recurrent Neural Networks", 2016,
    https://arxiv.org/abs/1603.08983

    Traces: ``halting``, the p_n, ``(batch, max_steps)``; ``ponder``, N + R, ``(batch,)``; ``losses.ponder``,
    ponder_cost (N + R), ``(batch,)``, which training adds to the loss.
    """

    def __init__(self, settings: ActConfig):
        super().__init__(autocast=False)
        self.settings = settings
        self.cell = assemble(settings.cell)
        self.output_size = self.cell.output_size
        self.supports_jit = self.cell.supports_jit
        self.stochastic = self.cell.stochastic
        self.halt = keras.layers.Dense(1, bias_initializer="ones", name="halt")

    @property
    def sources(self) -> Mapping[str, Any]:
        """Those of the inner cell."""
        return self.cell.sources

    def build(self, input_size: int) -> None:
        """Make the weights; the flag of the first step is one more input of the cell."""
        if not getattr(self.cell, "built", False):
            self.cell.build(input_size + 1)
        self.halt.build((None, self.output_size))

    def initial_state(self, sequence: Sequence) -> State:
        """Return the state of the inner cell.

        Raises:
            ConfigError: it has numbers of which no mean can be taken.
        """
        state = self.cell.initial_state(sequence)
        for tensor in keras.tree.flatten(state):
            if not (tensor.dtype.is_floating or tensor.dtype.is_complex):
                raise ConfigError(f"a cell in 'act' must have a state of floats: {tensor.dtype.name}")
        return state

    def prepare(self) -> Any:
        """Return what the inner cell prepares."""
        return self.cell.prepare()

    def constants(self, sequence: Sequence) -> Any:
        """Return the constants of the inner cell."""
        return self.cell.constants(sequence)

    def step(self, inputs: Tensor, state: State, constants: Any) -> tuple[Tensor, State, dict[str, Tensor]]:
        """Take one timestep: inputs ``(batch, input_size)``."""
        last = self.settings.max_steps - 1
        flag = ops.ones_like(inputs[:, :1])  # (batch, 1)
        left = ops.cast(flag, self.variable_dtype)  # 1 minus the p_n so far, (batch, 1)
        steps, remainder = ops.zeros_like(left), ops.zeros_like(left)
        losses: dict[str, Tensor] = {}
        mean, weights = None, []
        for n in range(self.settings.max_steps):
            output, state, named = self.cell.step(ops.concatenate([inputs, flag], axis=-1), state, constants)
            running = ops.cast(left > 0, left.dtype)
            for name in filter(is_loss, named):  # of the inner cell, in the steps that are taken
                loss = named[name] * ops.cast(running[:, 0], named[name].dtype)
                losses[name] = losses[name] + loss if name in losses else loss
            h = ops.cast(ops.sigmoid(self.halt(output)), left.dtype)
            halts = left - h < EPSILON if n < last else ops.ones_like(left, dtype="bool")
            p = ops.where(halts, left, h)  # 0 once the row has halted, as nothing is left
            steps += running
            remainder += ops.where(halts, left, 0.0)
            weighted = keras.tree.map_structure(lambda t, p=p: _times(p, t), (output, state))
            mean = weighted if mean is None else keras.tree.map_structure(ops.add, mean, weighted)
            weights.append(p)
            left, flag = left - p, ops.zeros_like(flag)
        ponder = (steps + remainder)[:, 0]  # (batch,)
        if self.settings.ponder_cost:
            losses["losses.ponder"] = self.settings.ponder_cost * ponder
        output, state = mean  # type: ignore[misc]
        return output, state, {"halting": ops.concatenate(weights, axis=-1), "ponder": ponder, **losses}

    def state_names(self, state: State) -> list[str]:
        """Return the inner cell's names."""
        return self.cell.state_names(state)


def _times(weights: Tensor, tensor: Tensor) -> Tensor:
    """Weight each row of a tensor ``(batch, ...)`` by weights ``(batch, 1)``."""
    return tensor * ops.cast(ops.reshape(weights, (-1, *[1] * (len(tensor.shape) - 1))), tensor.dtype)
