"""An experiment: the task and the model that a config describes."""

import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs
import keras
import numpy as np

from superloop_core import ConfigError, Superloop, TraceError, __version__, check_memory
from superloop_core.config import Config, apply_overrides, load_dict, read_config
from superloop_core.errors import Problem, SuperloopError
from superloop_core.layer import limited_build
from superloop_core.limits import in_bytes, machine_memory
from superloop_core.registry import Registry, load_registry
from superloop_core.task import Batch, Metric, StoredTask, Task
from superloop_plugin_lab import CurriculumConfig, TrainConfig
from superloop_plugin_lab.compatibility import (
    as_dict,
    as_float32,
    check_curriculum,
    check_inputs,
    check_results,
)
from superloop_plugin_lab.figures import sign_of_best, sign_of_watched
from superloop_plugin_lab.optimizers import make_optimizer
from superloop_plugin_lab.sizes import complete, make_task

TAKEN = (
    *("loss", "accuracy", "final", "failed", "step", "steps", "seconds", "best_step", "longest"),
    *("run", "length", "trained", "timesteps", "sequences"),
)
PURPOSES = ("train", "validation", "final", "picture")


@attrs.frozen(kw_only=True, eq=False)
class Experiment:
    """The task and the model that a config describes.

    Args:
        config: complete: plugins by qualified names, and their versions.
        settings: the config's table ``[train]``, or its defaults.
        curriculum: the config's table ``[curriculum]``, if there is one.
        task: draws the sequences.
        metrics: figures to measure besides loss and accuracy, by name.
        timesteps: the config's number; if that is 0, the number of timesteps of the task's inputs.
        layer: the loop.
        model: maps the loop's inputs to a dict of ``outputs`` and the traces that task and metrics read.
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
        """Return a generator of sequences for one of ``PURPOSES``, seeded by the config and the purpose."""
        return np.random.default_rng([self.settings.seed, PURPOSES.index(purpose)])

    def longest(self, step: int) -> int | None:
        """Return the longest length at a training step; None without a curriculum."""
        if self.curriculum is None:
            return None
        return self.curriculum.longest(step, self.config.tables["task"].settings.length)

    def training_batch(self, rng: np.random.Generator, step: int) -> Batch:
        """Draw the batch of a training step: ``batch_size`` times ``accumulate`` sequences."""
        longest: dict[str, Any] = {} if self.curriculum is None else {"longest": self.longest(step)}
        return self.task.sample(rng, self.settings.batch_size * self.settings.accumulate, **longest)

    def task_state(self) -> dict[str, Any] | None:
        """Return what a task with stored examples learned from them; None for another task."""
        return self.task.state() if isinstance(self.task, StoredTask) else None


def read_experiment(
    source: Path | Mapping[str, Any],
    overrides: Iterable[str] = (),
    *,
    to_train: bool = False,
    task_state: Mapping[str, Any] | None = None,
) -> Experiment:
    """Read a config and make its task and its model, with the initial weights of the config's seed.

    Args:
        source: a config file, or its tables.
        overrides: changes of the config, each ``KEY=VALUE``.
        to_train: whether it must be possible to train it in this machine's memory.
        task_state: of a run's folder; None: a task with stored examples learns from them.

    Raises:
        ConfigError: the config is not valid, its task does not fit its loop, or it does not fit in this
            machine's memory; lists every problem found.
    """
    registry = load_registry()
    tables, task = complete(apply_overrides(load_dict(source), overrides), registry)
    config = _complete(read_config(tables, registry), registry)
    settings, curriculum = config.tables["train"], config.tables.get("curriculum")
    part = config.tables["task"]
    task = task or make_task(registry, part)
    if task_state is not None and isinstance(task, StoredTask):
        task.set_state(task_state)
    if curriculum is not None:
        check_curriculum(curriculum, part, task)
    metrics = _make_metrics(config, registry)
    batch = _sample(task, part)
    timesteps = config.loop.timesteps or batch.inputs["inputs"].shape[1]
    if to_train:
        make_optimizer(settings)  # raises where it cannot
        sign_of_best(settings, metrics)  # so do these
        if "early_stopping" in config.tables:
            sign_of_watched(config.tables["early_stopping"], metrics)
        check_memory(config.loop, timesteps, settings.batch_size)
    keras.utils.set_random_seed(settings.seed)
    with limited_build(config.loop, machine_memory()):
        layer = _make_layer(config, task, metrics)
        check_inputs(batch, layer)
        model = _make_model(layer, batch)
    check_results(task, metrics, batch, layer)
    return Experiment(
        config=config,
        settings=settings,
        curriculum=curriculum,
        task=task,
        metrics=metrics,
        timesteps=timesteps,
        layer=layer,
        model=model,
    )


def check_batch(experiment: Experiment, sequences: int) -> None:
    """Check that a batch and its outputs can fit in this machine's memory, by their least size.

    Raises:
        ConfigError: they cannot.
    """
    numbers = sequences * experiment.timesteps * max(1, experiment.config.loop.outputs)
    _check_bytes(4 * numbers, f"{sequences:,} sequences of {experiment.timesteps:,} timesteps")


def _sample(task: Task, part: Any) -> Batch:
    """Draw two sequences.

    Raises:
        ConfigError: the task cannot, as they are too long.
    """
    length = getattr(part.settings, "length", 0)
    if isinstance(length, int):  # another task's may be anything
        _check_bytes(8 * length, f"2 sequences of length {length:,}")
    try:
        return task.sample(np.random.default_rng(0), 2)
    except SuperloopError:
        raise
    except Exception as error:  # any error of the task's code
        what = f"cannot draw sequences: {type(error).__name__}: {error}; change the task's settings"
        raise ConfigError([Problem("task", what)]) from error


def _check_bytes(needed: int, what: str) -> None:
    if needed > machine_memory():
        memory = in_bytes(machine_memory())
        what = f"{what} need at least {in_bytes(needed)}, but this machine has {memory} of memory"
        raise ConfigError([Problem("task", f"{what}; make them fewer or shorter")])


def _complete(config: Config, registry: Registry) -> Config:
    """Add the defaults of ``[train]`` and the versions of all plugins in use.

    Raises:
        ConfigError: there is no table ``[task]``.
    """
    if "task" not in config.tables:
        names = ", ".join(record.name for record in registry.records if record.kind == "task")
        raise ConfigError(f"the table [task] is missing; add one with use = NAME, one of: {names}")
    records = [
        registry.resolve("task", config.tables["task"].use),
        *(registry.resolve("cell", cell.use) for cell in config.loop.cells),
        *(registry.resolve("system", system.use) for system in config.loop.systems),
        *(registry.resolve("metric", metric.use) for metric in config.tables.get("metrics", ())),
    ]
    return attrs.evolve(
        config,
        tables={**config.tables, "train": config.tables.get("train", TrainConfig())},
        plugins={"superloop-core": __version__} | {record.distribution: record.version for record in records},
    )


def _make_metrics(config: Config, registry: Registry) -> dict[str, Metric]:
    """Make the config's metrics, each under its plugin's name; a second one of a kind is ``name_2``.

    So is one whose name is that of another figure, or of a fact in the same line or row.
    """
    metrics: dict[str, Metric] = {}
    for part in config.tables.get("metrics", ()):
        base = registry.resolve("metric", part.use).name
        numbered = (f"{base}_{number}" for number in itertools.count(2))
        taken = (*metrics, *TAKEN)
        name = next(name for name in itertools.chain((base,), numbered) if name not in taken)
        metrics[name] = registry.resolve("metric", part.use).spec.create(part.settings)
    return metrics


def _make_layer(config: Config, task: Task, metrics: Mapping[str, Metric]) -> Superloop:
    """Make the loop, with the traces that the task and the metrics read."""
    traces = dict.fromkeys((*task.traces, *(trace for metric in metrics.values() for trace in metric.traces)))
    settings = config.tables["train"]
    jit_compile = "auto" if settings.xla else False
    return Superloop(
        config.loop, traces=tuple(traces), jit_compile=jit_compile, dtype=settings.dtype, name="superloop"
    )


def _make_model(layer: Superloop, batch: Batch) -> keras.Model:
    """Make the model around the loop; the task gets float32 whatever the policy.

    Raises:
        ConfigError: the loop has no trace of a name that the task or a metric reads.
    """
    inputs = layer.symbolic_inputs(lengths="lengths" in batch.inputs)
    inputs = inputs if isinstance(inputs, Mapping) else {"inputs": inputs}
    try:
        return keras.Model(inputs, as_float32(as_dict(layer(inputs))))
    except TraceError as error:
        raise ConfigError([Problem("task", str(error))]) from error
