"""Tapes that turn under a head."""

from typing import Literal

import attrs
from attrs.validators import ge

from superloop_core import SystemSpec, hookimpl


@attrs.frozen(kw_only=True)
class TapeConfig:
    """The tapes of the Baby-NTM.

    Args:
        slots: length of each tape, a ring; a jump that is longer goes round it.
        width: numbers in a slot.
        tapes: how many, side by side, each with actions of its own.
        jumps: whether a tape may also jump, to the left and to the right.
        jump: how far it jumps: ``length``, the row's number of valid timesteps, or ``source``, a number for
            each row that is given with the inputs.
    """

    slots: int = attrs.field(default=32, validator=ge(1))
    width: int = attrs.field(default=8, validator=ge(1))
    tapes: int = attrs.field(default=1, validator=ge(1))
    jumps: bool = True
    jump: Literal["length", "source"] = "length"

    def __attrs_post_init__(self) -> None:
        if self.jump == "source" and not self.jumps:
            raise ValueError(
                "'jump' = 'source' needs 'jumps' = true: without jumps the source would not be read"
            )

    @property
    def actions(self) -> int:
        """Stay, left and right, and with ``jumps`` a jump to the left and one to the right."""
        return 5 if self.jumps else 3

    @property
    def control_size(self) -> int:
        """For each tape its actions, and what to write."""
        return self.tapes * (self.actions + self.width)

    @property
    def output_size(self) -> int:
        """What is under the heads."""
        return self.tapes * self.width

    @property
    def sources(self) -> dict[str, tuple[int | None, ...]]:
        """How far to jump, a number for each row, where ``jump`` says so."""
        return {"jump": ()} if self.jump == "source" else {}


@hookimpl
def superloop_register():
    """The tape of the Baby-NTM."""
    yield SystemSpec(
        name="tape",
        config=TapeConfig,
        factory="superloop_plugin_tape.tape:Tape",
        summary="Tapes that turn under a head, of the Baby-NTM (Deletang et al., 2023)",
        example={"slots": 8, "width": 3, "tapes": 2},
        reference="Deletang et al., 2023, https://arxiv.org/abs/2207.02098",
        expected_failures={
            "chunks_are_the_whole": "it jumps by the length of the sequence, which is another for each part"
        },
    )
