"""Figures, traces and pictures of a run folder's model on test sequences."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs
import click
import numpy as np

from superloop_core import ConfigError, Traces, WeightsError
from superloop_core.config import load_dict
from superloop_core.errors import Problem, os_reason, printable
from superloop_core.layer import load_weights
from superloop_core.runs import check_files, replace_file
from superloop_core.task import Batch, Task
from superloop_plugin_lab.diagnosis import TrainingError
from superloop_plugin_lab.experiment import Experiment, check_batch, read_experiment
from superloop_plugin_lab.feeding import measured_batches, pictured_batch, rows_at_once
from superloop_plugin_lab.measurement import Measurement, measure
from superloop_plugin_lab.run_folder import RunFolder
from superloop_plugin_lab.tracing import compute_traces, draw_traces


@attrs.frozen(kw_only=True)
class Evaluation:
    """Figures of a run on sequences of one length.

    Args:
        run: its folder.
        trained: the shortest and the longest length in training; None for a task without a setting
            ``length``.
        length: of all sequences if it was asked for; else the longest of those in training; None for a task
            without a setting ``length``.
        timesteps: of the longest sequence.
        sequences: their number.
        measured: the figures.
        headline: the name of the figure that decided the best weights.
    """

    run: Path
    trained: tuple[int, int] | None
    length: int | None
    timesteps: int
    sequences: int
    measured: Measurement
    headline: str = "accuracy"


def evaluate_run(
    run: Path,
    lengths: Iterable[int] = (),
    *,
    sequences: int = 4096,
    seed: int | None = None,
    metrics: Iterable[str] = (),
    overrides: Iterable[str] = (),
    weights: str = "best",
) -> Iterator[Evaluation]:
    """Measure a run's model on test sequences, once for each length.

    Args:
        run: its folder.
        lengths: each is that of all sequences of one measurement; none: one measurement on the lengths of
            training.
        sequences: number of sequences of each length.
        seed: of the sequences; None: the run's.
        metrics: names of metrics to measure besides those that the run's config names.
        overrides: changes of the run's config, each ``KEY=VALUE``.
        weights: ``best``, or ``last``: those of the last step.

    Raises:
        ConfigError: there is no run folder, it has no such weights, or its task has no ``length`` to change.
        TrainingError: a loss or an accuracy is not finite.
        WeightsError: the overrides change the shapes of the weights.
    """
    trained = _Trained.of(run, weights)
    for index, length in enumerate(list(lengths) or [None]):
        experiment = trained.experiment(length, metrics, overrides, warn=index == 0)
        try:
            check_batch(experiment, rows_at_once(experiment.timesteps))
            drawn = _generator(experiment, seed, "final")
            measured = measure(experiment, measured_batches(experiment, "final", sequences, drawn))
        except ConfigError as error:
            raise _of_run(run, error) from error
        except TrainingError as error:
            where = str(run) if length is None else f"{run}, length {length}"
            move = "measure shorter sequences, or train the model again"
            raise TrainingError(f"{where}: {error}; {move}") from error
        yield Evaluation(
            run=run,
            trained=trained.lengths,
            length=getattr(experiment.config.tables["task"].settings, "length", None),
            timesteps=experiment.timesteps,
            sequences=measured.sequences,
            measured=measured,
            headline=experiment.settings.best,
        )


def trace_run(
    run: Path,
    out: Path,
    *,
    sequences: int = 4,
    length: int | None = None,
    seed: int | None = None,
    overrides: Iterable[str] = (),
) -> tuple[Path, Path, list[str]]:
    """Save every trace on test sequences, as arrays and as a picture.

    Args:
        run: the run's folder.
        out: the ``.npz`` file to write, which ``superloop_core.Traces.load`` reads: each trace by its name,
            ``(sequences, timesteps, ...)``, and the task's ``inputs.<name>`` and ``targets``. The picture
            ``.png`` is written beside it.
        sequences: number of sequences.
        length: of all sequences; None: as in training.
        seed: of the sequences; None: the run's.
        overrides: changes of the run's config, each ``KEY=VALUE``.

    Returns:
        the paths of both files, and the names of the traces that the picture leaves out.

    Raises:
        ConfigError: a file cannot be written, or would replace the run's own picture.
        WeightsError: the overrides change the shapes of the weights.
    """
    out = out if out.suffix == ".npz" else Path(f"{out}.npz")
    picture = out.with_suffix(".png")
    if picture.resolve() == RunFolder.open(run).picture.resolve():
        raise ConfigError(
            f"--out {out}: the picture would replace the run's own, {picture}; choose another name"
        )
    task, batch, traces, _ = traced_run(
        run, sequences=sequences, length=length, seed=seed, overrides=overrides
    )
    left_out: list[str] = []
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        traces.save(out)
        replace_file(picture, lambda path: left_out.extend(draw_traces(task, batch, traces, path)))
    except OSError as error:
        raise ConfigError(f"--out {out}: cannot be written: {os_reason(error)}") from error
    return out, picture, left_out


def traced_run(
    run: Path,
    *,
    sequences: int,
    length: int | None = None,
    seed: int | None = None,
    overrides: Iterable[str] = (),
) -> tuple[Task, Batch, Traces, int]:
    """Return a run's task, test sequences, every trace on them, and the seed they are drawn with.

    Raises:
        ConfigError: there is no run folder, or its task has no ``length`` to change.
        WeightsError: the overrides change the shapes of the weights.
    """
    experiment, batch = shown_run(run, sequences=sequences, length=length, seed=seed, overrides=overrides)
    drawn = experiment.settings.seed if seed is None else seed
    return experiment.task, batch, compute_traces(experiment.network, batch), drawn


def shown_run(
    run: Path,
    *,
    sequences: int,
    length: int | None = None,
    seed: int | None = None,
    overrides: Iterable[str] = (),
) -> tuple[Experiment, Batch]:
    """Return a run's experiment, and test sequences to show.

    Raises:
        ConfigError: there is no run folder, or its task has no ``length`` to change.
        WeightsError: the overrides change the shapes of the weights.
    """
    experiment = open_run(run, length=length, overrides=overrides)
    check_batch(experiment, sequences)
    return experiment, pictured_batch(experiment, sequences, _generator(experiment, seed, "picture"))


def open_run(
    run: Path,
    *,
    length: int | None = None,
    overrides: Iterable[str] = (),
    weights: str = "best",
    rows: Path | None = None,
) -> Experiment:
    """Return a run's experiment with its weights.

    Args:
        run: the run's folder.
        length: of all sequences; the config's number of timesteps is scaled with it. None: as in training.
        overrides: changes of the run's config, each ``KEY=VALUE``.
        weights: ``best``, or ``last``: those of the last step.
        rows: a file of new examples to predict on, in the place of the task's own.

    Raises:
        ConfigError: there is no run folder, or its task has no ``length`` to change.
        WeightsError: the overrides change the shapes of the weights.
    """
    return _Trained.of(run, weights).experiment(length, overrides=overrides, rows=rows)


@attrs.define
class _Trained:
    """The config and the weights of a run folder, read once: a live run replaces them."""

    folder: RunFolder
    file: Path
    config: dict[str, Any]
    weights: list[np.ndarray] = attrs.field(factory=list)

    @classmethod
    def of(cls, run: Path, weights: str = "best") -> "_Trained":
        folder = RunFolder.open(run)
        file = folder.model
        if weights == "last":
            file = folder.weights("last")
            check_files(run, file.name)
            if not file.is_file():
                raise ConfigError(
                    f"{run}: no {file.name}; put it back from a copy, or measure the best weights"
                )
        return cls(folder, file, load_dict(folder.config))

    @property
    def lengths(self) -> tuple[int, int] | None:
        """The shortest and the longest length in training."""
        task = self.config["task"]
        return (task.get("min_length", task["length"]), task["length"]) if "length" in task else None

    def experiment(
        self,
        length: int | None = None,
        metrics: Iterable[str] = (),
        overrides: Iterable[str] = (),
        *,
        rows: Path | None = None,
        warn: bool = True,
    ) -> Experiment:
        """Make the experiment; ``warn`` of plugins of other versions than in training."""
        changes = [*self._at_length(length), *overrides]
        state = self.folder.read_task_state()
        try:
            experiment = read_experiment(self._with_metrics(metrics), changes, task_state=state, rows=rows)
        except ConfigError as error:
            raise _of_run(self.folder.path, error) from error
        if warn:
            warn_of_other_versions(self.folder, experiment)
        if self.weights:
            experiment.model.set_weights(self.weights)
            return experiment
        try:
            # The model is made of config.toml. What the model's own file would make is not looked at.
            load_weights(experiment.model, self.file)
        except WeightsError as error:
            undo = " ".join(f"--set {override}" for override in changes)
            raise WeightsError(f"{error}; undo {undo}" if changes else str(error)) from error
        self.weights = experiment.model.get_weights()
        return experiment

    def _at_length(self, length: int | None) -> Iterator[str]:
        """Yield the overrides of the config that make all sequences of one length."""
        if length is None:
            return
        task = self.config["task"]
        if self.lengths is None:
            raise ConfigError(
                f"{self.folder.path}: its task {task['use']!r} has no setting 'length' to change"
            )
        yield f"task.length={length}"
        if "min_length" in task:
            yield f"task.min_length={length}"
        yield f"loop.timesteps={-(-self.config['loop']['timesteps'] * length // task['length'])}"

    def _with_metrics(self, names: Iterable[str]) -> dict[str, Any]:
        """Return the config with more metrics, each once, and without the curriculum."""
        metrics = list(self.config.get("metrics", ()))
        named = {_short(metric["use"]) for metric in metrics}
        metrics += [{"use": name} for name in dict.fromkeys(names) if _short(name) not in named]
        config = {name: table for name, table in self.config.items() if name != "curriculum"}
        return config | ({"metrics": metrics} if metrics else {})


def _of_run(run: Path, error: ConfigError) -> ConfigError:
    """Return an error whose problems name the run."""
    return ConfigError([Problem(str(run), str(problem)) for problem in error.problems])


def _short(name: str) -> str:
    """``superloop-plugin-tasks:token_accuracy`` -> ``token_accuracy``."""
    return name.rpartition(":")[2]


def warn_of_other_versions(folder: RunFolder, experiment: Experiment) -> None:
    """Warn of every plugin in use whose version differs from that in training."""
    now = experiment.config.plugins
    for distribution, then in load_dict(folder.config).get("plugins", {}).items():
        if distribution in now and now[distribution] != then:
            click.echo(
                printable(
                    f"warning: {folder.path}: was trained with {distribution} {then}, "
                    f"but {now[distribution]} is installed; figures may differ"
                ),
                err=True,
            )


def _generator(experiment: Experiment, seed: int | None, purpose: str) -> np.random.Generator:
    """Return the generator of a purpose, of another seed than the run's if one is given."""
    if seed is not None:
        experiment = attrs.evolve(experiment, settings=attrs.evolve(experiment.settings, seed=seed))
    return experiment.generator(purpose)
