"""Training: a config made into a model and a task, and the loop over batches."""

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import keras
import numpy as np
import tensorflow as tf
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from superloop_core import ConfigError, Superloop, SuperloopError, TraceError
from superloop_core.config import Config, read_config
from superloop_core.errors import Problem
from superloop_core.registry import load_registry
from superloop_core.task import Batch, Task
from superloop_plugin_lab import TrainConfig
from superloop_plugin_lab.diagnosis import find_not_finite
from superloop_plugin_lab.run_folder import RunFolder


class TrainingError(SuperloopError):
    """Training that cannot go on: a loss or a gradient is not finite."""


@attrs.frozen(kw_only=True, eq=False)
class Experiment:
    """A config, and the task and the model it describes.

    ``model`` maps what the loop takes to a dict of ``outputs`` and the traces that the task reads.
    """

    config: Config
    settings: TrainConfig
    task: Task
    layer: Superloop
    model: keras.Model

    def generator(self, purpose: str) -> np.random.Generator:
        """Return the source of a purpose's sequences; no two purposes share any but by chance."""
        purposes = ("train", "validation", "final", "picture")
        return np.random.default_rng([self.settings.seed, purposes.index(purpose)])


@attrs.frozen(kw_only=True)
class Measurement:
    """Figures on fresh sequences."""

    loss: float
    accuracy: float


@attrs.frozen(kw_only=True)
class Outcome:
    """What a training run came to; ``final`` was measured with the weights of ``best_step``."""

    final: Measurement
    steps: int
    best_step: int
    seconds: float
    interrupted: bool


def read_experiment(source: Path | Mapping[str, Any], overrides: Iterable[str] = ()) -> Experiment:
    """Read a config and make what it describes, with the weights that its seed gives.

    Raises:
        ConfigError: with every problem found; also where the task does not fit the loop.
    """
    registry = load_registry()
    config = read_config(source, registry, overrides)
    if "task" not in config.tables:
        raise ConfigError([Problem("", "a table [task] with use = NAME is missing")])
    settings = config.tables.get("train", TrainConfig())
    use = config.tables["task"]
    records = [registry.resolve("task", use.use)]
    records += [registry.resolve("cell", cell.use) for cell in config.loop.cells]
    records += [registry.resolve("system", system.use) for system in config.loop.systems]
    config = attrs.evolve(
        config,
        tables={**config.tables, "train": settings},
        plugins={record.distribution: record.version for record in records},
    )
    keras.utils.set_random_seed(settings.seed)
    task = records[0].spec.create(use.settings)
    layer = Superloop(config.loop, traces=task.traces, name="superloop")
    _check_fit(task, layer)
    inputs = layer.symbolic_inputs()
    try:
        model = keras.Model(inputs, _as_dict(layer(inputs)))
    except TraceError as error:
        raise ConfigError([Problem("task", str(error))]) from error
    return Experiment(config=config, settings=settings, task=task, layer=layer, model=model)


def train(experiment: Experiment, folder: RunFolder) -> Outcome:
    """Train, and leave a run folder that is usable whenever it ends.

    Raises:
        TrainingError: the loss or a gradient was not finite; the weights before that step are kept.
    """
    settings, model = experiment.settings, experiment.model
    folder.write_config(experiment.config)
    take_step = compiled_step(experiment)
    sequences = experiment.generator("train")
    best = _Best(experiment, folder)
    best.measure(step=0)
    began, step, interrupted = time.monotonic(), 0, False
    recent: list[tuple[float, float]] = []
    with _progress(settings.steps) as show, _tensorboard(folder) as log:
        try:
            while step < settings.steps:
                batch = experiment.task.sample(sequences, settings.batch_size)
                loss, accuracy, finite = take_step(dict(batch.inputs), batch.targets)
                if not finite:
                    folder.write_weights(model, "last")
                    folder.add_metrics(step=step + 1, failed="not finite")
                    raise TrainingError(_not_finite(experiment, batch, step + 1, folder))
                step += 1
                recent.append((float(loss), float(accuracy)))
                if step % settings.log_every == 0 or step == settings.steps:
                    figures = dict(zip(("loss", "accuracy"), np.mean(recent, axis=0).tolist(), strict=True))
                    recent.clear()
                    folder.add_metrics(step=step, **figures)
                    log(step, figures)
                    show(step, **figures)
                if step % settings.evaluate_every == 0 or step == settings.steps:
                    measured = best.measure(step)
                    log(step, {f"fresh_{name}": value for name, value in attrs.asdict(measured).items()})
        except KeyboardInterrupt:
            interrupted = True
            best.measure(step)
    seconds = time.monotonic() - began
    folder.write_weights(model, "last")
    model.set_weights(best.weights)
    final = measure(experiment, experiment.generator("final"), settings.final_on)
    folder.add_metrics(
        final=True, **attrs.asdict(final), steps=step, seconds=round(seconds, 3), best_step=best.step
    )
    return Outcome(final=final, steps=step, best_step=best.step, seconds=seconds, interrupted=interrupted)


