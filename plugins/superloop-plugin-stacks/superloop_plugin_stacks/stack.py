"""The continuous stack."""

from typing import Any, ClassVar, NamedTuple

import tensorflow as tf
from keras import ops

from superloop_core import Sequence, System, TraceView
from superloop_core.builder import Tensor
from superloop_plugin_stacks.settings import StackConfig


class StackState(NamedTuple):
    """The cells of the stacks; ``cells[:, :, 0]`` are the tops."""

    cells: Tensor  # (batch, stacks, depth, width)


class Stack(System[StackConfig]):
    """Stacks that push, pop and stay at once, each by its share; the read comes last.

    ::

        push, pop, stay = softmax(actions)                            or push, pop, without no_op
        top'  = push * value  + pop * s[1]   + stay * s[0]
        s'[i] = push * s[i-1] + pop * s[i+1] + stay * s[i]            zeros come up from below
        read  = top'

    The control holds the actions of all stacks, and then the values of all: linear, or their sigmoid.

    References: Joulin and Mikolov, 2015, https://arxiv.org/abs/1503.01007 (whose values are sigmoid); with
    linear values as in Deletang et al., 2023, https://arxiv.org/abs/2207.02098

    Traces: ``cells`` ``(batch, stacks, depth, width)``; ``actions`` ``(batch, stacks, 3)``: push, pop,
    stay; without ``no_op`` ``(batch, stacks, 2)``.
    """

    trace_views: ClassVar = {
        "cells": TraceView("stack", "stack", "slot", "number"),
        "actions": TraceView("actions", "stack", "action"),
    }

    @property
    def slot_names(self) -> dict[str, tuple[str, ...]]:
        """The actions."""
        return {"actions": ("push", "pop", "stay")[: self.config.actions]}

    def initial_state(self, sequence: Sequence) -> StackState:
        """Start with empty stacks: cells of zeros."""
        config = self.config
        shape = (sequence.batch_size, config.stacks, config.depth, config.width)
        return StackState(ops.zeros(shape, dtype=self.variable_dtype))

    def step(
        self, control: Tensor, state: StackState, constants: Any
    ) -> tuple[Tensor, StackState, dict[str, Tensor]]:
        """Act, then read the tops: control ``(batch, stacks * (actions + width))``."""
        del constants
        config, cells = self.config, state.cells
        scores, value = ops.split(control, [config.stacks * config.actions], axis=-1)
        actions = tf.nn.softmax(ops.reshape(scores, (-1, config.stacks, config.actions)))
        value = ops.reshape(value, (-1, config.stacks, 1, config.width))
        if config.value == "sigmoid":
            value = ops.sigmoid(value)
        share = actions[..., None, None]  # (batch, stacks, actions, 1, 1)
        pushed = ops.concatenate([value, cells[:, :, :-1]], axis=2)
        popped = ops.concatenate([cells[:, :, 1:], ops.zeros_like(value)], axis=2)
        cells = share[:, :, 0] * pushed + share[:, :, 1] * popped
        if config.no_op:
            cells = cells + share[:, :, 2] * state.cells
        read = ops.reshape(cells[:, :, 0], (-1, config.stacks * config.width))
        return read, StackState(cells), {"actions": actions}
