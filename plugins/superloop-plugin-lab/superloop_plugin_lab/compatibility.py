"""Whether a config's task, loop, metrics and curriculum fit together."""

import inspect
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import keras
import numpy as np

from superloop_core import ConfigError, LoopConfig
from superloop_core.config import PartConfig
from superloop_core.errors import Problem
from superloop_core.task import Batch, Metric, Task
from superloop_plugin_lab.settings import CurriculumConfig

CHANGE = "change the task's settings, or a system's id or settings"


def check_curriculum(curriculum: CurriculumConfig, part: PartConfig, task: Task) -> None:
    """Check that a task can follow a curriculum.

    Raises:
        ConfigError: the task has no ``length``, its ``sample`` takes no ``longest``, or ``start`` is not from
            ``min_length`` to ``length``.
    """
    length, shortest = (getattr(part.settings, name, None) for name in ("length", "min_length"))
    start = curriculum.start
    if length is None or "longest" not in inspect.signature(task.sample).parameters:
        what = (
            "needs a task with a setting 'length' and a 'sample' that takes 'longest'; "
            f"{part.use!r} lacks one of them; remove the table"
        )
    elif start > length:
        what = f"'start' must be <= the task's length ({length}): {start}"
    elif shortest is not None and start < shortest:
        what = f"'start' must be >= the task's min_length ({shortest}): {start}"
    else:
        return
    raise ConfigError([Problem("curriculum", what)])


def check_inputs(
    batch: Batch, loop: LoopConfig, needed: Mapping[str, Any], sources: Mapping[str, Any]
) -> None:
    """Check that the model takes a task's sequences.

    Args:
        batch: a task's.
        loop: the first loop.
        needed: shapes of the inputs that the model must have, by name, without the batch axis.
        sources: shapes of the sources that it may have.

    Raises:
        ConfigError: an input is missing, is unknown to the loop, or has another shape; lists all of them.
    """
    provided = {name: array.shape[1:] for name, array in batch.inputs.items()}
    known = {**needed, **sources}
    problems = [
        f"provides no {name!r}, which the loop needs; it provides {_names(provided)}; {_move(loop, name, ())}"
        for name in needed.keys() - provided.keys()
    ]
    for name, shape in provided.items():
        if name == "lengths":
            continue
        if name not in known:
            problems.append(
                f"provides {name!r}, but the loop takes {_names(known)}; {_move(loop, name, shape)}"
            )
        elif not _fits(shape, known[name]):
            sizes = tuple("any" if size is None else size for size in known[name])
            problems.append(
                f"provides {name!r} of shape {_shape(shape)}, but the loop takes {_shape(sizes)}; "
                f"{_move(loop, name, shape)}"
            )
    _raise_problems(problems)


def check_results(task: Task, metrics: Mapping[str, Metric], batch: Batch, model: keras.Model) -> None:
    """Check that a task and the metrics can read the model's results, on zeros of their shapes.

    Raises:
        ConfigError: the loss, the accuracy or a metric cannot be computed or has a wrong shape; lists all.
    """
    placeholders = {name: keras.KerasTensor(array.shape, array.dtype) for name, array in batch.inputs.items()}
    specs = model.compute_output_spec(placeholders)
    results = {name: keras.ops.zeros(spec.shape, spec.dtype) for name, spec in specs.items()}
    rows = (len(batch.targets),)
    computed: dict[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
        "loss": (task.loss, ()),
        "correct": (task.correct, rows),
        **{f"metric {name}": (metric, rows) for name, metric in metrics.items()},
    }
    problems = [
        problem
        for name, (compute, shape) in computed.items()
        if (problem := _problem_of(name, compute, shape, batch, results))
    ]
    _raise_problems(problems)


