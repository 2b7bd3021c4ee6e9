"""Languages to follow: tell at each timestep which symbols may come next."""

from string import ascii_lowercase, ascii_uppercase
from typing import ClassVar

import attrs
from attrs.validators import ge, gt, le, lt

from superloop_plugin_tasks.configs import LengthsConfig, length_field, task_spec

OPENING, CLOSING = "([{<" + ascii_lowercase, ")]}>" + ascii_uppercase


def _leaves_room(settings: "DyckConfig", field: attrs.Attribute, value: float) -> None:
    if settings.nest + value >= 1:
        raise ValueError(f"'nest' and {field.name!r} together must be < 1: {settings.nest + value}")


@attrs.frozen(kw_only=True)
class DyckConfig(LengthsConfig):
    """Brackets that match; lengths are even.

    Args:
        brackets: how many kinds there are.
        nest: how often the grammar's S becomes (S).
        join: how often it becomes SS; else it becomes nothing.
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
        """Opening brackets, and then closing ones."""
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
    """Letters that all stand equally often, one after the other; ``length`` says how often.

    Args:
        letters: how many there are: 2 for a^n b^n, 3 for a^n b^n c^n.
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
        "Which brackets may follow, of a language where all match? (Suzgun et al., 2019)",
        {"length": 8},
        "Suzgun et al., 2019, https://arxiv.org/abs/1911.03329",
    ),
    task_spec(
        "counting",
        CountingConfig,
        "next_symbol.counting:Counting",
        "Which letters may follow, of a^n b^n or a^n b^n c^n? (Gers and Schmidhuber, 2001)",
        {"length": 4},
        "Gers and Schmidhuber, 2001, IEEE Transactions on Neural Networks 12(6), 1333-1340",
    ),
)
