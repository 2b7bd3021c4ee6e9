"""Training: the compiled step, the loop over batches, and the best weights so far."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import attrs
import keras
import numpy as np
import tensorflow as tf

from superloop_plugin_lab.checkpoint import Checkpoint, optimizer_state, put_back, variables_of
from superloop_plugin_lab.diagnosis import find_not_finite
from superloop_plugin_lab.experiment import Experiment, Measurement, TrainingError, measure
from superloop_plugin_lab.interrupt import interrupts
from superloop_plugin_lab.progress import progress
from superloop_plugin_lab.run_folder import RunFolder


@attrs.frozen(kw_only=True)
class Outcome:
    """What a training run came to; ``final`` was measured with the weights of ``best_step``."""

    final: Measurement
    steps: int
    best_step: int
    seconds: float
    interrupted: bool


def train(experiment: Experiment, folder: RunFolder, start: Checkpoint | None = None) -> Outcome:
    """Train, and leave a run folder that is usable whenever it ends once the untrained model was measured.

    Ctrl-C ends it after the step under way, and the model so far is measured; a second Ctrl-C raises
    ``KeyboardInterrupt`` at once. The experiment's model ends with the best weights.

    Args:
        experiment: what to train, and how.
        folder: where to leave it.
        start: where to go on, of the same folder; None: from the start.

    Raises:
        TrainingError: something was not finite; the weights before that step are kept.
        WeightsError: the checkpoint is of another model.
    """
    settings, model = experiment.settings, experiment.model
    optimizer = new_optimizer(experiment)
    take_step = compiled_step(experiment, optimizer)
    sequences = experiment.generator("train")
    step, seconds = 0, 0.0
    recent: list[tuple[float, float]] = []
    if start is not None:
        put_back(model.variables, start.variables, "weights")
        put_back(optimizer_state(optimizer), start.optimizer, "an optimizer")
        sequences.bit_generator.state = start.generator
        step, seconds, recent = start.step, start.seconds, list(start.recent)
    folder.write_config(experiment.config)
    began = time.monotonic() - seconds
    bar = progress("training", settings.steps, "compiling", done=step)
    with interrupts() as interrupt, bar as show, _records(folder, experiment) as record:
        best = _Best(experiment, folder, record)

        def save() -> None:
            folder.write_checkpoint(
                Checkpoint(
                    step=step,
                    variables=variables_of(model),
                    optimizer=[np.array(variable) for variable in optimizer_state(optimizer)],
                    best=best.variables,
                    best_step=best.step,
                    merit=best.merit,
                    recent=recent,
                    generator=dict(sequences.bit_generator.state),
                    metrics_size=folder.metrics.stat().st_size,
                    seconds=time.monotonic() - began,
                )
            )

        if start is None:
            best.measure(step)
            save()
        else:
            folder.cut_metrics(start.metrics_size)
            best.put_back(start)
        while step < settings.steps and not interrupt.asked:
            batch = experiment.training_batch(sequences, step + 1)
            loss, accuracy, finite = take_step(dict(batch.inputs), batch.targets)
            if not finite:
                folder.write_weights(model, "last")
                found = find_not_finite(experiment.layer, model, experiment.task, batch)
                raise _stopped(folder, step + 1, f"not finite: {found}", kept=step)
            step += 1
            recent.append((float(loss), float(accuracy)))
            if step % settings.log_every == 0 or step == settings.steps:
                loss, accuracy = np.mean(recent, axis=0).tolist()
                recent.clear()
                record(step, loss=loss, accuracy=accuracy)
                show(step, f"loss {loss:.4g}  accuracy {accuracy:.1%}")
            if step % settings.evaluate_every == 0:
                best.measure(step)
                save()
        if step % settings.evaluate_every:
            save()  # before what is measured only because it ends here
            best.measure(step)
        seconds = time.monotonic() - began
        model.load_weights(folder.weights("best"))
        final = measure(experiment, experiment.generator("final"), settings.final_on)
    folder.add_metrics(
        final=True, **final.figures, steps=step, seconds=round(seconds, 3), best_step=best.step
    )
    return Outcome(
        final=final, steps=step, best_step=best.step, seconds=seconds, interrupted=step < settings.steps
    )


def new_optimizer(experiment: Experiment) -> keras.optimizers.Optimizer:
    """Make the optimizer that a config names, and its variables."""
    settings = experiment.settings
    rate: Any = settings.learning_rate
    if settings.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, settings.steps)
    kinds = {
        "adam": keras.optimizers.Adam,
        "rmsprop": keras.optimizers.RMSprop,
        "sgd": keras.optimizers.SGD,
    }
    optimizer = kinds[settings.optimizer](rate)
    optimizer.build(experiment.model.trainable_variables)
    return optimizer


def compiled_step(
    experiment: Experiment, optimizer: keras.optimizers.Optimizer
) -> Callable[..., tuple[Any, Any, Any]]:
    """Return the training step: of inputs and targets, it gives loss, accuracy, and whether all is finite.

    Where the loss, the gradient or the weights to be are not finite, the weights stay as they are.
    """
    settings, model, task = experiment.settings, experiment.model, experiment.task
    variables = model.trainable_variables

    def apply(gradients: list[Any]) -> Any:
        before = [tf.identity(variable.value) for variable in variables]
        optimizer.apply(gradients, variables)
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(variable.value)) for variable in variables])
        for variable, old in zip(variables, before, strict=True):
            variable.assign(tf.where(finite, variable.value, old))
        return finite

    @tf.function(autograph=False)
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


class _Best:
    """Keeps the best weights so far: those of the highest accuracy, then of the lowest loss."""

    def __init__(self, experiment: Experiment, folder: RunFolder, record: Callable[..., None]):
        self._experiment = experiment
        self._folder = folder
        self._record = record
        self.step = 0
        self.merit = (-math.inf, -math.inf)
        self.variables: Sequence[np.ndarray] = ()

    def measure(self, step: int) -> None:
        """Save the weights as the last; measure, and save them as the best if they are."""
        experiment, folder = self._experiment, self._folder
        folder.write_weights(experiment.model, "last")
        rng = experiment.generator("validation")
        try:
            measured = measure(experiment, rng, experiment.settings.evaluate_on)
        except TrainingError as error:
            raise _stopped(folder, step, str(error), kept=self.step, name="best") from error
        self._record(step, **{f"fresh_{name}": value for name, value in measured.figures.items()})
        merit = (measured.accuracy, -measured.loss)
        if merit > self.merit:
            self.merit, self.step, self.variables = merit, step, variables_of(experiment.model)
            self._write()

    def put_back(self, start: Checkpoint) -> None:
        """Keep the best of a checkpoint, whatever was saved after it."""
        self.merit, self.step, self.variables = start.merit, start.best_step, start.best
        variables = self._experiment.model.variables
        put_back(variables, start.best, "weights")
        self._write()
        put_back(variables, start.variables, "weights")

    def _write(self) -> None:
        self._folder.write_weights(self._experiment.model, "best")
        self._folder.write_model(self._experiment.model)


def _stopped(folder: RunFolder, step: int, why: str, kept: int, name: str = "last") -> TrainingError:
    """Note in the metrics that training stopped at a step, and return the error that says so."""
    folder.add_metrics(step=step, failed=why)
    return TrainingError(
        f"step {step}: {why}; the weights kept in {folder.weights(name)} are those of step {kept}; "
        "try a lower train.learning_rate or train.clip_norm"
    )


@contextmanager
def _records(folder: RunFolder, experiment: Experiment) -> Iterator[Callable[..., None]]:
    """Give what writes figures by name, as a line of the metrics and to TensorBoard.

    Where there is a curriculum, the longest length of that step is among them.
    """
    writer = tf.summary.create_file_writer(str(folder.tensorboard))

    def record(step: int, **figures: float) -> None:
        if (longest := experiment.longest(step)) is not None:
            figures["longest"] = longest
        folder.add_metrics(step=step, **figures)
        with writer.as_default(step=step):
            for name, value in figures.items():
                tf.summary.scalar(name, value)
        writer.flush()

    try:
        yield record
    finally:
        writer.close()
