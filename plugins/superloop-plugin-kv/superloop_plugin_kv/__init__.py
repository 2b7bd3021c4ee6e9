"""Associative memory in fast weights."""

from collections.abc import Iterator
from typing import Literal

import attrs
from attrs.validators import and_, ge, gt, le

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
        gate: a further decay in each timestep, from the control: ``none``; ``scalar``, one factor for a head;
            ``channel``, one for each number of its keys.
        writes: number of writes in a timestep, one after the other, each with a key, a value and a strength.
        max_strength: least upper bound of the write strengths. With the delta rule, a strength of 1 replaces
            the value under a key, and one of 2 reverses the error under it.
        feature_map: map of keys and queries: ``linear``, the identity; ``silu``, x sigmoid(x); ``elu``,
            elu(x) + 1; ``dpfp``, products of neighbours in [relu(x); relu(-x)].
        nu: number of neighbours in ``dpfp``, which maps a key to 2 key_size nu numbers.
        norm: normalization after the map: length 1 (``unit``) or sum 1 (``sum``).
    """

    key_size: int = attrs.field(default=8, validator=ge(1))
    width: int = attrs.field(default=8, validator=ge(1))
    heads: int = attrs.field(default=1, validator=ge(1))
    rule: Literal["delta", "sum"] = "delta"
    decay: float = attrs.field(default=1.0, validator=and_(ge(0), le(1)))
    gate: Literal["none", "scalar", "channel"] = "none"
    writes: int = attrs.field(default=1, validator=ge(1))
    max_strength: float = attrs.field(default=1.0, validator=and_(gt(0), le(2)))
    feature_map: Literal["linear", "silu", "elu", "dpfp"] = "linear"
    nu: int = attrs.field(default=1, validator=ge(1))
    norm: Literal["unit", "sum"] = "unit"

    def __attrs_post_init__(self) -> None:
        if self.norm == "sum" and self.feature_map in ("linear", "silu"):
            raise ValueError(
                f"'feature_map' must be 'elu' or 'dpfp' with 'norm' = 'sum': {self.feature_map!r}"
            )
        if self.feature_map == "dpfp" and not self.nu < 2 * self.key_size:
            raise ValueError(f"'nu' must be less than twice 'key_size', {2 * self.key_size}: {self.nu}")
        if self.feature_map == "dpfp" and self.key_size < 2:
            raise ValueError(f"'key_size' must be >= 2 with 'feature_map' = 'dpfp': {self.key_size}")

    @property
    def key_features(self) -> int:
        """Numbers in a key after the feature map."""
        return 2 * self.key_size * self.nu if self.feature_map == "dpfp" else self.key_size

    @property
    def gate_size(self) -> int:
        """Factors of a head's gate."""
        return {"none": 0, "scalar": 1, "channel": self.key_features}[self.gate]

    @property
    def control_size(self) -> int:
        """For each head a query, a gate, and for each write a strength, a key and a value."""
        a_write = 1 + self.key_size + self.width
        return self.heads * (self.writes * a_write + self.key_size + self.gate_size)

    @property
    def output_size(self) -> int:
        """A value for each head."""
        return self.heads * self.width


@attrs.frozen(kw_only=True)
class DeltaNetConfig(KeyValueConfig):
    """DeltaNet: ``key_value`` with its keys and queries mapped by SiLU."""

    feature_map: Literal["linear", "silu", "elu", "dpfp"] = "silu"


@attrs.frozen(kw_only=True)
class GatedDeltaNetConfig(DeltaNetConfig):
    """Gated DeltaNet: DeltaNet with a decay for each head, from the control."""

    gate: Literal["none", "scalar", "channel"] = "scalar"


@attrs.frozen(kw_only=True)
class KdaConfig(DeltaNetConfig):
    """Kimi Delta Attention: DeltaNet with a decay for each number of a key, from the control."""

    gate: Literal["none", "scalar", "channel"] = "channel"


@attrs.frozen(kw_only=True)
class DeltaProductConfig(DeltaNetConfig):
    """DeltaProduct: DeltaNet with several writes in a timestep."""

    writes: int = attrs.field(default=2, validator=ge(1))


@attrs.frozen(kw_only=True)
class Rwkv7Config(SystemSettings):
    """The memory of RWKV-7, which removes values under keys of their own.

    Args:
        key_size: numbers in a key, in a removal key and in a receptance, which is a query.
        width: numbers in a value.
        heads: number of memories, each with its own keys and values.
        limit: largest length of a memory, whose numbers are one vector; a longer one is scaled back to it.
    """

    key_size: int = attrs.field(default=8, validator=ge(1))
    width: int = attrs.field(default=8, validator=ge(1))
    heads: int = attrs.field(default=1, validator=ge(1))
    limit: float = attrs.field(default=1e4, validator=gt(0))

    @property
    def control_size(self) -> int:
        """For each head a removal, a key, a receptance, a rate, a decay and a value."""
        return self.heads * (5 * self.key_size + self.width)

    @property
    def output_size(self) -> int:
        """A value for each head."""
        return self.heads * self.width


