"""A checkpoint: what a training run needs to resume bit by bit."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import keras
import numpy as np

from superloop_core import WeightsError

NESTS = ("variables", "optimizer", "best")  # fields that are lists of arrays


@attrs.frozen(kw_only=True, eq=False)
class Checkpoint:
    """The state of a training run after a step, as NumPy arrays and JSON values.

    Args:
        step: training steps taken.
        variables: the model's variables, with the states of its dropout's seeds.
        optimizer: the optimizer's variables without the learning rate, which the config sets.
        best: the model's variables at the best measurement.
        best_step: the step of the best measurement.
        merit: accuracy and negated loss of the best measurement.
        recent: loss and accuracy of each step since the last line of the metrics.
        generator: the state of the generator of training sequences.
        metrics_size: size of ``metrics.jsonl`` in bytes.
        seconds: of training so far.
        run: the id of the run; nothing in files of version 0.1.
    """

    step: int
    variables: Sequence[np.ndarray]
    optimizer: Sequence[np.ndarray]
    best: Sequence[np.ndarray]
    best_step: int
    merit: tuple[float, float]
    recent: Sequence[tuple[float, float]]
    generator: dict[str, Any]
    metrics_size: int
    seconds: float
    run: str = ""

    def save(self, path: Path) -> None:
        """Write one ``.npz`` file, without a pickle."""
        values = attrs.asdict(self, filter=lambda field, _: field.name not in NESTS)
        arrays: dict[str, Any] = {
            f"{name}.{index}": array for name in NESTS for index, array in enumerate(getattr(self, name))
        }
        np.savez(path, told=np.array(json.dumps(values)), **arrays)

    @classmethod
    def load(cls, path: Path) -> "Checkpoint":
        """Read a file that :meth:`save` wrote.

        Raises:
            WeightsError: the file cannot be read.
        """
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                values: dict[str, Any] = json.loads(str(file["told"]))
                for name in NESTS:
                    count = sum(key.startswith(f"{name}.") for key in file)
                    values[name] = [file[f"{name}.{index}"] for index in range(count)]
            values["merit"] = tuple(values["merit"])
            values["recent"] = [tuple(pair) for pair in values["recent"]]
            return cls(**values)
        except Exception as error:  # NumPy raises many kinds of errors on a broken file
            raise WeightsError(f"{path}: cannot be loaded: {error}") from error


def variables_of(model: keras.Model) -> list[np.ndarray]:
    """Return a copy of a model's variables."""
    return [np.array(variable) for variable in model.variables]


def optimizer_state(optimizer: keras.optimizers.Optimizer) -> list[Any]:
    """Return an optimizer's variables without the learning rate, which the config sets."""
    return [variable for variable in optimizer.variables if variable.name != "learning_rate"]


def put_back(variables: Sequence[Any], saved: Sequence[np.ndarray], whose: str) -> None:
    """Set variables to their saved values.

    Args:
        variables: the variables.
        saved: their values.
        whose: what they belong to, for the message of the error.

    Raises:
        WeightsError: the shapes differ; no variable is changed.
    """
    needed, given = [tuple(variable.shape) for variable in variables], [array.shape for array in saved]
    if needed != given:
        raise WeightsError(
            f"the checkpoint holds {whose} of shapes {given}, but the run needs {needed}; undo --set"
        )
    for variable, array in zip(variables, saved, strict=True):
        variable.assign(array)
