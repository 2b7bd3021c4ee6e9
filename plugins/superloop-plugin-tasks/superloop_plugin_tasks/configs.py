"""Base classes of the settings of tasks: lengths, sizes, and an example loop; without Keras."""

from abc import ABC, abstractmethod
from string import ascii_lowercase
from typing import Any, ClassVar

import attrs
from attrs.validators import ge, le

from superloop_core import TaskSpec


def length_field(default: int) -> Any:
    """Return the field of a length, validated by its class's ``shortest`` and ``step``."""
    return attrs.field(default=default, validator=_is_length)


def _is_length(settings: "LengthsConfig", field: Any, value: int) -> None:
    if value < settings.shortest:
        raise ValueError(f"{field.name!r} must be >= {settings.shortest}: {value}")
    if (value - settings.shortest) % settings.step:
        raise ValueError(f"{field.name!r} must be {'odd' if settings.shortest % 2 else 'even'}: {value}")


@attrs.frozen(kw_only=True)
class LengthsConfig(ABC):
    """Sequences with contents of lengths drawn uniformly from ``min_length`` to ``length``.

    Args:
        length: the longest content of a sequence.
        min_length: the shortest content of a sequence.
        length_source: name of a source of the loop that receives the length of each content, such as
            ``tape_jump`` of a tape with ``jump = "source"``; empty: none.

    Attributes:
        shortest: the smallest valid length.
        step: the difference between one valid length and the next.
    """

    shortest: ClassVar[int] = 1
    step: ClassVar[int] = 1

    length: int = length_field(20)
    min_length: int = length_field(1)
    length_source: str = ""

    def __attrs_post_init__(self) -> None:
        if self.min_length > self.length:
            raise ValueError(f"'min_length' must be <= length ({self.length}): {self.min_length}")

    @property
    @abstractmethod
    def input_size(self) -> int:
        """Size of a timestep's input: the loop's ``inputs``."""

    @property
    @abstractmethod
    def output_size(self) -> int:
        """Size of a timestep's output: the loop's ``outputs``."""

    @property
    @abstractmethod
    def timesteps(self) -> int:
        """Timesteps of the longest sequence."""

    @property
    def varies(self) -> bool:
        """Whether sequences have different numbers of timesteps."""
        return self.min_length < self.length


@attrs.frozen(kw_only=True)
class StringConfig(LengthsConfig):
    """Strings of symbols, each followed by the timesteps of the answer.

    Args:
        think_steps: number of blank timesteps between a string and its answer.
    """

    think_steps: int = attrs.field(default=0, validator=ge(0))

    @property
    @abstractmethod
    def alphabet(self) -> str:
        """The symbols of strings, one character each."""

    @property
    @abstractmethod
    def answers(self) -> str:
        """The symbols of answers, one character each."""

    @abstractmethod
    def answer_length(self, length: Any) -> Any:
        """Return the timesteps of the answer to a string of a length; takes arrays of lengths too."""

    @property
    def input_size(self) -> int:
        """The alphabet, one-hot, and a channel that requests the answer."""
        return len(self.alphabet) + 1

    @property
    def output_size(self) -> int:
        """One logit for each symbol of answers."""
        return len(self.answers)

    @property
    def timesteps(self) -> int:
        """Those of the string, of thinking, and of the answer."""
        return self.length + self.think_steps + int(self.answer_length(self.length))


@attrs.frozen(kw_only=True)
class SymbolsConfig(StringConfig):
    """Strings of letters, answered with letters.

    Args:
        symbols: kinds of symbols.
    """

    length: int = length_field(40)
    min_length: int = length_field(1)
    symbols: int = attrs.field(default=2, validator=[ge(2), le(26)])

    @property
    def alphabet(self) -> str:
        """The first letters."""
        return ascii_lowercase[: self.symbols]

    @property
    def answers(self) -> str:
        """The same letters."""
        return self.alphabet


def task_spec(
    name: str,
    config: type[LengthsConfig],
    factory: str,
    summary: str,
    example: dict[str, Any],
    reference: str = "",
    **loop: Any,
) -> TaskSpec:
    """Return the spec of a task of this package, with an LSTM as the loop of its example.

    Args:
        name: of the task.
        config: the class of its settings.
        factory: of the task, ``"module:class"`` within this package.
        summary: one line for ``superloop plugins``.
        example: settings of a small instance.
        reference: authors, year and link.
        loop: further settings of the example's loop.
    """
    settings = config(**example)
    example_loop = {
        "timesteps": 0,
        "inputs": settings.input_size,
        "outputs": settings.output_size,
        "cells": [{"use": "lstm", "units": 32}],
        **loop,
    }
    return TaskSpec(
        name=name,
        config=config,
        factory=f"superloop_plugin_tasks.{factory}",
        summary=summary,
        example=example,
        example_loop=example_loop,
        reference=reference,
    )
