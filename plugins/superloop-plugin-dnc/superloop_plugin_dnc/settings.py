"""Settings of the DNC's memory."""

from typing import Literal

import attrs
from attrs.validators import ge

from superloop_core import SystemSettings


@attrs.frozen(kw_only=True)
class DNCConfig(SystemSettings):
    """The memory of a differentiable neural computer, with one write head.

    Args:
        slots: rows of the memory.
        width: numbers in a row.
        read_heads: number of rows that are read at once, softly.
        links: how reads follow the order of writes: ``full``, each slot is linked to every slot that it was
            written after; ``sparse``, to the ``top_k`` strongest of these; ``none``, reads are by content.
        top_k: number of slots that a read by content weighs, those most similar to the key; 0: all.
    """

    slots: int = attrs.field(default=64, validator=ge(1))
    width: int = attrs.field(default=16, validator=ge(1))
    read_heads: int = attrs.field(default=1, validator=ge(1))
    links: Literal["full", "sparse", "none"] = "full"
    top_k: int = attrs.field(default=0, validator=ge(0))

    @top_k.validator
    def _fits(self, attribute: "attrs.Attribute[int]", value: int) -> None:
        if value > self.slots:
            raise ValueError(f"'top_k' must be at most 'slots', {self.slots}: {value}")
        if self.links == "sparse" and not value:
            raise ValueError(f"'top_k' must be >= 1 where 'links' are 'sparse': {value}")

    @property
    def interface(self) -> dict[str, int]:
        """The parts of the interface vector, in order, and their sizes."""
        modes = {} if self.links == "none" else {"read_modes": self.read_heads * 3}
        return {
            "read_keys": self.read_heads * self.width,
            "read_strengths": self.read_heads,
            "write_key": self.width,
            "write_strength": 1,
            "erase": self.width,
            "write_vector": self.width,
            "free_gates": self.read_heads,
            "allocation_gate": 1,
            "write_gate": 1,
        } | modes

    @property
    def control_size(self) -> int:
        """The interface vector."""
        return sum(self.interface.values())

    @property
    def output_size(self) -> int:
        """A row for each read head."""
        return self.read_heads * self.width
