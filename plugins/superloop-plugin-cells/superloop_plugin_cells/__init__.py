"""Recurrent cells: the original superloop's SGU, and Keras's own."""

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


@attrs.frozen(kw_only=True)
class KerasCellConfig:
    """One of Keras's cells.

    Args:
        units: size of the hidden state and of the output.
        dropout: fraction of the inputs to drop in training; one mask for a whole sequence.
        recurrent_dropout: the same for the hidden state.
    """

    units: int = attrs.field(validator=ge(1))
    dropout: float = attrs.field(default=0.0, validator=and_(ge(0), lt(1)))
    recurrent_dropout: float = attrs.field(default=0.0, validator=and_(ge(0), lt(1)))


@hookimpl
def superloop_register():
    """The four cells."""
    yield CellSpec(
        name="sgu",
        config=SguConfig,
        factory="superloop_plugin_cells.sgu:sgu",
        summary="Simple gated unit of the original superloop (Csirmaz, 2018)",
        example={"units": 8},
    )
    yield CellSpec(
        name="lstm",
        config=KerasCellConfig,
        factory="superloop_plugin_cells.keras_cells:lstm",
        summary="Long short-term memory (Hochreiter and Schmidhuber, 1997)",
        example={"units": 8},
    )
    yield CellSpec(
        name="gru",
        config=KerasCellConfig,
        factory="superloop_plugin_cells.keras_cells:gru",
        summary="Gated recurrent unit (Cho et al., 2014)",
        example={"units": 8},
    )
    yield CellSpec(
        name="simple_rnn",
        config=KerasCellConfig,
        factory="superloop_plugin_cells.keras_cells:simple_rnn",
        summary="Fully connected recurrent cell with tanh (Elman, 1990)",
        example={"units": 8},
    )
