"""An experiment: a config made into a task and a model, and measured on fresh sequences."""

import inspect
import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs
import keras
import numpy as np

from superloop_core import ConfigError, Superloop, SuperloopError, TraceError, __version__
from superloop_core.config import Config, PartConfig, read_config
from superloop_core.errors import Problem
from superloop_core.registry import Registry, load_registry
from superloop_core.task import Batch, Metric, Task
from superloop_plugin_lab import CurriculumConfig, TrainConfig
from superloop_plugin_lab.diagnosis import find_not_finite

MOST_ROWS = 1024  # of a batch that is measured
MOST_ROWS_BY_TIMESTEPS = 2**17  # of the same: 256 rows of 500 timesteps


class TrainingError(SuperloopError):
    """Something is not finite: a loss, a gradient, the weights."""


@attrs.frozen(kw_only=True, eq=False)
class Experiment:
    """A config, and the task and the model it describes.

    ``timesteps`` are the config's, or where it leaves them open as many as the task's sequences have.
    ``model`` maps what the loop takes to a dict of ``outputs`` and the traces that the task reads.
    """

    config: Config
    settings: TrainConfig
    curriculum: CurriculumConfig | None
    task: Task
    metrics: Mapping[str, Metric]
    timesteps: int
    layer: Superloop
    model: keras.Model

    def generator(self, purpose: str) -> np.random.Generator:
        """Return the source of a purpose's sequences; no two purposes share any but by chance."""
        purposes = ("train", "validation", "final", "picture")
        return np.random.default_rng([self.settings.seed, purposes.index(purpose)])

    def longest(self, step: int) -> int | None:
        """How long the sequences of a training step are at most; None where there is no curriculum."""
        if self.curriculum is None:
            return None
        return self.curriculum.longest(step, self.config.tables["task"].settings.length)

    def training_batch(self, rng: np.random.Generator, step: int) -> Batch:
        """Draw the batch of a training step."""
        longest = {} if self.curriculum is None else {"longest": self.longest(step)}
        return self.task.sample(rng, self.settings.batch_size, **longest)


@attrs.frozen(kw_only=True)
class Measurement:
    """Figures on fresh sequences."""

    loss: float
    accuracy: float
    metrics: Mapping[str, float] = attrs.field(factory=dict)

    @property
    def figures(self) -> dict[str, float]:
        """All of them by name."""
        return {"loss": self.loss, "accuracy": self.accuracy, **self.metrics}


def read_experiment(source: Path | Mapping[str, Any], overrides: Iterable[str] = ()) -> Experiment:
    """Read a config and make what it describes, with the weights that its seed gives.

    Raises:
        ConfigError: with every problem found; also where the task does not fit the loop.
    """
    registry = load_registry()
    config = read_config(source, registry, overrides)
    if "task" not in config.tables:
        names = ", ".join(record.spec.name for record in registry.records if record.spec.kind == "task")
        raise ConfigError(f"a table [task] is missing; add one with use = NAME; there are: {names}")
    settings = config.tables.get("train", TrainConfig())
    use = config.tables["task"]
    records = [registry.resolve("task", use.use)]
    records += [registry.resolve("cell", cell.use) for cell in config.loop.cells]
    records += [registry.resolve("system", system.use) for system in config.loop.systems]
    records += [registry.resolve("metric", metric.use) for metric in config.tables.get("metrics", ())]
    config = attrs.evolve(
        config,
        tables={**config.tables, "train": settings},
        plugins={"superloop-core": __version__} | {r.distribution: r.version for r in records},
    )
    keras.utils.set_random_seed(settings.seed)
    task = records[0].spec.create(use.settings)
    curriculum = config.tables.get("curriculum")
    if curriculum is not None:
        _check_curriculum(curriculum, use, task)
    metrics = _metrics(config, registry)
    traces = dict.fromkeys((*task.traces, *(trace for m in metrics.values() for trace in m.traces)))
    compiled = "auto" if settings.xla else False
    layer = Superloop(config.loop, traces=tuple(traces), jit_compile=compiled, name="superloop")
    batch = task.sample(np.random.default_rng(0), 2)
    _check_inputs(batch, layer)
    inputs = layer.symbolic_inputs(lengths="lengths" in batch.inputs)
    inputs = inputs if isinstance(inputs, Mapping) else {"inputs": inputs}
    try:
        model = keras.Model(inputs, _as_dict(layer(inputs)))
    except TraceError as error:
        raise ConfigError([Problem("task", str(error))]) from error
    _check_outputs(task, metrics, batch, layer)
    return Experiment(
        config=config,
        settings=settings,
        curriculum=curriculum,
        task=task,
        metrics=metrics,
        timesteps=config.loop.timesteps or batch.inputs["inputs"].shape[1],
        layer=layer,
        model=model,
    )