def check_parts(task: Task, batch: Batch, model: keras.Model) -> None:
    """Check that the loss of a batch is that of its parts, weighted, as many workers compute it.

    Raises:
        ConfigError: it is not.
    """
    results = model.predict_on_batch(dict(batch.inputs))
    weight: Callable[[Any], float] = getattr(task, "weight", len)
    whole, total = float(task.loss(batch.targets, results)), 0.0
    for rows in (slice(0, 1), slice(1, None)):
        of_rows = {name: result[rows] for name, result in results.items()}
        share = weight(batch.targets[rows]) / (weight(batch.targets) or 1)
        total += share * float(task.loss(batch.targets[rows], of_rows))
    if np.isfinite(whole) and not np.isclose(whole, total, rtol=1e-3, atol=1e-6):
        what = (
            f"cannot be trained by many workers: its loss of {len(batch.targets)} sequences is {whole:.6g}, "
            f"and that of parts of them, weighted, {total:.6g}; give it 'weight(targets)', which returns how "
            "many numbers the mean is over"
        )
        raise ConfigError([Problem("task", what)])


def as_dict(results: Any) -> dict[str, Any]:
    """Return a loop's results by name; a loop without traces returns the outputs alone."""
    return results if isinstance(results, dict) else {"outputs": results}


def as_float32(results: Mapping[str, Any]) -> dict[str, Any]:
    """Cast results of other float types, those of a dtype policy, to float32."""
    others = ("float16", "bfloat16", "float64")
    return {
        name: keras.ops.cast(result, "float32") if result.dtype in others else result
        for name, result in results.items()
    }


def _move(loop: LoopConfig, name: str, shape: tuple[int, ...]) -> str:
    """Return which settings let a loop take an input of a shape; ``()``: let it take none of this name."""
    if name == "inputs" and len(shape) in (0, 2):
        settings = {"inputs": shape[-1] if shape else 0}
        if shape and loop.timesteps not in (0, shape[0]):
            settings["timesteps"] = shape[0]
        changed = (f"loop.{key} = {value}" for key, value in settings.items() if getattr(loop, key) != value)
        return f"set {' and '.join(changed)}"
    sources = {
        f"{system.id}_{source}": (system, source) for system in loop.systems for source in system.sources
    }
    if name in sources:
        system, source = sources[name]
        for key, size in itertools.product(attrs.fields_dict(type(system.settings)), dict.fromkeys(shape)):
            try:
                other = attrs.evolve(system, settings=attrs.evolve(system.settings, **{key: size}))
                if _fits(shape, other.sources[source]):
                    return f"set loop.systems.{system.id}.{key} = {size}"
            except Exception:  # a setting that may not be of this size
                continue
    return CHANGE


def _problem_of(
    name: str, compute: Callable[..., Any], shape: tuple[int, ...], batch: Batch, results: Mapping[str, Any]
) -> str | None:
    """Compute a figure, and return what is wrong with it, if anything."""
    sequences = f"{len(batch.targets)} sequences"
    try:
        figure = np.asarray(compute(batch.targets, results))
    except ConfigError as error:  # a problem that the task or the metric recognises
        return f"{name}: {error}" if name.startswith("metric") else str(error)
    except Exception as error:  # any error of the task's code
        shapes = ", ".join(f"{name} {_shape(tuple(result.shape))}" for name, result in results.items())
        return (
            f"its {name} cannot be computed from {shapes} (of {sequences}): {type(error).__name__}: {error}; "
            "change loop.outputs or the task's settings"
        )
    if figure.shape != shape:
        return f"its {name} of {sequences} must have shape {_shape(shape)}: {_shape(figure.shape)}"
    if figure.dtype.kind not in "biuf":
        return f"its {name} of {sequences} must be numbers: {figure.dtype}"
    return None


def _raise_problems(problems: list[str]) -> None:
    if problems:
        raise ConfigError([Problem("task", problem) for problem in problems])


def _fits(shape: tuple[int, ...], needed: tuple[int | None, ...]) -> bool:
    return len(shape) == len(needed) and all(
        required in (None, size) for size, required in zip(shape, needed, strict=True)
    )


def _names(names: Mapping[str, Any]) -> str:
    return ", ".join(map(repr, names))


def _shape(sizes: tuple[object, ...]) -> str:
    return f"({', '.join(map(str, sizes))})"
