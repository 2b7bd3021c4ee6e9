"""A training run, from the first step to the final figures."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from superloop_core import ConfigError
from superloop_core.task import Batch
from superloop_plugin_lab.best_weights import BestWeights
from superloop_plugin_lab.checkpoint import Checkpoint, check_fits, optimizer_state, put_back, variables_of
from superloop_plugin_lab.compatibility import check_parts
from superloop_plugin_lab.diagnosis import TrainingError, find_not_finite
from superloop_plugin_lab.distributed import ALONE, Workers
from superloop_plugin_lab.distributed.models import check_not_trained, give_own_seeds, not_trained
from superloop_plugin_lab.experiment import Experiment
from superloop_plugin_lab.feeding import TrainingBatches, measured_batches
from superloop_plugin_lab.figures import prefixed
from superloop_plugin_lab.interrupt import interrupts
from superloop_plugin_lab.measurement import Measurement, measure
from superloop_plugin_lab.progress import progress
from superloop_plugin_lab.recorder import Recorder
from superloop_plugin_lab.run_folder import RunFolder
from superloop_plugin_lab.schedules import learning_rate
from superloop_plugin_lab.step import Compiled, compiled_step, new_optimizer
from superloop_plugin_lab.stopping import EarlyStopping
from superloop_plugin_lab.summary import summary_of
from superloop_plugin_lab.weights_file import save_weights


@attrs.frozen(kw_only=True)
class Outcome:
    """The result of a training run.

    Args:
        final: measured with the weights of ``best_step``.
        steps: training steps taken.
        best_step: that of the best weights; 0: they are untrained.
        seconds: of training.
        interrupted: whether Ctrl-C ended it.
        stopped: why it ended early; empty: it did not.
    """

    final: Measurement
    steps: int
    best_step: int
    seconds: float
    interrupted: bool
    stopped: str = ""


def train(
    experiment: Experiment,
    folder: RunFolder,
    start: Checkpoint | None = None,
    compiled: Compiled | None = None,
    workers: Workers = ALONE,
) -> Outcome:
    """Train a model; once the untrained model is measured, the run folder is usable whenever training ends.

    Ctrl-C ends the run after the current step, and the model so far is measured; a second Ctrl-C raises
    ``KeyboardInterrupt`` at once. The experiment's model ends with the best weights.

    Args:
        experiment: the model, its task and the settings of training.
        folder: receives the files of the run.
        start: the checkpoint of the same folder to resume from; None: start anew.
        compiled: the optimizer and the step of the experiment's model; None: make them.
        workers: train together, each with the same arguments; the chief's folder only is written.

    Raises:
        ConfigError: the task or the model cannot be trained by many workers.
        RunFolderError: the folder is damaged, in use by another process, or cannot be written.
        TrainingError: a loss, a gradient or a weight is not finite; the weights before that step are saved.
        WeightsError: the checkpoint belongs to another model.
        WorkersError: a worker ended, or has other weights.
    """
    _check_clock()
    run = Run(experiment, folder, compiled, workers)
    if start is not None:
        run.load(start)
    with folder.writing():
        if start is None:
            folder.begin(experiment.config, experiment.task_state())
        else:
            run.rewind_folder(start)
        return _train(run, start is None, workers)


def _train(run: "Run", anew: bool, workers: Workers) -> Outcome:
    """Take the steps that are left, in a folder that was begun or rewound."""
    bar = progress("training", run.steps, "compiling", done=run.step, hidden=not workers.is_chief)
    with interrupts() as interrupt, bar as show, run.recorder:
        if anew:
            run.measure()
            run.save()
        stops = False  # of many workers, all stop at the same step
        while not (run.is_complete or stops or (interrupt.asked and workers.count == 1)):
            stops = run.take_step(asked=interrupt.asked)
            if run.is_time_to_log:
                show(run.step, run.log())
            if run.is_time_to_measure:
                run.measure()
            if run.is_time_to_save:
                run.save()
        if not run.is_time_to_measure:
            run.save()  # first: a run that goes on from here is not measured at this step
            run.measure()
        return run.finish()


def _check_clock() -> None:
    """Check, before a run folder is written, that a ``.keras`` file can hold the time.

    Raises:
        ConfigError: it cannot.
    """
    if (year := time.localtime().tm_year) < 1980:
        raise ConfigError(
            f"the clock of this machine must be at 1980 or later, for .keras files: {year}; set the clock"
        )


class Run:
    """The state of a training run.

    The order of events decides what a checkpoint holds, so that a resumed run repeats the whole one bit by
    bit: draw a batch, take a step, log, measure, save. Making a ``Run`` and loading a checkpoint write no
    file; measuring writes its files with the next checkpoint or at the end, so that no kill comes between.

    Args:
        experiment: the model, its task and the settings of training.
        folder: receives the files of the run.
        compiled: the optimizer and the step of the experiment's model; None: make them.
        workers: train together.

    Attributes:
        step: training steps taken so far.
        recent: loss and accuracy of each step since the last line of the metrics.
        best: the best weights so far.
        stopping: ends the run early.
        recorder: writes figures; open it before the first measurement.
    """

    def __init__(
        self,
        experiment: Experiment,
        folder: RunFolder,
        compiled: Compiled | None = None,
        workers: Workers = ALONE,
    ):
        self.step = 0
        self.recent: list[tuple[float, float]] = []
        self.best = BestWeights.of(experiment)
        self.stopping = EarlyStopping(experiment)
        self.recorder = Recorder(experiment, folder, calls_back=workers.is_chief)
        self._workers = workers
        self._experiment = experiment
        self._folder = folder
        self._model = experiment.model
        self._settings = experiment.settings
        if compiled is None:
            optimizer = new_optimizer(experiment)
            compiled = Compiled(optimizer, compiled_step(experiment, optimizer, workers))
        self._optimizer, self._compiled_step = compiled
        self._batches = TrainingBatches(experiment)
        self._began = time.monotonic()
        self._took_step = False
        self._measured: dict[str, Callable[[Path], Any]] = {}  # files to write
        if workers.count > 1:
            check_parts(experiment.task, experiment.task.sample(np.random.default_rng(0), 4), self._model)
            give_own_seeds(self._model, self._workers)

    @property
    def steps(self) -> int:
        """Training steps in all."""
        return self._settings.steps

    @property
    def seconds(self) -> float:
        """Time spent in training, that before a resume included."""
        return time.monotonic() - self._began

    @property
    def is_complete(self) -> bool:
        """Whether all steps are taken, or the run ends early."""
        return self.step >= self._settings.steps or self.stopping.is_over

    @property
    def is_time_to_log(self) -> bool:
        """Whether the step just taken ends a line of the metrics."""
        return self.step % self._settings.log_every == 0 or self.step == self._settings.steps

    @property
    def is_time_to_measure(self) -> bool:
        """Whether the model is measured at the step just taken."""
        return self.step % self._settings.evaluate_every == 0

    @property
    def is_time_to_save(self) -> bool:
        """Whether a checkpoint is written at the step just taken."""
        every = self._settings.checkpoint_every
        return self.is_time_to_measure or (every > 0 and self.step % every == 0)

    def load(self, start: Checkpoint) -> None:
        """Restore the state of a checkpoint.

        Raises:
            WeightsError: it belongs to another model.
        """
        put_back(self._model.variables, start.variables, "weights")
        give_own_seeds(self._model, self._workers)
        check_fits(self._model.variables, start.best, "the best weights")
        put_back(optimizer_state(self._optimizer), start.optimizer, "an optimizer")
        self._batches.load(start.generator, start.position)
        self.step, self.recent = start.step, list(start.recent)
        self.best.load(start)
        self._began = time.monotonic() - start.seconds

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Give the model the moving averages of its weights, if there are any, to measure and save them."""
        if not (self._settings.ema and int(self._optimizer.iterations)):  # there are none before an update
            yield
            return
        weights = self._model.trainable_variables
        raw = [np.array(variable) for variable in weights]
        self._optimizer.finalize_variable_values(weights)
        try:
            yield
        finally:
            put_back(weights, raw, "weights")

    def rewind_folder(self, start: Checkpoint) -> None:
        """Undo what was written after a checkpoint: later lines of the metrics, and later weights."""
        put_back(self._model.variables, start.best, "weights")
        self._folder.rewind(self._experiment.config, start, self._best_files())
        lines = self._workers.from_chief(json.dumps(self._folder.read_metrics()).encode())
        self.stopping.read(json.loads(lines))
        put_back(self._model.variables, start.variables, "weights")
        give_own_seeds(self._model, self._workers)
        self._measured = self._last_file()

    def next_batch(self) -> Batch:
        """Return the batch of the next step."""
        return self._batches.next(self.step + 1)

    def take_step(self, batch: Batch | None = None, *, asked: bool = False) -> bool:
        """Draw a batch, if none is given, and update the weights.

        Args:
            batch: the whole batch, of all workers.
            asked: whether this worker was asked to stop.

        Returns:
            whether any worker was asked to stop.

        Raises:
            ConfigError: a weight changes that has no gradient, on many workers.
            TrainingError: a number is not finite; the weights stay as they were and are saved.
        """
        batch = self.next_batch() if batch is None else batch
        before = not_trained(self._model) if self._workers.count > 1 and not self._took_step else {}
        loss, accuracy, finite, stops = self._compiled_step(dict(batch.inputs), batch.targets, asked)
        self._took_step = True
        if not finite:
            found = find_not_finite(self._experiment.network, self._experiment.task, batch)
            raise self._failure(self.step + 1, f"not finite: {found}", saved="last", saved_step=self.step)
        check_not_trained(self._model, before)
        self.step += 1
        self.recent.append((float(loss), float(accuracy)))
        return bool(stops)

    def log(self) -> str:
        """Record the mean loss and accuracy since the last line, and return them as a text."""
        loss, accuracy = np.mean(self.recent, axis=0).tolist()
        self.recent.clear()
        self.recorder.step(self.step, {"loss": loss, "accuracy": accuracy}, self._learning_rate())
        return f"loss {loss:.4g}  accuracy {accuracy:.1%}"

    def measure(self) -> None:
        """Measure the weights; the next files hold them as the last, and as the best if they are.

        Raises:
            TrainingError: the loss is not finite.
        """
        batches = measured_batches(self._experiment, "validation", self._settings.evaluate_on)
        with self.averaged():
            try:
                measured = measure(self._experiment, batches, self._workers)
            except TrainingError as error:
                saved, at = ("best", self.best.step) if len(self.best.variables) else ("last", self.step)
                raise self._failure(self.step, str(error), saved=saved, saved_step=at) from error
            is_best = self.best.update(self.step, measured, self._model)
        if self._workers.count > 1:
            weights = b"".join(np.array(variable).tobytes() for variable in self._model.trainable_variables)
            self._workers.check_same(weights, "all workers must have the same weights")
        self.recorder.evaluation(self.step, measured.figures)
        if self.is_time_to_measure:  # it is not where Ctrl-C ended the run
            self.stopping.update(prefixed("validation", measured.figures))
        self._measured = self._last_file() | (self._best_files() if is_best else {})

    def save(self) -> None:
        """Write a checkpoint, with the files of a measurement just made; the chief does."""
        if not self._workers.is_chief:
            return
        checkpoint = Checkpoint(
            step=self.step,
            variables=variables_of(self._model),
            optimizer=[np.array(variable) for variable in optimizer_state(self._optimizer)],
            best=self.best.variables,
            best_step=self.best.step,
            best_figure=self.best.figure,
            best_sign=self.best.sign,
            merit=self.best.merit,
            recent=self.recent,
            generator=dict(self._batches.generator.bit_generator.state),
            position=self._batches.position,
            metrics_size=self._folder.metrics.stat().st_size,
            seconds=self.seconds,
            run=self._folder.run,
        )
        self._write({**self._measured, self._folder.checkpoint.name: checkpoint.save})
        self._measured = {}

    def finish(self) -> Outcome:
        """Set the best weights, measure them, and write the final figures."""
        seconds = self.seconds
        self._write(self._measured)
        put_back(self._model.variables, self.best.variables, "weights")
        batches = measured_batches(self._experiment, "final", self._settings.final_on)
        final = measure(self._experiment, batches, self._workers)
        facts = {"steps": self.step, "seconds": round(seconds, 3), "best_step": self.best.step}
        self.recorder.finish(final.figures, **facts)
        ended = {"complete": self.is_complete, "stopped_early": self.stopping.is_over}
        summary = summary_of(self._experiment, final, **facts, **ended)
        self._folder.write({self._folder.summary.name: summary}, closes=True)
        return Outcome(
            final=final,
            steps=self.step,
            best_step=self.best.step,
            seconds=seconds,
            interrupted=not self.is_complete,
            stopped=self.stopping.reason if self.stopping.is_over else "",
        )

    def _learning_rate(self) -> float:
        """Return the learning rate of the last update."""
        rate = learning_rate(self._settings)
        updates = int(self._optimizer.iterations)
        return rate if isinstance(rate, float) else float(rate(max(0, updates - 1)))

    def _last_file(self) -> dict[str, Callable[[Path], Any]]:
        return {self._folder.weights("last").name: self._save_weights}

    def _best_files(self) -> dict[str, Callable[[Path], Any]]:
        folder = self._folder
        return {folder.weights("best").name: self._save_weights, folder.model.name: self._model.save}

    def _write(self, files: dict[str, Callable[[Path], Any]], *, closes: bool = False) -> None:
        with self.averaged():
            self._folder.write(files, closes=closes)

    def _save_weights(self, path: Path) -> None:
        save_weights(self._model, path)

    def _failure(self, step: int, reason: str, *, saved: str, saved_step: int) -> TrainingError:
        """Save the last weights, note in the metrics that training failed, and return the error to raise."""
        self._folder.add_metrics(step=step, failed=reason)
        self._write(self._last_file(), closes=True)
        rate = self._settings.learning_rate / 10
        move = f"superloop resume {self._folder.path} --set train.learning_rate={rate:g}"
        return TrainingError(
            f"step {step}: {reason}; {self._folder.weights(saved)} holds the weights of step {saved_step}; "
            f"try a lower train.learning_rate or train.clip_norm from the last measurement on: {move}"
        )
