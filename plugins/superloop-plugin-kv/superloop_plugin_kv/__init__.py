"""Associative memory in fast weights."""

from collections.abc import Iterator
from typing import Literal

import attrs
from attrs.validators import and_, ge, le

from superloop_core import SystemSettings, SystemSpec, hookimpl


@attrs.frozen(kw_only=True)
class KeyValueConfig(SystemSettings):
    """A memory that stores values under keys.

    Args:
        key_size: numbers in a key and in a query.
        width: numbers in a value.
        heads: number of memories, each with its own keys and values.
        rule: how a value is written: ``delta`` replaces the value under the key, ``sum`` adds to it.
        decay: factor of the memory in each timestep; 1: no decay.
        feature_map: map of keys and queries: ``linear``, the identity; ``elu``, elu(x) + 1; ``dpfp``,
            products of neighbours in [relu(x); relu(-x)].
        nu: number of neighbours in ``dpfp``, which maps a key to 2 key_size nu numbers.
        norm: normalization after the map: length 1 (``unit``) or sum 1 (``sum``).
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
            raise ValueError(f"'key_size' must be >= 2 with 'feature_map' = 'dpfp': {self.key_size}")

    @property
    def key_features(self) -> int:
        """Numbers in a key after the feature map."""
        return 2 * self.key_size * self.nu if self.feature_map == "dpfp" else self.key_size

    @property
    def control_size(self) -> int:
        """A write strength, a key, a query and a value for each head."""
        return self.heads * (1 + 2 * self.key_size + self.width)

    @property
    def output_size(self) -> int:
        """A value for each head."""
        return self.heads * self.width


@hookimpl
def superloop_register() -> Iterator[SystemSpec]:
    """Register the memory in fast weights."""
    yield SystemSpec(
        name="key_value",
        config=KeyValueConfig,
        factory="superloop_plugin_kv.key_value:KeyValue",
        summary="Values under keys, in fast weights, by the delta rule (Schlag et al., 2021)",
        example={"key_size": 3, "width": 2, "heads": 2},
        reference="Schlag et al., 2021, https://arxiv.org/abs/2102.11174",
    )
