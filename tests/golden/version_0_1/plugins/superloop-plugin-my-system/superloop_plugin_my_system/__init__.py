"""MySystem: read whenever plugins are listed, so it imports neither Keras nor TensorFlow."""

import attrs
from attrs.validators import ge
from superloop_core import SystemSpec, hookimpl


@attrs.frozen(kw_only=True)
class MySystemConfig:
    """A memory of one slot, written and erased by gates.

    Args:
        width: how many numbers the slot holds.
    """

    width: int = attrs.field(default=8, validator=ge(1))

    @property
    def control_size(self):
        """How much to erase, how much to write, and what."""
        return 2 + self.width

    @property
    def output_size(self):
        """What the slot holds."""
        return self.width

    @property
    def state_size(self):
        """What the slot holds."""
        return self.width

    def count_weights(self, input_size):
        """None: the control is the core's."""
        del input_size
        return 0


@hookimpl
def superloop_register():
    """The system, by name; its implementation is imported when a config names it."""
    yield SystemSpec(
        name="my_system",
        config=MySystemConfig,
        factory="superloop_plugin_my_system.my_system:MySystem",
        summary="A memory of one slot, written and erased by gates",
        example={"width": 3},
        reference="",  # authors, year, link
    )
