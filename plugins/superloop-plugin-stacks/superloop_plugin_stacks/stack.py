"""The continuous stack."""

from typing import Any, ClassVar, NamedTuple

import keras
import tensorflow as tf
from keras import ops

from superloop_core import Sequence, System, TraceView
from superloop_core.builder import Tensor
from superloop_plugin_stacks.settings import StackConfig


class StackState(NamedTuple):
    """The cells of the stacks; ``cells[:, :, 0]`` are the tops."""

    cells: Tensor  # (batch, stacks, depth, width)


class AttendedStackState(NamedTuple):
    """The state with ``read = "attention"``: the cells, and how far each is in use."""

    cells: Tensor  # (batch, stacks, depth, width)
    filled: Tensor  # (batch, stacks, depth), from 0 to 1


class Stack(System[StackConfig]):
    """Stacks that push, pop and stay at once, each by its share; the read comes last.

    ::

        push, pop, stay = softmax(actions)                            or push, pop, without no_op
        top'  = push * value  + pop * s[1]   + stay * s[0]
        s'[i] = push * s[i-1] + pop * s[i+1] + stay * s[i]            empty cells come up from below
        read  = s'[0], ..., s'[top_cells-1]

    The control holds the actions of all stacks, and then the values of all: linear, or their sigmoid. Empty
    cells hold the number ``empty``.

    With ``superposition = "joint"`` one softmax is taken over the actions of all stacks, so that the shares
    of one stack sum to less than 1, and what it holds fades. It is that of the code of Deletang et al.

    With ``read = "attention"`` all cells are read, by a trained query for each stack::

        filled' = the step above, of a stack of numbers: 1 is pushed, 0 comes up from below
        read    = sum_i softmax_i(query . (filled'[i] s'[i])) s'[i]

    An empty cell has the score 0, and so a weight. The paper's text gives the query ``depth`` numbers; here
    it has ``width``, as its product with a cell requires.

    References: Joulin and Mikolov, 2015, https://arxiv.org/abs/1503.01007 (whose values are sigmoid, whose
    empty cells hold -1, and who also read several cells); with linear values as in Deletang et al., 2023,
    https://arxiv.org/abs/2207.02098; attention of Zhang et al., 2025, https://arxiv.org/abs/2507.15343

    Traces: ``cells`` ``(batch, stacks, depth, width)``; ``actions`` ``(batch, stacks, 3)``: push, pop,
    stay; without ``no_op`` ``(batch, stacks, 2)``. With attention also ``filled`` and ``weights``
    ``(batch, stacks, depth)``.
    """

    trace_views: ClassVar = {
        "cells": TraceView("stack", "stack", "slot", "number"),
        "actions": TraceView("actions", "stack", "action"),
    }

    def __init__(self, config: StackConfig):
        super().__init__(config)
        if config.read == "attention":
            self.learned_fields = ("cells",)
            self._query_initializer = keras.initializers.GlorotUniform()

    @property
    def slot_names(self) -> dict[str, tuple[str, ...]]:
        """The actions."""
        return {"actions": ("push", "pop", "stay")[: self.config.actions]}

    def build(self, input_size: int) -> None:
        """Make the queries of the attention."""
        del input_size
        config = self.config
        if config.read == "attention":
            shape = (config.stacks, config.width)
            self.query = self.add_weight(shape=shape, initializer=self._query_initializer, name="query")

    def initial_state(self, sequence: Sequence) -> StackState | AttendedStackState:
        """Start with empty stacks."""
        config = self.config
        shape = (sequence.batch_size, config.stacks, config.depth)
        cells = ops.full((*shape, config.width), config.empty, dtype=self.variable_dtype)
        if config.read == "top":
            return StackState(cells)
        return AttendedStackState(cells, ops.zeros(shape, dtype=self.variable_dtype))

    def step(
        self, control: Tensor, state: StackState | AttendedStackState, constants: Any
    ) -> tuple[Tensor, StackState | AttendedStackState, dict[str, Tensor]]:
        """Act, then read: control ``(batch, stacks * (actions + width))``."""
        del constants
        config = self.config
        scores, value = ops.split(control, [config.stacks * config.actions], axis=-1)
        shape = (-1, config.stacks, config.actions)
        if config.superposition == "joint":
            actions = ops.reshape(tf.nn.softmax(scores), shape)
        else:
            actions = tf.nn.softmax(ops.reshape(scores, shape))
        value = ops.reshape(value, (-1, config.stacks, 1, config.width))
        if config.value == "sigmoid":
            value = ops.sigmoid(value)
        cells = self._acted(actions, state.cells, value, ops.full_like(value, config.empty))
        if isinstance(state, StackState):
            read = ops.reshape(cells[:, :, : config.top_cells], (-1, self.output_size))
            return read, StackState(cells), {"actions": actions}
        nothing = ops.zeros_like(value[..., :1])
        filled = self._acted(
            actions, state.filled[..., None], nothing + 1, nothing
        )  # (batch, stacks, depth, 1)
        weights = tf.nn.softmax(ops.sum(filled * cells * self.query[:, None], axis=-1))
        read = ops.reshape(weights[:, :, None] @ cells, (-1, self.output_size))
        state = AttendedStackState(cells, filled[..., 0])
        return read, state, {"actions": actions, "weights": weights}

    def _acted(self, actions: Tensor, cells: Tensor, value: Tensor, below: Tensor) -> Tensor:
        """Push a value, pop and stay; ``below`` comes up: ``(batch, stacks, depth, any)``."""
        share = actions[..., None, None]  # (batch, stacks, actions, 1, 1)
        pushed = ops.concatenate([value, cells[:, :, :-1]], axis=2)
        popped = ops.concatenate([cells[:, :, 1:], below], axis=2)
        acted = share[:, :, 0] * pushed + share[:, :, 1] * popped
        return acted + share[:, :, 2] * cells if self.config.no_op else acted