def compiled_step(experiment: Experiment) -> Callable[..., tuple[Any, Any, Any]]:
    """Return the training step: of inputs and targets, it gives loss, accuracy, and whether all is finite.

    Where the loss or the gradient is not finite, the weights stay as they are.
    """
    settings, model, task = experiment.settings, experiment.model, experiment.task
    rate: Any = settings.learning_rate
    if settings.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, settings.steps)
    kinds = {
        "adam": keras.optimizers.Adam,
        "rmsprop": keras.optimizers.RMSprop,
        "sgd": keras.optimizers.SGD,
    }
    optimizer = kinds[settings.optimizer](rate)
    variables = model.trainable_variables
    optimizer.build(variables)

    def apply(gradients: list[Any]) -> Any:
        optimizer.apply(gradients, variables)
        return tf.constant(True)

    @tf.function(jit_compile=settings.xla, reduce_retracing=True)
    def step(inputs: Any, targets: Any) -> tuple[Any, Any, Any]:
        with tf.GradientTape() as tape:
            results = model(inputs, training=True)
            loss = task.loss(targets, results)
        gradients, norm = tf.clip_by_global_norm(tape.gradient(loss, variables), settings.clip_norm)
        accuracy = tf.reduce_mean(tf.cast(task.correct(targets, results), "float32"))
        sound = tf.math.is_finite(loss) & tf.math.is_finite(norm)
        finite = tf.cond(sound, lambda: apply(gradients), lambda: tf.constant(False))
        return loss, accuracy, finite

    return step


def measure(experiment: Experiment, rng: np.random.Generator, sequences: int) -> Measurement:
    """Measure loss and accuracy on fresh sequences, in batches of 1,024 at most."""
    losses, correct, done = [], [], 0
    while done < sequences:
        size = min(1024, sequences - done)
        batch = experiment.task.sample(rng, size)
        results = experiment.model.predict_on_batch(dict(batch.inputs))
        losses.append(float(experiment.task.loss(batch.targets, results)) * size)
        correct.append(np.asarray(experiment.task.correct(batch.targets, results)))
        done += size
    return Measurement(loss=sum(losses) / sequences, accuracy=float(np.concatenate(correct).mean()))


class _Best:
    """The best weights so far: those of the highest accuracy, then of the lowest loss."""

    def __init__(self, experiment: Experiment, folder: RunFolder):
        self._experiment = experiment
        self._folder = folder
        self._merit: tuple[float, float] | None = None
        self.step = 0
        self.weights = experiment.model.get_weights()

    def measure(self, step: int) -> Measurement:
        """Measure now; keep the weights if they are the best."""
        experiment, folder = self._experiment, self._folder
        rng = experiment.generator("validation")
        measured = measure(experiment, rng, experiment.settings.evaluate_on)
        folder.add_metrics(step=step, **{f"fresh_{k}": v for k, v in attrs.asdict(measured).items()})
        folder.write_weights(experiment.model, "last")
        merit = (measured.accuracy, -measured.loss)
        if self._merit is None or merit > self._merit:
            self._merit, self.step = merit, step
            self.weights = experiment.model.get_weights()
            folder.write_weights(experiment.model, "best")
            folder.write_model(experiment.model)
        return measured


def _check_fit(task: Task, layer: Superloop) -> None:
    """Refuse a task whose sequences the loop does not take."""
    given = {name: array.shape[1:] for name, array in task.sample(np.random.default_rng(0), 1).inputs.items()}
    taken = layer.input_shapes
    problems = [
        Problem(
            "task", f"the loop takes {name!r}, which this task does not give; it gives {', '.join(given)}"
        )
        for name in taken.keys() - given
    ]
    for name, shape in given.items():
        if name not in taken:
            what = f"gives {name!r}, which the loop does not take; it takes {', '.join(taken)}"
            problems.append(Problem("task", what))
        elif len(shape) != len(taken[name]) or any(
            size not in (expected, None) and expected is not None
            for size, expected in zip(shape, taken[name], strict=True)
        ):
            what = f"gives {name!r} of the shape {shape}, but the loop takes {taken[name]}"
            problems.append(Problem("task", what))
    if problems:
        raise ConfigError(problems)


def _as_dict(results: Any) -> dict[str, Any]:
    return results if isinstance(results, dict) else {"outputs": results}


def _not_finite(experiment: Experiment, batch: Batch, step: int, folder: RunFolder) -> str:
    found = find_not_finite(experiment.layer, experiment.model, experiment.task, batch)
    return (
        f"step {step}: {found} is not finite; the weights of step {step - 1} are kept in "
        f"{folder.path / 'last.weights.h5'}; try a lower train.learning_rate or train.clip_norm"
    )


@contextmanager
def _progress(steps: int):
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]}  accuracy {task.fields[accuracy]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        bar = progress.add_task("training", total=steps, loss="(compiling)", accuracy="")

        def show(step: int, loss: float, accuracy: float) -> None:
            progress.update(bar, completed=step, loss=f"{loss:.4g}", accuracy=f"{accuracy:.1%}")

        yield show


@contextmanager
def _tensorboard(folder: RunFolder):
    writer = tf.summary.create_file_writer(str(folder.tensorboard))

    def log(step: int, figures: Mapping[str, float]) -> None:
        with writer.as_default(step=step):
            for name, value in figures.items():
                tf.summary.scalar(name, value)

    try:
        yield log
    finally:
        writer.close()
