"""Numbers for each sequence."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from superloop_core import ConfigError, Sizes
from superloop_plugin_data.normalization import Normalization
from superloop_plugin_data.scoring import AbsoluteError, numbers_are_near, outputs_of, squared_loss
from superloop_plugin_data.settings import AbsoluteErrorConfig, RegressionConfig
from superloop_plugin_data.tasks.inputs import make_inputs
from superloop_plugin_data.tasks.stored import Encoded, Part, Stored
from superloop_plugin_data.values import as_number


class Regression(Stored):
    """Numbers for each sequence, answered at its last timestep, in standard deviations from the mean.

    Targets: ``(batch, numbers)`` of float32.
    """

    own_metrics = MappingProxyType({"absolute_error": AbsoluteError(AbsoluteErrorConfig())})
    headline = "loss"

    def __init__(self, settings: RegressionConfig, state: Mapping[str, Any] | None = None, rows: str = ""):
        self.inputs = make_inputs(settings)
        self.normalization: Normalization | None = None
        super().__init__(settings, state, rows)

    def columns(self) -> list[str]:
        """The inputs, and the targets if they are asked for."""
        return [*self.inputs.columns, *([] if self.predicts else self.settings.target)]

    def raw(self, example: Mapping[str, Any], place: Callable[[int], str]) -> tuple[Any, np.ndarray]:
        """Return the inputs and the numbers; those of a sequence's last row, where all rows have them.

        Of a new example the numbers are NaN.
        """
        if self.predicts:
            return self.inputs.raw(example, place), np.full(len(self.settings.target), np.nan)
        numbers = []
        for name in self.settings.target:
            value = example[name]
            if isinstance(value, list):
                value = value[-1]
            number = as_number(value, f"{place(0)}: {name!r}")
            if np.isnan(number):
                raise ConfigError(f"{place(0)}: {name!r} is missing")
            numbers.append(number)
        return self.inputs.raw(example, place), np.array(numbers)

    def learn(self, parts: Sequence[Part]) -> None:
        """Learn the mean and the standard deviation of targets and inputs."""
        self.normalization = Normalization.over((self.raw_of(part)[1][None] for part in parts), "'target'")
        self.inputs.learn(self.raw_of(part)[0] for part in parts)

    def encode(self, raw: tuple[Any, np.ndarray], part: Part) -> Encoded:
        """Return the inputs and the numbers, normalized."""
        del part
        assert self.normalization is not None
        return Encoded(self.inputs.encode(raw[0]), self.normalization.apply(raw[1]).astype("float32"))

    def measured_sizes(self) -> Sizes:
        """The inputs, and an output for each number."""
        return Sizes(inputs=self.inputs.size, outputs=len(self.settings.target), tokens=self.inputs.tokens)

    def learned(self) -> dict[str, Any]:
        """The means and the standard deviations."""
        assert self.normalization is not None
        return {"target": self.normalization.state(), "inputs": self.inputs.state()}

    def set_learned(self, state: Mapping[str, Any]) -> None:
        """Take over means and standard deviations."""
        self.normalization = Normalization.of(state["target"])
        self.inputs.set_state(state["inputs"])

    def learned_facts(self) -> dict[str, str]:
        """The targets' means and standard deviations."""
        assert self.normalization is not None
        return {"target": self.normalization.in_words(self.settings.target)}

    def answers(self, outputs: np.ndarray, length: int) -> Iterator[dict[str, Any]]:
        """The numbers, in their own units."""
        del length
        assert self.normalization is not None
        numbers = zip(self.settings.target, self.normalization.undo(outputs[-1]), strict=True)
        yield {f"predicted_{name}": number for name, number in numbers}

    def title(self, target: np.ndarray) -> str:
        """The numbers, in their own units."""
        assert self.normalization is not None
        return " ".join(f"{number:.4g}" for number in self.normalization.undo(target))

    def loss(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Return the mean squared error at the last timestep, in variances of the training targets."""
        return squared_loss(targets, outputs_of(results, self.sizes.outputs)[:, -1])

    def correct(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Return whether all numbers are within the tolerance, ``(batch,)`` of bool."""
        outputs = outputs_of(results, self.sizes.outputs)[:, -1]
        return numbers_are_near(targets, outputs, self.settings.tolerance)
