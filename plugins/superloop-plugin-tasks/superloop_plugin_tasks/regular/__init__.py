"""Regular tasks, most of Deletang et al. (2023): a finite automaton solves them."""

import itertools
from math import factorial
from string import digits
from typing import Any, ClassVar, Literal

import attrs
from attrs.validators import ge, le

from superloop_plugin_tasks.configs import LengthsConfig, StringConfig, length_field, task_spec

REFERENCE = "Deletang et al., 2023, https://arxiv.org/abs/2207.02098"


@attrs.frozen(kw_only=True)
class ClassConfig(StringConfig):
    """Strings with an answer of one symbol."""

    length: int = length_field(40)
    min_length: int = length_field(1)

    def answer_length(self, length: Any) -> Any:
        """One."""
        del length
        return 1


@attrs.frozen(kw_only=True)
class EvenPairsConfig(ClassConfig):
    """Whether a string contains 01 and 10 together an even number of times."""

    alphabet: ClassVar[str] = "01"
    answers: ClassVar[str] = "01"


@attrs.frozen(kw_only=True)
class ParityCheckConfig(ClassConfig):
    """Whether a string has an even number of ones."""

    alphabet: ClassVar[str] = "01"
    answers: ClassVar[str] = "01"


@attrs.frozen(kw_only=True)
class CycleNavigationConfig(ClassConfig):
    """The place that steps on a circle lead to.

    Args:
        places: number of places on the circle.
    """

    alphabet: ClassVar[str] = "-0+"

    places: int = attrs.field(default=5, validator=[ge(2), le(10)])

    @property
    def answers(self) -> str:
        """A digit for each place."""
        return digits[: self.places]


@attrs.frozen(kw_only=True)
class ModularArithmeticConfig(ClassConfig):
    """The value of a sum of products, modulo a number; lengths are odd.

    Args:
        modulus: numbers are from 0 to ``modulus`` - 1.
    """

    step: ClassVar[int] = 2

    length: int = length_field(39)
    min_length: int = length_field(1)
    modulus: int = attrs.field(default=5, validator=[ge(2), le(10)])

    @property
    def alphabet(self) -> str:
        """Digits, then operators."""
        return f"{self.answers}+-*"

    @property
    def answers(self) -> str:
        """A digit for each remainder."""
        return digits[: self.modulus]


@attrs.frozen(kw_only=True)
class PermutationsConfig(LengthsConfig):
    """The arrangement of a row that permutations lead to.

    Args:
        items: items in a row.
        answer: timesteps with a target: ``always``, all, or ``last``, that of the last permutation.
    """

    items: int = attrs.field(default=3, validator=[ge(2), le(6)])
    answer: Literal["always", "last"] = "always"

    @property
    def alphabet(self) -> tuple[str, ...]:
        """All permutations, in lexicographic order: ``("01", "10")``."""
        return tuple(map("".join, itertools.permutations(digits[: self.items])))

    @property
    def input_size(self) -> int:
        """The permutations, one-hot."""
        return factorial(self.items)

    @property
    def output_size(self) -> int:
        """One logit for each arrangement."""
        return factorial(self.items)

    @property
    def timesteps(self) -> int:
        """One for each permutation."""
        return self.length


SPECS = (
    task_spec(
        "even_pairs",
        EvenPairsConfig,
        "regular.even_pairs:EvenPairs",
        "Does a string contain 01 and 10 together an even number of times? (Deletang et al., 2023)",
        {"length": 6},
        REFERENCE,
    ),
    task_spec(
        "parity_check",
        ParityCheckConfig,
        "regular.parity_check:ParityCheck",
        "Does a string have an even number of ones? (Deletang et al., 2023)",
        {"length": 6},
        REFERENCE,
    ),
    task_spec(
        "cycle_navigation",
        CycleNavigationConfig,
        "regular.cycle_navigation:CycleNavigation",
        "Which place do steps on a circle lead to? (Deletang et al., 2023)",
        {"length": 6},
        REFERENCE,
    ),
    task_spec(
        "modular_arithmetic",
        ModularArithmeticConfig,
        "regular.modular_arithmetic:ModularArithmetic",
        "Compute a sum of products, modulo 5 (Deletang et al., 2023)",
        {"length": 5},
        REFERENCE,
    ),
    task_spec(
        "permutations",
        PermutationsConfig,
        "regular.permutations:Permutations",
        "Which arrangement do permutations lead to? (Merrill, Petty and Sabharwal, 2024)",
        {"length": 6},
        "Merrill, Petty and Sabharwal, 2024, https://arxiv.org/abs/2404.08819",
    ),
)
