"""The memory of the Baby-NTM."""

from typing import Any, ClassVar, NamedTuple

import tensorflow as tf
from keras import ops

from superloop_core import Sequence, System, TraceView
from superloop_core.builder import Tensor
from superloop_plugin_tape import BabyNTMConfig


class BabyNTMState(NamedTuple):
    """The memories' contents; ``cells[:, :, 0]`` are read."""

    cells: Tensor  # (batch, memories, slots, width)


class BabyNTM(System[BabyNTMConfig]):
    """A memory that rotates, stays, pushes and pops at once, each by its share; a value is always added.

    ::

        left, right, stay, push, pop = softmax(actions)
        m'[i] = left * m[i+1] + right * m[i-1] + stay * m[i]              modulo N
              + push * m[i-1] + pop * m[i+1]                              0 for m[-1] and m[N]
        m'[0] <- m'[0] + sigmoid(value)
        read  = m'[0]

    Slot 0 is the top: a rotation to the left brings slot 1 there and the top to the end; a pop does the same
    and drops the top; a push moves all slots down, drops the last, and leaves the top to the value. The value
    is added after every action, also to what is there already, so that a network which only looks must make
    it small. The :class:`~superloop_plugin_tape.tape.Tape` replaces the slot before it turns.

    The control holds the action scores of all memories, then the values of all memories.

    Reference: Suzgun et al., 2019, https://arxiv.org/abs/1911.03329. Their names are rotate-left,
    rotate-right, no-op, pop-right (here push) and pop-left (here pop).

    Traces: ``cells`` ``(batch, memories, slots, width)``; ``actions`` ``(batch, memories, 5)``, in the order
    above.
    """

    trace_views: ClassVar = {
        "cells": TraceView("tape", "memory", "slot", "number"),
        "actions": TraceView("actions", "memory", "action"),
    }

    @property
    def slot_names(self) -> dict[str, tuple[str, ...]]:
        """The names of the actions."""
        return {"actions": ("left", "right", "stay", "push", "pop")}

    def initial_state(self, sequence: Sequence) -> BabyNTMState:
        """Start with empty memories: slots of zeros."""
        config = self.config
        shape = (sequence.batch_size, config.memories, config.slots, config.width)
        return BabyNTMState(ops.zeros(shape, dtype=self.variable_dtype))

    def step(
        self, control: Tensor, state: BabyNTMState, constants: Any
    ) -> tuple[Tensor, BabyNTMState, dict[str, Tensor]]:
        """Move, add, then read. The control is ``(batch, memories * (5 + width))``."""
        del constants
        config, cells = self.config, state.cells
        scores, value = ops.split(control, [config.memories * config.actions], axis=-1)
        actions = tf.nn.softmax(ops.reshape(scores, (-1, config.memories, config.actions)))
        value = ops.sigmoid(ops.reshape(value, (-1, config.memories, 1, config.width)))
        left, right, stay, push, pop = (actions[:, :, i, None, None] for i in range(config.actions))
        up = (left + pop) * cells[:, :, 1:]  # to slots 0, 1, ...
        down = (right + push) * cells[:, :, :-1]  # to slots 1, 2, ...
        first = right * cells[:, :, -1:] + value
        last = left * cells[:, :, :1]
        moved = ops.concatenate([up, last], axis=2) + ops.concatenate([first, down], axis=2)
        cells = moved + stay * cells
        read = ops.reshape(cells[:, :, 0], (-1, self.output_size))
        return read, BabyNTMState(cells), {"actions": actions}
