"""Tasks with a data tape: a source of the loop, complete from the first timestep on."""

import attrs
from attrs.validators import ge

from superloop_plugin_tasks.configs import LengthsConfig, length_field, task_spec


@attrs.frozen(kw_only=True)
class TapeConfig(LengthsConfig):
    """A tape that a system reads.

    Args:
        system: id of the system that reads the tape.
        symbols: kinds of symbols.
    """

    length: int = length_field(10)
    min_length: int = length_field(1)
    system: str = "tape"
    symbols: int = attrs.field(default=4, validator=ge(2))

    @property
    def output_size(self) -> int:
        """One logit for each symbol."""
        return self.symbols


@attrs.frozen(kw_only=True)
class ReadOutConfig(TapeConfig):
    """Return the symbols of a tape, one at each request."""

    @property
    def input_size(self) -> int:
        """Whether the next symbol is requested."""
        return 1

    @property
    def timesteps(self) -> int:
        """One for each symbol, and as many pauses."""
        return 2 * self.length


def _holds_the_tape(settings: "LookUpConfig", field: "attrs.Attribute[int]", value: int) -> None:
    if value < settings.length:
        raise ValueError(
            f"{field.name!r} must be >= length ({settings.length}), as no key occurs twice: {value}"
        )


@attrs.frozen(kw_only=True)
class LookUpConfig(TapeConfig):
    """Return the symbol under a key.

    Args:
        keys: kinds of keys.
    """

    keys: int = attrs.field(default=16, validator=_holds_the_tape)

    @property
    def input_size(self) -> int:
        """A key, one-hot."""
        return self.keys

    @property
    def timesteps(self) -> int:
        """One for each requested key, as many as datapoints."""
        return self.length


SPECS = (
    task_spec(
        "read_out",
        ReadOutConfig,
        "data_tape.read_out:ReadOut",
        "Return the symbols of a data tape, one at each request",
        {"length": 6},
        outputs_read_systems=True,
        systems=[{"use": "attention", "id": "tape", "width": 4}],
    ),
    task_spec(
        "look_up",
        LookUpConfig,
        "data_tape.look_up:LookUp",
        "Return the symbol under a key of a data tape",
        {"length": 6, "keys": 8},
        outputs_read_systems=True,
        systems=[{"use": "content_attention", "id": "tape", "width": 12}],
    ),
)
