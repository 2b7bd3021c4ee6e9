"""Tapes that turn under a head."""

from collections.abc import Iterator
from typing import Literal

import attrs
from attrs.validators import ge

from superloop_core import SystemSettings, SystemSpec, hookimpl


@attrs.frozen(kw_only=True)
class TapeConfig(SystemSettings):
    """The tapes of the Baby-NTM.

    Args:
        slots: length of each tape, a ring. A longer jump wraps around.
        width: numbers in a slot.
        tapes: number of tapes, each with its own actions.
        jumps: add the actions jump left and jump right.
        jump: length of a jump: ``length``, the number of valid timesteps of the batch element; or
            ``source``, a number that is fed for each batch element.
    """

    slots: int = attrs.field(default=32, validator=ge(1))
    width: int = attrs.field(default=8, validator=ge(1))
    tapes: int = attrs.field(default=1, validator=ge(1))
    jumps: bool = True
    jump: Literal["length", "source"] = "length"

    def __attrs_post_init__(self) -> None:
        if self.jump == "source" and not self.jumps:
            raise ValueError("'jump' = 'source' needs 'jumps' = true: without jumps nothing reads the source")

    @property
    def actions(self) -> int:
        """Number of actions: stay, left and right; with ``jumps`` also jump left and jump right."""
        return 5 if self.jumps else 3

    @property
    def control_size(self) -> int:
        """Scores of the actions and a value to write, for each tape."""
        return self.tapes * (self.actions + self.width)

    @property
    def output_size(self) -> int:
        """The slots under the heads."""
        return self.tapes * self.width

    @property
    def sources(self) -> dict[str, tuple[int | None, ...]]:
        """The length of a jump, one number for each batch element, if ``jump`` is ``source``."""
        return {"jump": ()} if self.jump == "source" else {}


@hookimpl
def superloop_register() -> Iterator[SystemSpec]:
    """Register the tape of the Baby-NTM."""
    yield SystemSpec(
        name="tape",
        config=TapeConfig,
        factory="superloop_plugin_tape.tape:Tape",
        summary="Tapes that turn under a head, of the Baby-NTM (Deletang et al., 2023)",
        example={"slots": 8, "width": 3, "tapes": 2},
        reference="Deletang et al., 2023, https://arxiv.org/abs/2207.02098",
        expected_failures={
            "chunks_are_the_whole": "it jumps by the length of the sequence, which differs between chunks"
        },
    )
