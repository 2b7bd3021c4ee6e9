"""The tape of the Tape-RNN."""

from typing import Any, ClassVar, NamedTuple

import keras
import tensorflow as tf
from keras import ops

from superloop_core import Sequence, SourceError, System, TraceView, draw_normal
from superloop_core.builder import Tensor
from superloop_plugin_tape import TapeConfig


class TapeState(NamedTuple):
    """The tapes' contents; ``cells[:, :, 0]`` are under the heads."""

    cells: Tensor  # (batch, tapes, slots, width)


class Jumps(NamedTuple):
    """The jumps of each batch element: their length, and the slot that each slot is copied from."""

    length: Tensor  # (batch,) of int32
    left: Tensor  # (batch, slots) of int32: (m + length) mod slots, for each m
    right: Tensor  # (batch, slots) of int32: (m - length) mod slots


class TapeConstants(NamedTuple):
    """The same at each timestep of a call."""

    jumps: Jumps | None
    noisy: bool  # whether noise is added to the scores


class Tape(System[TapeConfig]):
    """Tapes that are written under the head, then turned by a mixture of actions.

    ::

        stay, left, right, jump_left, jump_right = softmax(actions)       or the first three, without jumps
        t     = value, s[1], ..., s[N-1]                                  always written, at slot 0
        s'[m] = stay * t[m] + left * t[m+1] + right * t[m-1]
              + jump_left * t[m+l] + jump_right * t[m-l]                  all modulo N
        read  = s'[0]

    The head is at slot 0. A tape is a ring of N ``slots`` that turns under it; a turn to the left brings the
    next slot under the head. The length l of a jump is the number of valid timesteps of the batch element, or
    the source ``jump``. A jump longer than the tape wraps around.

    The control holds the action scores of all tapes, then the values of all tapes. Values are written
    without squashing. With ``value_layers`` the control holds their first hidden layer in their place::

        value = W_n relu( ... W_1 relu(control) + b_1 ... ) + b_n

    Reference: the Tape-RNN of Deletang et al., 2023, https://arxiv.org/abs/2207.02098; it is made after the
    Baby-NTM of Suzgun et al., 2019, which is ``baby_ntm`` here. Their jumps have the length of the input, and
    their sequences continue after the input: feed the input's length as the source. Their values come from
    the cell by an MLP with two hidden layers of 64: ``value_layers = [64, 64]``, whose first layer is the
    projection to the control.

    With ``noise`` the scores of the actions have normal noise in training, drawn anew at each timestep. A
    mixture of actions blurs the tape a little in each step, so a network that mixes them fails on longer
    sequences than in training; against noise it learns to choose one. The paper has no noise; Salakhutdinov
    and Hinton, Semantic Hashing, 2009, https://doi.org/10.1016/j.ijar.2008.11.006, makes units binary by it.

    Sources: with ``jump = "source"``, ``jump`` ``(batch,)``, integers, which may be negative. Other numbers
    are rounded, and no gradient reaches them.
    Traces: ``cells`` ``(batch, tapes, slots, width)``; ``actions`` ``(batch, tapes, 5)``, or 3 without jumps,
    in the order above; ``displacement`` ``(batch, tapes)``, the expected move of the head along the tape in
    this step, in slots. Its running sum is the expected position of the head, not modulo N. The contents are
    an expectation too: their mean if each step drew one action with the actions' probabilities.
    """

    trace_views: ClassVar = {
        "cells": TraceView("tape", "tape", "slot", "number"),
        "actions": TraceView("actions", "tape", "action"),
        "displacement": TraceView("scalar", "tape"),
    }

    def __init__(self, config: TapeConfig):
        super().__init__(config)
        self.stochastic = "training" if config.noise else False
        sizes = (*config.value_layers[1:], config.tapes * config.width) if config.value_layers else ()
        self.value_layers = [keras.layers.Dense(size, dtype=self.dtype_policy) for size in sizes]

    @property
    def slot_names(self) -> dict[str, tuple[str, ...]]:
        """The names of the actions."""
        return {"actions": ("stay", "left", "right", "jump left", "jump right")[: self.config.actions]}

    def build(self, input_size: int) -> None:
        """Make the weights of the MLP; its first layer is the projection to the control."""
        del input_size
        for layer, size in zip(self.value_layers, self.config.value_layers, strict=True):
            layer.build((None, size))

    def initial_state(self, sequence: Sequence) -> TapeState:
        """Start with empty tapes: slots of zeros."""
        config = self.config
        shape = (sequence.batch_size, config.tapes, config.slots, config.width)
        return TapeState(ops.zeros(shape, dtype=self.variable_dtype))

    def constants(self, sequence: Sequence) -> TapeConstants:
        """Return the jumps of each batch element, and whether there is noise.

        Raises:
            SourceError: the number of timesteps is unknown.
        """
        return TapeConstants(self._jumps(sequence), noisy=bool(self.config.noise and sequence.training))

    def _jumps(self, sequence: Sequence) -> Jumps | None:
        if not self.config.jumps:
            return None
        if self.config.jump == "source":
            length = ops.cast(ops.round(sequence.sources["jump"]), "int32")
        elif sequence.lengths is not None:
            length = ops.cast(sequence.lengths, "int32")
        else:
            raise SourceError(
                "a tape jumps by the number of timesteps, which is unknown in a session and in a stateful "
                "loop: open the session with 'timesteps', or set the tape's jump = \"source\" and feed the "
                "length of a jump"
            )
        slots = ops.arange(self.config.slots, dtype="int32")
        left, right = (tf.math.floormod(slots + by[:, None], self.config.slots) for by in (length, -length))
        return Jumps(length, left, right)

    def step(
        self, control: Tensor, state: TapeState, constants: TapeConstants
    ) -> tuple[Tensor, TapeState, dict[str, Tensor]]:
        """Write, turn, then read. The control is ``(batch, control_size)``."""
        config, jumps = self.config, constants.jumps
        scores, value = ops.split(control, [config.tapes * config.actions], axis=-1)
        if constants.noisy:
            scores += config.noise * ops.cast(draw_normal(scores.shape[1:]), scores.dtype)
        actions = tf.nn.softmax(ops.reshape(scores, (-1, config.tapes, config.actions)))
        for layer in self.value_layers:
            value = layer(ops.relu(value))
        value = ops.reshape(value, (-1, config.tapes, 1, config.width))
        tape = ops.concatenate([value, state.cells[:, :, 1:]], axis=2)
        share = actions[..., None, None]  # (batch, tapes, actions, 1, 1)
        displacement = actions[..., 1] - actions[..., 2]
        cells = share[:, :, 0] * tape
        cells += share[:, :, 1] * tf.roll(tape, -1, axis=2)
        cells += share[:, :, 2] * tf.roll(tape, 1, axis=2)
        if jumps is not None:
            cells += share[:, :, 3] * _turned(tape, jumps.left, jumps.right)
            cells += share[:, :, 4] * _turned(tape, jumps.right, jumps.left)
            length = ops.cast(jumps.length[:, None], actions.dtype)
            displacement += length * (actions[..., 3] - actions[..., 4])
        read = ops.reshape(cells[:, :, 0], (-1, config.tapes * config.width))
        return read, TapeState(cells), {"actions": actions, "displacement": displacement}


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _turned(tape: Tensor, there: Tensor, back: Tensor) -> Any:
    """Turn a tape by indices ``(batch, slots)``; ``back`` undoes it.

    The gradient is the turn back: the one of a gather would be a scatter, which is slow.
    """
    turned = tf.gather(tape, there, axis=2, batch_dims=1)
    return turned, lambda slope: (_turned(slope, back, there), None, None)
