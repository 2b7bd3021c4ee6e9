"""Long time lags (Hochreiter and Schmidhuber, 1997): keep numbers over many timesteps."""

from typing import ClassVar

import attrs

from superloop_plugin_tasks.configs import LengthsConfig, length_field, task_spec


@attrs.frozen(kw_only=True)
class AddingConfig(LengthsConfig):
    """Add the two marked numbers of a sequence."""

    shortest: ClassVar[int] = 4

    length: int = length_field(100)
    min_length: int = length_field(4)

    @property
    def input_size(self) -> int:
        """A number and its mark."""
        return 2

    @property
    def output_size(self) -> int:
        """The sum."""
        return 1

    @property
    def timesteps(self) -> int:
        """One for each number."""
        return self.length


SPECS = (
    task_spec(
        "adding",
        AddingConfig,
        "long_lag.adding:Adding",
        "Add the two marked numbers of a sequence (Hochreiter and Schmidhuber, 1997)",
        {"length": 8},
        "Hochreiter and Schmidhuber, 1997, Neural Computation 9(8), 1735-1780",
    ),
)
