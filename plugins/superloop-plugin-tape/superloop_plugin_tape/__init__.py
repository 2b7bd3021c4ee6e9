"""Tapes that turn under a head."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

import attrs
from attrs.validators import deep_iterable, ge, lt

from superloop_core import SystemSettings, SystemSpec, hookimpl


@attrs.frozen(kw_only=True)
class TapeConfig(SystemSettings):
    """The tapes of the Tape-RNN.

    Args:
        slots: length of each tape, a ring. A longer jump wraps around.
        width: numbers in a slot.
        tapes: number of tapes, each with its own actions.
        jumps: add the actions jump left and jump right.
        jump: length of a jump: ``length``, the number of valid timesteps of the batch element; or
            ``source``, a number that is fed for each batch element. A training command sets ``source`` where
            neither the tape nor the task says anything and the task knows the length of its contents.
        value_layers: sizes of hidden layers between the control and the values to write, each with a ReLU.
            The paper has two of 64; none: the values are the control itself.
        noise: standard deviation of the noise that is added to the scores of the actions in training. Scores
            that differ by little lose against it, so that a tape learns to take one action and not a mixture.
    """

    # Settings by which the source ``jump`` takes the length of a task's content.
    length_source: ClassVar[tuple[str, Mapping[str, Any]]] = ("jump", {"jumps": True, "jump": "source"})

    slots: int = attrs.field(default=32, validator=ge(1))
    width: int = attrs.field(default=8, validator=ge(1))
    tapes: int = attrs.field(default=1, validator=ge(1))
    jumps: bool = True
    jump: Literal["length", "source"] = "length"
    value_layers: tuple[int, ...] = attrs.field(default=(), validator=deep_iterable(ge(1)))
    noise: float = attrs.field(default=0.0, validator=[ge(0), lt(float("inf"))])

    def __attrs_post_init__(self) -> None:
        if self.jump == "source" and not self.jumps:
            raise ValueError("'jump' = 'source' needs 'jumps' = true: without jumps nothing reads the source")

    @property
    def actions(self) -> int:
        """Number of actions: stay, left and right; with ``jumps`` also jump left and jump right."""
        return 5 if self.jumps else 3

    @property
    def control_size(self) -> int:
        """Scores of the actions for each tape, and the values to write or the first hidden layer of them."""
        return self.tapes * self.actions + (self.value_layers or (self.tapes * self.width,))[0]

    @property
    def output_size(self) -> int:
        """The slots under the heads."""
        return self.tapes * self.width

    @property
    def sources(self) -> dict[str, tuple[int | None, ...]]:
        """The length of a jump, one number for each batch element, if ``jump`` is ``source``."""
        return {"jump": ()} if self.jump == "source" else {}


@attrs.frozen(kw_only=True)
class BabyNTMConfig(SystemSettings):
    """The memory of the Baby-NTM.

    Args:
        slots: length of the memory.
        width: numbers in a slot.
        memories: number of memories, each with its own actions.
    """

    slots: int = attrs.field(default=32, validator=ge(1))
    width: int = attrs.field(default=8, validator=ge(1))
    memories: int = attrs.field(default=1, validator=ge(1))

    actions: ClassVar[int] = 5

    @property
    def control_size(self) -> int:
        """Scores of the five actions and a value to add, for each memory."""
        return self.memories * (self.actions + self.width)

    @property
    def output_size(self) -> int:
        """The first slot of each memory."""
        return self.memories * self.width


@hookimpl
def superloop_register() -> Iterator[SystemSpec]:
    """Register the tape of the Tape-RNN and the memory of the Baby-NTM."""
    yield SystemSpec(
        name="tape",
        config=TapeConfig,
        factory="superloop_plugin_tape.tape:Tape",
        summary="Tapes that turn under a head, of the Tape-RNN (Deletang et al., 2023)",
        example={"slots": 8, "width": 3, "tapes": 2},
        reference="Deletang et al., 2023, https://arxiv.org/abs/2207.02098",
        expected_failures={
            "chunks_are_the_whole": "it jumps by the length of the sequence, which differs between chunks"
        },
    )
    yield SystemSpec(
        name="baby_ntm",
        config=BabyNTMConfig,
        factory="superloop_plugin_tape.baby_ntm:BabyNTM",
        summary="Memory that rotates, pushes and pops at once, of the Baby-NTM (Suzgun et al., 2019)",
        example={"slots": 5, "width": 3, "memories": 2},
        reference="Suzgun et al., 2019, https://arxiv.org/abs/1911.03329",
    )
