"""What the settings of tasks share: lengths, sizes, and a small loop that learns; without Keras."""

from abc import ABC, abstractmethod
from string import ascii_lowercase
from typing import Any, ClassVar

import attrs
from attrs.validators import ge, le

from superloop_core import TaskSpec


def length_field(default: int) -> Any:
    """A setting that is a length, of those that its class allows."""
    return attrs.field(default=default, validator=_is_length)


def _is_length(settings: "LengthsConfig", field: Any, value: int) -> None:
    if value < settings.shortest:
        raise ValueError(f"{field.name!r} must be >= {settings.shortest}: {value}")
    if (value - settings.shortest) % settings.step:
        raise ValueError(f"{field.name!r} must be {'odd' if settings.shortest % 2 else 'even'}: {value}")


@attrs.frozen(kw_only=True)
class LengthsConfig(ABC):
    """Sequences whose contents have lengths drawn evenly from ``min_length`` to ``length``.

    Args:
        length: how long the content of a sequence is at most.
        min_length: how long it is at least.
        length_source: a source of the loop that is given how long each content is, such as ``tape_jump``, of
            a tape with ``jump = "source"``; empty: none.

    Attributes:
        shortest: the shortest that there may be.
        step: between one length and the next.
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
        """How many numbers a timestep's input has: the loop's ``inputs``."""

    @property
    @abstractmethod
    def output_size(self) -> int:
        """How many numbers a timestep's output has: the loop's ``outputs``."""

    @property
    @abstractmethod
    def timesteps(self) -> int:
        """How many timesteps the longest sequence takes."""

    @property
    def varies(self) -> bool:
        """Whether sequences differ in their timesteps."""
        return self.min_length < self.length


@attrs.frozen(kw_only=True)
class StringConfig(LengthsConfig):
    """Strings of symbols, each followed by timesteps in which the answer is given.

    Attributes:
        alphabet: the symbols of strings, each of one character.
        answers: the symbols of answers.
    """

    alphabet: ClassVar[str]
    answers: ClassVar[str]

    @abstractmethod
    def answer_length(self, length: Any) -> Any:
        """How many timesteps the answer to a string of a length takes; of an array of lengths, an array."""

    @property
    def input_size(self) -> int:
        """The alphabet, one-hot, and a channel that asks for the answer."""
        return len(self.alphabet) + 1

    @property
    def output_size(self) -> int:
        """The symbols of answers."""
        return len(self.answers)

    @property
    def timesteps(self) -> int:
        """Those of the string, and then those of its answer."""
        return self.length + self.answer_length(self.length)


@attrs.frozen(kw_only=True)
class SymbolsConfig(StringConfig):
    """Strings of letters, answered with letters.

    Args:
        symbols: how many kinds of symbols there are.
    """

    length: int = length_field(40)
    min_length: int = length_field(1)
    symbols: int = attrs.field(default=2, validator=[ge(2), le(26)])

    @property
    def alphabet(self) -> str:
        """Letters."""
        return ascii_lowercase[: self.symbols]

    @property
    def answers(self) -> str:
        """The same."""
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
    """Return the spec of a task in this package, with an LSTM that its example can be trained on.

    ``loop`` holds what the example's loop needs besides.
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
