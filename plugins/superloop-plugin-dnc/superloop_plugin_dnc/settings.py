"""Settings of the DNC's memory."""

from typing import Literal

import attrs
from attrs.validators import ge, lt

from superloop_core import SystemSettings


@attrs.frozen(kw_only=True)
class DNCConfig(SystemSettings):
    """The memory of a differentiable neural computer.

    Args:
        slots: rows of the memory.
        width: numbers in a row.
        read_heads: number of rows that are read at once, softly.
        links: how reads follow the order of writes: ``full``, each slot is linked to every slot that it was
            written after; ``sparse``, to the ``top_k`` strongest of these; ``none``, reads are by content.
        top_k: number of slots that a read by content weighs, those most similar to the key; 0: all.
        write_heads: number of write heads; each allocates, and has its own links.
        strengths: what similarities are multiplied by: ``oneplus``, 1 + softplus, as in the paper;
            ``softplus``, as in DeepMind's code, so that a key can weigh all slots alike.
        masked: whether each key has a mask, which says how much each number of a row counts.
        deallocate: whether freed slots also lose their content.
        sharpened: whether reads along the links are sharpened, by exponents of at least 1.
        usage_gradient: whether gradients pass through the last write weighting into the usage; DeepMind's
            code stops them.
        clip: largest absolute value in the control; 0: any.
    """

    slots: int = attrs.field(default=64, validator=ge(1))
    width: int = attrs.field(default=16, validator=ge(1))
    read_heads: int = attrs.field(default=1, validator=ge(1))
    links: Literal["full", "sparse", "none"] = "full"
    top_k: int = attrs.field(default=0, validator=ge(0))
    write_heads: int = attrs.field(default=1, validator=ge(1))
    strengths: Literal["oneplus", "softplus"] = "oneplus"
    masked: bool = False
    deallocate: bool = False
    sharpened: bool = attrs.field(default=False)
    usage_gradient: bool = True
    clip: float = attrs.field(default=0.0, validator=[ge(0), lt(float("inf"))])

    @top_k.validator
    def _fits(self, attribute: "attrs.Attribute[int]", value: int) -> None:
        if value > self.slots:
            raise ValueError(f"'top_k' must be at most 'slots', {self.slots}: {value}")
        if self.links == "sparse" and not value:
            raise ValueError(f"'top_k' must be >= 1 where 'links' are 'sparse': {value}")

    @sharpened.validator
    def _has_links(self, attribute: "attrs.Attribute[bool]", value: bool) -> None:
        if value and self.links == "none":
            raise ValueError(f"'links' must not be 'none' where reads are 'sharpened': {self.links!r}")

    @property
    def read_modes(self) -> tuple[str, ...]:
        """The ways to read, by the links of each write head or by content."""
        if self.links == "none":
            return ()
        heads = [f" {head}" for head in range(1, self.write_heads + 1)] if self.write_heads > 1 else [""]
        return (*(f"{way}{head}" for way in ("backward", "forward") for head in heads), "content")

    @property
    def interface(self) -> dict[str, int]:
        """The parts of the interface vector, in order, and their sizes."""
        reads, writes = self.read_heads, self.write_heads
        sizes = {
            "read_keys": reads * self.width,
            "read_strengths": reads,
            "write_key": writes * self.width,
            "write_strength": writes,
            "erase": writes * self.width,
            "write_vector": writes * self.width,
            "free_gates": reads,
            "allocation_gate": writes,
            "write_gate": writes,
            "read_modes": reads * len(self.read_modes),
            "read_masks": reads * self.width if self.masked else 0,
            "write_masks": writes * self.width if self.masked else 0,
            "sharpness": reads * 2 * writes if self.sharpened else 0,
        }
        return {name: size for name, size in sizes.items() if size}

    @property
    def control_size(self) -> int:
        """The interface vector."""
        return sum(self.interface.values())

    @property
    def output_size(self) -> int:
        """A row for each read head."""
        return self.read_heads * self.width


@attrs.frozen(kw_only=True)
class SAMConfig(SystemSettings):
    """A memory with sparse reads and writes, for many slots.

    Args:
        slots: rows of the memory; 0: as many as the timesteps can use, for the results of any larger number.
        width: numbers in a row.
        heads: number of heads; each writes, and then reads.
        top_k: number of slots that a head reads, those most similar to its query.
        threshold: least sum of the weights on a slot that counts as an access.
    """

    slots: int = attrs.field(default=1024, validator=ge(0))
    width: int = attrs.field(default=16, validator=ge(1))
    heads: int = attrs.field(default=1, validator=ge(1))
    top_k: int = attrs.field(default=4, validator=ge(1))
    threshold: float = attrs.field(default=0.005, validator=[ge(0), lt(1)])

    def __attrs_post_init__(self) -> None:
        for name in ("heads", "top_k"):
            if 0 < self.slots < getattr(self, name):
                raise ValueError(f"'{name}' must be at most 'slots', {self.slots}: {getattr(self, name)}")

    @property
    def control_size(self) -> int:
        """For each head a query, a word to write, a strength and two gates."""
        return self.heads * (2 * self.width + 3)

    @property
    def output_size(self) -> int:
        """A vector of ``width`` for each head."""
        return self.heads * self.width