@attrs.frozen(kw_only=True)
class MesaConfig(SystemSettings):
    """The memory of MesaNet, which reads by a regression over all pairs of keys and values.

    Args:
        key_size: numbers in a key and in a query. A read solves as many linear equations.
        width: numbers in a value.
        heads: number of memories, each with its own keys and values.
        feature_map: map of keys and queries before their length becomes 1: ``linear``, the identity;
            ``silu``, x sigmoid(x).
    """

    key_size: int = attrs.field(default=8, validator=ge(1))
    width: int = attrs.field(default=8, validator=ge(1))
    heads: int = attrs.field(default=1, validator=ge(1))
    feature_map: Literal["linear", "silu"] = "silu"

    @property
    def control_size(self) -> int:
        """For each head a strength, a key, a query, a value and a gate."""
        return self.heads * (2 + 2 * self.key_size + self.width)

    @property
    def output_size(self) -> int:
        """A value for each head."""
        return self.heads * self.width


@attrs.frozen(kw_only=True)
class SelfReferentialConfig(SystemSettings):
    """Weight matrices that change themselves.

    Args:
        inputs: numbers in the input of a head, which its weights multiply; at least 2.
        width: numbers in the read of a head.
        heads: number of weight matrices, each with its own input.
        softmax: map inputs by softmax, as the paper does; ``false``: leave them as they are.
        limit: largest length of a weight matrix, whose numbers are one vector; a longer one is scaled back
            to it.
    """

    inputs: int = attrs.field(default=8, validator=ge(2))
    width: int = attrs.field(default=8, validator=ge(1))
    heads: int = attrs.field(default=1, validator=ge(1))
    softmax: bool = True
    limit: float = attrs.field(default=1e3, validator=gt(0))

    @property
    def control_size(self) -> int:
        """An input for each head."""
        return self.heads * self.inputs

    @property
    def output_size(self) -> int:
        """A read for each head."""
        return self.heads * self.width


@hookimpl
def superloop_register() -> Iterator[SystemSpec]:
    """Register the memory in fast weights, its presets, and its kin."""
    yield SystemSpec(
        name="key_value",
        config=KeyValueConfig,
        factory="superloop_plugin_kv.key_value:KeyValue",
        summary="Values under keys, in fast weights, by the delta rule (Schlag et al., 2021)",
        example={"key_size": 3, "width": 2, "heads": 2},
        reference="Schlag et al., 2021, https://arxiv.org/abs/2102.11174",
    )
    yield SystemSpec(
        name="deltanet",
        config=DeltaNetConfig,
        factory="superloop_plugin_kv.presets:DeltaNet",
        summary="Values under keys, as in DeltaNet (Yang et al., 2024)",
        example={"key_size": 3, "width": 2, "heads": 2},
        reference="Yang et al., 2024, https://arxiv.org/abs/2406.06484",
    )
    yield SystemSpec(
        name="gated_deltanet",
        config=GatedDeltaNetConfig,
        factory="superloop_plugin_kv.presets:GatedDeltaNet",
        summary="Values under keys, with a decay for each head (Yang, Kautz and Hatamizadeh, 2024)",
        example={"key_size": 3, "width": 2, "heads": 2},
        reference="Yang, Kautz and Hatamizadeh, 2024, https://arxiv.org/abs/2412.06464",
    )
    yield SystemSpec(
        name="kda",
        config=KdaConfig,
        factory="superloop_plugin_kv.presets:KDA",
        summary="Values under keys, with a decay for each number of a key (Kimi Team, 2025)",
        example={"key_size": 3, "width": 2, "heads": 2},
        reference="Kimi Team, 2025, https://arxiv.org/abs/2510.26692",
    )
    yield SystemSpec(
        name="deltaproduct",
        config=DeltaProductConfig,
        factory="superloop_plugin_kv.presets:DeltaProduct",
        summary="Values under keys, with several writes in a timestep (Siems et al., 2025)",
        example={"key_size": 3, "width": 2, "heads": 2},
        reference="Siems et al., 2025, https://arxiv.org/abs/2502.10297",
    )
    yield SystemSpec(
        name="rwkv7",
        config=Rwkv7Config,
        factory="superloop_plugin_kv.rwkv7:Rwkv7",
        summary="Values under keys, removed under others, as in RWKV-7 (Peng et al., 2025)",
        example={"key_size": 3, "width": 2, "heads": 2},
        reference="Peng et al., 2025, https://arxiv.org/abs/2503.14456",
    )
    yield SystemSpec(
        name="mesa",
        config=MesaConfig,
        factory="superloop_plugin_kv.mesa:Mesa",
        summary="The best linear map of all keys to their values, as in MesaNet (von Oswald et al., 2025)",
        example={"key_size": 3, "width": 2, "heads": 2},
        reference="von Oswald et al., 2025, https://arxiv.org/abs/2506.05233",
    )
    yield SystemSpec(
        name="self_referential",
        config=SelfReferentialConfig,
        factory="superloop_plugin_kv.self_referential:SelfReferential",
        summary="A weight matrix that changes itself (Irie et al., 2022)",
        example={"inputs": 3, "width": 2, "heads": 2},
        reference="Irie et al., 2022, https://arxiv.org/abs/2202.05780",
    )
