"""One class for each sequence."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from superloop_core import ConfigError
from superloop_core.errors import short_repr
from superloop_plugin_data.scoring import class_loss, classes_are_right, outputs_of, probabilities
from superloop_plugin_data.tasks.classes import WithClasses, class_number, in_natural_order
from superloop_plugin_data.tasks.stored import Encoded, Part
from superloop_plugin_data.values import as_label

MAX_CLASSES = 10_000


class Classification(WithClasses):
    """One class for each sequence, answered at its last timestep. Targets: ``(batch,)`` of int32."""

    def raw(self, example: Mapping[str, Any], place: Callable[[int], str]) -> tuple[Any, str | None]:
        """Return the inputs and the name of the class; of a new example None."""
        if self.predicts:
            return self.inputs.raw(example, place), None
        name, value = self.settings.target, example[self.settings.target]
        values = value if isinstance(value, list) else [value]
        labels = [as_label(one, f"{place(timestep)}: {name!r}") for timestep, one in enumerate(values)]
        others = [timestep for timestep, label in enumerate(labels) if label != labels[0]]
        if others or not labels:
            where, found = place(min(others, default=0)), short_repr(sorted(set(labels)))
            raise ConfigError(f"{where}: {name!r} must be one class for a sequence: {found}")
        return self.inputs.raw(example, place), labels[0]

    def label_of(self, raw: tuple[Any, str | None]) -> str | None:
        """The class, if shares are kept."""
        return raw[1] if self.settings.stratify else None

    def learn(self, parts: Sequence[Part]) -> None:
        """Learn the classes and the inputs."""
        self.classes = in_natural_order({self.raw_of(part)[1] for part in parts})
        if len(self.classes) > MAX_CLASSES:
            raise ConfigError(
                f"{self.settings.target!r} has {len(self.classes):,} classes; for numbers use regression"
            )
        self.inputs.learn(self.raw_of(part)[0] for part in parts)

    def encode(self, raw: tuple[Any, str | None], part: Part) -> Encoded:
        """Return the inputs and the number of the class; -1: it is not known."""
        del part
        number = -1 if raw[1] is None else class_number(raw[1], self.classes)
        return Encoded(self.inputs.encode(raw[0]), np.array(number, "int32"))

    def answers(self, outputs: np.ndarray, length: int) -> Iterator[dict[str, Any]]:
        """The most probable class, and the probability of each."""
        del length
        shares = probabilities(outputs[-1])
        by_class = {f"probability_{name}": share for name, share in zip(self.classes, shares, strict=True)}
        yield {f"predicted_{self.settings.target}": self.classes[shares.argmax()], **by_class}

    def title(self, target: np.ndarray) -> str:
        """The class."""
        return self.classes[int(target)]

    def loss(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Return the mean cross-entropy at the last timestep, in nats."""
        return class_loss(targets, outputs_of(results, self.sizes.outputs)[:, -1])

    def correct(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Return whether each class is right, ``(batch,)`` of bool."""
        return classes_are_right(targets, outputs_of(results, self.sizes.outputs)[:, -1])
