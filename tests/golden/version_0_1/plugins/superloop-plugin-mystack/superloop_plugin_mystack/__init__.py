import attrs
from attrs.validators import ge

from superloop_core import SystemSpec, hookimpl


@attrs.frozen(kw_only=True)
class StackConfig:
    """A stack.

    Args:
        depth: how many cells.
        width: how many numbers a cell holds.
    """

    depth: int = attrs.field(default=32, validator=ge(2))
    width: int = attrs.field(default=8, validator=ge(1))

    @property
    def control_size(self):
        """Push, pop or stay, and what to push."""
        return 3 + self.width

    @property
    def output_size(self):
        """The top."""
        return self.width


@hookimpl
def superloop_register():
    yield SystemSpec(
        name="mystack",
        config=StackConfig,
        factory="superloop_plugin_mystack.stack:Stack",
        summary="Continuous stack (Joulin and Mikolov, 2015)",
        example={"depth": 4, "width": 3},
    )
