"""The cell and the memory of xLSTM."""

from collections.abc import Iterator
from typing import Literal

import attrs
from attrs.validators import ge

from superloop_core import CellSpec, SystemSettings, SystemSpec, hookimpl
from superloop_core.config import WeightsConfig


@attrs.frozen(kw_only=True)
class SlstmConfig(WeightsConfig):
    """sLSTM: an LSTM with exponential gates and a normalizer; the settings of the kernel are those of both.

    Args:
        units: size of the hidden state and of the output.
        heads: number of groups of units; the hidden state of one is not seen by the gates of another.
        forget_gate: ``sigmoid``, or ``exponential`` as the input gate.
    """

    units: int = attrs.field(validator=ge(1))
    heads: int = attrs.field(default=1, validator=ge(1))
    forget_gate: Literal["sigmoid", "exponential"] = "sigmoid"

    def __attrs_post_init__(self) -> None:
        if self.units % self.heads:
            raise ValueError(f"'units' must be a multiple of 'heads', {self.heads}: {self.units}")

    @property
    def output_size(self) -> int:
        """The hidden state."""
        return self.units


@attrs.frozen(kw_only=True)
class MlstmConfig(SystemSettings):
    """The matrix memory of mLSTM: values under keys, weighted by exponential gates.

    Args:
        key_size: numbers in a key and in a query.
        width: numbers in a value.
        heads: number of memories, each with its own keys, values and gates.
        forget_gate: ``sigmoid``, or ``exponential`` as the input gate.
    """

    key_size: int = attrs.field(default=8, validator=ge(1))
    width: int = attrs.field(default=8, validator=ge(1))
    heads: int = attrs.field(default=1, validator=ge(1))
    forget_gate: Literal["sigmoid", "exponential"] = "sigmoid"

    @property
    def control_size(self) -> int:
        """For each head an input gate, a forget gate, a key, a query and a value."""
        return self.heads * (2 + 2 * self.key_size + self.width)

    @property
    def output_size(self) -> int:
        """A value for each head."""
        return self.heads * self.width


@hookimpl
def superloop_register() -> Iterator[CellSpec | SystemSpec]:
    """Register the cell and the memory."""
    yield CellSpec(
        name="slstm",
        config=SlstmConfig,
        factory="superloop_plugin_xlstm.slstm:slstm",
        summary="LSTM with exponential gates and a normalizer, the sLSTM of xLSTM (Beck et al., 2024)",
        example={"units": 8, "heads": 2},
        reference="Beck et al., 2024, https://arxiv.org/abs/2405.04517",
    )
    yield SystemSpec(
        name="mlstm",
        config=MlstmConfig,
        factory="superloop_plugin_xlstm.mlstm:MLSTM",
        summary="Matrix memory with exponential gates, the mLSTM of xLSTM (Beck et al., 2024)",
        example={"key_size": 3, "width": 2, "heads": 2},
        reference="Beck et al., 2024, https://arxiv.org/abs/2405.04517",
    )
