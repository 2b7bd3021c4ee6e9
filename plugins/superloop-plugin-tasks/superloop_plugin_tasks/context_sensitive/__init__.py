"""Context-sensitive tasks of Deletang et al. (2023): solved with a tape as long as the input."""

from typing import Any, ClassVar

import attrs
from attrs.validators import ge, le

from superloop_plugin_tasks.configs import StringConfig, SymbolsConfig, length_field, task_spec

REFERENCE = "Deletang et al., 2023, https://arxiv.org/abs/2207.02098"


@attrs.frozen(kw_only=True)
class DuplicateStringConfig(SymbolsConfig):
    """Return a string twice."""

    def answer_length(self, length: Any) -> Any:
        """Twice as long as the string."""
        return 2 * length


@attrs.frozen(kw_only=True)
class OddsFirstConfig(SymbolsConfig):
    """Return the symbols at odd places, then those at even places."""

    def answer_length(self, length: Any) -> Any:
        """As long as the string."""
        return length


@attrs.frozen(kw_only=True)
class BucketSortConfig(SymbolsConfig):
    """Return the symbols of a string, sorted."""

    symbols: int = attrs.field(default=5, validator=[ge(2), le(26)])

    def answer_length(self, length: Any) -> Any:
        """As long as the string."""
        return length


@attrs.frozen(kw_only=True)
class MissingDuplicateConfig(StringConfig):
    """Return the missing bit of a repeated string of bits."""

    alphabet: ClassVar[str] = "01?_"
    answers: ClassVar[str] = "01"
    shortest: ClassVar[int] = 2

    length: int = length_field(40)
    min_length: int = length_field(2)

    def answer_length(self, length: Any) -> Any:
        """One."""
        del length
        return 1


@attrs.frozen(kw_only=True)
class BinaryConfig(StringConfig):
    """Two binary numbers, the lowest bit first; lengths include both and the operator."""

    answers: ClassVar[str] = "01."
    shortest: ClassVar[int] = 3

    length: int = length_field(40)
    min_length: int = length_field(3)

    def answer_length(self, length: Any) -> Any:
        """The most bits possible, and the end."""
        return length


@attrs.frozen(kw_only=True)
class BinaryAdditionConfig(BinaryConfig):
    """Add two binary numbers."""

    alphabet: ClassVar[str] = "01+"


@attrs.frozen(kw_only=True)
class BinaryMultiplicationConfig(BinaryConfig):
    """Multiply two binary numbers."""

    alphabet: ClassVar[str] = "01*"


@attrs.frozen(kw_only=True)
class ComputeSqrtConfig(StringConfig):
    """Take the square root of a binary number, rounded down."""

    alphabet: ClassVar[str] = "01"
    answers: ClassVar[str] = "01"

    length: int = length_field(40)
    min_length: int = length_field(1)

    def answer_length(self, length: Any) -> Any:
        """Half of the bits, rounded up."""
        return (length + 1) // 2


SPECS = (
    task_spec(
        "duplicate_string",
        DuplicateStringConfig,
        "context_sensitive.duplicate_string:DuplicateString",
        "Return a string twice (Deletang et al., 2023)",
        {"length": 4},
        REFERENCE,
    ),
    task_spec(
        "missing_duplicate",
        MissingDuplicateConfig,
        "context_sensitive.missing_duplicate:MissingDuplicate",
        "Return the missing bit of a repeated string (Deletang et al., 2023)",
        {"length": 6},
        REFERENCE,
    ),
    task_spec(
        "odds_first",
        OddsFirstConfig,
        "context_sensitive.odds_first:OddsFirst",
        "Return the symbols at odd places, then those at even places (Deletang et al., 2023)",
        {"length": 5},
        REFERENCE,
    ),
    task_spec(
        "binary_addition",
        BinaryAdditionConfig,
        "context_sensitive.binary_addition:BinaryAddition",
        "Add two binary numbers (Deletang et al., 2023)",
        {"length": 6},
        REFERENCE,
    ),
    task_spec(
        "binary_multiplication",
        BinaryMultiplicationConfig,
        "context_sensitive.binary_multiplication:BinaryMultiplication",
        "Multiply two binary numbers (Deletang et al., 2023)",
        {"length": 6},
        REFERENCE,
    ),
    task_spec(
        "compute_sqrt",
        ComputeSqrtConfig,
        "context_sensitive.compute_sqrt:ComputeSqrt",
        "Take the square root of a binary number (Deletang et al., 2023)",
        {"length": 6},
        REFERENCE,
    ),
    task_spec(
        "bucket_sort",
        BucketSortConfig,
        "context_sensitive.bucket_sort:BucketSort",
        "Return the symbols of a string, sorted (Deletang et al., 2023)",
        {"length": 5},
        REFERENCE,
    ),
)