def measure(experiment: Experiment, rng: np.random.Generator, sequences: int) -> Measurement:
    """Measure loss and accuracy on fresh sequences, in batches of 1,024 at most, and fewer of long ones.

    Raises:
        TrainingError: the loss is not finite.
    """
    losses, correct, done = [], [], 0
    told: dict[str, list[Any]] = {name: [] for name in experiment.metrics}
    most = rows_at_once(experiment.timesteps)
    while done < sequences:
        size = min(most, sequences - done)
        batch = experiment.task.sample(rng, size)
        results = experiment.model.predict_on_batch(dict(batch.inputs))
        losses.append(float(experiment.task.loss(batch.targets, results)) * size)
        if not np.isfinite(losses[-1]):
            found = find_not_finite(experiment.layer, experiment.model, experiment.task, batch)
            raise TrainingError(f"not finite on fresh sequences: {found}")
        correct.append(np.asarray(experiment.task.correct(batch.targets, results)))
        for name, metric in experiment.metrics.items():
            told[name].append(np.asarray(metric(batch.targets, results)))
        done += size
    return Measurement(
        loss=sum(losses) / sequences,
        accuracy=float(np.concatenate(correct).mean()),
        metrics={name: float(np.concatenate(of_batches).mean()) for name, of_batches in told.items()},
    )


def rows_at_once(timesteps: int) -> int:
    """How many sequences to measure at once: a power of 2, so that most batches are of one size."""
    fit = max(1, min(MOST_ROWS, MOST_ROWS_BY_TIMESTEPS // timesteps))
    return int(1 << (fit.bit_length() - 1))


def _metrics(config: Config, registry: Registry) -> dict[str, Metric]:
    """Make the metrics that a config names, each by its plugin's name; the second of one is ``name_2``."""
    made: dict[str, Metric] = {}
    for part in config.tables.get("metrics", ()):
        spec = registry.resolve("metric", part.use).spec
        numbered = (f"{spec.name}_{number}" for number in itertools.count(2))
        names = itertools.chain((spec.name,), numbered)
        name = next(name for name in names if name not in (*made, "loss", "accuracy"))
        made[name] = spec.create(part.settings)
    return made


def _check_curriculum(curriculum: CurriculumConfig, use: PartConfig, task: Task) -> None:
    """Refuse a curriculum that the task cannot follow."""
    length, shortest = (getattr(use.settings, name, None) for name in ("length", "min_length"))
    problems = []
    if length is None or "longest" not in inspect.signature(task.sample).parameters:
        needs = "a setting 'length', and a 'sample' that takes 'longest'"
        what = f"needs a task with {needs}, which {use.use!r} has not; leave the table out"
        problems.append(Problem("curriculum", what))
    elif curriculum.start > length:
        what = f"'start' must be <= the task's length ({length}): {curriculum.start}"
        problems.append(Problem("curriculum", what))
    elif shortest is not None and curriculum.start < shortest:
        what = f"'start' must be >= the task's min_length ({shortest}): {curriculum.start}"
        problems.append(Problem("curriculum", what))
    if problems:
        raise ConfigError(problems)


def _check_inputs(batch: Batch, layer: Superloop) -> None:
    """Refuse a task whose sequences the loop does not take."""
    given = {name: array.shape[1:] for name, array in batch.inputs.items()}
    taken = layer.input_shapes
    mend = "change the task's settings, or the id or the settings of a system"
    problems = []
    for name in taken.keys() - given.keys():
        what = f"gives no {name!r}, which the loop needs; it gives {', '.join(map(repr, given))}; {mend}"
        problems.append(Problem("task", what))
    for name, shape in given.items():
        if name == "lengths":
            continue
        if name not in taken:
            what = f"gives {name!r}, but the loop takes {', '.join(map(repr, taken))}; {mend}"
            problems.append(Problem("task", what))
        elif not _fits(shape, taken[name]):
            wanted = tuple("any" if size is None else size for size in taken[name])
            what = f"gives {name!r} of the shape {_shape(shape)}, but the loop takes {_shape(wanted)}; {mend}"
            problems.append(Problem("task", what))
    if problems:
        raise ConfigError(problems)


def _check_outputs(task: Task, metrics: Mapping[str, Metric], batch: Batch, layer: Superloop) -> None:
    """Refuse a task that can make nothing of what the loop gives; zeros of its shapes tell."""
    given = {name: keras.KerasTensor(array.shape, array.dtype) for name, array in batch.inputs.items()}
    specs = _as_dict(layer.compute_output_spec(given))
    results = {name: keras.ops.zeros(spec.shape, spec.dtype) for name, spec in specs.items()}
    shapes = ", ".join(f"{name} {_shape(tuple(results[name].shape))}" for name in results)
    problems = []
    computed = {"loss": (task.loss, ()), "correct": (task.correct, (2,))}
    computed |= {f"metric {name}": (metric, (2,)) for name, metric in metrics.items()}
    for name, (compute, wanted) in computed.items():
        try:
            received = tuple(compute(batch.targets, results).shape)
        except ConfigError as error:  # what the task knows to tell
            problems.append(Problem("task", str(error)))
            continue
        except Exception as error:  # whatever the task's code runs into
            what = (
                f"its {name} cannot be computed of {shapes} (of 2 sequences): {type(error).__name__}: {error}"
            )
            problems.append(Problem("task", f"{what}; change loop.outputs or the task's settings"))
            continue
        if received != wanted:
            what = f"its {name} of 2 sequences must have the shape {_shape(wanted)}: {_shape(received)}"
            problems.append(Problem("task", what))
    if problems:
        raise ConfigError(problems)


def _fits(shape: tuple[int, ...], taken: tuple[int | None, ...]) -> bool:
    return len(shape) == len(taken) and all(
        wanted in (None, size) for size, wanted in zip(shape, taken, strict=True)
    )


def _shape(sizes: tuple[object, ...]) -> str:
    return f"({', '.join(map(str, sizes))})"


def _as_dict(results: Any) -> dict[str, Any]:
    return results if isinstance(results, dict) else {"outputs": results}
