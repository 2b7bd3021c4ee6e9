"""Register memory."""

import attrs
from attrs.validators import ge

from superloop_core import SystemSpec, hookimpl


@attrs.frozen(kw_only=True)
class RegisterMemoryConfig:
    """A memory of registers, addressed by softmax.

    Args:
        depth: how many registers.
        width: how many numbers each holds.
    """

    depth: int = attrs.field(validator=ge(1))
    width: int = attrs.field(validator=ge(1))

    @property
    def control_size(self) -> int:
        """Where to store, where to recall from, and what to store."""
        return 2 * self.depth + self.width

    @property
    def output_size(self) -> int:
        """What was recalled."""
        return self.width


@hookimpl
def superloop_register():
    """The register memory of the original superloop."""
    yield SystemSpec(
        name="register_memory",
        config=RegisterMemoryConfig,
        factory="superloop_plugin_registers.register_memory:RegisterMemory",
        summary="Registers written and read by softmax, of the original superloop (Csirmaz, 2018)",
        example={"depth": 4, "width": 3},
        reference="Csirmaz, superloop, 2018, https://github.com/csirmaz/superloop",
        original_names={"register_width": "width"},
    )
