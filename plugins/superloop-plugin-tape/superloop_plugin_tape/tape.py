"""The tape of the Baby-NTM."""

from typing import NamedTuple

import tensorflow as tf
from keras import ops

from superloop_core import Sequence, SourceError, System
from superloop_core.builder import Tensor


class TapeState(NamedTuple):
    """What the tapes hold; ``cells[:, :, 0]`` are under the heads."""

    cells: Tensor  # (batch, tapes, slots, width)


class Jumps(NamedTuple):
    """How far each row jumps, and which slot comes to which place."""

    length: Tensor  # (batch,) of int32
    left: Tensor  # (batch, slots) of int32: (m + length) mod slots, for each m
    right: Tensor  # (batch, slots) of int32: (m - length) mod slots


class Tape(System):
    """Tapes that are written under the head, then turned: by one slot, by a jump or not, each by its share.

    ::

        stay, left, right, jump_left, jump_right = softmax(actions)       or the first three, without jumps
        t     = value, s[1], ..., s[N-1]                                  always written, at slot 0
        s'[m] = stay * t[m] + left * t[m+1] + right * t[m-1]
              + jump_left * t[m+l] + jump_right * t[m-l]                  all modulo N
        read  = s'[0]

    The head is at slot 0, and a tape is a ring of N ``slots`` that turns under it: turned to the left, it
    brings the next slot under the head. A jump is as long as the row has valid timesteps, or as the source
    ``jump`` says. One that is longer than the tape goes round it.

    The control holds the actions of all tapes, and then the values of all, which are written as they are.

    Reference: Deletang et al., 2023, https://arxiv.org/abs/2207.02098 (the jumps are by the input's length; a
    sequence that goes on after its input, as theirs do, gives that as the source).

    Sources: with ``jump = "source"``, ``jump`` ``(batch,)``, whole numbers, negative ones too; what is not
    whole is rounded, and no gradient reaches it.
    Traces: ``cells`` ``(batch, tapes, slots, width)``; ``actions`` ``(batch, tapes, 5)``, or 3, as above;
    ``displacement`` ``(batch, tapes)``, by how many slots the head is expected to move along the tape at this
    step. Its running sum is where the head is expected to be, counted on and on, not modulo N: for the
    controls there were, the tape holds what it would on average if each step drew one action by its share.
    """

    @property
    def slot_names(self) -> dict[str, tuple[str, ...]]:
        """The actions."""
        return {"actions": ("stay", "left", "right", "jump left", "jump right")[: self.config.actions]}

    def initial_state(self, sequence: Sequence) -> TapeState:
        """Start with empty tapes: slots of zeros."""
        config = self.config
        shape = (sequence.batch_size, config.tapes, config.slots, config.width)
        return TapeState(ops.zeros(shape, dtype=self.variable_dtype))

    def constants(self, sequence: Sequence) -> Jumps | None:
        """Work out the jumps of each row; None where there are none.

        Raises:
            SourceError: nothing tells how many timesteps there are.
        """
        if not self.config.jumps:
            return None
        if self.config.jump == "source":
            length = ops.cast(ops.round(sequence.sources["jump"]), "int32")
        elif sequence.lengths is not None:
            length = ops.cast(sequence.lengths, "int32")
        else:
            raise SourceError(
                "a tape jumps by the number of timesteps, and nothing tells it here: open the session with "
                "'timesteps', or set the tape's jump = \"source\" and give it how far to jump"
            )
        slots = ops.arange(self.config.slots)
        left, right = (tf.math.floormod(slots + by[:, None], self.config.slots) for by in (length, -length))
        return Jumps(length, left, right)

    def step(
        self, control: Tensor, state: TapeState, constants: Jumps | None
    ) -> tuple[Tensor, TapeState, dict[str, Tensor]]:
        """Write, turn, then read: control ``(batch, tapes * (actions + width))``."""
        config, jumps = self.config, constants
        scores, value = ops.split(control, [config.tapes * config.actions], axis=-1)
        actions = tf.nn.softmax(ops.reshape(scores, (-1, config.tapes, config.actions)))
        value = ops.reshape(value, (-1, config.tapes, 1, config.width))
        tape = ops.concatenate([value, state.cells[:, :, 1:]], axis=2)
        share = actions[..., None, None]  # (batch, tapes, actions, 1, 1)
        displacement = actions[..., 1] - actions[..., 2]
        cells = share[:, :, 0] * tape
        cells += share[:, :, 1] * tf.roll(tape, -1, axis=2)
        cells += share[:, :, 2] * tf.roll(tape, 1, axis=2)
        if jumps is not None:
            cells += share[:, :, 3] * tf.gather(tape, jumps.left, axis=2, batch_dims=1)
            cells += share[:, :, 4] * tf.gather(tape, jumps.right, axis=2, batch_dims=1)
            length = ops.cast(jumps.length[:, None], actions.dtype)
            displacement += length * (actions[..., 3] - actions[..., 4])
        read = ops.reshape(cells[:, :, 0], (-1, config.tapes * config.width))
        return read, TapeState(cells), {"actions": actions, "displacement": displacement}
