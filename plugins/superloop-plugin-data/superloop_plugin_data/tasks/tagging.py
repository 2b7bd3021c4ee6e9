"""A class for each timestep."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from superloop_core import ConfigError
from superloop_core.errors import short_repr
from superloop_plugin_data.scoring import (
    ClassAccuracy,
    class_loss,
    classes_are_right,
    outputs_of,
    probabilities,
)
from superloop_plugin_data.tasks.classes import WithClasses, class_number, in_natural_order
from superloop_plugin_data.tasks.stored import Encoded, Part
from superloop_plugin_data.values import MISSING, as_label


class Tagging(WithClasses):
    """A class for each timestep. Targets: ``(batch, timesteps)`` of int32, -1 where none is asked for."""

    per_timestep = True
    own_metrics = MappingProxyType({"timestep_accuracy": ClassAccuracy()})
    headline = "timestep_accuracy"

    def raw(self, example: Mapping[str, Any], place: Callable[[int], str]) -> tuple[Any, list[str | None]]:
        """Return the inputs, and the names of the classes; of a new example none."""
        if self.predicts:
            return self.inputs.raw(example, place), []
        name, values = self.settings.target, example[self.settings.target]
        values = values.split() if isinstance(values, str) and self.settings.text else values
        if not isinstance(values, list | tuple | np.ndarray):
            raise ConfigError(f"{place(0)}: {name!r} must be a list of classes: {short_repr(values)}")
        labels = [
            None if _is_missing(value) else as_label(value, f"{place(timestep)}: {name!r}")
            for timestep, value in enumerate(values)
        ]
        if not any(labels):
            raise ConfigError(f"{place(0)}: {name!r} must have a class")
        return self.inputs.raw(example, place), labels

    def learn(self, parts: Sequence[Part]) -> None:
        """Learn the classes and the inputs."""
        found = {label for part in parts for label in self.raw_of(part)[1] if label is not None}
        self.classes = in_natural_order(found)
        self.inputs.learn(self.raw_of(part)[0] for part in parts)

    def encode(self, raw: tuple[Any, list[str | None]], part: Part) -> Encoded:
        """Return the inputs and the numbers of the classes."""
        del part
        inputs = self.inputs.encode(raw[0])
        labels = [None] * len(inputs) if self.predicts else raw[1]
        if len(labels) != len(inputs):
            raise ConfigError(
                f"has {len(inputs)} timesteps, but {len(labels)} classes in {self.settings.target!r}"
            )
        known = {name: number for number, name in enumerate(self.classes)}
        numbers = [
            -1 if label is None else known[label] if label in known else class_number(label, self.classes)
            for label in labels
        ]
        return Encoded(inputs, np.array(numbers, "int32"))

    def answers(self, outputs: np.ndarray, length: int) -> Iterator[dict[str, Any]]:
        """For each timestep the most probable class, and its probability."""
        for timestep, shares in enumerate(probabilities(outputs[:length])):
            name = self.classes[shares.argmax()]
            yield {
                "timestep": timestep,
                f"predicted_{self.settings.target}": name,
                "probability": shares.max(),
            }

    def title(self, target: np.ndarray) -> str:
        """The first classes."""
        return " ".join("." if number < 0 else self.classes[number] for number in target[:12])

    def loss(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Return the mean cross-entropy, in nats."""
        return class_loss(targets, outputs_of(results, self.sizes.outputs))

    def correct(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Return whether all classes of each sequence are right, ``(batch,)`` of bool."""
        return classes_are_right(targets, outputs_of(results, self.sizes.outputs))


def _is_missing(value: Any) -> bool:
    return value is None or value != value or (isinstance(value, str) and value.strip().lower() in MISSING)
