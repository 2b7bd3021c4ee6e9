"""The memory of the Neural Turing Machine."""

from collections.abc import Iterator
from typing import Literal

import attrs
from attrs.validators import ge

from superloop_core import SystemSettings, SystemSpec, hookimpl


@attrs.frozen(kw_only=True)
class NTMConfig(SystemSettings):
    """A memory with heads that address it by content and by location.

    Args:
        slots: number of slots, the rows of the memory.
        width: numbers in a slot.
        read_heads: number of read heads; each reads one vector.
        write_heads: number of write heads.
        shift_range: largest shift of a head in a timestep, in slots, to either side.
        initial_memory: the memory at t = 0: ``constant``, 1e-6 everywhere; ``random``, drawn with the
            weights and not trained; ``learned``, drawn in the same way and trained.
        initial_weighting: the weightings at t = 0: ``first``, all on the first slot; ``uniform``, equal on
            all slots, which a constant memory would keep alike for ever; ``learned``, one for each head.
        order: which comes first in a timestep, ``write_first`` or ``read_first``.
        read_addressing: the memory whose content read heads compare with their keys: ``old``, before the
            write, as all heads; ``new``, after it, where the write comes first.
        keys: the activation of keys, ``tanh`` or ``linear``.
        adds: the activation of the vectors that are added, ``tanh`` or ``linear``.
    """

    slots: int = attrs.field(default=128, validator=ge(1))
    width: int = attrs.field(default=20, validator=ge(1))
    read_heads: int = attrs.field(default=1, validator=ge(1))
    write_heads: int = attrs.field(default=1, validator=ge(1))
    shift_range: int = attrs.field(default=1, validator=ge(0))
    initial_memory: Literal["constant", "random", "learned"] = "constant"
    initial_weighting: Literal["first", "uniform", "learned"] = "first"
    order: Literal["write_first", "read_first"] = "write_first"
    read_addressing: Literal["old", "new"] = "old"
    keys: Literal["tanh", "linear"] = "tanh"
    adds: Literal["tanh", "linear"] = "tanh"

    def __attrs_post_init__(self) -> None:
        if self.initial_weighting == "uniform" and self.initial_memory == "constant":
            raise ValueError(
                "'initial_memory' must be 'random' or 'learned' with 'initial_weighting' = 'uniform', or all "
                f"slots stay alike: {self.initial_memory!r}"
            )
        if self.order == "read_first" and self.read_addressing == "new":
            raise ValueError(
                f"'read_addressing' must be 'old' with 'order' = 'read_first': {self.read_addressing!r}"
            )

    @property
    def heads(self) -> int:
        """Number of heads, read and write."""
        return self.read_heads + self.write_heads

    @property
    def shifts(self) -> int:
        """Number of shifts, from -shift_range to shift_range."""
        return 2 * self.shift_range + 1

    @property
    def control_size(self) -> int:
        """For each head a key, strength, gate, shifts and sharpness; for each write head also e and a."""
        return self.heads * (self.width + 3 + self.shifts) + self.write_heads * 2 * self.width

    @property
    def output_size(self) -> int:
        """A vector of ``width`` for each read head."""
        return self.read_heads * self.width


@hookimpl
def superloop_register() -> Iterator[SystemSpec]:
    """Register the memory of the Neural Turing Machine."""
    yield SystemSpec(
        name="ntm",
        config=NTMConfig,
        factory="superloop_plugin_ntm.ntm:NTM",
        summary="Memory that heads address by content and by location (Graves et al., 2014)",
        example={"slots": 5, "width": 3, "read_heads": 2},
        reference="Graves et al., 2014, https://arxiv.org/abs/1410.5401",
    )
