"""WithClasses, the base class of tasks whose targets are classes."""

from collections.abc import Mapping, Sequence
from typing import Any

from superloop_core import ConfigError, Sizes
from superloop_core.errors import did_you_mean, short_repr
from superloop_plugin_data.tasks.inputs import make_inputs
from superloop_plugin_data.tasks.stored import Stored


class WithClasses(Stored):
    """A task whose targets are classes, those of the training examples.

    Args:
        settings: with ``target``, the column of the classes.

    Attributes:
        classes: their names, by number.
    """

    def __init__(self, settings: Any, state: Mapping[str, Any] | None = None, rows: str = ""):
        self.inputs = make_inputs(settings)
        self.classes: list[str] = []
        super().__init__(settings, state, rows)

    def columns(self) -> list[str]:
        """The inputs, and the classes if they are asked for."""
        return [*self.inputs.columns, *([] if self.predicts else [self.settings.target])]

    def measured_sizes(self) -> Sizes:
        """The inputs, and a logit for each class."""
        return Sizes(inputs=self.inputs.size, outputs=len(self.classes), tokens=self.inputs.tokens)

    def learned(self) -> dict[str, Any]:
        """The classes, and what the inputs learned."""
        return {"classes": self.classes, "inputs": self.inputs.state()}

    def set_learned(self, state: Mapping[str, Any]) -> None:
        """Take over the classes, and what the inputs learned."""
        self.classes = list(state["classes"])
        self.inputs.set_state(state["inputs"])

    def learned_facts(self) -> dict[str, str]:
        """The classes."""
        return {"classes": f"{len(self.classes)}: {short_repr(self.classes)}"}


def in_natural_order(labels: set[str]) -> list[str]:
    """Sort classes: as numbers if all are."""
    try:
        return sorted(labels, key=float)
    except ValueError:
        return sorted(labels)


def class_number(label: str, classes: Sequence[str]) -> int:
    """Return the number of a class.

    Raises:
        ConfigError: no training example has it.
    """
    try:
        return classes.index(label)
    except ValueError:
        raise ConfigError(
            f"no training example has the class {label!r}{did_you_mean(label, classes)}"
        ) from None
