"""Memories of the last entries, and of gated slots."""

from collections.abc import Iterator
from typing import Literal

import attrs
from attrs.validators import ge, gt, optional

from superloop_core import SystemSettings, SystemSpec, hookimpl


@attrs.frozen(kw_only=True)
class RingConfig(SystemSettings):
    """A ring of the last keys and values, read by softmax.

    Args:
        slots: number of slots of a head; the ring holds the entries of that many timesteps.
        key_size: numbers in a key and in a query.
        width: numbers in a value.
        heads: number of rings, each with its own keys, values and queries.
        updates: number of times that a query is compared with the keys. Each but the last replaces the query
            by what it retrieves of the keys; the last reads the values. 1: attention.
        beta: inverse temperature of the softmax; 1 / sqrt(key_size) where it is left out.
        beta_from_control: multiply ``beta`` by a positive factor of each head, from the control.
        read_first: read before the entry of the timestep is written, not after.
    """

    slots: int = attrs.field(default=16, validator=ge(1))
    key_size: int = attrs.field(default=8, validator=ge(1))
    width: int = attrs.field(default=8, validator=ge(1))
    heads: int = attrs.field(default=1, validator=ge(1))
    updates: int = attrs.field(default=1, validator=ge(1))
    beta: float | None = attrs.field(default=None, validator=optional(gt(0)))
    beta_from_control: bool = False
    read_first: bool = False

    @property
    def control_size(self) -> int:
        """For each head a key, a query, a value, and where it is from the control, the factor of beta."""
        return self.heads * (2 * self.key_size + self.width + self.beta_from_control)

    @property
    def output_size(self) -> int:
        """A value for each head."""
        return self.heads * self.width


@attrs.frozen(kw_only=True)
class GatedSlotsConfig(SystemSettings):
    """Slots of keys and values that each forget by a gate of their own.

    Args:
        slots: number of slots of a head.
        key_size: numbers in a key and in a query.
        width: numbers in a value.
        heads: number of memories, each with its own slots, keys, values and queries.
        strength: how strongly an entry is written to a slot: ``tied``, by what the slot forgets; ``untied``,
            by a share of its own from the control.
        damping: root of the gates; the larger, the longer slots remember.
    """

    slots: int = attrs.field(default=16, validator=ge(1))
    key_size: int = attrs.field(default=8, validator=ge(1))
    width: int = attrs.field(default=8, validator=ge(1))
    heads: int = attrs.field(default=1, validator=ge(1))
    strength: Literal["tied", "untied"] = "tied"
    damping: float = attrs.field(default=8.0, validator=ge(1))

    @property
    def control_size(self) -> int:
        """For each head a key, a query, a value, and for each slot a gate, and an untied strength."""
        of_slots = self.slots * (1 if self.strength == "tied" else 2)
        return self.heads * (2 * self.key_size + self.width + of_slots)

    @property
    def output_size(self) -> int:
        """A value for each head."""
        return self.heads * self.width


@hookimpl
def superloop_register() -> Iterator[SystemSpec]:
    """Register the ring and the gated slots."""
    yield SystemSpec(
        name="ring",
        config=RingConfig,
        factory="superloop_plugin_slots.ring:Ring",
        summary="The last keys and values, read by softmax (Ramsauer et al., 2020)",
        example={"slots": 3, "key_size": 3, "width": 2, "heads": 2, "updates": 2, "beta_from_control": True},
        reference="Ramsauer et al., 2020, https://arxiv.org/abs/2008.02217",
    )
    yield SystemSpec(
        name="gated_slots",
        config=GatedSlotsConfig,
        factory="superloop_plugin_slots.gated_slots:GatedSlots",
        summary="Keys and values in slots that forget by gates, read by softmax (Zhang et al., 2024)",
        example={"slots": 3, "key_size": 3, "width": 2, "heads": 2},
        reference="Zhang et al., 2024, https://arxiv.org/abs/2409.07146",
    )
