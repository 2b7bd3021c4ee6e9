"""A checkpoint: what a training run needs to resume bit by bit."""

import json
import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import keras
import numpy as np
from attrs.validators import and_, deep_iterable, ge, in_, instance_of, lt, matches_re, max_len, min_len, not_

from superloop_core import WeightsError
from superloop_core.errors import message, short_repr
from superloop_core.limits import check_file, check_unpacked

HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
NUMERIC = "biufV"  # kinds of NumPy's dtypes; V is that of bfloat16
NESTS = ("variables", "optimizer", "best")  # fields that are lists of arrays


def _taken(checkpoint: "Checkpoint", _: Any, best_step: int) -> None:
    if best_step > checkpoint.step:
        raise ValueError(f"'best_step' must be <= step ({checkpoint.step}): {best_step}")


def _state_of_a_generator(_: Any, attribute: Any, value: Any) -> None:
    try:
        np.random.default_rng(0).bit_generator.state = value
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        what = f"{attribute.name!r} must be the state of a generator of NumPy: {short_repr(value)}"
        raise ValueError(f"{what} ({type(error).__name__}: {error})") from error


def _holds_numbers(_: Any, attribute: Any, value: np.ndarray) -> None:
    if value.dtype.kind not in NUMERIC:
        raise TypeError(f"{attribute.name!r} must be arrays of numbers: {value.dtype}")


COUNT: list[Any] = [instance_of(int), not_(instance_of(bool)), ge(0), lt(2**63)]
DURATION: list[Any] = [instance_of(float), ge(0), lt(math.inf)]
ARRAYS: Any = deep_iterable(and_(instance_of(np.ndarray), _holds_numbers), instance_of((list, tuple)))
PLACE: Any = deep_iterable(and_(*COUNT), and_(instance_of(tuple), min_len(2), max_len(2)))
PAIR: Any = deep_iterable(instance_of(float), and_(instance_of(tuple), min_len(2), max_len(2)))


@attrs.frozen(kw_only=True, eq=False)
class Checkpoint:
    """The state of a training run after a step, as NumPy arrays and JSON values.

    Args:
        step: training steps taken.
        variables: the model's variables, with the states of its dropout's seeds.
        optimizer: the optimizer's variables without the learning rate, which the config sets.
        best: the model's variables at the best measurement.
        best_step: the step of the best measurement.
        merit: of the best measurement: the figure that decides times its sign, and the negated loss.
        best_figure: the name of that figure.
        best_sign: 1.0 if it is better the higher it is, else -1.0.
        recent: loss and accuracy of each step since the last line of the metrics.
        generator: the state of the generator of training sequences.
        position: of stored examples: epochs that are complete, and batches taken of the next one.
        metrics_size: size of ``metrics.jsonl`` in bytes.
        seconds: of training so far.
        run: the id of the run; nothing in files of version 0.1.
    """

    step: int = attrs.field(validator=COUNT)
    variables: Sequence[np.ndarray] = attrs.field(validator=ARRAYS)
    optimizer: Sequence[np.ndarray] = attrs.field(validator=ARRAYS)
    best: Sequence[np.ndarray] = attrs.field(validator=ARRAYS)
    best_step: int = attrs.field(validator=[*COUNT, _taken])
    merit: tuple[float, float] = attrs.field(validator=PAIR)
    recent: Sequence[tuple[float, float]] = attrs.field(validator=deep_iterable(PAIR))
    generator: dict[str, Any] = attrs.field(validator=_state_of_a_generator)
    metrics_size: int = attrs.field(validator=COUNT)
    seconds: float = attrs.field(validator=DURATION)
    position: tuple[int, int] = attrs.field(default=(0, 0), validator=PLACE)
    best_figure: str = attrs.field(default="accuracy", validator=instance_of(str))
    best_sign: float = attrs.field(default=1.0, validator=[instance_of(float), in_((1.0, -1.0))])
    run: str = attrs.field(default="", validator=[instance_of(str), matches_re("[0-9a-f]{0,64}")])

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
            size = check_file(path)
            with path.open("rb") as raw, zipfile.ZipFile(raw) as archive:
                check_unpacked(sum(member.file_size for member in archive.infolist()), size)
                arrays = {
                    member.filename.removesuffix(".npy"): _array(archive, member)
                    for member in archive.infolist()
                }
            values: dict[str, Any] = json.loads(str(arrays.pop("told")))
            for name in NESTS:
                count = sum(key.startswith(f"{name}.") for key in arrays)
                values[name] = [arrays.pop(f"{name}.{index}") for index in range(count)]
            if arrays:
                raise WeightsError(f"has other arrays than a checkpoint: {short_repr(sorted(arrays))}")
            values["merit"] = tuple(values["merit"])
            values["position"] = tuple(values.get("position", (0, 0)))
            values["recent"] = [tuple(pair) for pair in values["recent"]]
            return cls(**values)
        except Exception as error:  # NumPy raises many kinds of errors on a broken file
            raise WeightsError(f"{path}: cannot be loaded: {message(error)}") from error


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """Return an array of an ``.npz`` file that has as many numbers as its header says."""
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version not in HEADERS:
            raise WeightsError(f"{member.filename} has an unknown format: {version}")
        shape, _, dtype = HEADERS[version](file)
        size = math.prod(shape) * dtype.itemsize
        if dtype.hasobject or min(shape, default=0) < 0 or size != member.file_size - file.tell():
            raise WeightsError(f"{member.filename} does not hold what its header says: {shape} of {dtype}")
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def variables_of(model: keras.Model) -> list[np.ndarray]:
    """Return a copy of a model's variables."""
    return [np.array(variable) for variable in model.variables]


def optimizer_state(optimizer: keras.optimizers.Optimizer) -> list[Any]:
    """Return an optimizer's variables without the learning rate, which the config sets.

    Keras's Nadam has one that its ``variables`` lack.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    variables = {id(variable): variable for variable in optimizer.variables}
    variables |= {id(held): held for held in vars(inner).values() if isinstance(held, keras.Variable)}
    return [variable for variable in variables.values() if variable.name != "learning_rate"]


def check_fits(variables: Sequence[Any], saved: Sequence[np.ndarray], whose: str) -> None:
    """Check that saved values have the shapes and types of variables.

    Args:
        variables: the variables.
        saved: their values.
        whose: what they belong to, for the message of the error.

    Raises:
        WeightsError: they have not.
    """
    needed, given = [tuple(variable.shape) for variable in variables], [array.shape for array in saved]
    if needed != given:
        raise WeightsError(
            f"the checkpoint holds {whose} of shapes {given}, but the run needs {needed}; undo --set"
        )
    types = [np.asarray(variable).dtype for variable in variables]
    if types != [array.dtype for array in saved]:
        held = ", ".join(sorted({str(array.dtype) for array in saved}))
        raise WeightsError(f"the checkpoint holds {whose} of other types than the run's: {held}")


def put_back(variables: Sequence[Any], saved: Sequence[np.ndarray], whose: str) -> None:
    """Set variables to their saved values.

    Args:
        variables: the variables.
        saved: their values.
        whose: what they belong to, for the message of the error.

    Raises:
        WeightsError: the shapes or types differ; no variable is changed.
    """
    check_fits(variables, saved, whose)
    for variable, array in zip(variables, saved, strict=True):
        variable.assign(array)
