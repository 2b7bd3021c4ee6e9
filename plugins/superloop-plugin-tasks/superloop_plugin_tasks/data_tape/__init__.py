"""Tasks with a data tape: all of it is there from the start, as a source of the loop."""

import attrs
from attrs.validators import ge

from superloop_plugin_tasks.configs import LengthsConfig, length_field, task_spec


@attrs.frozen(kw_only=True)
class TapeConfig(LengthsConfig):
    """A tape that a system reads.

    Args:
        system: the id of the system that reads the tape.
        symbols: how many kinds of symbols there are.
    """

    length: int = length_field(10)
    min_length: int = length_field(1)
    system: str = "tape"
    symbols: int = attrs.field(default=4, validator=ge(2))

    @property
    def output_size(self) -> int:
        """The symbols."""
        return self.symbols


@attrs.frozen(kw_only=True)
class ReadOutConfig(TapeConfig):
    """Say what stands on a tape, whenever it is asked."""

    @property
    def input_size(self) -> int:
        """Whether the next symbol is asked."""
        return 1

    @property
    def timesteps(self) -> int:
        """One for each symbol, and as many in which nothing is asked."""
        return 2 * self.length


def _holds_the_tape(settings: "LookUpConfig", field: attrs.Attribute, value: int) -> None:
    if value < settings.length:
        raise ValueError(
            f"{field.name!r} must be >= length ({settings.length}), as no key comes twice: {value}"
        )


@attrs.frozen(kw_only=True)
class LookUpConfig(TapeConfig):
    """Say which symbol stands under a key.

    Args:
        keys: how many kinds of keys there are.
    """

    keys: int = attrs.field(default=16, validator=_holds_the_tape)

    @property
    def input_size(self) -> int:
        """A key."""
        return self.keys

    @property
    def timesteps(self) -> int:
        """One for each key that is asked, as many as there are."""
        return self.length


SPECS = (
    task_spec(
        "read_out",
        ReadOutConfig,
        "data_tape.read_out:ReadOut",
        "Say what stands on a data tape, whenever it is asked",
        {"length": 6},
        outputs_read_systems=True,
        systems=[{"use": "attention", "id": "tape", "width": 4}],
    ),
    task_spec(
        "look_up",
        LookUpConfig,
        "data_tape.look_up:LookUp",
        "Say which symbol stands under a key on a data tape",
        {"length": 6, "keys": 8},
        outputs_read_systems=True,
        systems=[{"use": "content_attention", "id": "tape", "width": 12}],
    ),
)
