"""The next values of time series."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from superloop_core import Batch, ConfigError, Sizes
from superloop_plugin_data.files import Table
from superloop_plugin_data.scoring import AbsoluteError, numbers_are_near, outputs_of, squared_loss
from superloop_plugin_data.settings import AbsoluteErrorConfig, ForecastingConfig
from superloop_plugin_data.splits import in_order
from superloop_plugin_data.tasks.inputs import Numbers
from superloop_plugin_data.tasks.stored import Encoded, Part, Stored


class Forecasting(Stored):
    """The next ``horizon`` values at each timestep, normalized.

    Targets: ``(batch, timesteps, horizon * columns)`` of float32. A series is cut into windows; those of
    different splits have no value in common, targets included.
    """

    inputs: Numbers
    per_timestep = True
    own_metrics = MappingProxyType({"absolute_error": AbsoluteError(AbsoluteErrorConfig())})
    headline = "loss"
    no_target = float("nan")
    without_sequence = None

    def __init__(self, settings: ForecastingConfig, state: Mapping[str, Any] | None = None, rows: str = ""):
        self.targets = settings.target or settings.inputs
        columns = list(dict.fromkeys((*settings.inputs, *self.targets)))
        self._places = [columns.index(name) for name in self.targets]
        self.inputs = Numbers(
            dict.fromkeys(settings.inputs) if rows else columns, settings.normalize, settings.missing
        )
        super().__init__(settings, state, rows)

    def columns(self) -> list[str]:
        """The inputs, and the targets if they are asked for."""
        return self.inputs.columns

    def raw(self, example: Mapping[str, Any], place: Callable[[int], str]) -> np.ndarray:
        """Return all numbers of a series."""
        matrix = self.inputs.raw(example, place)
        if matrix.shape[1] != len(self.inputs.columns):
            raise ConfigError(f"{place(0)}: each column must have one number at a timestep")
        return matrix

    def parts_of(self, table: int, index: int) -> list[Part]:
        """Return the windows of a whole series; of a new one the last."""
        timesteps = len(self.raw_of(Part(table, index)))
        if self.predicts:
            return [Part(table, index, max(0, timesteps - self.settings.window), timesteps)]
        return self._windows(table, index, 0, timesteps)

    def divide(self, number: int, table: Table, shares: Sequence[float]) -> list[list[Part]]:
        """Divide each series by time."""
        divided: list[list[Part]] = [[] for _ in shares]
        shares = np.array(shares) / np.sum(shares)
        for index in range(len(table)):
            timesteps = len(self.raw_of(Part(number, index)))
            for split, (start, stop) in enumerate(in_order(timesteps, shares)):
                stride = 0 if split else self.settings.stride  # training comes first
                divided[split] += self._windows(number, index, start, stop, stride)
        return divided

    def learn(self, parts: Sequence[Part]) -> None:
        """Learn means and standard deviations of the training windows."""
        self.inputs.learn(self.raw_of(part)[part.start : part.stop] for part in parts)

    def encode(self, raw: np.ndarray, part: Part) -> Encoded:
        """Return the inputs of a window, and for each timestep the values that follow it."""
        normalization = self.inputs.normalization
        assert normalization is not None
        horizon, columns = self.settings.horizon, self.inputs.columns
        window = raw[part.start : part.stop]
        if self.predicts:
            return Encoded(
                self.inputs.encode(window), np.full((len(window), self.sizes.outputs), np.nan, "float32")
            )
        inputs = self.inputs.encode(window)[:-horizon, [columns.index(name) for name in self.settings.inputs]]
        targets = normalization.apply(window)[:, self._places]  # a missing target is not asked for
        ahead = [targets[1 + k : len(window) - horizon + 1 + k] for k in range(horizon)]
        return Encoded(inputs, np.concatenate(ahead, axis=1).astype("float32"))

    def measured_sizes(self) -> Sizes:
        """The inputs, and the values of all timesteps ahead."""
        return Sizes(inputs=len(self.settings.inputs), outputs=self.settings.horizon * len(self.targets))

    def learned(self) -> dict[str, Any]:
        """The means and the standard deviations."""
        return {"inputs": self.inputs.state()}

    def set_learned(self, state: Mapping[str, Any]) -> None:
        """Take over means and standard deviations."""
        self.inputs.set_state(state["inputs"])
        if self.predicts:  # without other targets, which come after the inputs
            assert self.inputs.normalization is not None
            self._of_targets = self.inputs.normalization.of_columns(self._places)
            self.inputs.normalization = self.inputs.normalization.of_columns(range(len(self.inputs.columns)))
            self.inputs.size = len(self.inputs.columns)

    def answers(self, outputs: np.ndarray, length: int) -> Iterator[dict[str, Any]]:
        """The values of each timestep after the end of the series, in their own units."""
        values = outputs[length - 1].reshape(self.settings.horizon, len(self.targets))
        for ahead, of_step in enumerate(self._of_targets.undo(values), 1):
            named = zip(self.targets, of_step, strict=True)
            yield {"ahead": ahead, **{f"predicted_{name}": value for name, value in named}}

    def learned_facts(self) -> dict[str, str]:
        """Means and standard deviations."""
        assert self.inputs.normalization is not None
        return {"columns": self.inputs.normalization.in_words(self.inputs.columns)}

    def title(self, target: np.ndarray) -> str:
        """Nothing: the picture shows the values."""
        del target
        return ""

    def picture_lines(self, batch: Batch, row: int, results: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The values of the first target after each timestep, and what was forecast of them.

        Forecast one timestep before, and ``horizon`` timesteps before; in the target's own units.
        """
        assert self.inputs.normalization is not None
        of_target = self.inputs.normalization.of_columns(self._places[:1])
        outputs = np.where(np.isnan(batch.targets[row]), np.nan, results["outputs"][row])
        lines = {self.targets[0]: batch.targets[row][:, 0]}
        for ahead in dict.fromkeys((1, self.settings.horizon)):
            forecast = outputs[: len(outputs) - ahead + 1, (ahead - 1) * len(self.targets)]
            lines[f"{ahead} ahead"] = np.concatenate([np.full(ahead - 1, np.nan), forecast])
        return {name: of_target.undo(line) for name, line in lines.items()}

    def loss(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Return the mean squared error, in variances of the training values."""
        return squared_loss(targets, outputs_of(results, self.sizes.outputs))

    def correct(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Return whether all values of a window are within the tolerance, ``(batch,)`` of bool."""
        return numbers_are_near(targets, outputs_of(results, self.sizes.outputs), self.settings.tolerance)

    def _windows(self, table: int, index: int, start: int, stop: int, stride: int = 0) -> list[Part]:
        """Cut the timesteps from ``start`` to ``stop`` into windows; the last one may be shorter."""
        horizon = self.settings.horizon
        first = range(start, stop - horizon, stride or self.settings.window)
        if stride:  # whole windows only, of which there is one at least
            first = range(start, max(stop - horizon - self.settings.window, start) + 1, stride)
        return [Part(table, index, at, min(at + self.settings.window + horizon, stop)) for at in first]
