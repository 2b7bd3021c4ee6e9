"""Register memory."""

from collections.abc import Iterator

import attrs
from attrs.validators import ge

from superloop_core import SystemSettings, SystemSpec, hookimpl


@attrs.frozen(kw_only=True)
class RegisterMemoryConfig(SystemSettings):
    """A memory of registers, addressed by softmax.

    Args:
        depth: number of registers.
        width: numbers in a register.
    """

    depth: int = attrs.field(validator=ge(1))
    width: int = attrs.field(validator=ge(1))

    @property
    def control_size(self) -> int:
        """Scores to store by, scores to recall by, and the data to store."""
        return 2 * self.depth + self.width

    @property
    def output_size(self) -> int:
        """The recalled vector."""
        return self.width


@hookimpl
def superloop_register() -> Iterator[SystemSpec]:
    """Register the register memory of the original superloop."""
    yield SystemSpec(
        name="register_memory",
        config=RegisterMemoryConfig,
        factory="superloop_plugin_registers.register_memory:RegisterMemory",
        summary="Registers written and read by softmax, of the original superloop (Csirmaz, 2018)",
        example={"depth": 4, "width": 3},
        reference="Csirmaz, superloop, 2018, https://github.com/csirmaz/superloop",
        original_names={"register_width": "width"},
    )
