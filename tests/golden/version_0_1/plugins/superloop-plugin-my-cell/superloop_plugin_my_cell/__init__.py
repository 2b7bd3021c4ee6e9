"""MyCell: read whenever plugins are listed, so it imports neither Keras nor TensorFlow."""

import attrs
from attrs.validators import ge
from superloop_core import CellSpec, hookimpl


@attrs.frozen(kw_only=True)
class MyCellConfig:
    """A recurrent cell with one gate.

    Args:
        units: size of the hidden state and of the output.
    """

    units: int = attrs.field(validator=ge(1))

    @property
    def output_size(self):
        """The hidden state."""
        return self.units

    @property
    def state_size(self):
        """The hidden state."""
        return self.units

    def count_weights(self, input_size):
        """Of the gate and of the candidate."""
        return 2 * self.units * (input_size + self.units + 1)


@hookimpl
def superloop_register():
    """The cell, by name; its implementation is imported when a config names it."""
    yield CellSpec(
        name="my_cell",
        config=MyCellConfig,
        factory="superloop_plugin_my_cell.my_cell:make",
        summary="A recurrent cell with one gate",
        example={"units": 3},
        reference="",  # authors, year, link
    )
