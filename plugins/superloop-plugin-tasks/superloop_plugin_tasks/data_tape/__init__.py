"""Tasks with a data tape: all of it is there from the start, as a source of the loop."""

from abc import abstractmethod

import attrs
from attrs.validators import ge

from superloop_core import TaskSpec
from superloop_plugin_tasks.configs import LengthsConfig, length_field


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

    @property
    @abstractmethod
    def width(self) -> int:
        """How many numbers a datapoint has."""


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

    @property
    def width(self) -> int:
        """A symbol."""
        return self.symbols


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

    @property
    def width(self) -> int:
        """A key and a symbol."""
        return self.keys + self.symbols


def _spec(
    name: str, config: type[TapeConfig], factory: str, summary: str, use: str, **settings: int
) -> TaskSpec:
    example = config(**settings)
    loop = {
        "timesteps": 0,
        "inputs": example.input_size,
        "outputs": example.output_size,
        "cells": [{"use": "lstm", "units": 32}],
        "outputs_read_systems": True,
        "systems": [{"use": use, "id": "tape", "width": example.width}],
    }
    return TaskSpec(
        name=name,
        config=config,
        factory=f"superloop_plugin_tasks.data_tape.{factory}",
        summary=summary,
        example=settings,
        example_loop=loop,
    )


SPECS = (
    _spec(
        *("read_out", ReadOutConfig, "read_out:ReadOut"),
        *("Say what stands on a data tape, whenever it is asked", "attention"),
        length=6,
    ),
    _spec(
        *("look_up", LookUpConfig, "look_up:LookUp"),
        *("Say which symbol stands under a key on a data tape", "content_attention"),
        **{"length": 6, "keys": 8},
    ),
)
