"""All that a training run needs to go on exactly as if it had not been stopped."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import keras
import numpy as np

from superloop_core import WeightsError

NESTS = ("variables", "optimizer", "best")


@attrs.frozen(kw_only=True, eq=False)
class Checkpoint:
    """A run after some step, in NumPy's arrays and JSON's values.

    Args:
        step: how many were taken.
        variables: the model's, the state of its dropout's seeds among them.
        optimizer: the optimizer's variables, but its learning rate, which is the config's.
        best: the model's variables when it measured best.
        best_step: at which step that was.
        merit: how well it measured then.
        recent: loss and accuracy of each step since the last line of the metrics.
        generator: the state of the generator of the sequences.
        metrics_size: how many bytes ``metrics.jsonl`` had.
        seconds: of training so far.
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

    def save(self, path: Path) -> None:
        """Write one ``.npz`` file, without a pickle."""
        told = attrs.asdict(self, filter=lambda field, _: field.name not in NESTS)
        arrays = {f"{name}.{i}": a for name in NESTS for i, a in enumerate(getattr(self, name))}
        np.savez(path, told=np.array(json.dumps(told)), **arrays)

    @classmethod
    def load(cls, path: Path) -> "Checkpoint":
        """Read what :meth:`save` wrote.

        Raises:
            WeightsError: it cannot be read.
        """
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                told = json.loads(str(file["told"]))
                arrays = {
                    name: [file[f"{name}.{i}"] for i in range(sum(k.startswith(f"{name}.") for k in file))]
                    for name in NESTS
                }
            told |= {"merit": tuple(told["merit"]), "recent": [tuple(pair) for pair in told["recent"]]}
            return cls(**told, **arrays)
        except Exception as error:  # what NumPy raises on a broken file depends on where it is broken
            raise WeightsError(f"{path}: cannot be loaded: {error}") from error


def variables_of(model: keras.Model) -> list[np.ndarray]:
    """A copy of a model's variables."""
    return [np.array(variable) for variable in model.variables]


def optimizer_state(optimizer: keras.optimizers.Optimizer) -> list[Any]:
    """An optimizer's variables, but the learning rate, which the config decides."""
    return [variable for variable in optimizer.variables if variable.name != "learning_rate"]


def put_back(variables: Sequence[Any], saved: Sequence[np.ndarray], whose: str) -> None:
    """Set variables to what was saved of them.

    Raises:
        WeightsError: they are others.
    """
    needed, given = [tuple(v.shape) for v in variables], [array.shape for array in saved]
    if needed != given:
        raise WeightsError(
            f"the checkpoint holds {whose} of the shapes {given}, but the run needs {needed}; undo --set"
        )
    for variable, array in zip(variables, saved, strict=True):
        variable.assign(array)
