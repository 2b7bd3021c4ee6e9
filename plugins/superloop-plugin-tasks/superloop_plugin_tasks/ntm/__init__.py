"""Tasks of the Neural Turing Machine (Graves et al., 2014): store and return binary vectors."""

from typing import ClassVar

import attrs
from attrs.validators import ge

from superloop_plugin_tasks.configs import LengthsConfig, length_field, task_spec

REFERENCE = "Graves et al., 2014, https://arxiv.org/abs/1410.5401"


def _is_at_most_repeats(settings: "RepeatCopyConfig", field: "attrs.Attribute[int]", value: int) -> None:
    if value > settings.repeats:
        raise ValueError(f"{field.name!r} must be <= repeats ({settings.repeats}): {value}")


@attrs.frozen(kw_only=True)
class CopyConfig(LengthsConfig):
    """Return vectors; ``length`` is their number.

    Args:
        width: bits of a vector.
    """

    width: int = attrs.field(default=8, validator=ge(1))

    @property
    def input_size(self) -> int:
        """A vector, and a delimiter."""
        return self.width + 1

    @property
    def output_size(self) -> int:
        """A vector."""
        return self.width

    @property
    def timesteps(self) -> int:
        """The vectors, the delimiter, and the vectors again."""
        return 2 * self.length + 1


@attrs.frozen(kw_only=True)
class RepeatCopyConfig(LengthsConfig):
    """Return vectors a number of times, then an end marker; ``length`` is the number of vectors.

    Args:
        width: bits of a vector.
        repeats: the largest number of times.
        min_repeats: the smallest number of times.
    """

    length: int = length_field(10)
    min_length: int = length_field(1)
    width: int = attrs.field(default=8, validator=ge(1))
    repeats: int = attrs.field(default=10, validator=ge(1))
    min_repeats: int = attrs.field(default=1, validator=[ge(1), _is_at_most_repeats])

    @property
    def input_size(self) -> int:
        """A vector, a delimiter, and the number of times."""
        return self.width + 2

    @property
    def output_size(self) -> int:
        """A vector, and the end marker."""
        return self.width + 1

    @property
    def timesteps(self) -> int:
        """The vectors, the delimiter, the copies, and the end marker."""
        return self.length + 1 + self.length * self.repeats + 1

    @property
    def varies(self) -> bool:
        """Whether sequences have different numbers of timesteps."""
        return self.min_length < self.length or self.min_repeats < self.repeats


@attrs.frozen(kw_only=True)
class AssociativeRecallConfig(LengthsConfig):
    """Return the item after the one that is shown again; ``length`` is the number of items.

    Args:
        vectors: vectors of an item.
        width: bits of a vector.
    """

    shortest: ClassVar[int] = 2

    length: int = length_field(6)
    min_length: int = length_field(2)
    vectors: int = attrs.field(default=3, validator=ge(1))
    width: int = attrs.field(default=6, validator=ge(1))

    @property
    def input_size(self) -> int:
        """A vector, the delimiter of items, and the delimiter of the query."""
        return self.width + 2

    @property
    def output_size(self) -> int:
        """A vector."""
        return self.width

    @property
    def timesteps(self) -> int:
        """Each item with its delimiter, the query between its two delimiters, and the answer."""
        return self.length * (self.vectors + 1) + 2 * (self.vectors + 1)


@attrs.frozen(kw_only=True)
class PrioritySortConfig(LengthsConfig):
    """Return vectors in the order of their priorities; ``length`` is their number.

    Args:
        width: bits of a vector.
        highest: number of vectors to return, those of the highest priorities; at most all.
    """

    width: int = attrs.field(default=8, validator=ge(1))
    highest: int = attrs.field(default=16, validator=ge(1))

    @property
    def input_size(self) -> int:
        """A vector, its priority, and the delimiter."""
        return self.width + 2

    @property
    def output_size(self) -> int:
        """A vector."""
        return self.width

    @property
    def timesteps(self) -> int:
        """The vectors, the delimiter, and the vectors to return."""
        return self.length + 1 + min(self.length, self.highest)


SPECS = (
    task_spec(
        "copy",
        CopyConfig,
        "ntm.copy:Copy",
        "Return a sequence of binary vectors (Graves et al., 2014)",
        {"length": 4, "width": 3},
        REFERENCE,
    ),
    task_spec(
        "repeat_copy",
        RepeatCopyConfig,
        "ntm.repeat_copy:RepeatCopy",
        "Return a sequence of binary vectors a number of times (Graves et al., 2014)",
        {"length": 3, "width": 3, "repeats": 2},
        REFERENCE,
    ),
    task_spec(
        "associative_recall",
        AssociativeRecallConfig,
        "ntm.associative_recall:AssociativeRecall",
        "Return the item after the one that is shown again (Graves et al., 2014)",
        {"length": 3, "vectors": 2, "width": 3},
        REFERENCE,
    ),
    task_spec(
        "priority_sort",
        PrioritySortConfig,
        "ntm.priority_sort:PrioritySort",
        "Return binary vectors in the order of their priorities (Graves et al., 2014)",
        {"length": 4, "width": 3, "highest": 3},
        REFERENCE,
    ),
)
