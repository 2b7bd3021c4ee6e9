"""Associative memory of fast weights."""

from typing import Literal

import attrs
from attrs.validators import and_, ge, le

from superloop_core import SystemSpec, hookimpl


@attrs.frozen(kw_only=True)
class KeyValueConfig:
    """A memory of values under keys.

    Args:
        key_size: numbers in a key, and in a query.
        width: numbers in a value.
        heads: memories side by side, each with keys and values of its own.
        rule: how a value is written: ``delta`` replaces what is there under the key, ``sum`` adds to it.
        decay: what of the memory is left after a timestep; 1: all.
        feature_map: what keys and queries go through: ``linear``, as they are; ``elu``, elu(x) + 1; ``dpfp``,
            products of neighbours among relu(x) and relu(-x).
        nu: how many neighbours each has in ``dpfp``, which makes 2 key_size nu numbers of a key.
        norm: what of a key is made 1 after that: its length (``unit``), or its ``sum``.
    """

    key_size: int = attrs.field(default=8, validator=ge(1))
    width: int = attrs.field(default=8, validator=ge(1))
    heads: int = attrs.field(default=1, validator=ge(1))
    rule: Literal["delta", "sum"] = "delta"
    decay: float = attrs.field(default=1.0, validator=and_(ge(0), le(1)))
    feature_map: Literal["linear", "elu", "dpfp"] = "linear"
    nu: int = attrs.field(default=1, validator=ge(1))
    norm: Literal["unit", "sum"] = "unit"

    def __attrs_post_init__(self) -> None:
        if self.norm == "sum" and self.feature_map == "linear":
            raise ValueError("'feature_map' must be 'elu' or 'dpfp' with 'norm' = 'sum': 'linear'")
        if self.feature_map == "dpfp" and not self.nu < 2 * self.key_size:
            raise ValueError(f"'nu' must be less than twice 'key_size', {2 * self.key_size}: {self.nu}")
        if self.feature_map == "dpfp" and self.key_size < 2:
            raise ValueError(
                "'key_size' must be 2 at least with 'feature_map' = 'dpfp': there are no products of 1"
            )

    @property
    def key_features(self) -> int:
        """What is made of a key."""
        return 2 * self.key_size * self.nu if self.feature_map == "dpfp" else self.key_size

    @property
    def control_size(self) -> int:
        """For each head how strongly to write, the key, the query and the value."""
        return self.heads * (1 + 2 * self.key_size + self.width)

    @property
    def output_size(self) -> int:
        """A value from each head."""
        return self.heads * self.width


@hookimpl
def superloop_register():
    """The memory of fast weights."""
    yield SystemSpec(
        name="key_value",
        config=KeyValueConfig,
        factory="superloop_plugin_kv.key_value:KeyValue",
        summary="Values under keys, in fast weights, by the delta rule (Schlag et al., 2021)",
        example={"key_size": 3, "width": 2, "heads": 2},
        reference="Schlag et al., 2021, https://arxiv.org/abs/2102.11174",
    )
