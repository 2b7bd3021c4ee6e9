"""Languages: predict at each timestep which symbols may follow."""

from string import ascii_lowercase, ascii_uppercase
from typing import ClassVar

import attrs
from attrs.validators import ge, gt, le, lt

from superloop_plugin_tasks.configs import LengthsConfig, length_field, task_spec

OPENING, CLOSING = "([{<" + ascii_lowercase, ")]}>" + ascii_uppercase


def _leaves_room(settings: "DyckConfig", field: "attrs.Attribute[float]", value: float) -> None:
    if settings.nest + value >= 1:
        raise ValueError(f"'nest' and {field.name!r} together must be < 1: {settings.nest + value}")


@attrs.frozen(kw_only=True)
class DyckConfig(LengthsConfig):
    """Matching brackets; lengths are even.

    Args:
        brackets: kinds of brackets.
        nest: probability that the grammar's S becomes (S).
        join: probability that S becomes SS; else it becomes empty.
    """

    shortest: ClassVar[int] = 2
    step: ClassVar[int] = 2

    length: int = length_field(50)
    min_length: int = length_field(2)
    brackets: int = attrs.field(default=2, validator=[ge(1), le(len(OPENING))])
    nest: float = attrs.field(default=0.5, validator=[gt(0), lt(1)])
    join: float = attrs.field(default=0.25, validator=[gt(0), lt(1), _leaves_room])

    @property
    def alphabet(self) -> str:
        """Opening brackets, then closing ones."""
        return OPENING[: self.brackets] + CLOSING[: self.brackets]

    @property
    def input_size(self) -> int:
        """The brackets, one-hot."""
        return 2 * self.brackets

    @property
    def output_size(self) -> int:
        """Whether each of them may follow."""
        return 2 * self.brackets

    @property
    def timesteps(self) -> int:
        """One for each bracket."""
        return self.length


@attrs.frozen(kw_only=True)
class CountingConfig(LengthsConfig):
    """Letters repeated the same number of times, one letter after the other; ``length`` is that number.

    Args:
        letters: number of letters: 2 for a^n b^n, 3 for a^n b^n c^n.
    """

    length: int = length_field(10)
    min_length: int = length_field(1)
    letters: int = attrs.field(default=2, validator=[ge(2), le(26)])

    @property
    def input_size(self) -> int:
        """The letters and the start, one-hot."""
        return self.letters + 1

    @property
    def output_size(self) -> int:
        """Whether each letter, or the end, may follow."""
        return self.letters + 1

    @property
    def timesteps(self) -> int:
        """The start, and one for each letter."""
        return 1 + self.letters * self.length


SPECS = (
    task_spec(
        "dyck",
        DyckConfig,
        "next_symbol.dyck:Dyck",
        "Which brackets may follow in a string of matching brackets? (Suzgun et al., 2019)",
        {"length": 8},
        "Suzgun et al., 2019, https://arxiv.org/abs/1911.03329",
    ),
    task_spec(
        "counting",
        CountingConfig,
        "next_symbol.counting:Counting",
        "Which letters may follow in a^n b^n or a^n b^n c^n? (Gers and Schmidhuber, 2001)",
        {"length": 4},
        "Gers and Schmidhuber, 2001, IEEE Transactions on Neural Networks 12(6), 1333-1340",
    ),
)
