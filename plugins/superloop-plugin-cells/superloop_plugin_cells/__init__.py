"""Recurrent cells: the original superloop's SGU, and Keras's own."""

from typing import ClassVar

import attrs
from attrs.validators import and_, ge, lt

from superloop_core import CellSpec, hookimpl


@attrs.frozen(kw_only=True)
class SguConfig:
    """Simple gated unit.

    Args:
        units: size of the hidden state and of the output.
    """

    units: int = attrs.field(validator=ge(1))

    @property
    def output_size(self) -> int:
        """The hidden state."""
        return self.units

    @property
    def state_size(self) -> int:
        """The hidden state."""
        return self.units

    def count_weights(self, input_size: int) -> int:
        """Of the gate, which sees inputs and hidden state, and of the candidate, which sees the inputs."""
        return self.units * (2 * input_size + self.units + 2)


@attrs.frozen(kw_only=True)
class KerasCellConfig:
    """One of Keras's cells.

    Args:
        units: size of the hidden state and of the output.
        dropout: fraction of the inputs to drop in training; one mask for a whole sequence.
        recurrent_dropout: the same for the hidden state.
    """

    gates: ClassVar[int] = 1
    biases: ClassVar[int] = 1

    units: int = attrs.field(validator=ge(1))
    dropout: float = attrs.field(default=0.0, validator=and_(ge(0), lt(1)))
    recurrent_dropout: float = attrs.field(default=0.0, validator=and_(ge(0), lt(1)))

    @property
    def output_size(self) -> int:
        """The hidden state."""
        return self.units

    @property
    def state_size(self) -> int:
        """The hidden state."""
        return self.units

    def count_weights(self, input_size: int) -> int:
        """Of all gates: of the inputs, of the hidden state, and the biases."""
        return self.gates * self.units * (input_size + self.units + self.biases)


@attrs.frozen(kw_only=True)
class LstmConfig(KerasCellConfig):
    """Long short-term memory."""

    gates: ClassVar[int] = 4

    @property
    def state_size(self) -> int:
        """The hidden state and the cell state."""
        return 2 * self.units


@attrs.frozen(kw_only=True)
class GruConfig(KerasCellConfig):
    """Gated recurrent unit."""

    gates: ClassVar[int] = 3
    biases: ClassVar[int] = 2  # one of the inputs, one of the hidden state


@hookimpl
def superloop_register():
    """The four cells."""
    yield CellSpec(
        name="sgu",
        config=SguConfig,
        factory="superloop_plugin_cells.sgu:sgu",
        summary="Simple gated unit of the original superloop (Csirmaz, 2018)",
        example={"units": 8},
        reference="Csirmaz, superloop, 2018, https://github.com/csirmaz/superloop",
    )
    yield CellSpec(
        name="lstm",
        config=LstmConfig,
        factory="superloop_plugin_cells.keras_cells:lstm",
        summary="Long short-term memory (Hochreiter and Schmidhuber, 1997)",
        example={"units": 8},
        reference="Hochreiter and Schmidhuber, 1997, https://doi.org/10.1162/neco.1997.9.8.1735",
    )
    yield CellSpec(
        name="gru",
        config=GruConfig,
        factory="superloop_plugin_cells.keras_cells:gru",
        summary="Gated recurrent unit (Cho et al., 2014)",
        example={"units": 8},
        reference="Cho et al., 2014, https://arxiv.org/abs/1406.1078",
    )
    yield CellSpec(
        name="simple_rnn",
        config=KerasCellConfig,
        factory="superloop_plugin_cells.keras_cells:simple_rnn",
        summary="Fully connected recurrent cell with tanh (Elman, 1990)",
        example={"units": 8},
        reference="Elman, 1990, https://doi.org/10.1207/s15516709cog1402_1",
    )
