"""The memory of the Neural Turing Machine."""

from typing import Literal

import attrs
from attrs.validators import ge

from superloop_core import SystemSpec, hookimpl


@attrs.frozen(kw_only=True)
class NTMConfig:
    """A memory that heads read and write, by content and by location.

    Args:
        slots: rows of the memory.
        width: numbers in a row.
        read_heads: how many heads read; each answers with a row.
        write_heads: how many heads write.
        shift_range: how far a head may turn in a timestep, from -shift_range to shift_range slots.
        initial_memory: what the memory holds at t = 0: "constant", 1e-6 everywhere; "random", drawn once,
            with the weights, and never trained; "learned", drawn like that, and trained.
        initial_weighting: where the heads are at t = 0: at the "first" slot; or "learned", a weighting
            of each head's own.
    """

    slots: int = attrs.field(default=128, validator=ge(1))
    width: int = attrs.field(default=20, validator=ge(1))
    read_heads: int = attrs.field(default=1, validator=ge(1))
    write_heads: int = attrs.field(default=1, validator=ge(1))
    shift_range: int = attrs.field(default=1, validator=ge(0))
    initial_memory: Literal["constant", "random", "learned"] = "constant"
    initial_weighting: Literal["first", "learned"] = "first"

    @property
    def heads(self) -> int:
        """All of them: those that read, and then those that write."""
        return self.read_heads + self.write_heads

    @property
    def shifts(self) -> int:
        """From -shift_range to shift_range."""
        return 2 * self.shift_range + 1

    @property
    def control_size(self) -> int:
        """For each head a key, its strength, the gate, the shifts and the sharpness; to write, two rows."""
        return self.heads * (self.width + 3 + self.shifts) + self.write_heads * 2 * self.width

    @property
    def output_size(self) -> int:
        """A row for each head that reads."""
        return self.read_heads * self.width


@hookimpl
def superloop_register():
    """The Neural Turing Machine's memory."""
    yield SystemSpec(
        name="ntm",
        config=NTMConfig,
        factory="superloop_plugin_ntm.ntm:NTM",
        summary="Memory that heads address by content and by location (Graves et al., 2014)",
        example={"slots": 5, "width": 3, "read_heads": 2},
        reference="Graves et al., 2014, https://arxiv.org/abs/1410.5401",
    )
