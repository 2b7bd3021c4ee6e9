"""Deterministic context-free tasks of Deletang et al. (2023): solved with a stack."""

from string import digits
from typing import Any, ClassVar

import attrs
from attrs.validators import ge, le

from superloop_plugin_tasks.configs import StringConfig, SymbolsConfig, length_field, task_spec

REFERENCE = "Deletang et al., 2023, https://arxiv.org/abs/2207.02098"


@attrs.frozen(kw_only=True)
class ReverseStringConfig(SymbolsConfig):
    """Return a string backwards."""

    def answer_length(self, length: Any) -> Any:
        """As long as the string."""
        return length


@attrs.frozen(kw_only=True)
class StackManipulationConfig(StringConfig):
    """Return a stack after it popped (P) and pushed 0 (o) and 1 (i)."""

    alphabet: ClassVar[str] = "01Poi"
    answers: ClassVar[str] = "01."

    length: int = length_field(40)
    min_length: int = length_field(1)

    def answer_length(self, length: Any) -> Any:
        """The most symbols on the stack, and the end."""
        return length + 1


@attrs.frozen(kw_only=True)
class ModularArithmeticBracketsConfig(StringConfig):
    """The value of an expression with brackets, modulo a number.

    Args:
        modulus: numbers are from 0 to ``modulus`` - 1.
        multiply: use * besides + and -.
    """

    length: int = length_field(40)
    min_length: int = length_field(1)
    modulus: int = attrs.field(default=5, validator=[ge(2), le(10)])
    multiply: bool = True

    @property
    def operators(self) -> int:
        """Kinds of operators."""
        return 3 if self.multiply else 2

    @property
    def alphabet(self) -> str:
        """Digits, operators and brackets."""
        return f"{self.answers}{'+-*'[: self.operators]}()"

    @property
    def answers(self) -> str:
        """A digit for each remainder."""
        return digits[: self.modulus]

    def answer_length(self, length: Any) -> Any:
        """One."""
        del length
        return 1


@attrs.frozen(kw_only=True)
class SolveEquationConfig(StringConfig):
    """The unknown x of an equation with brackets.

    Args:
        modulus: numbers are from 0 to ``modulus`` - 1.
    """

    shortest: ClassVar[int] = 3

    length: int = length_field(40)
    min_length: int = length_field(3)
    modulus: int = attrs.field(default=5, validator=[ge(2), le(10)])

    @property
    def alphabet(self) -> str:
        """Digits, operators, brackets, the unknown, and the equals sign."""
        return f"{self.answers}+-()x="

    @property
    def answers(self) -> str:
        """A digit for each remainder."""
        return digits[: self.modulus]

    def answer_length(self, length: Any) -> Any:
        """One."""
        del length
        return 1


SPECS = (
    task_spec(
        "reverse_string",
        ReverseStringConfig,
        "deterministic_context_free.reverse_string:ReverseString",
        "Return a string backwards (Deletang et al., 2023)",
        {"length": 5},
        REFERENCE,
    ),
    task_spec(
        "stack_manipulation",
        StackManipulationConfig,
        "deterministic_context_free.stack_manipulation:StackManipulation",
        "Return a stack after pushes and pops (Deletang et al., 2023)",
        {"length": 5},
        REFERENCE,
    ),
    task_spec(
        "modular_arithmetic_brackets",
        ModularArithmeticBracketsConfig,
        "deterministic_context_free.modular_arithmetic_brackets:ModularArithmeticBrackets",
        "Compute an expression with brackets, modulo 5 (Deletang et al., 2023)",
        {"length": 7},
        REFERENCE,
    ),
    task_spec(
        "solve_equation",
        SolveEquationConfig,
        "deterministic_context_free.solve_equation:SolveEquation",
        "Solve an equation with brackets, modulo 5 (Deletang et al., 2023)",
        {"length": 9},
        REFERENCE,
    ),
)
