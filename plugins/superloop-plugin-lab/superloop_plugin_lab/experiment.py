"""An experiment: the task and the model that a config describes."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import keras
import numpy as np

from superloop_core import ConfigError, Superloop, __version__, check_memory
from superloop_core.builder import dtype_policy
from superloop_core.config import Config, Fact, PartConfig, apply_overrides, load_dict, read_config
from superloop_core.errors import Problem, SuperloopError
from superloop_core.layer import limited_build
from superloop_core.limits import in_bytes, machine_memory
from superloop_core.registry import Registry, load_registry
from superloop_core.task import Batch, Metric, StoredTask, Task
from superloop_plugin_lab.compatibility import check_curriculum, check_inputs, check_results
from superloop_plugin_lab.figures import sign_of_best, sign_of_watched
from superloop_plugin_lab.network import Network, Plan, check_model, make_layers
from superloop_plugin_lab.optimizers import make_optimizer
from superloop_plugin_lab.settings import CurriculumConfig, ModelConfig, TrainConfig
from superloop_plugin_lab.sizes import Made, complete, make_predicting_task, make_task

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
        metrics: figures to measure besides loss and accuracy, by name: the task's and the config's.
        timesteps: the config's number; if that is 0, the number of timesteps of the task's inputs.
        network: the model and its loops.
    """

    config: Config
    settings: TrainConfig
    curriculum: CurriculumConfig | None
    task: Task
    metrics: Mapping[str, Metric]
    timesteps: int
    network: Network

    @property
    def layer(self) -> Superloop:
        """The loop, the first one of several."""
        return self.network.loops[0]

    @property
    def model(self) -> keras.Model:
        """The model: from the task's inputs to ``outputs`` and the traces that task and metrics read."""
        return self.network.model

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
    rows: Path | None = None,
    made: Made | None = None,
) -> Experiment:
    """Read a config and make its task and its model, with the initial weights of the config's seed.

    Args:
        source: a config file, or its tables.
        overrides: changes of the config, each ``KEY=VALUE``.
        to_train: whether it must be possible to train it in this machine's memory.
        task_state: of a run's folder; None: a task with stored examples learns from them.
        rows: a file of new examples to predict on, in the place of the task's own.
        made: the task, if it was made already.

    Raises:
        ConfigError: the config is not valid, its task does not fit its loop, or it does not fit in this
            machine's memory; lists every problem found.
    """
    registry = load_registry()
    tables, made_now = complete(apply_overrides(load_dict(source), overrides), registry)
    made = made_now or made
    config = _complete(read_config(tables, registry), registry)
    settings, curriculum = config.tables["train"], config.tables.get("curriculum")
    part = config.tables["task"]
    task = _task_of(registry, part, task_state, rows, made)
    if settings.epochs:
        settings = attrs.evolve(settings, steps=steps_of(settings, task), epochs=0)
        config = attrs.evolve(config, tables={**config.tables, "train": settings})
    if curriculum is not None:
        check_curriculum(curriculum, part, task)
    metrics = _make_metrics(config, registry)
    own = getattr(task, "own_metrics", {})
    metrics = {name: metric for name, metric in own.items() if name not in metrics} | metrics
    if not settings.best:
        settings = attrs.evolve(settings, best=getattr(task, "headline", "accuracy"))
        config = attrs.evolve(config, tables={**config.tables, "train": settings})
    batch = _sample(task, part)
    timesteps = config.loop.timesteps or batch.inputs["inputs"].shape[1]
    model, sizes = config.tables["model"], getattr(task, "sizes", None)
    traces = dict.fromkeys((*task.traces, *(trace for metric in metrics.values() for trace in metric.traces)))
    check_model(config.loop, model, sizes, traces)
    if to_train:
        found = registry.hook.superloop_check_training(config=config)
        if problems := [problem for of_plugin in found for problem in of_plugin]:
            raise ConfigError(problems)
        make_optimizer(settings)  # raises where it cannot
        sign_of_best(settings, metrics)  # so do these
        if "early_stopping" in config.tables:
            sign_of_watched(config.tables["early_stopping"], metrics)
        for loop in (config.loop, *model.loops):
            check_memory(loop, timesteps, settings.batch_size)
    keras.utils.set_random_seed(settings.seed)
    with limited_build(config.loop, machine_memory()), dtype_policy(settings.dtype):
        layers = make_layers(config.loop, model, traces, "auto" if settings.xla else False)
        plan = Plan(config=model, sizes=sizes, layers=layers)
        check_inputs(batch, config.loop, plan.input_shapes, plan.sources)
        network = plan.connect(batch)
    check_results(task, metrics, batch, network.model)
    return Experiment(
        config=config,
        settings=settings,
        curriculum=curriculum,
        task=task,
        metrics=metrics,
        timesteps=timesteps,
        network=network,
    )


def _task_of(
    registry: Registry,
    part: PartConfig,
    state: Mapping[str, Any] | None,
    rows: Path | None,
    made: Made | None,
) -> Task:
    """Make a task, if it was not made already, and give it the state of a run's folder."""
    if rows is not None:
        return make_predicting_task(registry, part, state, rows)
    task = make_task(registry, part) if made is None or made.part != part else made.result
    if isinstance(task, SuperloopError):
        raise task
    if state is not None and isinstance(task, StoredTask):
        task.set_state(state)
    return task


def facts_of(experiment: Experiment) -> Iterator[Fact]:
    """Yield what is known of an experiment besides its config: what was read, timesteps and weights."""
    if isinstance(experiment.task, StoredTask):
        yield from (Fact(name, text) for name, text in experiment.task.facts().items())
    if not experiment.config.loop.timesteps:
        yield Fact("timesteps", f"{experiment.timesteps:,} at most", experiment.timesteps)
    if experiment.config.tables["model"] != ModelConfig():
        weights = {layer.name: layer.count_params() for layer in experiment.model.layers}
        listed = ", ".join(f"{name} {count:,}" for name, count in weights.items() if count)
        yield Fact("model", f"{sum(weights.values()):,} weights: {listed}", sum(weights.values()))


def steps_of(settings: TrainConfig, task: Task) -> int:
    """Return the training steps in ``epochs``: a smaller last batch of an epoch is left out.

    Raises:
        ConfigError: the task has no stored examples.
    """
    if not isinstance(task, StoredTask):
        what = f"'epochs' must be 0, as the task draws new sequences: {settings.epochs}; set 'steps'"
        raise ConfigError([Problem("train", what)])
    size = settings.batch_size * settings.accumulate
    return settings.epochs * max(1, task.count("train") // size)


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
    """Add the defaults of ``[model]`` and ``[train]``, and the versions of all plugins in use.

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
        tables={"model": ModelConfig(), "train": TrainConfig(), **config.tables},
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
